"""What sources and workers tell the recognizer: frozen, timed, in the order it happened."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import assert_never

import numpy as np
from numpy.typing import NDArray

from normtr.cause import Cause
from normtr.face import FaceRow
from normtr.modality import Modality
from normtr.text import TextEncoder, TimedWord
from stream.pipeline.stages import CaptureDevice, Stage
from stream.wire import NoticeKind


@dataclass(frozen=True)
class Arrived:
    """An input of this modality and step came in: a picture wanted for it, or all its sound."""

    modality: Modality
    step: int


@dataclass(frozen=True)
class Dropped:
    """An input of this modality and step was given up: a newer one came, or time is short."""

    modality: Modality
    step: int


@dataclass(frozen=True)
class FeatureRow:
    """One computed row, or why there is none: `cause` is `none` exactly when `vector` is there."""

    modality: Modality
    step: int
    cause: Cause
    vector: NDArray[np.float32] | None
    begin_ns: int
    end_ns: int
    ready_ns: int


@dataclass(frozen=True)
class Seen:
    """A picture that was looked at: uint8 RGB [H, W, 3], and what its face gave."""

    step: int
    at_ns: int
    image: NDArray[np.uint8]
    row: FaceRow
    source: str = ""
    """Which it is of; filled in where there may be several."""


@dataclass(frozen=True)
class Word:
    """A recognised word; `id` stays the same while the word is revised."""

    id: int
    word: TimedWord
    probability: float
    committed: bool


@dataclass(frozen=True)
class WordChange:
    """`add`, `update`, `revoke` or `commit` of one word; a commit is final."""

    change: str
    word: Word


@dataclass(frozen=True)
class TranscriptEvent:
    """What the transcriber knows now: all words so far not forgotten, in time order.

    `horizon_ns`: speech up to this event time has been transcribed or judged to be none, but for
    `skipped`: begin and end of the sound that this pass had no time for.
    """

    words: tuple[Word, ...]
    changes: tuple[WordChange, ...]
    horizon_ns: int
    ready_ns: int
    skipped: tuple[int, int] | None = None
    source: str = ""
    """Which it was, where it is told to others."""


@dataclass(frozen=True)
class Condition:
    """From `at_ns` on this modality is kept from working by `cause`; None: it works again."""

    modality: Modality
    cause: Cause | None
    at_ns: int
    detail: str = ""


@dataclass(frozen=True)
class Asked:
    """Somebody asked for this over the control port; it goes out as a notice."""

    kind: NoticeKind
    at_ns: int
    modality: Modality | None = None
    detail: str = ""


@dataclass(frozen=True)
class OtherPerson:
    """From the picture at `at_ns` on it is another person's face that is recognised."""

    at_ns: int


@dataclass(frozen=True)
class Failed:
    """A worker raised on the input of this modality and step."""

    modality: Modality
    step: int
    reason: str


@dataclass(frozen=True)
class Down:
    """Since `at_ns` the worker of this stage has not been working; it was given up."""

    stage: Stage
    at_ns: int
    reason: str


@dataclass(frozen=True)
class Restarted:
    """From `at_ns` on a new worker does the work of this stage."""

    stage: Stage
    at_ns: int
    reason: str


@dataclass(frozen=True)
class Ended:
    """A source has nothing more to give; `at_ns` is the event time of its end.

    `reason`: what broke it, if it did.
    """

    source: CaptureDevice
    at_ns: int
    reason: str = ""


@dataclass(frozen=True)
class TextReady:
    """Speech is transcribed from now on; the encoder makes rows of its words."""

    encoder: TextEncoder


Event = (
    Arrived
    | Dropped
    | FeatureRow
    | Seen
    | TranscriptEvent
    | Condition
    | Asked
    | OtherPerson
    | Failed
    | Down
    | Restarted
    | Ended
    | TextReady
)


def stamped(events: Sequence[Event], ready_ns: int) -> list[Event]:
    """Return the events, with the time at which they can be seen in those that are results."""
    return [_stamped(event, ready_ns) for event in events]


def _stamped(event: Event, ready_ns: int) -> Event:
    match event:
        case FeatureRow() | TranscriptEvent():
            return replace(event, ready_ns=ready_ns)
        case (
            Arrived()
            | Dropped()
            | Seen()
            | Condition()
            | Asked()
            | OtherPerson()
            | Failed()
            | Down()
            | Restarted()
            | Ended()
            | TextReady()
        ):
            return event
        case _:
            assert_never(event)
