"""A camera as a source: it gives OpenCV's frames with their times, and is reopened when they
stop."""

from __future__ import annotations

import contextlib
import os
import sys
import threading
from pathlib import Path
from typing import TYPE_CHECKING

import cv2
import numpy as np
from numpy.typing import NDArray

from normtr.cause import Cause
from stream.capture.cameras import NoCamera, choose, not_opened
from stream.capture.frame_clock import FrameClock
from stream.clock import Clock
from stream.pipeline.stages import CaptureDevice

if TYPE_CHECKING:  # it brings torch along, which asking for devices does not need
    from stream.pipeline.ingest import Receiver

PROBE_LIMIT_S = 1.8
"""`unusable` answers within this time, whatever a driver does."""
RETRY_S = (0.25, 0.5, 1.0)
"""Pauses before a lost camera is opened again; the last one repeats."""
OPEN_LIMIT_S = 8.0
"""A camera that gives no first frame for this long is given up."""
READ_LIMIT_S = 1.5
"""A camera that gives no further frame for this long is given up, if the backend lets a read
end."""
HANG_LIMIT_S = 2.5
"""If the backend does not, its reader is left alone after this long, and another one takes its
place."""
MOST_HANGING = 3
"""With this many readers hanging in their driver, one must come back before the next one starts."""
POLL_S = 0.1
AT_ONCE_NS = 800_000_000
"""A camera whose read took longer than this did not vanish: it gave nothing."""
KEPT_NS = 200_000_000
"""Within this time after such a read, a decoder still gives frames that it had kept."""

_BACKENDS = {
    "linux": (cv2.CAP_V4L2,),
    "darwin": (cv2.CAP_AVFOUNDATION,),
    # The names are DirectShow's, and so is their order.
    "win32": (cv2.CAP_DSHOW, cv2.CAP_MSMF),
}
_SETTINGS = {
    "OPENCV_FFMPEG_LOGLEVEL": "-8",
    "OPENCV_VIDEOIO_V4L_SELECT_TIMEOUT": "1",  # seconds
    # FFmpeg looks at 0.5 s of an unknown stream to find what it holds, not at 5 s.
    "OPENCV_FFMPEG_CAPTURE_OPTIONS": "rtsp_transport;tcp|analyzeduration;500000",
}


def unusable(which: str) -> str | None:
    """Return one sentence that says why the camera cannot be used; None if it can.

    It opens and closes the camera, and answers within `PROBE_LIMIT_S` even when the driver hangs.
    """
    answers: list[str | None] = []

    def probe() -> None:
        try:
            # Opening and closing a pipe would kill the program that writes into it.
            if not Path(which).is_fifo():
                _open(which).release()
            answers.append(None)
        except (NoCamera, OSError) as error:
            answers.append(str(error))

    thread = threading.Thread(target=probe, name="camera probe", daemon=True)
    thread.start()
    thread.join(PROBE_LIMIT_S)
    return answers[0] if answers else f"camera {which} did not open within {PROBE_LIMIT_S} s."


class Camera:
    """Lets a thread read the camera, and another one when that hangs: nobody joins them, since a
    driver can hang for good."""

    devices: tuple[CaptureDevice, ...] = (CaptureDevice.CAMERA,)

    def __init__(self, which: str, latency_ms: float = 0.0) -> None:
        """`which` is an index, a part of the name, or a device path, file or URL that OpenCV opens.

        `latency_ms` says how much earlier a frame was taken than the device says.
        """
        self._which = which
        self._latency_ns = round(latency_ms * 1e6)
        self._stop = threading.Event()
        self._hanging: list[_Reader] = []

    def start(self, ingest: Receiver, clock: Clock) -> None:
        ingest.condition(CaptureDevice.CAMERA, Cause.STARTING, clock.now_ns())
        threading.Thread(
            target=self._supervise, args=(ingest, clock), name="camera", daemon=True
        ).start()

    def stop(self) -> None:
        self._stop.set()

    def _supervise(self, ingest: Receiver, clock: Clock) -> None:
        failures = 0
        while not self._stop.is_set():
            self._hanging = [reader for reader in self._hanging if reader.is_alive()]
            if len(self._hanging) < MOST_HANGING:
                reader = _Reader(self._which, self._latency_ns, ingest, clock)
                reader.start()
                while reader.is_alive() and not self._stop.is_set() and not reader.hangs():
                    reader.join(POLL_S)
                reader.left.set()
                self._hanging.append(reader)
                failures = 0 if reader.frames else failures + 1
                if reader.lost is not None:
                    cause, sentence = reader.lost.cause, str(reader.lost)
                    ingest.condition(CaptureDevice.CAMERA, cause, clock.now_ns(), sentence)
            self._stop.wait(RETRY_S[min(failures, len(RETRY_S) - 1)])


