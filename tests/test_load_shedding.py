"""Load shedding by its rules, whatever the machine does; duty cycles as sources and workers keep it."""

from __future__ import annotations

from collections.abc import Callable
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from normtr import checkpoint
from normtr.shipped import SHIPPED
from normtr.spec import FeatureSpec
from normtr.voice import VoiceEncoder
from stream.pipeline.events import Arrived, Down, Dropped, Event, FeatureRow, TextReady
from stream.pipeline.handoff import SoundRing
from stream.pipeline.ingest import Ingest
from stream.pipeline.load_shedding import (
    CALM,
    JUDGED,
    LEVELS,
    LONGEST_CALM,
    DutyCycle,
    DutyCycles,
    LoadShedding,
)
from stream.pipeline.models import Models
from stream.pipeline.outputs import Notice
from stream.pipeline.pipe import LATE_NS, STARTING_STEPS, Pipe, judged
from stream.pipeline.pipe_config import PipeConfig
from stream.pipeline.workers import VoiceWorker

BOTTOM = len(LEVELS) - 1
HOUR = 4 * 3600


def climb(
    load_shedding: LoadShedding, steps: int, in_time: Callable[[int, int], bool]
) -> list[tuple[int, int]]:
    """(step, level) of each change; `in_time` is asked with step and level."""
    return [
        (step, load_shedding.level)
        for step in range(steps)
        if load_shedding.step(in_time(step, load_shedding.level))
    ]


def test_the_order_in_which_things_are_given_up() -> None:
    paces = [level.duty_cycle for level in LEVELS]
    assert paces[0] == DutyCycle(1, 1, 1)
    for before, after in pairwise(paces):
        # One thing at a time, and nothing comes back on the way down.
        numbers = zip(vars(before).values(), vars(after).values(), strict=True)
        assert sorted(b - a > 0 for a, b in numbers) == [False, False, True]
    assert [duty_cycle.face for duty_cycle in paces] == [1, 2, 2, 2, 2]
    assert [duty_cycle.transcribe for duty_cycle in paces] == [1, 1, 2, 4, 4]
    assert [duty_cycle.voice for duty_cycle in paces] == [1, 1, 1, 1, 2]


@given(st.lists(st.booleans(), max_size=600))
def test_levels_change_by_one_stay_in_range_and_only_for_a_reason(steps: list[bool]) -> None:
    load_shedding = LoadShedding()
    since: list[bool] = []
    for in_time in steps:
        before = load_shedding.level
        since.append(in_time)
        change = load_shedding.step(in_time)
        assert load_shedding.level == before + change
        assert 0 <= load_shedding.level <= BOTTOM
        if change > 0:
            assert since[-JUDGED:].count(False) >= LEVELS[load_shedding.level].missed
        if change < 0:
            assert in_time
            assert len(since) >= CALM > JUDGED
        if change:
            since = []


@given(st.lists(st.booleans(), max_size=300))
def test_a_machine_that_is_fast_again_gets_everything_back(before: list[bool]) -> None:
    load_shedding = LoadShedding()
    for in_time in before:
        load_shedding.step(in_time)
    climb(load_shedding, LONGEST_CALM + BOTTOM * CALM, lambda step, level: True)
    assert load_shedding.level == 0


def test_a_machine_far_too_slow_is_at_the_bottom_after_five_seconds() -> None:
    load_shedding = LoadShedding()
    assert climb(load_shedding, 30, lambda step, level: False) == [(3, 1), (7, 2), (11, 3), (19, 4)]


def test_the_voice_is_not_halved_where_less_than_half_is_late() -> None:
    load_shedding = LoadShedding()
    climb(load_shedding, 1000, lambda step, level: step % 5 > 1)
    assert load_shedding.level == BOTTOM - 1


def test_one_stall_gives_nothing_up() -> None:
    assert not climb(LoadShedding(), 100, lambda step, level: step not in (10, 11, 12))


@given(st.integers(1, BOTTOM))
def test_a_load_that_one_level_bears_does_not_make_it_flap(enough: int) -> None:
    changes = climb(LoadShedding(), HOUR, lambda step, level: level >= enough)
    tries = [step for step, level in changes if level == enough - 1 and step > 30]
    waits = [after - before for before, after in pairwise(tries)]
    assert waits == sorted(waits)
    assert len(tries) <= 8 + HOUR // LONGEST_CALM  # of an hour's 14,400 steps


@given(st.integers(8, 100))
def test_between_the_two_thresholds_nothing_changes(every: int) -> None:
    """One step in 8 late is too little to give something up; up to 10, too much to take it back."""
    load_shedding = LoadShedding()
    climb(load_shedding, 4, lambda step, level: False)
    assert load_shedding.level == 1
    climb(load_shedding, 2000, lambda step, level: step % every != 0)
    assert load_shedding.level == (1 if every <= 11 else 0)


