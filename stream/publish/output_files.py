"""Checks the files that a session will write, before anything is loaded."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from normtr.errors import UsageError, UserError
from normtr.whole_file import partial_of, refuse_existing


def check(outputs: Mapping[str, Path | None], force: bool) -> None:
    """Raise UserError for a file that cannot be written or would replace another one.

    `outputs` gives the file for each option. `force` allows to replace files. A half written file
    of a killed run counts as a file, too. Nothing on the disk stays changed.
    """
    taken: dict[Path, str] = {}
    for option, path in outputs.items():
        if path is None:
            continue
        if not path.absolute().parent.is_dir():
            raise UserError(f"there is no folder {path.absolute().parent} for {path.name}.")
        if path.exists() and not path.is_file():
            kind = "a folder" if path.is_dir() else "no file"
            raise UserError(f"{path} is {kind}; give {option} the name of a file.")
        for name in (path, partial_of(path)):
            if (first := taken.setdefault(name.resolve(), option)) != option:
                raise UsageError(f"{first} and {option} would write the same file, {name}.")
        refuse_existing(path, force)
        if partial_of(path).exists() and not force:
            raise UserError(
                f"{partial_of(path)} is there already, left by a run that was killed; rename it, or "
                "--force to replace it."
            )
        _try_writing(path)


def _try_writing(path: Path) -> None:
    for name in [partial_of(path), *([path] if path.exists() else [])]:
        new = not name.exists()
        try:
            name.open("a").close()
        except OSError as error:
            raise UserError(f"cannot write {path}: {error.strerror}.") from None
        if new:
            name.unlink()
