"""Takes what every source gives: it chooses pictures, resamples sound and posts events."""

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
    """Counts what a device has given so far. The device's thread writes it, and health reads it."""

    items: int = 0
    newest_ns: int | None = None
    drift_ppm: float | None = None
    """How much faster the device's clock runs than ours; None if not known."""


class Receiver(Protocol):
    """Takes the items of a camera and a microphone: the ingest, or a program that measures them."""

    def picture(self, at_ns: int, image: Callable[[], NDArray[np.uint8]]) -> None: ...

    def heard(self, at_ns: int, samples: NDArray[np.float32], rate: int, cause: Cause) -> None: ...

    def condition(
        self, device: CaptureDevice, cause: Cause | None, at_ns: int, detail: str = ""
    ) -> None: ...


class ClipReceiver(Receiver, Protocol):
    """Takes the items of any source, including a clip."""

    origin_ns: int

    def sound(self, at_ns: int, samples: NDArray[np.float32], rate: int, cause: Cause) -> None: ...

    def end(self, device: CaptureDevice, at_ns: int, reason: str = "") -> None: ...


class Source(Protocol):
    """A camera, a microphone or a clip."""

    devices: tuple[CaptureDevice, ...]
    """The devices that can stall; a clip has none."""

    def start(self, ingest: ClipReceiver, clock: Clock) -> None:
        """Begin to feed `ingest` from a daemon thread."""
        ...

    def stop(self) -> None:
        """Ask the source to end; must not block."""
        ...


class Ingest:
    """Takes the items of the sources on their threads. Times are ns on the session's clock."""

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
        """Take a frame that was taken at `at_ns`.

        `image` returns its RGB pixels uint8 [H, W, 3]; it is called only if the frame is wanted.
        """
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
        """Take mono float32 samples [n]; the first one lies at `at_ns`.

        `cause` is the cause of the hole before them, if there is one.
        """
        self._hear(at_ns, samples, rate, cause, steered=False)

    def heard(self, at_ns: int, samples: NDArray[np.float32], rate: int, cause: Cause) -> None:
        """Take samples like `sound`, but from a device: its times are measured, and its clock
        drifts."""
        self._hear(at_ns, samples, rate, cause, steered=True)

    def condition(
        self, device: CaptureDevice, cause: Cause | None, at_ns: int, detail: str = ""
    ) -> None:
        """Note that from `at_ns` on `cause` keeps the device from working; None: it works."""
        self._conditions[device] = cause
        self._tell(device, at_ns, detail)

    def standing(self, device: CaptureDevice) -> Cause | None:
        """Return the cause that keeps the device from working now; None if it works."""
        return self._conditions.get(device)

    def hold(self, device: CaptureDevice, cause: Cause, at_ns: int) -> bool:
        """Use nothing of the device from now on, for `cause` (`paused`, `muted`).

        Returns whether that is new. The device goes on giving. Several causes can hold it at once.
        """
        with self._lock:
            new = cause not in self._held[device]
            self._held[device] |= {cause}
        self._tell(device, at_ns)
        return new

    def release(self, device: CaptureDevice, cause: Cause, at_ns: int) -> bool:
        """Stop holding the device for `cause`; return whether it was held for that."""
        with self._lock:
            was = cause in self._held[device]
            self._held[device] -= {cause}
            free = was and not self._held[device]
            if free:
                self._released_ns[device] = at_ns
        # A device that works says so itself with its next item.
        if not free or self._conditions.get(device) is not None:
            self._tell(device, at_ns)
        return was

    def was_held(self, device: CaptureDevice, at_ns: int) -> bool:
        """Return whether the device was held at `at_ns` or later."""
        return bool(self._held[device]) or at_ns < self._released_ns[device]

    def end(self, device: CaptureDevice, at_ns: int, reason: str = "") -> None:
        """Note that the device has nothing more to give; `reason` says what broke it."""
        if device == CaptureDevice.MICROPHONE:
            self._place(self._track.flush(), Cause.STALLED)
        self._post(Ended(device, at_ns, reason))
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

    def _seen(self, device: CaptureDevice, at_ns: int) -> None:
        meter = self.meters[device]
        meter.items += 1
        meter.newest_ns = at_ns
        self.condition(device, None, at_ns)

    def _tell(self, device: CaptureDevice, at_ns: int, detail: str = "") -> None:
        """Post what keeps the device from working, if that has changed."""
        with self._lock:
            own = self._conditions.get(device)
            causes = self._held[device] | ({own} if own is not None else set())
            cause = first_cause(causes) if causes else None
            if device in self._told and self._told[device] == cause:
                return
            self._told[device] = cause
            for modality in (m for m in AFFECTS[device] if m not in self._off):
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
