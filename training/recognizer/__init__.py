"""Trains and judges the shipped recognizer's own networks: face, voice, text and their fusion."""
