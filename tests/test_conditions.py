"""The conditions of missing modalities, and how training draws them."""

from __future__ import annotations

import math

import pytest

from normtr.errors import UserError
from training import noise
from training.evaluation.missing_patterns import conditions


def test_there_are_six_conditions_of_three_modalities() -> None:
    assert conditions(["a", "v", "t"]) == (
        ("a",),
        ("v",),
        ("t",),
        ("a", "v"),
        ("a", "t"),
        ("v", "t"),
    )
    assert conditions(["a", "t"]) == (("a",), ("t",))
    with pytest.raises(UserError, match="two or more"):
        conditions(["a"])


def test_every_condition_is_drawn_as_often() -> None:
    seen: dict[tuple[bool, ...], int] = {}
    for sample in range(3_000):
        mask = noise.condition(3, 4, 1, 0, sample)
        assert (mask == mask[:, :1]).all()
        there = tuple(mask[:, 0].tolist())
        seen[there] = seen.get(there, 0) + 1
    assert len(seen) == 6
    assert not {(True,) * 3, (False,) * 3} & set(seen)
    # 500 expected; 5 deviations.
    assert all(
        abs(count - 500) < 5 * math.sqrt(3_000 * (1 / 6) * (5 / 6)) for count in seen.values()
    )
    assert {tuple(noise.condition(2, 1, 1, 0, i)[:, 0].tolist()) for i in range(50)} == {
        (True, False),
        (False, True),
    }
