"""What a session was like: emotions over time, valid steps, gaps by cause, latency."""

from __future__ import annotations

from array import array
from collections import Counter

import numpy as np
from rich.console import Group
from rich.table import Table
from rich.text import Text

from normtr.spec import MODALITIES
from normtr.window import CAUSES, NONE
from stream.recognizer import Estimate

NOTHING = "not enough to say"
STRETCHES = 30
"""So many last stretches of one label are shown."""

_CODES = {cause: code for code, cause in enumerate((NONE, *CAUSES))}
_UNSEEN = len(_CODES)


class Summary:
    """Collects estimates, 60 bytes of each: a session may last for days."""

    def __init__(self, labels: tuple[str, ...], origin_ns: int) -> None:
        self.labels = labels
        self.origin_ns = origin_ns
        self.step_s = 0.0
        self.total_ms = array("f")
        self._steps = array("l")
        self._probabilities = array("f")
        self._confidence = array("f")
        self._abstained = bytearray()
        self._causes = {m: bytearray() for m in MODALITIES}

    def __len__(self) -> int:
        return len(self._steps)

    def add(self, sent_ns: int, estimate: Estimate) -> None:
        """Take in an estimate; its window tells each step's cause anew, as rows may be late."""
        judgement, window = estimate.judgement, estimate.window
        self.step_s = window.step_ns / 1e9
        self.total_ms.append((sent_ns - window.end_ns) / 1e6)
        self._steps.append(estimate.step)
        self._probabilities.extend(judgement.probabilities)
        self._confidence.append(judgement.confidence)
        self._abstained.append(judgement.abstained)
        for modality, gaps in window.gaps.items():
            told = self._causes[modality]
            told.extend([_UNSEEN] * (estimate.step + 1 - len(told)))
            for back, cause in enumerate(reversed(gaps)):
                if estimate.step >= back:
                    told[estimate.step - back] = _CODES[cause]

    def ends_s(self) -> list[float]:
        """When each estimate's window ended, from the session's begin."""
        return [(step + 1) * self.step_s for step in self._steps]

    def curves(self) -> np.ndarray[tuple[int, int], np.dtype[np.float32]]:
        """Probabilities float32 [estimates, labels]."""
        return np.array(self._probabilities, np.float32).reshape(len(self), -1)

    def abstained(self) -> list[bool]:
        """Of each estimate."""
        return [bool(a) for a in self._abstained]

    def gaps(self, modality: str) -> list[str]:
        """Each step's cause as the last estimate that holds it saw it; `late` where none did."""
        names = [*_CODES, "late"]
        return [names[code] for code in self._causes[modality]]

    def stretches(self) -> list[tuple[float, float, str, float]]:
        """Runs of one top label: (begin s, end s, label or NOTHING, confidence up to)."""
        out: list[tuple[float, float, str, float]] = []
        tops = self.curves().argmax(1)
        for end, top, sure, nothing in zip(
            self.ends_s(), tops, self._confidence, self._abstained, strict=True
        ):
            label = NOTHING if nothing else self.labels[top]
            if out and out[-1][2] == label:
                begin, _, _, before = out[-1]
                out[-1] = (begin, end, label, max(before, sure))
            else:
                out.append((end - self.step_s, end, label, sure))
        return out

    def render(self) -> Group:
        """Tables for the terminal."""
        if not len(self):
            return Group(Text("no estimate was made"))
        stretches = self.stretches()
        last = f" (the last {STRETCHES} of {len(stretches)})" if len(stretches) > STRETCHES else ""
        title = f"Emotions over time{last}"
        emotions = Table("from", "to", "emotion", "confidence up to", title=title)
        for begin, end, label, confidence in stretches[-STRETCHES:]:
            emotions.add_row(f"{begin:.2f} s", f"{end:.2f} s", label, f"{confidence:.0%}")
        gaps = Table("", "valid steps", "gaps by cause", title="What was there")
        for modality in MODALITIES:
            counts = Counter(self.gaps(modality))
            valid = counts.pop(NONE, 0)
            causes = ", ".join(f"{cause} {n}" for cause, n in counts.most_common())
            gaps.add_row(modality, f"{valid / (valid + counts.total()):.0%}", causes)
        p50, p95 = np.percentile(self.total_ms, [50, 95])
        latency = Text(
            f"{len(self)} estimates; window's end to publishing: "
            f"median {p50:.0f} ms, 95th percentile {p95:.0f} ms"
        )
        return Group(emotions, gaps, latency)
