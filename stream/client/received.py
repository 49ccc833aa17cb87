"""What a subscriber gets: one frozen dataclass for each topic, made from a decoded message.

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
    """The keys that every message has. A message of an unknown topic has only these."""

    topic: str
    session: str
    seq: int
    """Counts the messages of a topic; a missing number is a lost message."""
    t_ns: int
    """The time at which it happened."""
    sent_ns: int
    source: str = ""
    replay: bool = False
    """Whether it comes from a recording; its times are those of the recording."""
    first_seq: int | None = None
    """The number with which the topic begins in the recording; None without a replay."""
    payload: Mapping[str, Any] = field(repr=False, compare=False)
    """Every key as it was sent; lists have become tuples."""


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
    """Calibrated probabilities, in the order of `labels`."""
    top: str
    confidence: float
    abstained: bool
    """Whether there was not enough to say."""
    window: WindowInfo
    gaps: dict[str, tuple[str, ...]]
    """The cause of each step, by modality; `none` means that the input was there."""
    share: dict[str, float]
    latency_ms: dict[str, float]
    model: str
    smoothed: SmoothedAffect | None = None

    def __post_init__(self) -> None:
        """Raise ValueError for what no recognizer sends, so that readers need not expect it."""
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
    """The state of the recognizer, once a second."""

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
    """What the session is; it is sent again to each new subscriber."""

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
    """Whether a camera or a microphone records a person. It is True if the recognizer does not
    say."""
    versions: dict[str, str]
    sources: tuple[str, ...] = ()


@dataclass(frozen=True, kw_only=True)
class Notify(Received):
    """Something that happened; the schema lists the values of `kind`."""

    kind: str
    modality: str | None
    detail: str


@dataclass(frozen=True, kw_only=True)
class Text(Received):
    """One word was changed by `change`: add, update, revoke or commit. A commit is final."""

    change: str
    id: int
    word: str
    begin_ns: int
    end_ns: int
    probability: float
    ready_ns: int
    horizon_ns: int


@dataclass(frozen=True, kw_only=True)
class HeadPose:
    """Degrees; a face that looks into the camera has 0, 0, 0."""

    yaw: float
    """It is positive when the face is turned to the picture's right."""
    pitch: float
    """It is positive when the face looks up."""
    roll: float
    """It is positive when the head leans clockwise."""


@dataclass(frozen=True, kw_only=True)
class Face(Received):
    """The face in one picture, in pixels: box (x, y, width, height) and five landmarks (x, y)."""

    step: int | None = None
    picture: tuple[int, ...] | None = None
    """Width and height."""
    box: tuple[float, ...] | None = None
    landmarks: tuple[tuple[float, ...], ...] | None = None
    score: float | None = None
    head_pose: HeadPose | None = None
    probabilities: tuple[float, ...] | None = None
    cause: str = Cause.NONE
    """Why the picture gave no row; `none` if it gave one."""


@dataclass(frozen=True, kw_only=True)
class Frame(Received):
    """A preview picture as JPEG."""

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
    """Turn a message into its topic's dataclass; `offset_ns` is subtracted from its times.

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
    """Return a copy in which all times, also those in inner maps, are earlier by the offset."""
    out: dict[str, Any] = {}
    for key, value in values.items():
        if key in TIMES and isinstance(value, int):
            out[key] = value - offset_ns
        else:
            out[key] = _earlier(value, offset_ns) if isinstance(value, dict) else value
    return out
