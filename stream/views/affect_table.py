"""Writes estimates into a CSV file, one row for each `affect` message."""

from __future__ import annotations

import csv
from pathlib import Path

from normtr.errors import UserError
from stream.client.received import Affect
from stream.publish.line_file import LineFile


class AffectTable:
    """Writes each row into the file at once: a program that is killed leaves whole rows."""

    def __init__(self, path: Path) -> None:
        """Open the file. Raises UserError when it cannot be written."""
        self._path = path
        self._new = not path.exists()
        self._file = LineFile(path)
        self._rows = csv.writer(self._file, lineterminator="\n")
        self._columns: tuple[tuple[str, ...], tuple[str, ...]] | None = None

    def add(self, affect: Affect) -> None:
        """Write one estimate; the first one decides the columns.

        Raises UserError when a later one does not fit them.
        """
        columns = affect.labels, tuple(affect.gaps)
        if self._columns is None:
            self._columns = columns
            self._rows.writerow(
                [
                    *("session", "source", "seq", "t_ns", "sent_ns", "top", "confidence"),
                    *("abstained", *columns[0], *columns[1]),
                ]
            )
        elif columns != self._columns:
            raise UserError(
                f"another recognizer took over, whose labels do not fit into {self._path}."
            )
        self._rows.writerow(
            [
                *(affect.session, affect.source, affect.seq, affect.t_ns, affect.sent_ns),
                *(affect.top, affect.confidence, int(affect.abstained), *affect.probabilities),
                *(causes[-1] for causes in affect.gaps.values()),
            ]
        )

    def close(self) -> None:
        """Close the file; a new file without an estimate is deleted."""
        self._file.close()
        if self._columns is None and self._new:
            self._path.unlink(missing_ok=True)
