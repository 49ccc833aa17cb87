"""The folders that hold a user's own files, and what can be computed again."""

from __future__ import annotations

import os
from pathlib import Path


def usual() -> Path:
    """Return `$XDG_DATA_HOME/normtr` or ~/.local/share/normtr; it need not exist."""
    return _named("XDG_DATA_HOME", Path(".local", "share"))


def cache() -> Path:
    """Return `$XDG_CACHE_HOME/normtr` or ~/.cache/normtr; it need not exist."""
    return _named("XDG_CACHE_HOME", Path(".cache"))


def _named(variable: str, usually: Path) -> Path:
    base = os.environ.get(variable, "")
    folder = Path(base) if Path(base).is_absolute() else Path.home() / usually
    return folder / "normtr"


def calibration() -> Path:
    """Return the file that holds a person's calibration when no other file is named."""
    return usual() / "person.json"
