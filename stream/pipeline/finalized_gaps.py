"""Tells the causes of each step once, as they were when the step left the window."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from normtr.cause import Cause
from stream.pipeline.window_assembler import Estimate

Causes = dict[str, Cause]


class FinalizedGaps:
    """Collects the causes of steps. Rows and words come late, so a step is final only when no
    window holds it."""

    def __init__(self) -> None:
        self._gaps: Mapping[str, tuple[Cause, ...]] = {}
        self._first = self._end = 0  # the steps of the last window

    def add(self, estimate: Estimate) -> Iterator[tuple[int, Causes]]:
        """Yield (step, causes) for the steps that leave the window with this estimate."""
        begin = estimate.step + 1 - estimate.window.steps
        yield from self._before(begin)
        self._gaps = estimate.window.gaps
        self._first, self._end = begin, estimate.step + 1

    def rest(self) -> Iterator[tuple[int, Causes]]:
        """Yield (step, causes) for the steps of the last window; call it at the end."""
        yield from self._before(self._end)

    def _before(self, end: int) -> Iterator[tuple[int, Causes]]:
        for step in range(max(self._first, 0), min(end, self._end)):
            yield step, {m: causes[step - self._first] for m, causes in self._gaps.items()}
