"""Where the recognizer that comes with the program lies."""

from __future__ import annotations

from pathlib import Path

SHIPPED = Path(__file__).parent / "weights"
"""A checkpoint's folder; `normtr.checkpoint` reads it."""
