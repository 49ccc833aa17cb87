"""Events are what sources and workers tell the pipe. They are frozen and carry their time."""

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
    """An input of this modality and step came in: a wanted picture, or all sound of the step."""

    modality: Modality
    step: int


@dataclass(frozen=True)
class Dropped:
    """An input of this modality and step was given up: a newer one came, or time was short."""

    modality: Modality
    step: int


@dataclass(frozen=True)
class FeatureRow:
    """A computed row, or the cause why there is none. `cause` is `none` exactly when `vector` is
    given."""

    modality: Modality
    step: int
    cause: Cause
    vector: NDArray[np.float32] | None
    begin_ns: int
    end_ns: int
    ready_ns: int


@dataclass(frozen=True)
class Seen:
    """A picture that was looked at, uint8 RGB [H, W, 3], and the row of its face."""

    step: int
    at_ns: int
    image: NDArray[np.uint8]
    row: FaceRow
    source: str = ""
    """The name of the source; filled in on the way out."""


@dataclass(frozen=True)
class Word:
    """A recognised word. Its `id` stays the same while the word is revised."""

    id: int
    word: TimedWord
    probability: float
    committed: bool


@dataclass(frozen=True)
class WordChange:
    """One word was changed by `add`, `update`, `revoke` or `commit`; a commit is final."""

    change: str
    word: Word


@dataclass(frozen=True)
class TranscriptEvent:
    """What the transcriber knows now: all words that are not forgotten, in the order of time.

    Speech up to the event time `horizon_ns` has been transcribed or found to be none. The exception
    is `skipped`, begin and end of sound for which this pass had no time. `foreign` is true when the
    user is to be told that the speech is not understood.
    """

    words: tuple[Word, ...]
    changes: tuple[WordChange, ...]
    horizon_ns: int
    ready_ns: int
    skipped: tuple[int, int] | None = None
    foreign: bool = False
    source: str = ""
    """The name of the source; filled in on the way out."""


@dataclass(frozen=True)
class Condition:
    """From `at_ns` on `cause` keeps this modality from working; None means that it works again."""

    modality: Modality
    cause: Cause | None
    at_ns: int
    detail: str = ""


@dataclass(frozen=True)
class Asked:
    """Somebody asked for this over the control port. It goes out as a notice."""

    kind: NoticeKind
    at_ns: int
    modality: Modality | None = None
    detail: str = ""


@dataclass(frozen=True)
class OtherPerson:
    """From the picture at `at_ns` on another person's face is recognised."""

    at_ns: int


@dataclass(frozen=True)
class Failed:
    """A worker raised an error on the input of this modality and step."""

    modality: Modality
    step: int
    reason: str


@dataclass(frozen=True)
class Down:
    """The worker of this stage has not worked since `at_ns` and was given up."""

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
    """A device or clip has nothing more to give; `at_ns` is the event time of its end.

    `reason` says what broke it; it is empty for an ordinary end.
    """

    device: CaptureDevice
    at_ns: int
    reason: str = ""


@dataclass(frozen=True)
class TextReady:
    """Speech is transcribed from now on; `encoder` makes rows of the words."""

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
    """Return the events; those that are results get the time at which they can be seen."""
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
