"""The last minute of a source as a subscriber heard it, one column for each second."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass

from stream.client.received import Affect

SECONDS = 60
MOST_STEPS = 50
"""At most this many steps of a second are kept, whatever a publisher says."""


@dataclass
class _Step:
    """One step: its estimate, if it came, and the cause of each modality as it was told last."""

    estimate: Affect | None
    causes: dict[str, str]


@dataclass(frozen=True)
class Column:
    """A second. `levels` are mean probabilities by label; empty if no estimate came."""

    levels: Mapping[str, float]
    abstained: bool
    """Whether most of its estimates abstained."""
    causes: Mapping[str, str]
    """The most frequent cause of each modality; empty if nothing was told."""

    @property
    def top(self) -> str:
        """The label with the highest level; empty if there is none."""
        return max(self.levels, key=lambda label: self.levels[label], default="")


class History:
    """Takes estimates of one session and source, and remembers `SECONDS`."""

    def __init__(self) -> None:
        self._steps: dict[int, _Step] = {}
        self._step_ns = 0

    def add(self, affect: Affect) -> None:
        """Take in an estimate; it may correct the causes of older steps."""
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
        """Return `SECONDS` columns, the latest last; each is a whole second, so that none moves."""
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
