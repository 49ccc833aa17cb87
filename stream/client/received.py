"""What a subscriber gets: one frozen dataclass a topic, made from a decoded message.

Keys that this version does not know stay in `payload`: minor versions only add keys. This module
imports nothing heavy.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from dacite import DaciteError, from_dict

from normtr.cause import Cause
from stream.wire import (
    AFFECT,
    FACE,
    FRAME,
    HEALTH,
    INFO,
    NOTIFY,
    TEXT,
    Message,
    WireError,
)

TIMES = {
    *("t_ns", "sent_ns", "begin_ns", "end_ns", "ready_ns", "horizon_ns", "origin_ns"),
    "monotonic_ns",
}
"""The keys that hold a time of the recognizer's monotonic clock."""


@dataclass(frozen=True, kw_only=True)
class Received:
    """What every message carries; a message of a topic that is not known here is only this."""

    topic: str
    session: str
    seq: int
    """Counts the messages of a topic; where a number is missing, a message was lost."""
    t_ns: int
    """When it happened."""
    sent_ns: int
    source: str = ""
    replay: bool = False
    """From a recording: its times are those of the recording."""
    first_seq: int | None = None
    """Of a replay: the number with which the topic begins in the recording."""
    payload: Mapping[str, Any] = field(repr=False, compare=False)
    """Every key as it was sent; lists are tuples."""


@dataclass(frozen=True, kw_only=True)
class WindowInfo:
    begin_ns: int
    end_ns: int
    step_ns: int
    steps: int


@dataclass(frozen=True, kw_only=True)
class SmoothedAffect:
    top: str
    confidence: float
    abstained: bool


@dataclass(frozen=True, kw_only=True)
class Affect(Received):
    """The estimate of one window."""

    labels: tuple[str, ...]
    probabilities: tuple[float, ...]
    """Calibrated, in the order of `labels`."""
    top: str
    confidence: float
    abstained: bool
    """Not enough to say."""
    window: WindowInfo
    gaps: dict[str, tuple[str, ...]]
    """Of each modality the cause of each step; `none`: it was there."""
    share: dict[str, float]
    latency_ms: dict[str, float]
    model: str
    smoothed: SmoothedAffect | None = None

    def __post_init__(self) -> None:
        """Raises ValueError for what no recognizer says, so that nobody need expect it."""
        if not self.labels or len(self.labels) != len(self.probabilities):
            raise ValueError("labels and probabilities do not pair up")
        if not self.gaps or not all(self.gaps.values()) or self.window.step_ns <= 0:
            raise ValueError("the window has no steps")


@dataclass(frozen=True, kw_only=True)
class SourceHealth:
    alive: bool
    rate_hz: float
    drops: int
    lag_ms: float | None
    drift_ppm: float | None = None


@dataclass(frozen=True, kw_only=True)
class Health(Received):
    """Once a second: sources, stage times, memory, fresh steps, restarts, level of the load."""

    sources: dict[str, SourceHealth]
    stages: dict[str, dict[str, float] | None]
    memory_mib: float | None
    fresh_share: dict[str, float | None]
    restarts: dict[str, int]
    level: int


@dataclass(frozen=True, kw_only=True)
class ClockPair:
    """The same moment on the monotonic clock and in UTC; None in virtual time."""

    monotonic_ns: int | None
    utc_ns: int | None


@dataclass(frozen=True, kw_only=True)
class Info(Received):
    """What the session is; sent again to who subscribes to it."""

    labels: tuple[str, ...]
    modalities: tuple[str, ...]
    spec: dict[str, Any]
    spec_sha256: str
    model: str
    origin_ns: int
    clock: ClockPair
    virtual: bool
    calibrated: bool
    captures: bool = True
    """Whether camera or microphone record a person; recognizers that do not say it may."""
    versions: dict[str, str]
    sources: tuple[str, ...] = ()


@dataclass(frozen=True, kw_only=True)
class Notify(Received):
    """An event; `kind` as in the schema."""

    kind: str
    modality: str | None
    detail: str


@dataclass(frozen=True, kw_only=True)
class Text(Received):
    """`change` (add, update, revoke, commit) of one word; a commit is final."""

    change: str
    id: int
    word: str
    begin_ns: int
    end_ns: int
    probability: float
    ready_ns: int
    horizon_ns: int


@dataclass(frozen=True, kw_only=True)
class Face(Received):
    """One picture's face, in pixels: box (x, y, width, height), five landmarks (x, y)."""

    step: int | None = None
    picture: tuple[int, ...] | None = None
    """Width and height."""
    box: tuple[float, ...] | None = None
    landmarks: tuple[tuple[float, ...], ...] | None = None
    score: float | None = None
    probabilities: tuple[float, ...] | None = None
    cause: str = Cause.NONE
    """Why the picture gave no row, if it gave none."""


@dataclass(frozen=True, kw_only=True)
class Frame(Received):
    """A preview picture."""

    jpeg: bytes = field(repr=False)
    width: int
    height: int


KINDS: dict[str, type[Received]] = {
    AFFECT: Affect,
    HEALTH: Health,
    INFO: Info,
    NOTIFY: Notify,
    TEXT: Text,
    FACE: Face,
    FRAME: Frame,
}


def received(message: Message, offset_ns: int = 0) -> Received:
    """The message as its topic's dataclass; `offset_ns` is taken off its times.

    Raises WireError when a key is missing or has another type than the contract says.
    """
    try:
        payload = _frozen(message.payload)
        values = _earlier(payload, offset_ns) if offset_ns else payload
        kind = KINDS.get(message.topic, Received)
        return from_dict(kind, {**values, "topic": message.topic, "payload": payload})
    except (DaciteError, ValueError, RecursionError) as error:
        raise WireError(f"{message.topic}: {error}") from None


def _frozen(value: Any) -> Any:
    if isinstance(value, list):
        return tuple(_frozen(item) for item in value)
    if isinstance(value, dict):
        return {key: _frozen(item) for key, item in value.items()}
    return value


def _earlier(values: dict[str, Any], offset_ns: int) -> dict[str, Any]:
    """The same with its times, and those of the maps in it, on the other clock."""
    out: dict[str, Any] = {}
    for key, value in values.items():
        if key in TIMES and isinstance(value, int):
            out[key] = value - offset_ns
        else:
            out[key] = _earlier(value, offset_ns) if isinstance(value, dict) else value
    return out
