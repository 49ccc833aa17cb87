"""The place of the recognizer that comes with the program."""

from __future__ import annotations

from pathlib import Path

SHIPPED = Path(__file__).parent / "weights"
"""The folder of a checkpoint, which `normtr.checkpoint` reads."""
