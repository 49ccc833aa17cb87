"""Microphones that are muted, rerouted, stalled, changed, chosen by name; and clocks that drift."""

from __future__ import annotations

import contextlib
import os
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import psutil
import pytest

from normtr.sound import SoundTrack
from stream.capture import microphone
from stream.capture.sound_clock import SoundBlock, Timeline
from stream.clock import Monotonic
from tests.support import clips
from tests.support.sound_server import SoundServer

pytestmark = pytest.mark.slow

RATE = 16_000
LIMIT_S = 10.0


class Ear:
    """What a microphone hands its sound to: remembers causes, and when which sound came."""

    def __init__(self) -> None:
        self.causes: list[tuple[int, str | None, str]] = []
        self.blocks: list[tuple[int, int, int, float]] = []

    def condition(self, _source: str, cause: str | None, at_ns: int, detail: str = "") -> None:
        self.causes.append((at_ns, cause, detail))

    def picture(self, *_: object) -> None:
        raise AssertionError("a microphone sees nothing")

    def heard(self, at_ns: int, samples: np.ndarray, rate: int, _cause: str) -> None:  # type: ignore[type-arg]
        self.blocks.append((time.monotonic_ns(), at_ns, rate, float(np.abs(samples).max())))

    def hears(self, loud: bool = True, rate: int | None = None) -> float:
        """Seconds until 10 new blocks came that are loud, or exact zeros; fails after `LIMIT_S`."""
        began, before = time.monotonic(), len(self.blocks)
        while time.monotonic() - began < LIMIT_S:
            new = [b for b in self.blocks[before:] if rate is None or b[2] == rate]
            if sum((peak > 0.01) if loud else peak == 0.0 for *_, peak in new) >= 10:
                return time.monotonic() - began
            time.sleep(0.02)
        raise AssertionError(f"nothing like it within {LIMIT_S} s: {self.causes}")


@pytest.fixture
def tone(tmp_path: Path) -> Path:
    """60 s of 440 Hz with amplitude 0.3."""
    return clips.write_wav(tmp_path / "tone.wav", clips.tone(44_100, 60, level=0.3), 44_100)


@contextlib.contextmanager
def playing(server: SoundServer, tone: Path) -> Iterator[None]:
    with subprocess.Popen(["paplay", tone], env=server.env) as player:
        yield
        player.kill()


@contextlib.contextmanager
def listening(server: SoundServer, which: str | None) -> Iterator[Ear]:
    """A microphone of the private server in this process, whose environment it gets meanwhile."""
    ear, source = Ear(), microphone.Microphone(which)
    before = dict(os.environ)
    os.environ.update(server.env)
    try:
        source.start(ear, Monotonic())
        yield ear
    finally:
        source.stop()
        os.environ.clear()
        os.environ.update(before)


def test_a_microphone_through_mute_stall_kill_and_change(tone: Path) -> None:
    with SoundServer() as server, listening(server, None) as ear:
        with playing(server, tone):
            ear.hears()
            server.control("set-source-mute", "speaker.monitor", "1")
            ear.hears(loud=False)
            server.control("set-source-mute", "speaker.monitor", "0")
            ear.hears()

            # Stalled for so long that its reader was ended: a new one hears when it goes on.
            server.stall()
            time.sleep(0.5)
            count = len(ear.blocks)
            time.sleep(microphone.SILENT_LIMIT_NS / 1e9 + 0.7)
            assert len(ear.blocks) == count
            server.go_on()
            assert ear.hears() < 3.0
        # Another device comes in its place.
        server.kill()
        until = time.monotonic() + LIMIT_S
        while ear.causes[-1][1] != "no_device" and time.monotonic() < until:
            time.sleep(0.02)
        assert ear.causes[-1][1] == "no_device"
        server.start(rate=16_000, channels=1)
        with playing(server, tone):
            assert ear.hears() < 4.0
        # The device's module is taken away: the server leads the stream to another one.
        server.control("load-module", "module-null-sink", "sink_name=other", "norewinds=1")
        server.control("unload-module", "1")
        ear.hears(loud=False)


def test_what_is_played_is_heard_by_the_name_of_its_monitor(tone: Path) -> None:
    with SoundServer() as server:
        server.control("load-module", "module-null-sink", "sink_name=other", "rate=32000")
        server.control("set-default-source", "other.monitor")
        with listening(server, "SPEAKER.mon") as ear:
            known, _ = microphone.inputs()
            assert {"speaker.monitor", "other.monitor"} <= {i.source for i in known}
            with playing(server, tone):
                ear.hears(rate=44_100)
            processes = psutil.Process().children()
            assert any("stream.capture.sound_input" in p.cmdline() for p in processes)
        _, alive = psutil.wait_procs(processes, timeout=5)
        assert not [p for p in alive if "stream.capture.sound_input" in p.cmdline()]


def test_a_name_that_fits_no_microphone_is_told_with_those_there_are() -> None:
    with SoundServer() as server, listening(server, "no such thing") as ear:
        sentence = microphone.unusable("no such thing")
        until = time.monotonic() + LIMIT_S
        while len(ear.causes) < 2 and time.monotonic() < until:
            time.sleep(0.02)
    assert sentence == ear.causes[1][2]
    assert "there is no microphone 'no such thing'; there are: " in sentence
    assert "Monitor of Null Output" in sentence


@pytest.mark.parametrize("ppm", [100.0, -100.0])
def test_an_hour_of_a_clock_that_drifts(ppm: float) -> None:
    """Virtual time: clicks a minute apart stay at their place, and no sample is lost or torn."""
    random = np.random.default_rng(7)
    true_rate, size = RATE * (1 + ppm / 1e6), RATE // 10
    timeline, track = Timeline(RATE), SoundTrack(RATE)
    click = np.hanning(64).astype(np.float32)
    clicks: list[float] = []
    found: dict[int, tuple[float, float]] = {}
    end = None
    for n in range(0, 3600 * RATE, size):
        samples = np.zeros((size, 1), np.float32)
        if n % (60 * RATE) == 0:
            samples[200:264, 0] = click
            clicks.append((n + 232) / true_rate)
        # Callbacks come late at random; the driver's age errs by some ms.
        came_ns = int((n + size) / true_rate * 1e9 + random.exponential(2e6))
        age_s = size / true_rate + random.normal(0, 0.002)
        for begin_ns, placed in timeline.push(SoundBlock(came_ns, age_s, samples, False)):
            for piece in track.push(begin_ns, placed.samples[:, 0], RATE, steered=True):
                assert end is None or piece.begin == end
                end = piece.begin + len(piece.samples)
                at = int(piece.samples.argmax())
                if (peak := float(piece.samples[at])) > 0.2:
                    key = (piece.begin + at + RATE) // (60 * RATE)
                    found[key] = max(found.get(key, (0.0, 0.0)), (peak, (piece.begin + at) / RATE))
    assert len(found) == len(clicks) == 60
    errors_ms = [1000 * (at - clicks[minute]) for minute, (_, at) in sorted(found.items())]
    assert max(map(abs, errors_ms)) < 8
    assert min(peak for peak, _ in found.values()) > 0.98
    assert end is not None
    assert abs(end - 3600 * RATE * RATE / true_rate) < 0.1 * RATE  # what the resampler still holds
    assert track.drift.ppm == pytest.approx(ppm, abs=1.0)
