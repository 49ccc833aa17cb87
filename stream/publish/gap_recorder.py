"""Records the gap trace of a session, which holds causes only (see `normtr.gap_trace`)."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path

from normtr import gap_trace
from stream.pipeline.finalized_gaps import Causes, FinalizedGaps
from stream.pipeline.outputs import Output
from stream.pipeline.window_assembler import Estimate
from stream.publish.line_file import LineFile
from stream.publish.sink import Sink
from stream.wire import Message


class GapRecorder(Sink):
    """Writes each line into the file at once, so that a killed session leaves what it had
    written."""

    def __init__(self, path: Path) -> None:
        """Open the file. Raises UserError when it cannot be written."""
        self._settled = FinalizedGaps()
        self._file = LineFile(path)

    def take(self, messages: Sequence[Message], output: Output | None = None) -> None:
        """Write the steps that left the window. Raises UserError when the disk takes no more."""
        if isinstance(output, Estimate):
            self._write(self._settled.add(output))

    def close(self) -> None:
        self._write(self._settled.rest())
        self._file.close()

    def _write(self, steps: Iterable[tuple[int, Causes]]) -> None:
        for number, causes in steps:
            self._file.write(gap_trace.line(number, causes))
