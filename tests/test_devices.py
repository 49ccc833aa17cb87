"""Camera and microphone: real threads on virtual devices (a video file, a private PulseAudio)."""

from __future__ import annotations

import contextlib
import json
import os
import socket
import subprocess
import sys
import tempfile
import time
import wave
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest
import soxr
from numpy.typing import NDArray

from normtr.spec import FeatureSpec
from stream.capture import camera, sound_clock
from stream.clock import Monotonic
from stream.pipeline.events import Condition, Event
from stream.pipeline.ingest import Ingest
from tests.support import clips
from tests.support.sound_server import SoundServer

pytestmark = pytest.mark.slow

NS_PER_S = 1_000_000_000


def soon(holds: Callable[[], bool], limit_s: float) -> bool:
    until = time.monotonic() + limit_s
    while not holds():
        if time.monotonic() > until:
            return False
        time.sleep(0.02)
    return True


# Camera


class Seen:
    """An ingest whose conditions are remembered."""

    def __init__(self) -> None:
        self.events: list[Event] = []
        self.ingest = Ingest(
            FeatureSpec(), Monotonic().now_ns(), self.events.append, frozenset({"voice", "text"})
        )

    def causes(self) -> list[str | None]:
        return [event.cause for event in self.events if isinstance(event, Condition)]

    def detail(self) -> str:
        return [event.detail for event in self.events if isinstance(event, Condition)][-1]


@contextlib.contextmanager
def watching(which: str) -> Iterator[Seen]:
    """A camera that runs meanwhile, and what it says."""
    seen, source = Seen(), camera.Camera(which)
    source.start(seen.ingest, Monotonic())
    try:
        yield seen
    finally:
        source.stop()


