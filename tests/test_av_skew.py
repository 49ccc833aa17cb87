"""`normtr doctor --av-skew` on clips whose skew is known, and on what has none to tell."""

from __future__ import annotations

import json
import re
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from stream.capture import av_skew
from stream.commands import doctor
from stream.session.session import DEMO
from tests.support.clips import write

RATE = 48_000
SECONDS = 5.0
FLASHES_S = (1.0, 2.6, 4.2)


def flash(size: tuple[int, int], at_s: float) -> NDArray[np.uint8]:
    """White for two frames, else dark with a moving edge."""
    image = np.full((size[1], size[0], 3), 40, np.uint8)
    image[:, : round(at_s * 10)] = 90
    if any(0 <= at_s - begin < 0.079 for begin in FLASHES_S):
        image[:] = 235
    return image


def dark(size: tuple[int, int], _at_s: float) -> NDArray[np.uint8]:
    return np.full((size[1], size[0], 3), 40, np.uint8)


def beeps(skew_s: float) -> NDArray[np.float32]:
    """1 kHz for 60 ms after each flash, over a little noise."""
    times = np.arange(round(RATE * SECONDS)) / RATE
    sound = np.random.default_rng(5).normal(0, 0.002, len(times))
    for begin in FLASHES_S:
        on = (times >= begin + skew_s) & (times < begin + skew_s + 0.06)
        sound += on * 0.3 * np.sin(2 * np.pi * 1000 * times)
    return sound.astype(np.float32)


@pytest.mark.parametrize("skew_ms", [-240, -40, 0, 15, 120, 480])
@pytest.mark.parametrize("name", ["clip.mkv", "clip.mp4"])
def test_a_known_skew_is_found(tmp_path: Path, name: str, skew_ms: int) -> None:
    clip = write(
        tmp_path / name, seconds=SECONDS, draw=flash, rate=RATE, samples=beeps(skew_ms / 1000)
    )
    skew = av_skew.measure(str(clip), None)
    assert skew.pairs == len(FLASHES_S)
    assert skew.resolution_ms == pytest.approx(41.0)
    # The times in a clip are exact, up to the codec's; a camera's flash hits a frame anywhere.
    assert abs(skew.ms - skew_ms) < 8


def test_doctor_tells_it(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    clip = write(tmp_path / "a.mkv", seconds=SECONDS, draw=flash, rate=RATE, samples=beeps(0.12))
    assert doctor.run(["--av-skew", str(clip)]) == 0
    assert re.search(r"(119|12[01]) ms after the picture", capsys.readouterr().out)
    assert doctor.run(["--av-skew", str(clip), "--json"]) == 0
    told = json.loads(capsys.readouterr().out)
    assert told["ms"] == pytest.approx(120, abs=2)
    assert told["pairs"] == 3


@pytest.mark.parametrize(
    ("picture", "sound", "says"),
    [
        (dark, beeps(0.0), "no flash was seen"),
        (flash, 0 * beeps(0.0), "no beep was heard"),
        (flash, np.roll(beeps(0.0), RATE), "do not agree|within 1 s"),
    ],
    ids=["dark", "silent", "apart"],
)
def test_what_is_not_there_is_said(
    tmp_path: Path,
    picture: object,
    sound: NDArray[np.float32],
    says: str,
    capsys: pytest.CaptureFixture[str],
) -> None:
    clip = write(tmp_path / "a.mkv", seconds=SECONDS, draw=picture, rate=RATE, samples=sound)  # type: ignore[arg-type]
    assert doctor.run(["--av-skew", str(clip)]) == 1
    assert any(part in capsys.readouterr().err for part in says.split("|"))


def test_a_clip_of_speech_has_no_skew_to_tell(capsys: pytest.CaptureFixture[str]) -> None:
    assert doctor.run(["--av-skew", str(DEMO)]) == 1
    assert "normtr doctor: " in capsys.readouterr().err
