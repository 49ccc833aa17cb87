"""Where a user's own files are kept: the calibration, the keys."""

from __future__ import annotations

import os
from pathlib import Path


def usual() -> Path:
    """`$XDG_DATA_HOME/normtr`, or ~/.local/share/normtr; it need not exist."""
    base = os.environ.get("XDG_DATA_HOME", "")
    folder = Path(base) if Path(base).is_absolute() else Path.home() / ".local" / "share"
    return folder / "normtr"


def calibration() -> Path:
    """The file of a person's calibration, unless another one is named."""
    return usual() / "person.json"
