"""The face and the voice worker: they take the newest work and give FeatureRows.

A worker never reads a clock, sleeps or starts a thread. Live a thread drives it, and in virtual
time an event loop does. Both call `take` when it is idle, and `run` with what it took.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from normtr.cause import Cause
from normtr.face import FaceEncoder, FaceRow, align
from normtr.modality import Modality
from normtr.sound import Samples, hole_cause
from normtr.spec import FeatureSpec
from normtr.voice import VoiceEncoder, VoiceRow
from stream.pipeline.events import Dropped, Event, FeatureRow, OtherPerson, Seen
from stream.pipeline.handoff import Newest, SoundRing
from stream.pipeline.ingest import FrameSample
from stream.pipeline.load_shedding import DutyCycles
from stream.pipeline.person import MOST, Person
from stream.pipeline.stages import Stage


class Worker(Protocol):
    """Does the work of one stage."""

    name: Stage

    def take(self, now_ns: int, final: bool = False) -> Any | None:
        """Return the newest work, or None; must not block. `final`: no input comes any more."""
        ...

    def run(self, work: Any) -> Sequence[Event]:
        """Compute the events of the work; the driver fills in their `ready_ns`."""
        ...


class FaceWorker:
    """Turns each picture into a FeatureRow of the person's face."""

    name = Stage.FACE

    def __init__(self, frames: Newest[FrameSample], encoder: FaceEncoder, person: Person) -> None:
        self._frames = frames
        self._encoder = encoder
        self._tracker = encoder.tracker()
        self._person = person

    def take(self, now_ns: int, final: bool = False) -> FrameSample | None:
        return self._frames.take()

    def run(self, work: FrameSample) -> Sequence[Event]:
        at_ns = work.at_ns
        faces = self._tracker(work.image, work.step)[:MOST]
        crops = [align(work.image, face, self._encoder.spec) for face in faces]
        chosen = self._person.choose(at_ns, work.image.shape[:2], faces, crops)
        row = FaceRow(Cause.NO_FACE)
        if chosen.index is not None:
            row = self._encoder.of(crops[chosen.index], faces[chosen.index])
        out = FeatureRow(Modality.FACE, work.step, row.cause, row.vector, at_ns, at_ns, 0)
        seen = Seen(work.step, at_ns, work.image, row)
        return [*([OtherPerson(at_ns)] if chosen.changed else []), out, seen]


@dataclass(frozen=True)
class AudioContext:
    """The sound of one step: `context_samples` that end at the step's end."""

    step: int
    samples: Samples
    cause: Cause
    wanted: bool
    skipped: tuple[tuple[int, Cause], ...]
    """Earlier steps that nobody had time for. The cause is `none` if their sound was there."""


class VoiceWorker:
    """Turns sound into one FeatureRow for each step."""

    name = Stage.VOICE

    def __init__(
        self,
        ring: SoundRing,
        encoder: VoiceEncoder,
        spec: FeatureSpec,
        origin_ns: int,
        duty_cycles: DutyCycles,
        begin: int = 0,
    ) -> None:
        """`begin` is the sample of the ring in whose step the worker begins."""
        self._ring = ring
        self._duty_cycles = duty_cycles
        self._encoder = encoder
        self._spec = spec
        self._origin_ns = origin_ns
        self._per_step = spec.voice.sample_rate * spec.step_ms // 1000
        self._next = begin // self._per_step

    def take(self, now_ns: int, final: bool = False) -> AudioContext | None:
        newest = self._ring.end // self._per_step - 1
        if newest < self._next:
            return None
        end = (newest + 1) * self._per_step
        sound = self._ring.read(end - self._spec.voice.context_samples, end)
        skipped = tuple((step, self._cause(step)) for step in range(self._next, newest))
        self._next = newest + 1
        wanted = self._duty_cycles.hears(newest)
        return AudioContext(newest, sound.samples, self._cause(newest), wanted, skipped)

    def run(self, work: AudioContext) -> Sequence[Event]:
        events = [self._without_row(step, cause) for step, cause in work.skipped]
        if work.cause != Cause.NONE or not work.wanted:
            return [*events, self._without_row(work.step, work.cause)]
        return [*events, self._row(work.step, self._encoder(work.samples))]

    def _without_row(self, step: int, cause: Cause) -> Event:
        return (
            Dropped(Modality.VOICE, step)
            if cause == Cause.NONE
            else self._row(step, VoiceRow(cause))
        )

    def _cause(self, step: int) -> Cause:
        """Return why the step's own sound is missing; `none` if it is there."""
        begin, end = step * self._per_step, (step + 1) * self._per_step
        return hole_cause(self._ring.holes, begin, end, self._ring.rate)

    def _row(self, step: int, row: VoiceRow) -> FeatureRow:
        begin_ns = self._origin_ns + step * self._spec.step_ns
        end_ns = begin_ns + self._spec.step_ns
        return FeatureRow(Modality.VOICE, step, row.cause, row.vector, begin_ns, end_ns, 0)
