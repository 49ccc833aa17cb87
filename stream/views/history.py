"""The last minute of a source, as a subscriber heard it, a column a second."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass

from stream.client.received import Affect

SECONDS = 60
MOST_STEPS = 50
"""Of a second, whatever a publisher says."""


@dataclass
class _Step:
    """One step: its estimate, where it came, and each modality's cause, as last told."""

    estimate: Affect | None
    causes: dict[str, str]


@dataclass(frozen=True)
class Column:
    """A second. `levels`: mean probabilities by label, empty where no estimate came."""

    levels: Mapping[str, float]
    abstained: bool
    """In most of its estimates there was not enough to say."""
    causes: Mapping[str, str]
    """Of each modality the most frequent cause, empty where nothing was told."""

    @property
    def top(self) -> str:
        """The label of the highest level, empty where there is none."""
        return max(self.levels, key=lambda label: self.levels[label], default="")


class History:
    """Takes estimates of one session and source; remembers `SECONDS`."""

    def __init__(self) -> None:
        self._steps: dict[int, _Step] = {}
        self._step_ns = 0

    def add(self, affect: Affect) -> None:
        """The estimate of a step; it may also know better why older steps were missing."""
        window = affect.window
        if window.step_ns != self._step_ns:
            self._steps.clear()
        self._step_ns = window.step_ns
        last = window.end_ns // window.step_ns - 1
        first = last + 1 - self._per_second() * SECONDS
        for modality, causes in affect.gaps.items():
            for number, cause in zip(range(last, first - 1, -1), reversed(causes), strict=False):
                step = self._steps.setdefault(number, _Step(None, {}))
                step.causes[modality] = cause
        self._steps[last].estimate = affect
        self._steps = {n: step for n, step in self._steps.items() if first <= n <= last}

    def columns(self) -> list[Column]:
        """`SECONDS` columns, the latest last; whole seconds, so that none changes its place."""
        each = self._per_second()
        end = max(self._steps, default=0) // each + 1
        return [self._column(range(n * each, (n + 1) * each)) for n in range(end - SECONDS, end)]

    def _per_second(self) -> int:
        return min(max(round(1e9 / self._step_ns), 1), MOST_STEPS) if self._step_ns else 1

    def _column(self, numbers: range) -> Column:
        steps = [self._steps[n] for n in numbers if n in self._steps]
        told = [step.estimate for step in steps if step.estimate is not None]
        levels: dict[str, float] = {}
        for affect in told:
            for label, probability in zip(affect.labels, affect.probabilities, strict=True):
                levels[label] = levels.get(label, 0.0) + probability / len(told)
        modalities = dict.fromkeys(modality for step in steps for modality in step.causes)
        causes = {m: Counter(step.causes.get(m, "") for step in steps) for m in modalities}
        return Column(
            levels,
            2 * sum(affect.abstained for affect in told) > len(told),
            {modality: counts.most_common(1)[0][0] for modality, counts in causes.items()},
        )