def test_paces_hold_for_whole_steps() -> None:
    duty_cycles = DutyCycles()
    duty_cycles.change(10, 1)
    duty_cycles.change(20, 4)
    assert [duty_cycles.at(step).face for step in (0, 9, 10, 19, 20)] == [1, 1, 2, 2, 2]
    assert [step for step in range(16, 26) if duty_cycles.hears(step)] == [
        16,
        17,
        18,
        19,
        20,
        22,
        24,
    ]
    assert duty_cycles.newest == LEVELS[4].duty_cycle


def paced(pipe: Pipe, models: Models, late_ns: dict[int, int], steps: range) -> list[Notice]:
    """The notices of these steps, of which some begin late."""
    notices: list[Notice] = []
    for step in steps:
        now_ns = pipe.closes_ns(step) + late_ns.get(step, 0)
        window = pipe.recognizer.window(step)
        (estimate,) = judged([pipe], [window], models.predictor, step, now_ns)
        notices += pipe.keep_pace(estimate, late_ns.get(step, 0), now_ns)
    return notices


def test_the_pipe_says_what_it_gives_up_and_when_it_takes_it_back() -> None:
    config = PipeConfig(text="off")
    models = Models(config)
    pipe = Pipe(config, models, 0, lambda event: None)
    late = dict.fromkeys(range(20, 24), LATE_NS + 1)
    notices, levels = [], []
    for step in range(70):
        notices += paced(pipe, models, late, range(step, step + 1))
        levels.append(pipe.health(pipe.closes_ns(step), measured=False).level)
    assert [(notice.kind, notice.at_ns) for notice in notices] == [
        ("degraded", 25 * pipe.spec.step_ns),  # the step after the one that has begun
        ("recovered", 65 * pipe.spec.step_ns),
    ]
    assert notices[0].detail == "level 1 of 4 from now on: half of the pictures"
    assert levels == [0] * 23 + [1] * 40 + [0] * 7
    assert [pipe.ingest.duty_cycles.at(step).face for step in (24, 25, 64, 65)] == [1, 2, 2, 1]


@pytest.mark.slow
def test_the_program_s_own_start_gives_nothing_up() -> None:
    """Neither the first seconds, nor those in which the speech model still loads."""
    models = Models(PipeConfig(text="off"))
    late = dict.fromkeys(range(400), LATE_NS + 1)
    pipe = Pipe(PipeConfig(text="off"), models, 0, lambda event: None)
    assert paced(pipe, models, late, range(STARTING_STEPS)) == []
    assert paced(pipe, models, late, range(STARTING_STEPS, STARTING_STEPS + 8))

    config = PipeConfig()
    models = Models(config)
    assert models.text is not None
    pipe = Pipe(config, models, 0, lambda event: None)
    assert paced(pipe, models, late, range(40)) == []
    pipe.absorb(TextReady(models.text))
    assert paced(pipe, models, late, range(40, 48))

    pipe = Pipe(config, models, 0, lambda event: None)
    assert paced(pipe, models, late, range(40)) == []
    pipe.absorb(Down("transcribe", 0, "it cannot be loaded"))
    assert paced(pipe, models, late, range(40, 48))


def test_fewer_pictures_are_wanted_and_only_those_arrive() -> None:
    events: list[Event] = []
    ingest = Ingest(FeatureSpec(), 0, events.append, frozenset())
    ingest.duty_cycles.change(2, 1)
    for at_ms in range(0, 1000, 40):
        ingest.picture(at_ms * 1_000_000, lambda: np.zeros((8, 8, 3), np.uint8))
    arrived = [event.step for event in events if isinstance(event, Arrived)]
    assert arrived == [0, 0, 1, 1, 2, 3]


def test_at_the_bottom_every_second_voice_step_is_given_up_and_the_others_are_as_ever() -> None:
    loaded = checkpoint.load(SHIPPED)
    encoder = VoiceEncoder(loaded.spec.voice, loaded.voice)
    sound = np.random.default_rng(0).normal(scale=0.1, size=8 * 4000).astype(np.float32)

    def rows(level: int) -> tuple[dict[int, np.ndarray], list[int]]:
        ring, duty_cycles = SoundRing(16_000, 160_000), DutyCycles()
        duty_cycles.change(2, level)
        worker = VoiceWorker(ring, encoder, loaded.spec, 0, duty_cycles)
        events: list[Event] = []
        for step in range(8):
            ring.append(sound[step * 4000 : (step + 1) * 4000])
            work = worker.take(0)
            assert work is not None
            events += worker.run(work)
        got = {e.step: e.vector for e in events if isinstance(e, FeatureRow)}
        given_up = [e.step for e in events if isinstance(e, Dropped)]
        return {step: row for step, row in got.items() if row is not None}, given_up

    every, none = rows(0)
    some, given_up = rows(BOTTOM)
    assert (list(every), none) == (list(range(8)), [])
    assert (list(some), given_up) == ([0, 1, 2, 4, 6], [3, 5, 7])
    assert all(np.array_equal(row, every[step]) for step, row in some.items())
