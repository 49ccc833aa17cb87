"""Planned faults: what happens to a clip's pictures and sound on their way into the pipe."""

from __future__ import annotations

import math
import tomllib
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal

import dacite
import numpy as np
from numpy.typing import NDArray

from normtr.cause import Cause
from normtr.errors import UsageError
from normtr.modality import Modality
from stream.pipeline.ingest import ClipReceiver
from stream.pipeline.stages import AFFECTS, FEEDS, CaptureDevice, Stage

Kind = Literal["cover", "mute", "stall", "lose", "overflow", "kill", "flood", "deaf"]
EXPECTED = {
    "cover": Cause.NO_FACE,
    "mute": Cause.MUTED,
    "stall": Cause.STALLED,
    "lose": Cause.NO_DEVICE,
    "overflow": Cause.DROPPED,
    "kill": Cause.ERROR,
}
"""The gap cause that must be told for a fault of the input or of a worker."""
OF = {
    "cover": CaptureDevice.CAMERA,
    "mute": CaptureDevice.MICROPHONE,
    "overflow": CaptureDevice.MICROPHONE,
}
"""The device of a fault that names none."""


@dataclass(frozen=True)
class Fault:
    """Something that goes wrong `at_s` seconds after the session's begin, for `for_s` seconds.

    cover: the camera sees nothing but grey. mute: the microphone gives zeros. stall: the device
    `what` gives nothing. lose: the device `what` says that it is gone. overflow: sound is lost, and
    the driver says so. kill: the worker `what` raises errors. flood: two other processes keep the
    cores busy. deaf: a subscriber connects and never reads.
    """

    kind: Kind
    at_s: float
    for_s: float
    what: str = ""

    def __post_init__(self) -> None:
        """Raise ValueError for a fault that cannot be."""
        if self.at_s < 0 or self.for_s <= 0:
            raise ValueError("a fault has at_s of 0 or more and for_s over 0")
        nameable: dict[str, tuple[str, ...]] = {
            "stall": tuple(CaptureDevice),
            "lose": tuple(CaptureDevice),
            "kill": tuple(Stage),
        }
        needed = nameable.get(self.kind, ("",))
        if self.what not in needed:
            wanted = " or ".join(needed) or "none"
            raise ValueError(f"what of {self.kind} is {wanted}, not {self.what!r}")

    @property
    def until_s(self) -> float:
        return self.at_s + self.for_s

    def on(self, at_s: float) -> bool:
        """Return whether the fault is on at this time."""
        return self.at_s <= at_s < self.until_s

    @property
    def devices(self) -> tuple[CaptureDevice, ...]:
        if self.kind in ("stall", "lose"):
            return (CaptureDevice(self.what),)
        return (OF[self.kind],) if self.kind in OF else ()

    @property
    def modalities(self) -> tuple[Modality, ...]:
        """The modalities in which it makes gaps."""
        if self.kind == "kill":
            return (FEEDS[Stage(self.what)],)
        return tuple(m for device in self.devices for m in AFFECTS[device])


@dataclass(frozen=True)
class FaultPlan:
    """The faults of a TOML file, one `[[faults]]` each."""

    faults: tuple[Fault, ...]
    every_s: float | None = None
    """All faults come again after so many seconds; None: they come once."""

    def __post_init__(self) -> None:
        """Raise ValueError when a fault would still be on as the plan begins again."""
        longest_s = max((fault.until_s for fault in self.faults), default=0.0)
        if self.every_s is not None and self.every_s < max(longest_s, 1.0):
            raise ValueError(
                f"every_s is at least {max(longest_s, 1.0):g}, when the last fault ends"
            )

    def within(self, seconds: float) -> FaultPlan:
        """Return the plan with each fault as often as it begins in this time."""
        every_s = self.every_s or seconds
        rounds = range(max(1, math.ceil(seconds / every_s)))
        faults = (replace(f, at_s=f.at_s + n * every_s) for n in rounds for f in self.faults)
        return FaultPlan(tuple(fault for fault in faults if fault.at_s < seconds))

    def now(self, device: CaptureDevice, at_s: float) -> Iterator[Fault]:
        """Return the faults of a device that are on at this time."""
        return (f for f in self.faults if device in f.devices and f.on(at_s))


def load(path: Path) -> FaultPlan:
    """Read a plan. Raises UsageError naming what is wrong in the file."""
    try:
        content = tomllib.loads(path.read_text(encoding="utf-8"))
        return dacite.from_dict(FaultPlan, content, dacite.Config(cast=[tuple, float], strict=True))
    except (OSError, ValueError, TypeError, dacite.DaciteError) as error:
        reason = getattr(error, "strerror", None) or error
        raise UsageError(f"the fault plan {path} cannot be used: {reason}.") from None


class Faulty:
    """Stands between a clip and its receiver, and makes the planned faults happen."""

    def __init__(self, ingest: ClipReceiver, plan: FaultPlan) -> None:
        self.origin_ns = ingest.origin_ns
        self._ingest = ingest
        self._plan = plan
        self._overflowed = False

    def picture(self, at_ns: int, image: Callable[[], NDArray[np.uint8]]) -> None:
        kinds = self._kinds(CaptureDevice.CAMERA, at_ns)
        if kinds & {"stall", "lose"}:
            self._gone(CaptureDevice.CAMERA, at_ns, kinds)
        elif "cover" in kinds:
            self._ingest.picture(at_ns, lambda: np.full_like(image(), 96))
        else:
            self._ingest.picture(at_ns, image)

    def heard(self, at_ns: int, samples: NDArray[np.float32], rate: int, cause: Cause) -> None:
        self.sound(at_ns, samples, rate, cause)

    def sound(self, at_ns: int, samples: NDArray[np.float32], rate: int, cause: Cause) -> None:
        kinds = self._kinds(CaptureDevice.MICROPHONE, at_ns)
        if kinds & {"stall", "lose"}:
            self._gone(CaptureDevice.MICROPHONE, at_ns, kinds)
        elif "overflow" in kinds:
            self._overflowed = True
        else:
            given = np.zeros_like(samples) if "mute" in kinds else samples
            self._ingest.sound(at_ns, given, rate, Cause.DROPPED if self._overflowed else cause)
            self._overflowed = False

    def condition(
        self, device: CaptureDevice, cause: Cause | None, at_ns: int, detail: str = ""
    ) -> None:
        self._ingest.condition(device, cause, at_ns, detail)

    def end(self, device: CaptureDevice, at_ns: int, reason: str = "") -> None:
        self._ingest.end(device, at_ns, reason)

    def _kinds(self, device: CaptureDevice, at_ns: int) -> set[str]:
        return {f.kind for f in self._plan.now(device, (at_ns - self.origin_ns) / 1e9)}

    def _gone(self, device: CaptureDevice, at_ns: int, kinds: set[str]) -> None:
        if "lose" in kinds:
            self._ingest.condition(
                device, Cause.NO_DEVICE, at_ns, f"the plan takes the {device} away"
            )
