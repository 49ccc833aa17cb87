"""Output files that have their name only once they are whole, and never take another's place."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from normtr.errors import UserError


@contextmanager
def whole_file(path: Path) -> Iterator[Path]:
    """Where to write what `path` shall hold: renamed at the end, left aside after an error.

    Makes the folder.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = partial_of(path)
    yield partial
    partial.replace(path)


def partial_of(path: Path) -> Path:
    """Where a file or folder lies until it is whole."""
    return path.with_name(f"{path.name}.partial")


def refuse_existing(path: Path, force: bool) -> None:
    """Raise UserError where `path` exists and was not to be replaced."""
    if path.exists() and not force:
        raise UserError(f"{path} is there already; give another name, or --force to replace it.")
