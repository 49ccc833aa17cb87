"""The folder that holds a user's own files, such as the calibration and the keys."""

from __future__ import annotations

import os
from pathlib import Path


def usual() -> Path:
    """Return `$XDG_DATA_HOME/normtr` or ~/.local/share/normtr; it need not exist."""
    base = os.environ.get("XDG_DATA_HOME", "")
    folder = Path(base) if Path(base).is_absolute() else Path.home() / ".local" / "share"
    return folder / "normtr"


def calibration() -> Path:
    """Return the file that holds a person's calibration when no other file is named."""
    return usual() / "person.json"
