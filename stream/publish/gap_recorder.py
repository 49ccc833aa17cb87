"""Records the gap trace of a session: causes only (see `normtr.gap_trace`)."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from normtr import gap_trace
from stream.pipeline.finalized_gaps import Causes, Settled
from stream.pipeline.window_assembler import Estimate
from stream.publish.line_file import LineFile


class GapRecorder:
    """Line by line into the file itself: a session that is killed leaves what it had written."""

    def __init__(self, path: Path) -> None:
        """Raises UserError when the file cannot be written."""
        self._settled = Settled()
        self._file = LineFile(path)

    def add(self, estimate: Estimate) -> None:
        """Raises UserError when the disk takes no more."""
        self._write(self._settled.add(estimate))

    def close(self) -> None:
        self._write(self._settled.rest())
        self._file.close()

    def _write(self, steps: Iterable[tuple[int, Causes]]) -> None:
        for number, causes in steps:
            self._file.write(gap_trace.line(number, causes))
