"""Benchmarks and corpora, each with its splits."""
