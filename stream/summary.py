"""What a session was like: emotions over time, valid steps, gaps by cause, latency.

It remembers the last half hour in detail and counts the rest: a session may run for days.
"""

from __future__ import annotations

from collections import Counter
from typing import Any

import numpy as np
from numpy.typing import NDArray
from rich.console import Group
from rich.table import Table
from rich.text import Text

from normtr.spec import MODALITIES
from normtr.window import CAUSES, NONE
from stream.recognizer import Estimate
from stream.settled import Causes, Settled

REMEMBERED = 7200
"""Steps: half an hour."""
CODES = (NONE, *CAUSES)


class Latest:
    """The last `REMEMBERED` records of a kind, 60 bytes each instead of some hundred."""

    def __init__(self, kind: list[tuple[Any, ...]]) -> None:
        self._records = np.zeros(REMEMBERED, kind)
        self._count = 0

    def add(self, *values: Any) -> None:
        self._records[self._count % REMEMBERED] = values
        self._count += 1

    def __call__(self) -> NDArray[Any]:
        """In the order in which they came."""
        if self._count <= REMEMBERED:
            return self._records[: self._count]
        return np.roll(self._records, -(self._count % REMEMBERED))


class Summary:
    """Collects estimates; each step is counted as the last estimate that held it saw it."""

    def __init__(self, labels: tuple[str, ...], origin_ns: int) -> None:
        self.labels = labels
        self.origin_ns = origin_ns
        self.estimates = 0
        self.step_s = 0.0
        self.moments = Latest(
            [
                ("step", np.int64),
                ("probabilities", np.float32, (len(labels),)),
                ("top", np.uint8),
                ("confidence", np.float32),
                ("abstained", np.bool_),
                ("total_ms", np.float32),
            ]
        )
        """What the estimates said; `top` counts in `labels`."""
        self._settled = Settled()
        self._causes: dict[str, Counter[str]] = {m: Counter() for m in MODALITIES}
        self._steps = Latest([("step", np.int64), ("causes", np.uint8, (len(MODALITIES),))])

    def add(self, sent_ns: int, estimate: Estimate) -> None:
        window, said = estimate.window, estimate.judgement
        self.estimates += 1
        self.step_s = window.step_ns / 1e9
        self.moments.add(
            estimate.step,
            said.probabilities,
            self.labels.index(said.top),
            said.confidence,
            said.abstained,
            (sent_ns - window.end_ns) / 1e6,
        )
        for number, causes in self._settled.add(estimate):
            self._steps.add(number, [CODES.index(causes[m]) for m in MODALITIES])
            for modality, cause in causes.items():
                self._causes[modality][cause] += 1

    def steps(self) -> list[tuple[int, Causes]]:
        """The remembered steps with their causes, in order."""
        settled = [
            (int(number), {m: CODES[code] for m, code in zip(MODALITIES, codes, strict=True)})
            for number, codes in self._steps()
        ]
        return settled + list(self._settled.rest())

    def causes(self, modality: str) -> Counter[str]:
        """How many steps had which cause, over the whole session."""
        return self._causes[modality] + Counter(c[modality] for _, c in self._settled.rest())

    def stretches(self) -> list[tuple[float, float, str, float]]:
        """Runs of one top label: (begin s, end s, label or `not enough to say`, confidence)."""
        out: list[tuple[float, float, str, float]] = []
        for moment in self.moments():
            label = "not enough to say" if moment["abstained"] else self.labels[moment["top"]]
            begin, confidence = moment["step"] * self.step_s, float(moment["confidence"])
            if out and out[-1][2] == label:
                first, _, _, most = out[-1]
                out[-1] = (first, begin + self.step_s, label, max(confidence, most))
            else:
                out.append((begin, begin + self.step_s, label, confidence))
        return out

    def render(self) -> Group:
        """Tables for the terminal."""
        if not self.estimates:
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
        p50, p95 = np.percentile(self.moments()["total_ms"], [50, 95])
        latency = Text(
            f"{self.estimates} estimates; window's end to publishing: "
            f"median {p50:.0f} ms, 95th percentile {p95:.0f} ms"
        )
        return Group(emotions, gaps, latency)
