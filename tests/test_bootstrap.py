"""Paired bootstraps over groups, against cases worked out by hand."""

from __future__ import annotations

import math

import numpy as np
import pytest

from training.evaluation.bootstrap import Difference, difference


def test_the_same_gap_everywhere_has_no_width() -> None:
    other = np.array([0.1, 0.7, 0.3, 0.9])
    found = difference(other - 0.25, other, ["a", "a", "b", "c"])
    assert (found.mean, found.low, found.high) == pytest.approx((-0.25, -0.25, -0.25))
    assert found.shown


def test_equal_systems_do_not_differ() -> None:
    same = np.array([0.1, 0.7, 0.3])
    found = difference(same, same, ["a", "b", "c"])
    assert found == Difference(0.0, 0.0, 0.0, 1.0)
    assert not found.shown


def test_groups_are_drawn_whole_and_weigh_by_their_size() -> None:
    # Group a: three samples of +1, b: one of -1. A draw is aa: 1, ab or ba: (3 - 1) / 4, bb: -1,
    # with chances 1/4, 1/2, 1/4, so the 2.5 and 97.5 % points are -1 and 1.
    own, groups = np.array([1.0, 1.0, 1.0, -1.0]), ["a", "a", "a", "b"]
    found = difference(own, np.zeros(4), groups)
    assert (found.mean, found.low, found.high) == (0.5, -1.0, 1.0)
    assert not found.shown
    assert found.p == pytest.approx(0.5, abs=0.02)  # twice the chance of bb
    # More samples of the same two groups are no more certain.
    assert difference(np.tile(own, 50), np.zeros(200), groups * 50) == found


def test_many_groups_come_near_the_normal_interval() -> None:
    random = np.random.default_rng(1)
    own = random.normal(0.3, 1.0, 100)
    found = difference(own, np.zeros(100), [str(i) for i in range(100)])
    half = 1.96 * own.std() / math.sqrt(100)
    assert found.low == pytest.approx(own.mean() - half, abs=0.03)
    assert found.high == pytest.approx(own.mean() + half, abs=0.03)
    assert found == difference(own, np.zeros(100), [str(i) for i in range(100)])  # seeded
    z = own.mean() / (own.std() / math.sqrt(100))
    assert found.p == pytest.approx(math.erfc(z / math.sqrt(2)), abs=0.005)


def test_a_few_groups_that_agree_show_little() -> None:
    own = np.array([1.0, 1.2, 0.9, 1.1])
    assert difference(own, np.zeros(4), ["a", "b", "c", "d"]).p == 0.125  # of four signs: 2 / 16
    assert difference(own + 9, np.zeros(4), ["a", "a", "b", "b"]).p == 0.5


def test_one_group_has_no_interval() -> None:
    found = difference(np.array([1.0, 2.0]), np.zeros(2), ["a", "a"])
    assert found.mean == 1.5
    assert math.isnan(found.low)
    assert not found.shown
