"""Compares runs side by side, in tables, figures and intervals."""
