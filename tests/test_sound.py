"""Sound on the grid: the same samples however it is cut, and holes where it did not come."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from normtr.sound import Hole, PlacedSamples, Samples, SoundTrack, hole_cause

RATE = 16_000
SECOND = 1_000_000_000
rates = st.sampled_from([8000, 11_025, 16_000, 22_050, 44_100, 48_000, 96_000])


def noise(count: int) -> Samples:
    return np.random.default_rng(count).standard_normal(count).astype(np.float32)


def joined(pieces: Sequence[PlacedSamples]) -> dict[int, float]:
    """Every sample by its number; a number given twice is an error."""
    out: dict[int, float] = {}
    for piece in pieces:
        for number, sample in enumerate(piece.samples, piece.begin):
            assert number not in out
            out[number] = float(sample)
    return out


def run(
    track: SoundTrack, sound: Samples, rate: int, cuts: Sequence[int], at_ns: int
) -> list[PlacedSamples]:
    """Push the sound in blocks that end at `cuts`."""
    out: list[PlacedSamples] = []
    edges = [0, *sorted(cuts), len(sound)]
    for begin, end in pairwise(edges):
        out += track.push(at_ns + begin * SECOND // rate, sound[begin:end], rate)
    return out


@given(rates, st.lists(st.integers(0, 6000), max_size=30), st.integers(0, 3 * SECOND))
def test_the_samples_do_not_hang_on_the_sizes_of_the_blocks(
    rate: int, cuts: list[int], at_ns: int
) -> None:
    sound = noise(6000)
    whole, cut = SoundTrack(RATE), SoundTrack(RATE)
    expected = joined([*whole.push(at_ns, sound, rate), *whole.flush()])
    assert joined([*run(cut, sound, rate, cuts, at_ns), *cut.flush()]) == expected
    assert min(expected) == round(at_ns * RATE / SECOND)
    assert abs(len(expected) - 6000 * RATE / rate) <= 1


@pytest.mark.parametrize("rate", [8000, 11_025, 44_100, 48_000, 96_000])
def test_a_tone_comes_out_at_its_time_with_its_level(rate: int) -> None:
    track = SoundTrack(RATE)
    tone = np.sin(2 * np.pi * 440 * np.arange(rate) / rate).astype(np.float32)
    out = joined([*track.push(SECOND, tone, rate), *track.flush()])
    middle = np.array([out[n] for n in range(RATE + 4000, RATE + 12_000)])
    expected = np.sin(2 * np.pi * 440 * np.arange(4000, 12_000) / RATE)
    assert np.abs(middle - expected).max() < 0.01


def test_jitter_of_the_times_does_not_tear_the_sound() -> None:
    track = SoundTrack(RATE)
    jitter = np.random.default_rng(1).integers(-50_000_000, 50_000_000, 50)
    out: list[PlacedSamples] = []
    for n in range(50):
        at_ns = SECOND + n * SECOND // 50 + (int(jitter[n]) if n else 0)
        out += track.push(at_ns, noise(320), RATE)
    assert sorted(joined([*out, *track.flush()])) == list(range(RATE, 2 * RATE))


def test_a_jump_leaves_a_hole_where_nothing_came() -> None:
    track = SoundTrack(RATE)
    out = [*track.push(0, noise(RATE), RATE), *track.push(3 * SECOND, noise(RATE), RATE)]
    numbers = sorted(joined([*out, *track.flush()]))
    assert numbers == [*range(RATE), *range(3 * RATE, 4 * RATE)]


def test_a_jump_back_does_not_say_again_what_was_said() -> None:
    track = SoundTrack(RATE)
    first, again = noise(RATE), noise(2 * RATE)
    out = [*track.push(0, first, RATE), *track.push(SECOND // 2, again, RATE), *track.flush()]
    said = joined(out)
    assert sorted(said) == list(range(5 * RATE // 2))
    assert said[RATE - 1] == first[-1]


def test_another_sample_rate_in_the_middle_goes_on_without_a_hole() -> None:
    track = SoundTrack(RATE)
    out = [*track.push(0, noise(48_000), 48_000), *track.push(SECOND, noise(8000), 8000)]
    assert sorted(joined([*out, *track.flush()])) == list(range(2 * RATE))


def test_what_lies_before_the_origin_is_dropped() -> None:
    track = SoundTrack(RATE)
    sound = noise(RATE)
    said = joined([*track.push(-SECOND // 4, sound, RATE), *track.flush()])
    assert sorted(said) == list(range(3 * RATE // 4))
    assert said[0] == sound[RATE // 4]


def test_nothing_comes_of_nothing() -> None:
    track = SoundTrack(RATE)
    assert track.flush() == []
    assert joined([*track.push(0, noise(0), 44_100), *track.flush()]) == {}


def test_a_step_is_whole_while_its_holes_are_shorter_than_40_ms() -> None:
    assert hole_cause([], 4000, 8000, RATE) == "none"
    assert hole_cause([Hole(4000, 4640, "dropped")], 4000, 8000, RATE) == "none"
    assert hole_cause([Hole(4000, 4641, "dropped")], 4000, 8000, RATE) == "dropped"
    scattered = [Hole(n, n + 200, "stalled") for n in range(4000, 8000, 1000)]
    assert hole_cause(scattered, 4000, 8000, RATE) == "stalled"


def test_only_the_part_of_a_hole_inside_the_step_counts_and_the_longest_is_named() -> None:
    before, after = Hole(0, 4500, "paused"), Hole(7000, 20_000, "stalled")
    assert hole_cause([before], 4000, 8000, RATE) == "none"
    assert hole_cause([before, after], 4000, 8000, RATE) == "stalled"
    assert (
        hole_cause([Hole(0, 4000, "paused"), Hole(8000, 9000, "paused")], 4000, 8000, RATE)
        == "none"
    )
