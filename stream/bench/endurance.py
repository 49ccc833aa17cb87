"""Figures of a long session: drifts, growth, reactions to faults, and gap causes against a plan."""

from __future__ import annotations

from array import array
from collections import Counter, defaultdict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, assert_never

import numpy as np

from normtr.cause import Cause, first_cause
from stream.bench.faults import EXPECTED, Fault, FaultPlan
from stream.pipeline.events import Seen, TranscriptEvent
from stream.pipeline.outputs import HealthReport, Notice, Output
from stream.pipeline.window_assembler import SLOW, Estimate
from stream.wire import NoticeKind

SETTLED_S = 300.0
"""Memory is judged from this time on."""
RECOVERED_S = 6.0
"""After a fault of a worker or of the machine its traces may be seen for this long."""


@dataclass
class Series:
    """Values over time, at 16 bytes each."""

    at_s: array[float] = field(default_factory=lambda: array("d"))
    values: array[float] = field(default_factory=lambda: array("d"))

    def add(self, at_s: float, value: float) -> None:
        self.at_s.append(at_s)
        self.values.append(value)

    def where(self, wanted: Callable[[float], bool]) -> Series:
        """Return the values at the times that are wanted."""
        out = Series()
        for at_s, value in zip(self.at_s, self.values, strict=True):
            if wanted(at_s):
                out.add(at_s, value)
        return out

    def percentiles(self, *which: int) -> dict[str, float | None]:
        """Return {"p50": ...}; each is None if there is no value."""
        if not self.values:
            return {f"p{p}": None for p in which}
        found = np.percentile(self.values, which)
        return {f"p{p}": float(v) for p, v in zip(which, found, strict=True)}

    def slope(self, per_s: float) -> dict[str, float] | None:
        """Return the change in `per_s` seconds by least squares, with its 95 % interval.

        It is fitted to means of ten seconds, because neighbours are alike. None with fewer than 10
        means.
        """
        means = self._tens()
        if len(means) < 10:
            return None
        x, y = np.array(means).T
        (slope, _), covariance = np.polyfit(x - x.mean(), y, 1, cov=True)
        error = 1.96 * float(np.sqrt(covariance[0, 0]))
        return {
            "mean": float(slope) * per_s,
            "low": (float(slope) - error) * per_s,
            "high": (float(slope) + error) * per_s,
        }

    def _tens(self) -> list[tuple[float, float]]:
        tens: dict[int, list[tuple[float, float]]] = defaultdict(list)
        for at_s, value in zip(self.at_s, self.values, strict=True):
            tens[int(at_s // 10)].append((at_s, value))
        means = (np.mean(some, axis=0) for _, some in sorted(tens.items()))
        return [(float(at_s), float(value)) for at_s, value in means]


@dataclass
class Endurance:
    """Collects what a session gives, in little memory."""

    origin_ns: int
    total_ms: Series = field(default_factory=Series)
    faces: Series = field(default_factory=Series)
    first_seen_s: Series = field(default_factory=Series)
    commit_s: Series = field(default_factory=Series)
    memory_mib: Series = field(default_factory=Series)
    stages_ms: dict[str, Series] = field(default_factory=lambda: defaultdict(Series))
    notices: list[tuple[float, Notice]] = field(default_factory=list)
    seconds_at_level: Counter[int] = field(default_factory=Counter)
    """The seconds at each level of load shedding, 0 to 4."""

    def add(self, sent_ns: int, output: Output) -> None:
        at_s = (sent_ns - self.origin_ns) / 1e9
        match output:
            case Estimate():
                self.total_ms.add(at_s, (sent_ns - output.window.end_ns) / 1e6)
                self.faces.add(at_s, output.faces)
            case TranscriptEvent():
                for change in output.changes:
                    delay_s = (output.ready_ns - change.word.word.end_ns) / 1e9
                    if change.change == "add":
                        self.first_seen_s.add(at_s, delay_s)
                    elif change.change == "commit":
                        self.commit_s.add(at_s, delay_s)
            case HealthReport():
                self.seconds_at_level[output.level] += 1
                if output.memory_mib is not None:
                    self.memory_mib.add(at_s, output.memory_mib)
                for name, stage in output.stages.items():
                    if stage is not None:
                        self.stages_ms[name].add(at_s, stage["p50_ms"])
            case Notice():
                self.notices.append((at_s, output))
            case Seen():
                pass  # a picture that was looked at says nothing of time
            case _:
                assert_never(output)

    def drifts(self, faults: Sequence[Fault] = ()) -> dict[str, Any]:
        """Return the drift of delays in ms an hour, and of memory in MiB in ten minutes.

        Delays do not count while a fault is at work.
        """

        def calm(at_s: float) -> bool:
            return not any(f.at_s <= at_s < f.until_s + RECOVERED_S for f in disturbing)

        disturbing = [fault for fault in faults if fault.kind != "deaf"]
        delays = {"capture_to_topic": self.total_ms, **self.stages_ms}
        an_hour = {name: series.where(calm).slope(3600.0) for name, series in delays.items()}
        words = self.first_seen_s.where(calm).slope(1e3 * 3600.0)
        memory = self.memory_mib.where(lambda at_s: at_s >= SETTLED_S).slope(600.0)
        return {
            "delay_ms_an_hour": {**an_hour, "words": words},
            "memory_mib_in_10_minutes": memory,
        }

    def reactions(
        self, plan: FaultPlan, gaps: Mapping[str, Sequence[Cause]], step_s: float
    ) -> list[Any]:
        """Return, for each lost or stalled device, the seconds to its notice and to the next valid
        step."""
        out = []
        for fault in plan.faults:
            if fault.kind not in ("lose", "stall"):
                continue
            modality = fault.modalities[0]
            told = [
                at_s - fault.at_s
                for at_s, notice in self.notices
                if notice.kind == NoticeKind.DEVICE_LOST
                and notice.modality == modality
                and fault.at_s <= at_s <= fault.until_s
            ]
            first = int(fault.until_s / step_s)
            back = (
                (step + 1) * step_s - fault.until_s
                for step in range(first, len(gaps[modality]))
                if gaps[modality][step] == Cause.NONE
            )
            out.append(
                {
                    "fault": f"{fault.kind} {fault.what} at {fault.at_s:g} s",
                    "notify_s": min(told, default=None),
                    "valid_again_s": next(back, None),
                }
            )
        return out


def wrong_causes(
    plan: FaultPlan,
    gaps: Mapping[str, Sequence[Cause]],
    baseline: Mapping[str, Sequence[Cause]],
    clip_s: float,
    step_s: float,
) -> dict[str, Any]:
    """Return the steps whose cause is neither planned nor the clip's own.

    `gaps` are the causes that the session told, and `baseline` those of the clip played
    undisturbed. One step around the edges of a fault does not count. Text is not judged: its gaps
    depend on words.
    """
    out: dict[str, Any] = {}
    for modality in baseline:
        judged, wrong = 0, []
        for step, cause in enumerate(gaps[modality]):
            allowed = _allowed(plan.faults, modality, step, baseline[modality], clip_s, step_s)
            judged += bool(allowed)
            if allowed and cause not in allowed:
                wrong.append(f"{step * step_s:g} s: {cause}, not {' or '.join(sorted(allowed))}")
        share = len(wrong) / judged if judged else None
        out[modality] = {"judged": judged, "wrong": len(wrong), "share": share, "first": wrong[:20]}
    return out


def _allowed(
    faults: Sequence[Fault],
    modality: str,
    step: int,
    baseline: Sequence[Cause],
    clip_s: float,
    step_s: float,
) -> set[Cause]:
    """Return the right causes of a step; empty if it lies at an edge of a fault."""
    begin_s, end_s = step * step_s, (step + 1) * step_s
    at = int((begin_s % clip_s) / step_s)
    around = range(max(at - 1, 0), min(at + 2, len(baseline)))
    own = {baseline[n] for n in around} | ({baseline[0]} if at + 1 >= len(baseline) else set())
    planned, busy = [], False
    for fault in faults:
        traces_s = RECOVERED_S if fault.kind in ("kill", "flood") else 0.0
        until_s = fault.until_s + traces_s
        if until_s <= begin_s - step_s or fault.at_s >= end_s + step_s:
            continue
        if fault.kind == "flood":
            busy = True
        elif modality in fault.modalities:
            if fault.at_s > begin_s - step_s or until_s < end_s + step_s:
                return set()
            if fault.kind == "kill":  # some rows may still come
                own, busy = own | {EXPECTED["kill"]}, True
            else:
                planned.append(EXPECTED[fault.kind])
    right = {first_cause(planned)} if planned else own
    return right | set(SLOW) if busy else right
