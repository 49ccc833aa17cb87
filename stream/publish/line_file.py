"""A file that is written line by line. It holds whole lines even if the program is killed."""

from __future__ import annotations

from pathlib import Path

from normtr.errors import UserError


class LineFile:
    """A text file that is opened at once and flushed after each line."""

    def __init__(self, path: Path, named: Path | None = None) -> None:
        """Open the file; errors call it `named` if its own name is a temporary one.

        Raises UserError when it cannot be written.
        """
        self._named = named or path
        try:
            self._file = path.open("w", encoding="utf-8", buffering=1)
        except OSError as error:
            raise self._refused(error) from None

    def write(self, line: str) -> None:
        """Write `line`, which includes its line break. Raises UserError when the disk takes no
        more."""
        try:
            self._file.write(line)
        except OSError as error:
            raise self._refused(error) from None

    def close(self) -> None:
        self._file.close()

    def _refused(self, error: OSError) -> UserError:
        return UserError(f"cannot write {self._named}: {error.strerror}.")
