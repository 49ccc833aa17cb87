"""What a session was like: emotions over time, valid steps, gaps by cause, latency."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field

import numpy as np
from rich.console import Group
from rich.table import Table
from rich.text import Text

from normtr.spec import MODALITIES
from normtr.window import NONE
from stream.recognizer import Estimate


@dataclass
class Summary:
    """Collects estimates; each step is counted as the estimate that closed it saw it."""

    labels: tuple[str, ...]
    origin_ns: int
    estimates: list[Estimate] = field(default_factory=list)
    total_ms: list[float] = field(default_factory=list)

    def add(self, sent_ns: int, estimate: Estimate) -> None:
        self.estimates.append(estimate)
        self.total_ms.append((sent_ns - estimate.window.end_ns) / 1e6)

    def closing_gaps(self, modality: str) -> list[str]:
        return [estimate.window.gaps[modality][-1] for estimate in self.estimates]

    def settled_gaps(self, modality: str) -> list[str]:
        """Each step's cause as the last estimate that holds it saw it (late rows count)."""
        latest: dict[int, str] = {}
        for estimate in self.estimates:
            gaps = estimate.window.gaps[modality]
            for back, cause in enumerate(reversed(gaps)):
                latest[estimate.step - back] = cause
        return [cause for step, cause in sorted(latest.items()) if step >= 0]

    def stretches(self) -> list[tuple[float, float, str, float]]:
        """Runs of one top label: (begin s, end s, label or `not enough to say`, confidence)."""
        out: list[tuple[float, float, str, float]] = []
        step_s = self.estimates[0].window.step_ns / 1e9 if self.estimates else 0.0
        for estimate in self.estimates:
            judgement = estimate.judgement
            label = "not enough to say" if judgement.abstained else judgement.top
            begin = estimate.step * step_s
            if out and out[-1][2] == label:
                first, _, _, confidence = out[-1]
                out[-1] = (first, begin + step_s, label, max(confidence, judgement.confidence))
            else:
                out.append((begin, begin + step_s, label, judgement.confidence))
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
            counts = Counter(self.settled_gaps(modality))
            valid = counts.pop(NONE, 0)
            causes = ", ".join(f"{cause} {n}" for cause, n in counts.most_common())
            gaps.add_row(modality, f"{valid / (valid + counts.total()):.0%}", causes)
        p50, p95 = np.percentile(self.total_ms, [50, 95])
        latency = Text(
            f"{len(self.estimates)} estimates; window's end to publishing: "
            f"median {p50:.0f} ms, 95th percentile {p95:.0f} ms"
        )
        return Group(emotions, gaps, latency)