class _Reader(threading.Thread):
    """Opens a camera once and hands in its frames until none comes, or until it is left alone."""

    def __init__(self, which: str, latency_ns: int, ingest: Receiver, clock: Clock) -> None:
        super().__init__(name="camera reader", daemon=True)
        self.left = threading.Event()
        self.frames = 0
        self.lost: NoCamera | None = None
        self._which = which
        self._latency_ns = latency_ns
        self._ingest = ingest
        self._clock = clock
        self._moved_ns = clock.now_ns()
        # A pipe gets no second reader, which would take the first one's bytes; its end wakes the first.
        self._alone = Path(which).is_fifo()

    def hangs(self) -> bool:
        limit_s = HANG_LIMIT_S if self.frames else OPEN_LIMIT_S
        return not self._alone and self._clock.now_ns() - self._moved_ns > limit_s * 1e9

    def run(self) -> None:
        try:
            capture = _open(self._which)
            try:
                cause = self._read(capture)
            finally:
                capture.release()
            raise NoCamera(cause, f"camera {self._which} gives no more pictures.")
        except NoCamera as lost:
            self.lost = lost

    def _read(self, capture: cv2.VideoCapture) -> Cause:
        """Hand in frames; return the cause why no more come."""
        times = FrameClock()
        has_clock = not Path(self._which).is_file()
        waited_ns = 0
        while True:
            asked_ns = self._clock.now_ns()
            got = capture.grab()
            now_ns = self._clock.now_ns()
            if now_ns - asked_ns > AT_ONCE_NS:
                waited_ns = now_ns
            if not got or self.left.is_set():
                return Cause.STALLED if now_ns - waited_ns < KEPT_NS else Cause.NO_DEVICE
            self._moved_ns = now_ns
            self.frames += 1
            told_ms = capture.get(cv2.CAP_PROP_POS_MSEC) if has_clock else 0.0
            taken_ns = times.taken_ns(now_ns, round(told_ms * 1e6) if told_ms > 0 else None)
            if taken_ns is not None:
                # A frame damaged on its way is not worth opening the camera anew.
                with contextlib.suppress(cv2.error):
                    self._ingest.picture(taken_ns - self._latency_ns, lambda: _pixels(capture))


def _pixels(capture: cv2.VideoCapture) -> NDArray[np.uint8]:
    """Decode the grabbed frame to RGB uint8 [H, W, 3]. Raises cv2.error if it is damaged."""
    _, bgr = capture.retrieve()
    return cv2.cvtColor(bgr, cv2.COLOR_BGR2RGB).astype(np.uint8, copy=False)


def _open(which: str) -> cv2.VideoCapture:
    """Open the camera; may block in the driver. Raises NoCamera."""
    # OpenCV tells every failed attempt to standard error; we tell it in a sentence.
    cv2.utils.logging.setLogLevel(cv2.utils.logging.LOG_LEVEL_SILENT)
    for name, value in _SETTINGS.items():
        os.environ.setdefault(name, value)
    chosen = choose(which)
    if isinstance(chosen, str):
        limits = {
            cv2.CAP_PROP_OPEN_TIMEOUT_MSEC: OPEN_LIMIT_S,
            cv2.CAP_PROP_READ_TIMEOUT_MSEC: READ_LIMIT_S,
        }
        settings = [number for key, s in limits.items() for number in (key, round(1000 * s))]
        settings += [cv2.CAP_PROP_N_THREADS, 1]  # each further thread would hold a frame back
        # OpenCV opens one stream at a time, so we wait for a pipe's writer before we call it.
        with open(chosen, "rb") if Path(chosen).is_fifo() else contextlib.nullcontext():
            captures = iter([cv2.VideoCapture(chosen, cv2.CAP_FFMPEG, settings)])
    else:
        backends = _BACKENDS.get(sys.platform, (cv2.CAP_ANY,))
        captures = (cv2.VideoCapture(chosen, backend) for backend in backends)
    for capture in captures:
        if capture.isOpened():
            # Not every backend has this; frames that waited in a queue are left out by their time.
            capture.set(cv2.CAP_PROP_BUFFERSIZE, 1)
            return capture
    raise not_opened(which, chosen)
