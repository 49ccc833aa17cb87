"""Whether a source can be a file at all: told before anything is loaded to open it with."""

from __future__ import annotations

from pathlib import Path

from normtr.errors import UserError


def check(source: str) -> None:
    """Raise UserError where `source` is no URL and no file with something in it."""
    if "://" in source:
        return
    path = Path(source)
    if path.is_dir():
        raise UserError(f"{source} is a folder; give a clip in it.")
    if not path.is_file():
        raise UserError(f"there is no file {source!r}.")
    if path.stat().st_size == 0:
        raise UserError(f"{path.name} is empty.")
