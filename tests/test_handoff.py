"""What passes data between threads: nothing is lost without being counted or marked."""

from __future__ import annotations

import threading

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from normtr.sound import Hole
from stream.pipeline.handoff import Newest, SoundRing

CAPACITY = 50
actions = st.one_of(
    st.tuples(st.just("append"), st.integers(0, CAPACITY + 20)),
    st.tuples(st.just("skip"), st.integers(-10, CAPACITY + 60)),
)


def test_a_newer_item_displaces_the_one_nobody_took() -> None:
    slot: Newest[str] = Newest()
    assert slot.take() is None
    assert slot.put("a") is None
    assert slot.put("b") == "a"
    assert (slot.take(), slot.take(), slot.dropped) == ("b", None, 1)


def test_between_two_threads_every_item_is_taken_or_displaced_once_and_in_order() -> None:
    slot: Newest[int] = Newest()
    displaced: list[int] = []
    taken: list[int] = []
    done = threading.Event()

    def put() -> None:
        for n in range(20_000):
            if (old := slot.put(n)) is not None:
                displaced.append(old)
        done.set()

    thread = threading.Thread(target=put)
    thread.start()
    while not done.is_set() or taken[-1:] != [19_999]:
        if (item := slot.take()) is not None:
            taken.append(item)
    thread.join()
    assert taken == sorted(taken)
    assert sorted([*taken, *displaced]) == list(range(20_000))
    assert slot.dropped == len(displaced)


@given(st.lists(actions, max_size=25), st.data())
def test_the_ring_equals_one_long_array_of_which_the_last_samples_can_be_read(
    story: list[tuple[str, int]], data: st.DataObject
) -> None:
    ring = SoundRing(16_000, CAPACITY)
    whole = np.zeros(0, np.float32)
    holes: list[Hole] = []
    for action, number in story:
        if action == "append":
            samples = np.arange(len(whole) + 1, len(whole) + 1 + number, dtype=np.float32)
            ring.append(samples)
            whole = np.concatenate([whole, samples])
        else:
            to = len(whole) + number
            ring.skip_to(to, "stalled")
            if to > len(whole):
                holes.append(Hole(len(whole), to, "stalled"))
                whole = np.concatenate([whole, np.zeros(number, np.float32)])
        assert ring.end == len(whole)
    assert ring.missing == sum(hole.end - hole.begin for hole in holes)
    kept = [hole for hole in holes if hole.end > len(whole) - CAPACITY]
    assert [hole for hole in ring.holes if hole in kept] == kept
    end = data.draw(st.integers(0, len(whole)))
    begin = data.draw(
        st.integers(max(len(whole) - CAPACITY, 0), max(end, len(whole) - CAPACITY, 0))
    )
    if begin <= end:
        sound = ring.read(begin, end)
        assert (sound.begin, sound.end) == (begin, end)
        assert np.array_equal(sound.samples, whole[begin:end])


def test_before_the_first_sample_there_is_silence() -> None:
    ring = SoundRing(16_000, CAPACITY)
    ring.append(np.ones(4, np.float32))
    assert ring.read(-3, 2).samples.tolist() == [0, 0, 0, 1, 1]


def test_what_has_not_come_and_what_was_overwritten_cannot_be_read() -> None:
    ring = SoundRing(16_000, CAPACITY)
    ring.append(np.ones(CAPACITY, np.float32))
    with pytest.raises(ValueError, match="up to sample 50"):
        ring.read(0, CAPACITY + 1)
    ring.append(np.ones(1, np.float32))
    with pytest.raises(ValueError, match=r"not \[0, 10\)"):
        ring.read(0, 10)


def test_a_stretch_that_was_read_cannot_be_changed_from_either_side() -> None:
    ring = SoundRing(16_000, CAPACITY)
    ring.append(np.ones(CAPACITY, np.float32))
    sound = ring.read(0, 10)
    ring.append(np.zeros(CAPACITY, np.float32))
    assert sound.samples.all()
    with pytest.raises(ValueError, match="read-only"):
        sound.samples[0] = 0
