"""Where every source pours in: chooses pictures, resamples sound, tells the recognizer."""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from normtr.cause import Cause, first_cause
from normtr.modality import Modality
from normtr.sound import PlacedSamples, SoundTrack
from normtr.spec import FeatureSpec
from normtr.window import Slots
from stream.clock import Clock
from stream.pipeline.events import Arrived, Condition, Dropped, Ended, Event
from stream.pipeline.handoff import Newest, SoundRing
from stream.pipeline.load_shedding import DutyCycles
from stream.pipeline.stages import AFFECTS, CaptureDevice

RING_S = 40


@dataclass(frozen=True)
class FrameSample:
    """A picture that was chosen for a step."""

    step: int
    at_ns: int
    image: NDArray[np.uint8]


@dataclass
class Meter:
    """What a source has given so far; read by health, written by the source's own thread."""

    items: int = 0
    newest_ns: int | None = None
    drift_ppm: float | None = None
    """How much faster the device's clock runs than ours; None: not known."""


class Receiver(Protocol):
    """What a camera and a microphone hand their items to: the ingest, or what measures them."""

    def picture(self, at_ns: int, image: Callable[[], NDArray[np.uint8]]) -> None: ...

    def heard(self, at_ns: int, samples: NDArray[np.float32], rate: int, cause: Cause) -> None: ...

    def condition(
        self, source: CaptureDevice, cause: Cause | None, at_ns: int, detail: str = ""
    ) -> None: ...


class ClipReceiver(Receiver, Protocol):
    """What any source pours into, a clip too."""

    origin_ns: int

    def sound(self, at_ns: int, samples: NDArray[np.float32], rate: int, cause: Cause) -> None: ...

    def end(self, source: CaptureDevice, at_ns: int, reason: str = "") -> None: ...


class Source(Protocol):
    """A camera, a microphone or a clip."""

    devices: tuple[CaptureDevice, ...]
    """`camera`, `microphone` or both; a clip has none, it cannot stall."""

    def start(self, ingest: ClipReceiver, clock: Clock) -> None:
        """Begin to feed `ingest` from a daemon thread."""
        ...

    def stop(self) -> None:
        """Ask it to end; must not block."""
        ...


