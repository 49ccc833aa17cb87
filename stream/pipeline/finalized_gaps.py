"""The causes of a session's steps, each told once: as the step was when it left the window."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from normtr.cause import Cause
from stream.pipeline.window_assembler import Estimate

Causes = dict[str, Cause]


class FinalizedGaps:
    """Rows and words come late, so a step is settled only when no window holds it any more."""

    def __init__(self) -> None:
        self._gaps: Mapping[str, tuple[Cause, ...]] = {}
        self._first = self._end = 0  # the steps of the last window

    def add(self, estimate: Estimate) -> Iterator[tuple[int, Causes]]:
        """(step, causes) of the steps that this estimate's window leaves behind."""
        begin = estimate.step + 1 - estimate.window.steps
        yield from self._before(begin)
        self._gaps = estimate.window.gaps
        self._first, self._end = begin, estimate.step + 1

    def rest(self) -> Iterator[tuple[int, Causes]]:
        """The steps of the last window: nothing comes any more."""
        yield from self._before(self._end)

    def _before(self, end: int) -> Iterator[tuple[int, Causes]]:
        for step in range(max(self._first, 0), min(end, self._end)):
            yield step, {m: causes[step - self._first] for m, causes in self._gaps.items()}
