"""A file that is written line by line: killed at any time, it holds whole lines."""

from __future__ import annotations

from pathlib import Path

from normtr.errors import UserError


class LineFile:
    """Opened at once; `named`: what an error calls it, where its own name is a temporary one."""

    def __init__(self, path: Path, named: Path | None = None) -> None:
        """Raises UserError when the file cannot be written."""
        self._named = named or path
        try:
            self._file = path.open("w", encoding="utf-8", buffering=1)
        except OSError as error:
            raise self._refused(error) from None

    def write(self, line: str) -> None:
        """`line` with its end. Raises UserError when the disk takes no more."""
        try:
            self._file.write(line)
        except OSError as error:
            raise self._refused(error) from None

    def close(self) -> None:
        self._file.close()

    def _refused(self, error: OSError) -> UserError:
        return UserError(f"cannot write {self._named}: {error.strerror}.")