@pytest.fixture(scope="module")
def video(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """12 red frames of 64 x 48."""
    path = tmp_path_factory.mktemp("video") / "red.mp4"
    red = np.zeros((48, 64, 3), np.uint8)
    red[..., 0] = 220
    with av.open(str(path), "w") as container:
        stream = container.add_stream("mpeg4", rate=25, options={"qscale": "2"})
        stream.width, stream.height, stream.pix_fmt = 64, 48, "yuv420p"
        for _ in range(12):
            container.mux(stream.encode(av.VideoFrame.from_ndarray(red, "rgb24")))
        container.mux(stream.encode())
    return path


def test_camera_hands_in_rgb_frames_and_tells_when_they_end(video: Path) -> None:
    before_ns = Monotonic().now_ns()
    with watching(str(video)) as seen:
        assert soon(lambda: "no_device" in seen.causes(), 10.0)
        assert seen.causes() == ["starting", None, "no_device"]
        assert "no more pictures" in seen.detail()
        assert seen.ingest.meters["camera"].items == 12
        shot = seen.ingest.frames.take()
        assert shot is not None
        assert before_ns < shot.at_ns < Monotonic().now_ns()
        assert shot.image.shape == (48, 64, 3)
        assert np.abs(shot.image.mean((0, 1)) - [220, 0, 0]).max() < 12
        # It is opened again by itself, and frames end the condition.
        assert soon(lambda: len(seen.causes()) >= 5, 10.0)
        assert seen.causes()[:5] == ["starting", None, "no_device", None, "no_device"]
        assert seen.ingest.meters["camera"].items >= 24


def test_an_absent_camera_is_told_in_a_sentence(capfd: pytest.CaptureFixture[str]) -> None:
    began = time.monotonic()
    for which in ("99", "/dev/video99"):
        sentence = camera.unusable(which)
        assert sentence is not None
        assert which in sentence
        assert sentence.endswith(".")
    sentence = camera.unusable(__file__)
    assert sentence is not None
    assert "cannot be opened" in sentence
    assert time.monotonic() - began < 10.0
    with watching("99") as seen:
        assert soon(lambda: seen.causes() == ["starting", "no_device"], 10.0)
    assert "99" in seen.detail()
    assert capfd.readouterr().err == ""


@contextlib.contextmanager
def somebody_else() -> Iterator[None]:
    """Root may read everything, so act as another user meanwhile."""
    if os.getuid():
        yield
        return
    os.setresuid(65534, 65534, 0)
    try:
        yield
    finally:
        os.setresuid(0, 0, 0)


def test_a_forbidden_camera_is_denied(video: Path) -> None:
    with tempfile.TemporaryDirectory() as folder:
        os.chmod(folder, 0o755)
        path = Path(folder) / "secret.mp4"
        path.write_bytes(video.read_bytes())
        path.chmod(0)
        with somebody_else():
            sentence = camera.unusable(str(path))
            with watching(str(path)) as seen:
                assert soon(lambda: seen.causes() == ["starting", "denied"], 10.0)
    assert sentence == f"camera {path} is forbidden: {path} cannot be read."


def test_a_camera_that_never_answers_holds_nobody_up() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        which = f"tcp://127.0.0.1:{server.getsockname()[1]}"
        began = time.monotonic()
        sentence = camera.unusable(which)
        assert sentence is not None
        assert "did not open within" in sentence
        with watching(which) as seen:
            pass
        assert time.monotonic() - began < 8.0  # FFmpeg itself would wait 30 s
        assert seen.causes() == ["starting"]


def test_a_pipe_is_not_opened_by_the_check(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "camera")
    began = time.monotonic()
    assert camera.unusable(str(tmp_path / "camera")) is None
    assert time.monotonic() - began < 5.0  # opening it would wait for a writer


# Microphone

LISTENER = """if True:
    import json, os, sys
    import numpy as np
    from normtr.spec import FeatureSpec
    from stream.capture import microphone
    from stream.clock import Monotonic
    from stream.pipeline.events import Condition
    from stream.pipeline.ingest import Ingest
    def post(event):
        if isinstance(event, Condition) and event.modality == "voice":
            print(json.dumps([event.cause, event.at_ns, event.detail]), flush=True)
    print(json.dumps(microphone.unusable()))
    clock = Monotonic()
    ingest = Ingest(FeatureSpec(), clock.now_ns(), post, frozenset())
    source = microphone.Microphone(None)
    source.start(ingest, clock)
    sys.stdin.readline()
    source.stop()
    ring = ingest.ring
    np.save(sys.argv[1], ring.read(0, ring.end).samples)
    print(json.dumps(ingest.origin_ns), flush=True)
    os._exit(0)  # as `normtr live` does
    """


class Listener:
    """A process that listens to the default microphone and tells its conditions."""

    def __init__(self, server: SoundServer, out: Path) -> None:
        self._out = out
        self._process = subprocess.Popen(
            [sys.executable, "-c", LISTENER, out],
            env=server.env,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
        )
        self.unusable = self.line()

    def __enter__(self) -> Listener:
        return self

    def __exit__(self, *_: object) -> None:
        self._process.kill()
        self._process.wait()

    def line(self) -> Any:
        """What it says next; waits for it (the test's own time limit ends a wait in vain)."""
        assert self._process.stdout is not None
        return json.loads(self._process.stdout.readline())

    def finish(self) -> tuple[NDArray[np.float32], int, float]:
        """Samples at 16 kHz, the time of the first in ns, and the seconds it took to end."""
        assert self._process.stdin is not None
        began = time.monotonic()
        self._process.stdin.write("\n")
        self._process.stdin.flush()
        origin_ns = self.line()
        assert self._process.wait(timeout=10) == 0
        return np.load(self._out), origin_ns, time.monotonic() - began


@pytest.fixture(scope="module")
def noise(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """1.5 s of noise, 44.1 kHz mono, below 6 kHz so that nothing is lost at 16 kHz."""
    path = tmp_path_factory.mktemp("sound") / "noise.wav"
    white = np.random.default_rng(3).normal(0, 0.1, 18_000)
    return clips.write_wav(path, soxr.resample(white, 12_000, 44_100), 44_100)


FINER = 8


def best_match(heard: NDArray[np.float32], played: NDArray[np.float32]) -> tuple[int, float]:
    """Where `played` begins in `heard`, and the normalised correlation there.

    At eight times the rate, because a sound need not begin at a sample of ours.
    """
    heard, played = (soxr.resample(sound, 1, FINER) for sound in (heard, played))
    size = 1 << (len(heard) + len(played)).bit_length()
    spectrum = np.fft.rfft(heard, size) * np.conj(np.fft.rfft(played, size))
    at = int(np.argmax(np.fft.irfft(spectrum, size)[: len(heard) - len(played)]))
    part = heard[at : at + len(played)]
    return round(at / FINER), float(part @ played / (np.linalg.norm(part) * np.linalg.norm(played)))


def test_microphone_hears_what_is_played_and_survives_its_server(
    noise: Path, tmp_path: Path
) -> None:
    """One listening process through play, kill, return and stall."""
    with SoundServer() as server, Listener(server, tmp_path / "heard.npy") as listener:
        assert listener.unusable is None
        assert [listener.line()[0] for _ in range(2)] == ["starting", None]
        time.sleep(0.7)
        began_ns = time.monotonic_ns()
        server.play(noise)
        ended_ns = time.monotonic_ns()
        time.sleep(0.3)

        server.kill()
        killed_ns = time.monotonic_ns()
        cause, at_ns, detail = listener.line()
        assert cause == "no_device"
        assert at_ns - killed_ns < 1.5 * NS_PER_S
        assert "no more sound" in detail

        server.start()
        started_ns = time.monotonic_ns()
        cause, at_ns, _ = listener.line()
        assert cause is None
        assert at_ns - started_ns < 4 * NS_PER_S
        time.sleep(0.3)

        # A stopped server answers nothing: closing the stream hangs, the program must not.
        server.stall()
        time.sleep(0.3)
        heard, origin_ns, took_s = listener.finish()
        server.go_on()
        assert took_s < 2.5

    with wave.open(str(noise)) as file:
        pcm = np.frombuffer(file.readframes(-1), "<i2").astype(np.float32) / 32768
    played = soxr.resample(pcm, 44_100, 16_000)
    at, correlation = best_match(heard, played)
    assert correlation > 0.95  # the resampler that follows a drift turns phases over 3 kHz a little
    assert abs(np.linalg.norm(heard[at : at + len(played)]) / np.linalg.norm(played) - 1) < 0.02
    # The times are true: it began and ended while the player ran. (A null sink renders its sound
    # 50 ms ahead of time, and its monitor hears it then.)
    begin_ns = origin_ns + at * NS_PER_S // 16_000
    end_ns = begin_ns + len(played) * NS_PER_S // 16_000
    assert began_ns - 50_000_000 < begin_ns
    assert end_ns < ended_ns + 60_000_000
    # Before it nothing was played, and nothing was heard.
    silence = heard[at - 9_600 : at - 1_600]
    assert len(silence) == 8_000
    assert not silence.any()


def test_a_machine_without_sound_says_so() -> None:
    program = "from stream.capture import microphone; print(microphone.unusable())"
    with tempfile.TemporaryDirectory() as folder:
        config = Path(folder) / "alsa.conf"
        config.write_text("pcm.none { type hw card 99 }\n")
        (Path(folder) / "stream.py").touch()  # a user's own, which the child must not take for ours
        done = subprocess.run(
            [sys.executable, "-P", "-c", program],
            cwd=folder,
            env=os.environ | {"ALSA_CONFIG_PATH": str(config)},
            capture_output=True,
            text=True,
            timeout=20,
        )
    assert done.stdout.strip() == "there is no microphone: the sound system lists no input."


def block(came_ms: int, age_s: float = -1.0, overflowed: bool = False) -> sound_clock.SoundBlock:
    """20 ms at 48 kHz; age -1: the driver tells none."""
    samples = np.zeros((960, 1), np.float32)
    return sound_clock.SoundBlock(came_ms * 1_000_000, age_s, samples, overflowed)


def test_late_blocks_do_not_move_the_sound() -> None:
    """A callback held up for 300 ms hands 15 blocks over at once; wrong ages come first."""
    timeline = sound_clock.Timeline(48_000)
    came = [max((n + 1) * 20, 900 if 30 <= n < 45 else 0) for n in range(100)]
    ages = [0.09, 0.07, *[-1.0, 0.0, 1e9, 0.02] * 25]
    placed = [timeline.push(block(ms, age)) for ms, age in zip(came, ages, strict=False)]
    assert not any(placed[: sound_clock.SETTLED_BLOCKS - 1])
    assert [begin_ns for some in placed for begin_ns, _ in some] == [
        n * 20_000_000 for n in range(100)
    ]


def test_an_overflow_moves_the_sound() -> None:
    timeline = sound_clock.Timeline(48_000)
    for n in range(20):
        timeline.push(block((n + 1) * 20))
    later = [timeline.push(block(900 + n * 20, overflowed=n == 0)) for n in range(8)]
    assert [begin_ns for some in later for begin_ns, _ in some] == [
        (880 + n * 20) * 1_000_000 for n in range(8)
    ]
