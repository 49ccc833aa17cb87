"""A camera as a source: OpenCV frames, stamped as they come, opened again when they stop."""

from __future__ import annotations

import contextlib
import os
import re
import sys
import threading
from pathlib import Path
from typing import TYPE_CHECKING

import cv2
import numpy as np
from numpy.typing import NDArray

from normtr.errors import UserError
from stream.clock import Clock

if TYPE_CHECKING:  # it brings torch along, which asking for devices does not need
    from stream.intake import Feed

OPEN_LIMIT_S = 1.8
"""`unusable` gives its answer within this time, whatever a driver does."""
RETRY_S = (1.0, 2.0, 4.0, 5.0)
"""Pauses before a lost camera is opened again; the last one repeats."""

_BACKENDS = {"linux": cv2.CAP_V4L2, "darwin": cv2.CAP_AVFOUNDATION, "win32": cv2.CAP_MSMF}


class NoCamera(UserError):
    """Why a camera cannot be used; `cause` is the gap cause: `no_device` or `denied`."""

    def __init__(self, cause: str, sentence: str) -> None:
        super().__init__(sentence)
        self.cause = cause


def unusable(which: str) -> str | None:
    """One sentence that says why there is no usable camera, or None: it can be opened.

    Opens and closes it. Answers within `OPEN_LIMIT_S` even when the driver hangs.
    """
    answers: list[str | None] = []

    def probe() -> None:
        try:
            # Whoever writes into a pipe would be killed by our closing it again.
            if not Path(which).is_fifo():
                _open(which).release()
            answers.append(None)
        except (NoCamera, OSError) as error:
            answers.append(str(error))

    thread = threading.Thread(target=probe, name="camera probe", daemon=True)
    thread.start()
    thread.join(OPEN_LIMIT_S)
    return answers[0] if answers else f"camera {which} did not open within {OPEN_LIMIT_S} s."


def cameras() -> list[tuple[str, str]]:
    """(index, name) of every camera the system lists; without a list, the first index alone."""
    if sys.platform != "linux":
        return [("0", "first camera")]
    found = []
    for node in Path("/sys/class/video4linux").glob("video*"):
        # A camera's further nodes carry metadata, no pictures.
        with contextlib.suppress(OSError):
            if (node / "index").read_text().strip() == "0":
                found.append((node.name.removeprefix("video"), (node / "name").read_text().strip()))
    return sorted(found, key=lambda camera: int(camera[0]))


class Camera:
    """Reads a camera from a daemon thread that nobody joins: a driver can hang for good."""

    devices: tuple[str, ...] = ("camera",)

    def __init__(self, which: str) -> None:
        """`which`: an index ("0"), or a device path, file or URL that OpenCV opens."""
        self._which = which
        self._stop = threading.Event()

    def start(self, intake: Feed, clock: Clock) -> None:
        intake.condition("camera", "starting", clock.now_ns())
        threading.Thread(
            target=self._watch, args=(intake, clock), name="camera", daemon=True
        ).start()

    def stop(self) -> None:
        self._stop.set()

    def _watch(self, intake: Feed, clock: Clock) -> None:
        failures = 0
        while not self._stop.is_set():
            try:
                capture = _open(self._which)
                try:
                    if self._read(capture, intake, clock):
                        failures = 0
                finally:
                    capture.release()
                if self._stop.is_set():
                    return
                raise NoCamera("no_device", f"camera {self._which} gives no more pictures.")
            except NoCamera as lost:
                intake.condition("camera", lost.cause, clock.now_ns(), str(lost))
            self._stop.wait(RETRY_S[min(failures, len(RETRY_S) - 1)])
            failures += 1

    def _read(self, capture: cv2.VideoCapture, intake: Feed, clock: Clock) -> int:
        """Hand frames in until none comes; how many there were."""
        frames = 0
        while not self._stop.is_set() and capture.grab():
            at_ns = clock.now_ns()
            frames += 1
            # A frame damaged on its way is not worth opening the camera anew.
            with contextlib.suppress(cv2.error):
                intake.picture(at_ns, lambda: _pixels(capture))
        return frames


def _pixels(capture: cv2.VideoCapture) -> NDArray[np.uint8]:
    """The grabbed frame, RGB uint8 [H, W, 3]; decoded only here. Raises cv2.error if damaged."""
    _, bgr = capture.retrieve()
    return cv2.cvtColor(bgr, cv2.COLOR_BGR2RGB).astype(np.uint8, copy=False)


def _open(which: str) -> cv2.VideoCapture:
    """Raises NoCamera. May block in the driver."""
    # OpenCV tells every failed attempt to standard error; we tell it in a sentence.
    cv2.utils.logging.setLogLevel(cv2.utils.logging.LOG_LEVEL_SILENT)
    os.environ.setdefault("OPENCV_FFMPEG_LOGLEVEL", "-8")
    index = int(which) if which.isdigit() else None
    if "://" not in which and (index is None or sys.platform == "linux"):
        path = Path(which if index is None else f"/dev/video{index}")
        _check(which, path)
        number = re.fullmatch(r"/dev/video(\d+)", str(path.resolve()))
        index = int(number[1]) if number else None
    if index is None:
        capture = cv2.VideoCapture(which)
    else:
        capture = cv2.VideoCapture(index, _BACKENDS.get(sys.platform, cv2.CAP_ANY))
    if not capture.isOpened():
        raise NoCamera(
            "no_device", f"camera {which} cannot be opened; does another program use it?"
        )
    # Not every backend has the property; the thread reads as fast as frames come in any case.
    capture.set(cv2.CAP_PROP_BUFFERSIZE, 1)
    return capture


def _check(which: str, path: Path) -> None:
    try:
        is_device = path.is_char_device()
        if not path.exists():
            raise NoCamera("no_device", f"there is no camera {which}: {path} does not exist.")
        allowed = os.access(path, os.R_OK | os.W_OK if is_device else os.R_OK)
    except PermissionError:
        is_device = allowed = False
    if not allowed:
        cure = "; `sudo usermod -aG video $USER` and a new login allow it" if is_device else ""
        raise NoCamera("denied", f"camera {which} is forbidden: {path} cannot be read{cure}.")
