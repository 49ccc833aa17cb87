"""What a session was like: emotions over time, valid steps, gaps by cause, latency.

It remembers the last half hour in detail and counts the rest, because a session may run for days.
"""

from __future__ import annotations

from array import array
from collections import Counter
from collections.abc import Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray
from rich.console import Group
from rich.table import Table
from rich.text import Text

from normtr.cause import GAPS, Cause
from normtr.spec import MODALITIES
from stream.pipeline.finalized_gaps import Causes, FinalizedGaps
from stream.pipeline.window_assembler import Estimate
from stream.views.labels_and_colours import NOTHING

REMEMBERED = 7200
"""Half an hour of steps, at 60 bytes each."""
STRETCHES = 30
"""This many of the last stretches are shown."""

_NAMES = (Cause.NONE, *GAPS)
_CODES = {cause: code for code, cause in enumerate(_NAMES)}


class Summary:
    """Collects estimates. Each step counts as it was in the last estimate that contained it."""

    def __init__(
        self, labels: tuple[str, ...], origin_ns: int, remembered: int = REMEMBERED
    ) -> None:
        """At least the last `remembered` steps are remembered in detail."""
        self.labels = labels
        self._remembered = remembered
        self.origin_ns = origin_ns
        self.estimates = 0
        self.step_s = 0.0
        self._steps = array("l")
        self._probabilities = array("f")
        self._confidence = array("f")
        self._abstained = bytearray()
        self._total_ms = array("f")
        self._settled = FinalizedGaps()
        self._counts: dict[str, Counter[str]] = {m: Counter() for m in MODALITIES}
        self._numbers = array("l")
        self._causes = {m: bytearray() for m in MODALITIES}

    def add(self, sent_ns: int, estimate: Estimate) -> None:
        window, prediction = estimate.window, estimate.prediction
        self.estimates += 1
        self.step_s = window.step_ns / 1e9
        self._steps.append(estimate.step)
        self._probabilities.extend(prediction.probabilities)
        self._confidence.append(prediction.confidence)
        self._abstained.append(prediction.abstained)
        self._total_ms.append((sent_ns - window.end_ns) / 1e6)
        for number, causes in self._settled.add(estimate):
            self._numbers.append(number)
            for modality, cause in causes.items():
                self._causes[modality].append(_CODES[cause])
                self._counts[modality][cause] += 1
        if len(self._steps) > 2 * self._remembered:
            self._forget()

    def ends_s(self) -> list[float]:
        """Return when each remembered estimate's window ended, in seconds of the session."""
        return [(step + 1) * self.step_s for step in self._steps]

    def curves(self) -> NDArray[np.float32]:
        """Return the probabilities float32 [remembered estimates, labels]."""
        return np.array(self._probabilities, np.float32).reshape(len(self._steps), -1)

    def abstained(self) -> list[bool]:
        """Return, for each remembered estimate, whether it abstained."""
        return [bool(said) for said in self._abstained]

    def steps(self) -> Iterator[tuple[int, Causes]]:
        """Yield the remembered steps with their causes, in order."""
        for i, number in enumerate(self._numbers):
            yield number, {m: _NAMES[codes[i]] for m, codes in self._causes.items()}
        yield from self._settled.rest()

    def causes(self, modality: str) -> Counter[str]:
        """Return how many steps had which cause, over the whole session."""
        return self._counts[modality] + Counter(c[modality] for _, c in self._settled.rest())

    def stretches(self) -> list[tuple[float, float, str, float]]:
        """Return stretches of one top label: (begin s, end s, label or NOTHING, highest
        confidence)."""
        out: list[tuple[float, float, str, float]] = []
        tops = self.curves().argmax(1)
        for end, top, confidence, abstained in zip(
            self.ends_s(), tops, self._confidence, self._abstained, strict=True
        ):
            label = NOTHING if abstained else self.labels[top]
            if out and out[-1][2] == label:
                begin, _, _, before = out[-1]
                out[-1] = (begin, end, label, max(before, confidence))
            else:
                out.append((end - self.step_s, end, label, confidence))
        return out

    def render(self) -> Group:
        """Return the tables for the terminal."""
        if not self.estimates:
            return Group(Text("no estimate was made"))
        stretches = self.stretches()
        last = f" (the last {STRETCHES} of {len(stretches)})" if len(stretches) > STRETCHES else ""
        title = f"Emotions over time{last}"
        emotions = Table("from", "to", "emotion", "confidence up to", title=title)
        for begin, end, label, confidence in stretches[-STRETCHES:]:
            emotions.add_row(f"{begin:.2f} s", f"{end:.2f} s", label, f"{confidence:.0%}")
        gaps = Table("", "valid steps", "gaps by cause", title="What was there")
        for modality in MODALITIES:
            counts = self.causes(modality)
            valid = counts.pop(Cause.NONE, 0)
            causes = ", ".join(f"{cause} {n}" for cause, n in counts.most_common())
            gaps.add_row(modality, f"{valid / (valid + counts.total()):.0%}", causes)
        p50, p95 = np.percentile(self._total_ms, [50, 95])
        latency = Text(
            f"{self.estimates} estimates; window's end to publishing: "
            f"median {p50:.0f} ms, 95th percentile {p95:.0f} ms"
        )
        return Group(emotions, gaps, latency)

    def _forget(self) -> None:
        """Forget the older half of what is remembered."""
        every: list[Any] = [self._steps, self._confidence, self._abstained, self._total_ms]
        for values in [*every, self._numbers, *self._causes.values()]:
            del values[: -self._remembered]
        del self._probabilities[: -self._remembered * len(self.labels)]
