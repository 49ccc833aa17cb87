"""Clips and labels in, a cache of rows and words out."""
