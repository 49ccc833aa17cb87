"""Opens each device and takes one second of it, for `normtr doctor`."""

from __future__ import annotations

import math
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
from numpy.typing import NDArray

from normtr.errors import UserError
from stream.pipeline.stages import CaptureDevice

if TYPE_CHECKING:  # OpenCV's import may fail; then doctor tells so
    from stream.capture.sound_input import Input
    from stream.pipeline.ingest import Ingest, Source

FIRST_ITEM_LIMIT_S = 4.0
SAMPLE_S = 1.0
SILENCE_DBFS = -100.0

MICROPHONE_FIX = "connect one, or name another: normtr live --microphone NAME"

State = Literal["ok", "warning", "missing"]


@dataclass(frozen=True)
class Finding:
    """A line of the report. `missing` keeps `normtr live` from running at all; a `warning` does
    not."""

    what: str
    state: State
    detail: str
    fix: str = ""
    figures: dict[str, Any] = field(default_factory=dict)
    frame: NDArray[np.uint8] | None = None


def _sampled(source: Source, device: CaptureDevice) -> tuple[Ingest, float]:
    """Run a source for `SAMPLE_S` after its first item; return its ingest and items a second.

    Raises UserError, with the reason that the source gave, when nothing came.
    """
    from normtr.spec import FeatureSpec
    from stream.clock import Monotonic
    from stream.pipeline.events import Condition, Event
    from stream.pipeline.ingest import Ingest

    told: list[Event] = []
    ingest = Ingest(FeatureSpec(), time.monotonic_ns(), told.append, frozenset())
    meter = ingest.meters[device]
    source.start(ingest, Monotonic())
    try:
        until = time.monotonic() + FIRST_ITEM_LIMIT_S
        while meter.newest_ns is None:
            if time.monotonic() > until:
                reasons = [e.detail for e in told if isinstance(e, Condition) and e.detail]
                raise UserError(
                    reasons[-1] if reasons else f"the {device} is there, but nothing arrives."
                )
            time.sleep(0.02)
        first_ns, first_items = meter.newest_ns, meter.items
        time.sleep(SAMPLE_S)
        seconds = (meter.newest_ns - first_ns) / 1e9
        return ingest, (meter.items - first_items) / seconds if seconds else 0.0
    finally:
        source.stop()


def cameras(wanted: str | None) -> list[Finding]:
    """Take one second of the wanted camera; None: of each listed camera. May block."""
    from stream.capture.cameras import cameras as listing

    listed = listing() if wanted is None else [(wanted, wanted)]
    return [_camera(which, name) for which, name in listed or [("0", "0")]]


def _camera(which: str, name: str) -> Finding:
    from normtr.face_detector import FaceDetector
    from stream.capture import camera

    what = f"camera {which}"
    fix = "connect or free it, or name another: normtr live --camera INDEX_OR_NAME"
    if reason := camera.unusable(which):
        return Finding(what, "warning", reason, fix)
    try:
        ingest, rate_hz = _sampled(camera.Camera(which), CaptureDevice.CAMERA)
    except UserError as error:
        return Finding(what, "warning", str(error), fix)
    shot = ingest.frames.take()
    if shot is None:
        return Finding(what, "warning", "its pictures cannot be decoded", fix)
    height, width = shot.image.shape[:2]
    brightness = float(shot.image.mean())
    faces = len(FaceDetector(ingest.spec.face)(shot.image))
    detail = (
        f"{name}: {width} x {height}, {rate_hz:.1f} frames/s, "
        f"brightness {brightness:.0f} of 255, faces: {faces}"
    )
    figures = {"name": name, "width": width, "height": height, "frames_per_s": rate_hz}
    figures |= {"brightness": brightness, "faces": faces}
    return Finding(what, "ok", detail, figures=figures, frame=shot.image)


def microphones(wanted: str | None) -> list[Finding]:
    """List the sound inputs and take one second of the wanted one; may block.

    None: of the default input and of the others.
    """
    from stream.capture import microphone as sound
    from stream.capture.sound_input import choose

    try:
        inputs, default = sound.inputs()
        chosen = choose(wanted, inputs, default)
    except UserError as error:
        return [Finding("microphone", "warning", str(error), MICROPHONE_FIX)]
    listed = [
        f"{'' if i.source else f'{i.index} '}{i.name} ({i.rate} Hz, {i.channels} channels)"
        for i in inputs
    ]
    found = Finding("sound inputs", "ok", "; ".join(listed), figures={"inputs": listed})
    heard: list[tuple[str, str | None, Input]] = [("microphone", wanted, chosen)]
    if wanted is None:
        # A sound server uses the devices itself, so its own inputs are tried.
        behind = [i for i in inputs if i.source] or [i for i in inputs if i != chosen]
        heard += [(f"microphone {i.name}", i.source or str(i.index), i) for i in behind]
    with ThreadPoolExecutor(len(heard)) as pool:
        return [found, *pool.map(lambda one: _microphone(*one), heard)]


def _microphone(what: str, which: str | None, device: Input) -> Finding:
    from stream.capture.microphone import Microphone

    try:
        ingest, _ = _sampled(Microphone(which), CaptureDevice.MICROPHONE)
    except UserError as error:
        return Finding(what, "warning", str(error), MICROPHONE_FIX)
    ring = ingest.ring
    samples = ring.read(max(0, ring.end - round(SAMPLE_S * ring.rate)), ring.end).samples
    levels = [_dbfs(float(np.sqrt(np.mean(part**2)))) for part in np.array_split(samples, 40)]
    level, peak = _dbfs(float(np.sqrt(np.mean(samples**2)))), _dbfs(float(np.abs(samples).max()))
    figures = {"name": device.name, "rate_hz": device.rate, "level_dbfs": level}
    figures |= {"peak_dbfs": peak, "levels_dbfs": levels}
    name = f"{device.name}: {device.rate} Hz"
    if not samples.any():
        detail = f"{name}, silent (exact zeros: muted?)"
        return Finding(what, "warning", detail, "unmute it", figures)
    bars = "".join("▁▂▃▄▅▆▇█"[min(7, max(0, int((db + 72) / 9)))] for db in levels)
    detail = f"{name}, level {level:.0f} dBFS, peak {peak:.0f} dBFS  {bars}"
    return Finding(what, "ok", detail, figures=figures)


def _dbfs(amplitude: float) -> float:
    return max(SILENCE_DBFS, 20 * math.log10(max(amplitude, 1e-9)))
