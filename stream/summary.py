"""What a session was like: emotions over time, valid steps, gaps by cause, latency.

It remembers the last half hour in detail and counts the rest: a session may run for days.
"""

from __future__ import annotations

from collections import Counter, deque
from dataclasses import dataclass

import numpy as np
from rich.console import Group
from rich.table import Table
from rich.text import Text

from normtr.spec import MODALITIES
from normtr.window import NONE
from stream.recognizer import Estimate
from stream.settled import Causes, Settled

REMEMBERED = 7200
"""Steps: half an hour."""


@dataclass(frozen=True)
class Moment:
    """What an estimate said."""

    step: int
    probabilities: tuple[float, ...]
    top: str
    confidence: float
    abstained: bool
    total_ms: float


class Summary:
    """Collects estimates; each step is counted as the last estimate that held it saw it."""

    def __init__(self, labels: tuple[str, ...], origin_ns: int) -> None:
        self.labels = labels
        self.origin_ns = origin_ns
        self.estimates = 0
        self.moments: deque[Moment] = deque(maxlen=REMEMBERED)
        self.step_s = 0.0
        self._settled = Settled()
        self._causes: dict[str, Counter[str]] = {m: Counter() for m in MODALITIES}
        self._steps: deque[tuple[int, Causes]] = deque(maxlen=REMEMBERED)

    def add(self, sent_ns: int, estimate: Estimate) -> None:
        window, judgement = estimate.window, estimate.judgement
        self.estimates += 1
        self.step_s = window.step_ns / 1e9
        self.moments.append(
            Moment(
                estimate.step,
                judgement.probabilities,
                judgement.top,
                judgement.confidence,
                judgement.abstained,
                (sent_ns - window.end_ns) / 1e6,
            )
        )
        for number, causes in self._settled.add(estimate):
            self._steps.append((number, causes))
            for modality, cause in causes.items():
                self._causes[modality][cause] += 1

    def steps(self) -> list[tuple[int, Causes]]:
        """The remembered steps with their causes, in order."""
        return [*self._steps, *self._settled.rest()][-REMEMBERED:]

    def causes(self, modality: str) -> Counter[str]:
        """How many steps had which cause, over the whole session."""
        return self._causes[modality] + Counter(c[modality] for _, c in self._settled.rest())

    def stretches(self) -> list[tuple[float, float, str, float]]:
        """Runs of one top label: (begin s, end s, label or `not enough to say`, confidence)."""
        out: list[tuple[float, float, str, float]] = []
        for moment in self.moments:
            label = "not enough to say" if moment.abstained else moment.top
            begin = moment.step * self.step_s
            if out and out[-1][2] == label:
                first, _, _, confidence = out[-1]
                out[-1] = (first, begin + self.step_s, label, max(confidence, moment.confidence))
            else:
                out.append((begin, begin + self.step_s, label, moment.confidence))
        return out

    def render(self) -> Group:
        """Tables for the terminal."""
        if not self.moments:
            return Group(Text("no estimate was made"))
        emotions = Table("from", "to", "emotion", "confidence up to", title="Emotions over time")
        for begin, end, label, confidence in self.stretches():
            emotions.add_row(f"{begin:.2f} s", f"{end:.2f} s", label, f"{confidence:.0%}")
        gaps = Table("", "valid steps", "gaps by cause", title="What was there")
        for modality in MODALITIES:
            counts = self.causes(modality)
            valid = counts.pop(NONE, 0)
            causes = ", ".join(f"{cause} {n}" for cause, n in counts.most_common())
            gaps.add_row(modality, f"{valid / (valid + counts.total()):.0%}", causes)
        p50, p95 = np.percentile([moment.total_ms for moment in self.moments], [50, 95])
        latency = Text(
            f"{self.estimates} estimates; window's end to publishing: "
            f"median {p50:.0f} ms, 95th percentile {p95:.0f} ms"
        )
        return Group(emotions, gaps, latency)
