"""Output files get their name only when they are whole, and never replace another file unasked."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from normtr.errors import UserError


@contextmanager
def whole_file(path: Path) -> Iterator[Path]:
    """Give a temporary path to write to; it is renamed to `path` at the end.

    After an error the temporary file stays as it is. Makes the folder if needed.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = partial_of(path)
    yield partial
    partial.replace(path)


def partial_of(path: Path) -> Path:
    """Return where a file or folder lies until it is whole."""
    return path.with_name(f"{path.name}.partial")


def refuse_existing(path: Path, force: bool) -> None:
    """Raise UserError when `path` exists and `force` does not allow to replace it."""
    if path.exists() and not force:
        raise UserError(f"{path} is there already; give another name, or --force to replace it.")