class Ingest:
    """Called from source threads; times are ns on the session's clock."""

    def __init__(
        self,
        spec: FeatureSpec,
        origin_ns: int,
        post: Callable[[Event], None],
        off: frozenset[Modality],
    ) -> None:
        self.spec = spec
        self.origin_ns = origin_ns
        self.frames: Newest[FrameSample] = Newest()
        self.ring = SoundRing(spec.voice.sample_rate, RING_S * spec.voice.sample_rate)
        self.meters = {device: Meter() for device in CaptureDevice}
        self.bells: list[threading.Event] = []
        self.duty_cycles = DutyCycles()
        self._post = post
        self._off = off
        self._slots = Slots(spec)
        self._track = SoundTrack(spec.voice.sample_rate)
        self._samples_per_step = spec.voice.sample_rate * spec.step_ms // 1000
        self._conditions: dict[CaptureDevice, Cause | None] = {}
        self._held: dict[CaptureDevice, frozenset[Cause]] = dict.fromkeys(AFFECTS, frozenset())
        self._released_ns = dict.fromkeys(AFFECTS, 0)
        self._told: dict[CaptureDevice, Cause | None] = {}
        self._lock = threading.Lock()

    def picture(self, at_ns: int, image: Callable[[], NDArray[np.uint8]]) -> None:
        """A frame taken at `at_ns`; `image` gives its RGB pixels and is called only if wanted."""
        self._seen(CaptureDevice.CAMERA, at_ns)
        if Modality.FACE in self._off or at_ns < self.origin_ns or self._held[CaptureDevice.CAMERA]:
            return
        since_ns = at_ns - self.origin_ns
        step = self._slots.step_for(
            since_ns, self.duty_cycles.at(since_ns // self.spec.step_ns).face
        )
        if step is None:
            return
        self._post(Arrived(Modality.FACE, step))
        displaced = self.frames.put(FrameSample(step, at_ns, image()))
        if displaced is not None:
            self._post(Dropped(Modality.FACE, displaced.step))
        self._ring_bells()

    def sound(self, at_ns: int, samples: NDArray[np.float32], rate: int, cause: Cause) -> None:
        """Mono float32 samples, the first at `at_ns`; a hole before them is due to `cause`."""
        self._hear(at_ns, samples, rate, cause, steered=False)

    def heard(self, at_ns: int, samples: NDArray[np.float32], rate: int, cause: Cause) -> None:
        """As `sound`, but from a device, whose clock drifts: the times are measured ones."""
        self._hear(at_ns, samples, rate, cause, steered=True)

    def condition(
        self, source: CaptureDevice, cause: Cause | None, at_ns: int, detail: str = ""
    ) -> None:
        """From `at_ns` on the source is kept from working by `cause`; None: it works."""
        self._conditions[source] = cause
        self._tell(source, at_ns, detail)

    def standing(self, source: CaptureDevice) -> Cause | None:
        """The cause that keeps the source from working now."""
        return self._conditions.get(source)

    def hold(self, source: CaptureDevice, cause: Cause, at_ns: int) -> bool:
        """Use nothing of the source from now on, for `cause` (`paused`, `muted`).

        Returns whether that is new. It goes on giving; several causes can hold it at once.
        """
        with self._lock:
            new = cause not in self._held[source]
            self._held[source] |= {cause}
        self._tell(source, at_ns)
        return new

    def release(self, source: CaptureDevice, cause: Cause, at_ns: int) -> bool:
        """Hold the source no more for `cause`; returns whether it was held for that."""
        with self._lock:
            was = cause in self._held[source]
            self._held[source] -= {cause}
            free = was and not self._held[source]
            if free:
                self._released_ns[source] = at_ns
        # A source that works says so itself with the next item that it gives.
        if not free or self._conditions.get(source) is not None:
            self._tell(source, at_ns)
        return was

    def was_held(self, source: CaptureDevice, at_ns: int) -> bool:
        """Whether the source was held at `at_ns`, or later."""
        return bool(self._held[source]) or at_ns < self._released_ns[source]

    def end(self, source: CaptureDevice, at_ns: int, reason: str = "") -> None:
        """The source has nothing more to give; `reason`: what broke it."""
        if source == CaptureDevice.MICROPHONE:
            self._place(self._track.flush(), Cause.STALLED)
        self._post(Ended(source, at_ns, reason))
        self._ring_bells()

    def _hear(
        self, at_ns: int, samples: NDArray[np.float32], rate: int, cause: Cause, *, steered: bool
    ) -> None:
        self._seen(CaptureDevice.MICROPHONE, at_ns)
        if {Modality.VOICE, Modality.TEXT} <= self._off:
            return
        if self._held[CaptureDevice.MICROPHONE]:
            samples = np.zeros_like(samples)
        pieces = self._track.push(at_ns - self.origin_ns, samples, rate, steered=steered)
        self.meters[CaptureDevice.MICROPHONE].drift_ppm = self._track.drift.ppm
        self._place(pieces, cause)

    def _seen(self, source: CaptureDevice, at_ns: int) -> None:
        meter = self.meters[source]
        meter.items += 1
        meter.newest_ns = at_ns
        self.condition(source, None, at_ns)

    def _tell(self, source: CaptureDevice, at_ns: int, detail: str = "") -> None:
        """Tell the recognizer what keeps the source from working, where that has changed."""
        with self._lock:
            own = self._conditions.get(source)
            causes = self._held[source] | ({own} if own is not None else set())
            cause = first_cause(causes) if causes else None
            if source in self._told and self._told[source] == cause:
                return
            self._told[source] = cause
            for modality in (m for m in AFFECTS[source] if m not in self._off):
                self._post(Condition(modality, cause, at_ns, detail))

    def _place(self, pieces: list[PlacedSamples], cause: Cause) -> None:
        causes = self._held[CaptureDevice.MICROPHONE]
        held = first_cause(causes) if causes else None
        for piece in pieces:
            skip = max(-piece.begin, 0)
            before = self.ring.end
            self.ring.skip_to(piece.begin + skip, cause)
            if held is None:
                self.ring.append(piece.samples[skip:])
            else:
                self.ring.skip_to(piece.begin + len(piece.samples), held)
            first, last = before // self._samples_per_step, self.ring.end // self._samples_per_step
            for step in range(first, last):
                self._post(Arrived(Modality.VOICE, step))
        if pieces:
            self._ring_bells()

    def _ring_bells(self) -> None:
        for bell in self.bells:
            bell.set()
