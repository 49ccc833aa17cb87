"""A camera for tests: a process that streams what FFmpeg would, into a pipe or to a loopback port.

Every picture carries the time at which it was drawn, so that its age can be told.

    python -m tests.support.fake_camera TARGET WIDTH HEIGHT
"""

from __future__ import annotations

import os
import pty
import signal
import subprocess
import sys
import time
import tty
from fractions import Fraction

import av
import numpy as np
from numpy.typing import NDArray

FPS = 25
BITS = 32
"""Milliseconds of the monotonic clock, one black or white column each, the lowest one first."""


def draw(width: int, height: int, at_ns: int) -> NDArray[np.uint8]:
    """RGB [H, W, 3] with the time in it."""
    bits = (at_ns // 1_000_000) >> np.arange(BITS) & 1
    columns = np.repeat(bits * 255, width // BITS)
    line = np.pad(columns, (0, width - len(columns))).astype(np.uint8)
    return np.tile(line[None, :, None], (height, 1, 3))


def drawn_ns(image: NDArray[np.uint8]) -> int:
    """When a picture was drawn, to the millisecond."""
    wide = image.shape[1] // BITS
    columns = image[:, : wide * BITS].mean((0, 2)).reshape(BITS, wide).mean(1)
    return int(sum(1 << n for n, level in enumerate(columns) if level > 127)) * 1_000_000


class FakeCamera:
    """Use it in a `with`; `which` is what `--camera` takes."""

    def __init__(self, which: str | None = None) -> None:
        """`which`: a path, where a pipe is made, or a URL; None: a terminal, which is a device."""
        self._target, self._keeps = which or "", []
        if which is None:
            master, slave = pty.openpty()
            tty.setraw(slave)
            which, self._target, self._keeps = os.ttyname(slave), str(master), [master]
        elif "://" not in which:
            os.mkfifo(which)
        self.which = which
        self._process: subprocess.Popen[bytes] | None = None

    def __enter__(self) -> FakeCamera:
        self.plug()
        return self

    def __exit__(self, *_: object) -> None:
        self.unplug()

    def plug(self, width: int = 320, height: int = 240) -> None:
        self._process = subprocess.Popen(
            [
                sys.executable,
                "-m",
                "tests.support.fake_camera",
                self._target,
                str(width),
                str(height),
            ],
            pass_fds=self._keeps,
            stderr=subprocess.DEVNULL,
        )

    def unplug(self) -> None:
        assert self._process is not None
        self._process.kill()
        self._process.wait()

    def stall(self) -> None:
        assert self._process is not None
        self._process.send_signal(signal.SIGSTOP)

    def go_on(self) -> None:
        assert self._process is not None
        self._process.send_signal(signal.SIGCONT)


def stream(target: str, width: int, height: int) -> None:
    """Until nobody reads any more; in pictures of their own, which nothing holds back."""
    out = os.fdopen(int(target), "wb", buffering=0) if target.isdigit() else target
    # Who joins in the middle must find its way.
    kind = "mpegts" if target.startswith("udp:") else "nut"
    codec, pixels = ("mpeg2video", "yuv420p") if kind == "mpegts" else ("mjpeg", "yuvj420p")
    with av.open(out, "w", format=kind, options={"flush_packets": "1"}) as container:
        video = container.add_stream(codec, rate=FPS, options={"g": "1", "huffman": "default"})
        video.width, video.height, video.pix_fmt = width, height, pixels
        video.bit_rate = 8_000_000
        period_ns = 1_000_000_000 // FPS
        begin_ns = time.monotonic_ns()
        while True:
            since_ns = time.monotonic_ns() - begin_ns
            time.sleep((period_ns - since_ns % period_ns) / 1e9)
            now_ns = time.monotonic_ns()
            frame = av.VideoFrame.from_ndarray(draw(width, height, now_ns), "rgb24")
            frame.pts, frame.time_base = (now_ns - begin_ns) // period_ns, Fraction(1, FPS)
            for packet in video.encode(frame):
                container.mux(packet)


if __name__ == "__main__":
    stream(sys.argv[1], int(sys.argv[2]), int(sys.argv[3]))
