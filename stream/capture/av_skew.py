"""Measures how much later sound comes than pictures, by a flash and a beep at the same moment."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from normtr.cause import Cause
from normtr.errors import UserError
from normtr.media import Media, Picture
from stream.clock import Monotonic
from stream.pipeline.stages import CaptureDevice

CLIP_S = 60.0
"""This much of a clip is looked at."""
DEVICES_S = 10.0
"""Camera and microphone are watched for this long."""
START_LIMIT_S = 6.0
HOP_S = 0.001
FLASH_LEVEL = 15.0
"""A flash raises the mean brightness (0..255) between two pictures by at least this much."""
BEEP_LEVEL = 0.003
"""A beep has at least this amplitude (-50 dBFS)."""
BEEP_OVER = 5.0
"""A beep is at least this many times as loud as the usual sound."""
QUIET_S = 0.1
"""It was quiet for this long before a beep."""
AGREE_MS = 100.0
"""The skews of several pairs differ by at most this much."""
APART_S = 1.0
"""A flash and a beep that belong together lie at most this far apart."""


@dataclass(frozen=True)
class Skew:
    """`ms` is the median of beep minus flash; it is positive when the sound comes after the
    picture."""

    ms: float
    resolution_ms: float
    """The distance of two frames, because a flash is seen in the next one, plus 1 ms for the
    beep."""
    pairs: int
    """The number of flashes with a beep."""


class Witness:
    """Notes the brightness of pictures and the loudness of sound, with their times."""

    def __init__(self) -> None:
        self.reasons: dict[CaptureDevice, str] = {}
        self._pictures: list[tuple[int, float]] = []
        self._sounds: list[tuple[int, float]] = []

    def picture(self, at_ns: int, image: Callable[[], NDArray[np.uint8]]) -> None:
        self._pictures.append((at_ns, float(image()[::4, ::4].mean())))

    def heard(self, at_ns: int, samples: NDArray[np.float32], rate: int, _cause: Cause) -> None:
        hop = max(round(HOP_S * rate), 1)
        for begin in range(0, len(samples), hop):
            loudest = float(np.abs(samples[begin : begin + hop]).max())
            self._sounds.append((at_ns + begin * 1_000_000_000 // rate, loudest))

    def condition(
        self, device: CaptureDevice, _cause: Cause | None, _at_ns: int, detail: str = ""
    ) -> None:
        self.reasons[device] = detail or f"the {device} gives nothing."

    def has_begun(self) -> bool:
        """Return whether both pictures and sound have come."""
        return bool(self._pictures and self._sounds)

    def skew(self) -> Skew:
        """Return the skew. Raises UserError when no flash and beep belong together."""
        flashes, frame_ms = self._flashes()
        beeps = self._beeps()
        nearest = [beeps[np.abs(beeps - flash).argmin()] - flash for flash in flashes]
        apart = [ms for ms in nearest if abs(ms) <= 1000 * APART_S]
        if not apart:
            raise UserError(f"no flash and beep lie within {APART_S:.0f} s of each other.")
        if max(apart) - min(apart) > AGREE_MS:
            raise UserError(
                "flashes and beeps do not agree: "
                f"the sound comes {min(apart):.0f} to {max(apart):.0f} ms after the picture."
            )
        return Skew(float(np.median(apart)), frame_ms + 1000 * HOP_S, len(apart))

    def _flashes(self) -> tuple[NDArray[np.float64], float]:
        """Return when the flashes began and the distance of frames, both in ms.

        Raises UserError when there is no flash.
        """
        if len(self._pictures) < 3:
            raise UserError("there is no picture to see a flash in.")
        times, levels = np.array(sorted(self._pictures), np.float64).T
        rises = np.diff(levels)
        if rises.max() < FLASH_LEVEL:
            raise UserError("no flash was seen: no picture is much brighter than the one before.")
        begins = np.flatnonzero(rises >= rises.max() / 2) + 1
        return times[begins] / 1e6, float(np.median(np.diff(times))) / 1e6

    def _beeps(self) -> NDArray[np.float64]:
        """Return when the beeps began, in ms. Raises UserError when there is no beep."""
        if not self._sounds:
            raise UserError("there is no sound to hear a beep in.")
        times, levels = np.array(sorted(self._sounds), np.float64).T
        usual, most = np.median(levels), levels.max()
        if most < max(BEEP_LEVEL, BEEP_OVER * usual):
            raise UserError("no beep was heard: no sound is much louder than the rest.")
        loud = times[levels >= max(most / 4, 2 * usual)] / 1e6
        after_quiet = np.diff(loud, prepend=-np.inf) > 1000 * QUIET_S
        return np.asarray(loud[after_quiet])


def measure(source: str, microphone: str | None) -> Skew:
    """Return the skew of a clip or URL, or of a camera together with the microphone.

    `source` is taken for a camera unless it is a file or a URL. Raises UserError.
    """
    witness = Witness()
    if "://" in source or Path(source).is_file():
        _play(source, witness)
    else:
        _watch(source, microphone, witness)
    return witness.skew()


def _play(source: str, witness: Witness) -> None:
    with Media(source) as media:
        for item in media:
            if item.at_ns > CLIP_S * 1e9:
                return
            if isinstance(item, Picture):
                witness.picture(item.at_ns, item.image)
            else:
                witness.heard(item.at_ns, item.samples, item.rate, Cause.NONE)


def _watch(camera: str, microphone: str | None, witness: Witness) -> None:
    from stream.capture.camera import Camera
    from stream.capture.microphone import Microphone

    devices: list[Camera | Microphone] = [Camera(camera), Microphone(microphone)]
    try:
        for device in devices:
            device.start(witness, Monotonic())
        until = time.monotonic() + START_LIMIT_S
        while not witness.has_begun():
            if time.monotonic() > until:
                raise UserError(" ".join(witness.reasons.values()))
            time.sleep(0.05)
        time.sleep(DEVICES_S)
    finally:
        for device in devices:
            device.stop()
