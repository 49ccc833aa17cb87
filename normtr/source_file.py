"""Checks whether a source can be a file at all, before anything is loaded to open it."""

from __future__ import annotations

from pathlib import Path

from normtr.errors import UserError


def check(source: str) -> None:
    """Raise UserError when `source` is neither a URL nor a file with content."""
    if "://" in source:
        return
    path = Path(source)
    if path.is_dir():
        raise UserError(f"{source} is a folder; give a clip in it.")
    if not path.is_file():
        raise UserError(f"there is no file {source!r}.")
    if path.stat().st_size == 0:
        raise UserError(f"{path.name} is empty.")
