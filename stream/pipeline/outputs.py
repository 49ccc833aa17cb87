"""Outputs are what the pipe gives; each goes out at a certain time."""

from __future__ import annotations

from dataclasses import dataclass

from normtr.modality import Modality
from stream.pipeline.events import Seen, TranscriptEvent
from stream.pipeline.stages import CaptureDevice, Stage
from stream.pipeline.window_assembler import Estimate
from stream.wire import NoticeKind


@dataclass(frozen=True)
class Notice:
    """Something that a subscriber should know."""

    kind: NoticeKind
    at_ns: int
    modality: Modality | None = None
    detail: str = ""
    source: str = ""
    """The name of the source; empty for the whole session."""


@dataclass(frozen=True)
class SourceReport:
    """A device over the last second.

    `lag_ms` is the age of its newest item; None before the first one. `drift_ppm` says how much
    faster its clock runs than ours; None if not known.
    """

    alive: bool
    rate_hz: float
    drops: int
    lag_ms: float | None
    drift_ppm: float | None = None


@dataclass(frozen=True)
class HealthReport:
    """The state of the pipe, once a second. Measured fields are None in virtual time."""

    at_ns: int
    sources: dict[CaptureDevice, SourceReport]
    stages: dict[str, dict[str, float] | None]
    memory_mib: float | None
    fresh_share: dict[Modality, float | None]
    restarts: dict[Stage, int]
    """The number of workers, per stage, that replaced one that failed or hung."""
    level: int
    source: str = ""
    """The name of the source."""


Output = Estimate | TranscriptEvent | Seen | Notice | HealthReport
Sent = tuple[int, Output]
"""An output and the time at which it goes out, in ns on the session's clock."""
