"""Speech is found in a stream of sound as it is found in the whole, however the sound comes in."""

from __future__ import annotations

from functools import cache
from pathlib import Path

import numpy as np
import pytest
from faster_whisper.audio import decode_audio

from normtr.sound import Samples
from normtr.speech import RATE, stretches
from normtr.voice_activity import CHUNK, VoiceActivity

pytestmark = pytest.mark.slow

DEMO = Path(__file__).parents[1] / "stream" / "demo.mp4"


@cache
def demo() -> Samples:
    sound = decode_audio(str(DEMO))
    return np.asarray(sound[: len(sound) // CHUNK * CHUNK], np.float32)


def followed(chunks: int, begin: int = 0) -> list[tuple[int, bool, int]]:
    """Where the sound ended, whether somebody spoke then, and where the last speech ended."""
    activity = VoiceActivity(begin)
    seen = []
    for first in range(0, len(demo()), chunks * CHUNK):
        activity.hear(demo()[first : first + chunks * CHUNK])
        seen.append((activity.end, activity.speaking, activity.speech_end))
    return seen


def test_speech_ends_where_silero_finds_its_end_in_the_whole_sound() -> None:
    ends = sorted({speech_end for _, speaking, speech_end in followed(1) if not speaking})[1:]
    expected = [end for _, end in stretches(demo())]
    assert len(ends) == len(expected) > 4
    assert np.abs(np.subtract(ends, expected)).max() <= CHUNK


def test_somebody_speaks_from_100_ms_of_speech_to_100_ms_of_pause() -> None:
    said = stretches(demo())
    late = 0.15 * RATE  # 100 ms in whole chunks
    for end, speaking, _ in followed(1):
        if any(begin + late < end <= last for begin, last in said):
            assert speaking
        if not any(begin + late / 2 < end <= last + late for begin, last in said):
            assert not speaking


@pytest.mark.parametrize("chunks", [3, 16, 1000])
def test_it_does_not_matter_in_what_pieces_the_sound_comes(chunks: int) -> None:
    piecewise = {end: (speaking, speech) for end, speaking, speech in followed(1)}
    for end, speaking, speech in followed(chunks):
        assert piecewise[end] == (speaking, speech)


def test_samples_count_from_where_the_stream_begins() -> None:
    shifted = [(end - 9 * RATE, on, speech - 9 * RATE) for end, on, speech in followed(3, 9 * RATE)]
    assert shifted == followed(3)
