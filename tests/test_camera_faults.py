"""Cameras that stall, vanish, come back, change: real streams from a process of their own."""

from __future__ import annotations

import socket
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from stream.capture import camera, cameras
from stream.capture.frame_clock import FrameClock
from stream.clock import Monotonic
from tests.support.fake_camera import FakeCamera, drawn_ns

pytestmark = pytest.mark.slow

MS = 1_000_000
LIMIT_S = 10.0


class Eye:
    """What a camera hands its pictures to: remembers when they were drawn, taken, handed in."""

    def __init__(self) -> None:
        self.causes: list[str | None] = []
        self.sizes: list[tuple[int, int]] = []
        self.times: list[tuple[int, int, int]] = []
        self.hold_s = 0.0

    def condition(self, _source: str, cause: str | None, _at_ns: int, _detail: str = "") -> None:
        self.causes.append(cause)

    def heard(self, *_: object) -> None:
        raise AssertionError("a camera hears nothing")

    def picture(self, at_ns: int, image: Callable[[], NDArray[np.uint8]]) -> None:
        now_ns = time.monotonic_ns()
        pixels = image()
        self.sizes.append((pixels.shape[1], pixels.shape[0]))
        self.times.append((drawn_ns(pixels), at_ns, now_ns))
        wait_s, self.hold_s = self.hold_s, 0.0
        time.sleep(wait_s)

    def sees(self, count: int = 5, size: tuple[int, int] | None = None) -> bool:
        """Whether so many more pictures come (of that size), within `LIMIT_S`."""
        before = len(self.sizes)
        until = time.monotonic() + LIMIT_S
        while time.monotonic() < until:
            new = self.sizes[before:]
            if sum(size is None or s == size for s in new) >= count:
                return True
            time.sleep(0.02)
        return False

    def says(self, cause: str) -> bool:
        until = time.monotonic() + LIMIT_S
        while self.causes[-1] != cause and time.monotonic() < until:
            time.sleep(0.02)
        return self.causes[-1] == cause


def test_a_pipe_that_stalls_ends_and_comes_back_in_another_size(tmp_path: Path) -> None:
    eye = Eye()
    with FakeCamera(str(tmp_path / "camera")) as fake:
        source = camera.Camera(fake.which)
        source.start(eye, Monotonic())
        assert eye.sees(size=(320, 240))
        fake.stall()
        time.sleep(camera.HANG_LIMIT_S + 0.5)  # a second reader would take the first one's bytes
        fake.go_on()
        assert eye.sees(20)
        assert eye.causes == ["starting"]
        fake.unplug()
        assert eye.says("no_device")
        fake.plug(640, 480)
        assert eye.sees(size=(640, 480))
        source.stop()


def test_what_waited_in_the_queue_is_not_used(tmp_path: Path) -> None:
    """We are held up for 0.7 s; the pictures of that time wait in the pipe."""
    eye = Eye()
    with FakeCamera(str(tmp_path / "camera")) as fake:
        source = camera.Camera(fake.which, latency_ms=7.0)
        source.start(eye, Monotonic())
        assert eye.sees(25)
        eye.hold_s = 0.7
        assert eye.sees(30)
        source.stop()
    drawn, taken, handed = np.array(eye.times[5:], np.float64).T / MS
    usual = np.median(handed - drawn)
    assert max(handed - drawn) - usual < 150  # 100, and the decoding on a busy machine
    assert max(np.diff(drawn)) > 500  # so something was left out
    # And the times are those of the drawing, but for the latency that was told.
    assert abs(np.median(taken - drawn + 7.0)) < 30


def test_a_network_camera_that_stalls_is_opened_again() -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    eye = Eye()
    with FakeCamera(f"udp://127.0.0.1:{port}") as fake:
        source = camera.Camera(fake.which)
        source.start(eye, Monotonic())
        assert eye.sees()
        fake.stall()
        assert eye.says("stalled")
        fake.go_on()
        assert eye.sees()
        fake.unplug()
        assert eye.says("stalled")
        fake.plug()
        assert eye.sees()
        source.stop()


def test_a_reader_that_hangs_for_good_is_given_up(tmp_path: Path) -> None:
    """Another device takes the place; what the old one gives much later is not listened to."""
    eye = Eye()
    link = tmp_path / "camera"
    with FakeCamera() as hangs, FakeCamera() as comes:
        comes.unplug()
        link.symlink_to(hangs.which)
        source = camera.Camera(str(link))
        source.start(eye, Monotonic())
        assert eye.sees(size=(320, 240))
        hangs.stall()
        link.unlink()
        link.symlink_to(comes.which)
        comes.plug(400, 300)
        assert eye.sees(size=(400, 300))
        before = len(eye.sizes)
        hangs.go_on()
        assert eye.sees(20)
        assert set(eye.sizes[before:]) == {(400, 300)}
        source.stop()


def test_who_has_taken_the_camera_is_told(tmp_path: Path) -> None:
    path = tmp_path / "camera"
    path.write_bytes(b"no pictures")
    holder = "import sys; f = open(sys.argv[1]); print(flush=True); sys.stdin.read()"
    with subprocess.Popen(
        [sys.executable, "-c", holder, path], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as other:
        assert other.stdout is not None
        other.stdout.readline()
        sentence = camera.unusable(str(path))
        other.kill()
    assert sentence is not None
    assert f"(process {other.pid})" in sentence
    assert "taken by" in sentence


def test_a_camera_that_no_name_fits_is_told_with_those_there_are() -> None:
    sentence = camera.unusable("no such camera")
    listed = [name for _, name in cameras.cameras()]
    assert sentence is not None
    assert "there is no camera 'no such camera'" in sentence
    assert all(name in sentence for name in listed)


# The times of frames, without a device


def test_a_device_with_our_own_clock_is_believed() -> None:
    times = FrameClock()
    for n in range(100):
        assert times.taken_ns((n * 40 + 25) * MS, n * 40 * MS) == n * 40 * MS
    # The queue held three frames while we were busy.
    late = [times.taken_ns(4200 * MS, taken * MS) for taken in (4000, 4040, 4080, 4120, 4160)]
    assert late == [None, None, 4080 * MS, 4120 * MS, 4160 * MS]


def test_a_device_with_a_clock_of_its_own_is_learned() -> None:
    """It starts with a second of old frames, drifts by 200 ppm, and once jumps."""
    times = FrameClock()
    epoch_ms = 10_000_000
    burst = [times.taken_ns((epoch_ms + n) * MS, n * 40 * MS) for n in range(25)]
    assert not any(burst)
    worst = 0
    for n in range(25, 25 * 3600):
        taken_ns = times.taken_ns((epoch_ms + n * 40) * MS, round(n * 40 * MS * 1.0002) + MS)
        if n > 40:
            assert taken_ns is not None
            worst = max(worst, abs(taken_ns - (epoch_ms + n * 40) * MS))
    assert worst < 5 * MS
    # Its clock begins anew: after a moment its frames are used again.
    jumped = [times.taken_ns((20_000_000 + n * 40) * MS, n * 40 * MS) for n in range(20)]
    assert jumped[0] is None
    assert jumped[-1] == (20_000_000 + 19 * 40) * MS
