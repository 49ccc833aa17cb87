"""What the pipe gives, each with the time at which it goes out."""

from __future__ import annotations

from dataclasses import dataclass

from normtr.modality import Modality
from stream.pipeline.events import Seen, TranscriptEvent
from stream.pipeline.stages import CaptureDevice, Stage
from stream.pipeline.window_assembler import Estimate
from stream.wire import NoticeKind


@dataclass(frozen=True)
class Notice:
    """Something a subscriber should know."""

    kind: NoticeKind
    at_ns: int
    modality: Modality | None = None
    detail: str = ""
    source: str = ""
    """Which it is about; empty: the whole session."""


@dataclass(frozen=True)
class SourceReport:
    """One source over the last second; `lag_ms`: age of its newest item.

    `drift_ppm`: how much faster its clock runs than ours.
    """

    alive: bool
    rate_hz: float
    drops: int
    lag_ms: float | None
    drift_ppm: float | None = None


@dataclass(frozen=True)
class HealthReport:
    """Once a second; measured fields are None in virtual time. `level`: of load shedding, 0 to 4."""

    at_ns: int
    sources: dict[CaptureDevice, SourceReport]
    stages: dict[str, dict[str, float] | None]
    memory_mib: float | None
    fresh_share: dict[Modality, float | None]
    restarts: dict[Stage, int]
    """By stage: workers that took the place of one that failed or hung."""
    level: int
    source: str = ""
    """Whose health it is."""


Output = Estimate | TranscriptEvent | Seen | Notice | HealthReport
Sent = tuple[int, Output]
"""The time at which something goes out, in ns on the session's clock, and what it is."""
