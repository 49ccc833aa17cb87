"""Rows on the grid: which pictures are wanted, which cause is named, what a window holds."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from normtr.cause import GAPS, Cause, first_cause
from normtr.spec import MODALITIES, FaceSpec, FeatureSpec
from normtr.window import Row, Slots, assemble, mean_row

SPEC = FeatureSpec()
SECOND = 1_000_000_000
Column = list[tuple[str, Row | None]]

causes = st.sampled_from([Cause.NONE, *GAPS])
rising_times = st.lists(st.integers(0, 400_000_000), max_size=200).map(
    lambda gaps: [sum(gaps[: n + 1]) for n in range(len(gaps))]
)


def column(modality: str, causes: Sequence[str]) -> Column:
    """A row of ones wherever the cause is `none`."""
    row = np.ones(SPEC.dims[modality], np.float32)
    return [(cause, row if cause == Cause.NONE else None) for cause in causes]


def columns(**causes: Sequence[str]) -> dict[str, Column]:
    return {m: column(m, causes.get(m, [Cause.NONE] * SPEC.steps)) for m in MODALITIES}


def test_causes_stand_in_the_order_in_which_they_are_named() -> None:
    order = (
        *(
            "off",
            "starting",
            "paused",
            "muted",
            "denied",
            "no_device",
            "no_track",
            "stalled",
            "dropped",
        ),
        *("error", "late", "no_face", "turned_away", "poor_image", "silence", "no_words"),
    )
    assert order == GAPS


@given(st.lists(causes))
def test_the_first_cause_is_one_that_holds_and_none_only_where_nothing_is_wrong(
    held: list[str],
) -> None:
    named = first_cause(held)
    wrong = set(held) - {Cause.NONE}
    assert (named == Cause.NONE) == (not wrong)
    assert not wrong or named == next(cause for cause in GAPS if cause in wrong)
    assert first_cause(reversed(held)) == named


@given(rising_times, st.sampled_from([1, 2, 5]))
def test_of_any_pictures_each_parts_first_is_wanted_and_no_other(
    times: list[int], parts: int
) -> None:
    spec = FeatureSpec(face=FaceSpec(slots_per_step=parts))
    slots = Slots(spec)
    wanted = [(at, step) for at in times if (step := slots.step_for(at)) is not None]
    part_ns = spec.step_ns // parts
    first_of: dict[int, int] = {}
    for at in times:
        first_of.setdefault(at // part_ns, at)
    assert wanted == [(at, at // spec.step_ns) for at in first_of.values()]


@pytest.mark.parametrize(
    ("fps", "wanted"), [(1, 1), (4, 4), (7.5, 7), (8, 8), (15, 8), (25, 8), (29.97, 8), (240, 8)]
)
def test_a_second_at_any_frame_rate_gives_at_most_two_pictures_a_step(
    fps: float, wanted: int
) -> None:
    slots = Slots(SPEC)
    taken = [slots.step_for(round(n * SECOND / fps)) for n in range(int(fps))]
    steps = [step for step in taken if step is not None]
    assert len(steps) == wanted
    assert steps == sorted(steps)
    assert max(steps.count(step) for step in steps) <= 2


def test_a_step_can_be_given_fewer_pictures_from_its_begin_on() -> None:
    slots = Slots(SPEC)
    every_40_ms = range(0, SECOND, 40_000_000)
    taken = [slots.step_for(at, 1 if at < SECOND // 2 else 2) for at in every_40_ms]
    assert [step for step in taken if step is not None] == [0, 0, 1, 1, 2, 3]
    assert slots.step_for(SECOND, 99) == 4


def test_a_picture_that_comes_again_or_from_the_past_is_not_wanted() -> None:
    slots = Slots(SPEC)
    assert slots.step_for(SECOND) == 4
    assert slots.step_for(SECOND) is None
    assert slots.step_for(0) is None


def test_the_row_of_a_step_is_the_mean_of_the_pictures_that_gave_one() -> None:
    one, three = np.float32([1, 1]), np.float32([3, 5])
    cause, row = mean_row([(Cause.NONE, one), ("no_face", None), (Cause.NONE, three)])
    assert cause == Cause.NONE
    assert row is not None
    assert row.dtype == np.float32
    assert row.tolist() == [2, 3]
    assert mean_row([("poor_image", None), ("no_face", None)]) == ("no_face", None)


@given(st.fixed_dictionaries({m: st.lists(causes, min_size=16, max_size=16) for m in MODALITIES}))
def test_invalid_steps_are_zero_rows_and_validity_says_the_same_as_the_causes(
    gaps: dict[str, list[str]],
) -> None:
    window = assemble(SPEC, 5 * SECOND, columns(**gaps))
    assert (window.steps, window.end_ns) == (16, 9 * SECOND)
    for m, valid in zip(MODALITIES, window.valid, strict=True):
        assert window.gaps[m] == tuple(gaps[m])
        assert valid.tolist() == [cause == Cause.NONE for cause in gaps[m]]
        assert np.array_equal(window.rows[m].any(axis=1), valid)
        assert window.share[m] == valid.mean()
        assert window.rows[m].shape == (16, SPEC.dims[m])


def test_a_row_beside_a_cause_does_not_count() -> None:
    given_anyway = columns()
    given_anyway["voice"][3] = ("late", np.ones(SPEC.voice.dim, np.float32))
    assert not assemble(SPEC, 0, given_anyway).rows["voice"][3].any()


def test_a_finished_window_cannot_be_written_to() -> None:
    window = assemble(SPEC, 0, columns())
    with pytest.raises(ValueError, match="read-only"):
        window.rows["face"][0, 0] = 1


@pytest.mark.parametrize(
    ("step", "sentence"),
    [
        (("asleep", None), "unknown gap cause 'asleep'"),
        ((Cause.NONE, None), "valid but has no row"),
        ((Cause.NONE, np.ones(5, np.float32)), "valid but has no row of 512"),
    ],
)
def test_a_step_that_contradicts_itself_is_refused(
    step: tuple[str, Row | None], sentence: str
) -> None:
    wrong = columns()
    wrong["face"][0] = step
    with pytest.raises(ValueError, match=sentence):
        assemble(SPEC, 0, wrong)


def test_a_column_of_another_length_is_refused() -> None:
    with pytest.raises(ValueError, match="text has 3 steps, not 16"):
        assemble(SPEC, 0, columns(text=[Cause.NONE] * 3))
