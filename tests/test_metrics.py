"""Metrics against cases worked out by hand."""

from __future__ import annotations

import math

import numpy as np
import pytest

from training.evaluation import metrics


def test_sentiment_by_hand() -> None:
    truth = np.array([-3.0, -1.5, 0.0, 0.4, 2.5])
    predicted = np.array([-4.0, -0.5, -0.2, 0.6, 1.4])
    got = metrics.sentiment(truth, predicted)
    assert got["mae"] == pytest.approx((1 + 1 + 0.2 + 0.2 + 1.1) / 5)
    # Half to even: -1.5 -> -2, -0.5 -> 0, 2.5 -> 2; 1.4 -> 1.
    # acc7: -3 = -3, -2 / 0, 0 = 0, 0 / 1, 2 / 1.
    assert got["acc7"] == pytest.approx(2 / 5)
    # acc5 (to +-2): -2 = -2, -2 / 0, 0 = 0, 0 / 1, 2 / 1.
    assert got["acc5"] == pytest.approx(2 / 5)
    # acc3 (to +-1): -1 = -1, -1 / 0, 0 = 0, 0 / 1, 1 = 1.
    assert got["acc3"] == pytest.approx(3 / 5)
    # a: y >= 0 is F F T T T, p >= 0 is F F F T T.
    assert got["acc2_a"] == pytest.approx(4 / 5)
    # F1 of False: 2*2/(2*2+1+0) = .8, of True: 2*2/(2*2+0+1) = .8
    assert got["f1_a"] == pytest.approx(0.8)
    # b: without the 0: F F T T against F F T T.
    assert got["acc2_b"] == 1.0
    assert got["f1_b"] == 1.0
    assert got["corr"] == pytest.approx(np.corrcoef(truth, predicted)[0, 1])


def test_acc5_and_acc3_clip_before_rounding() -> None:
    got = metrics.sentiment(np.array([3.0, -3.0]), np.array([1.6, -2.4]))
    assert (got["acc7"], got["acc5"], got["acc3"]) == (0.0, 1.0, 1.0)


def test_f1_is_weighted_by_the_truths_support() -> None:
    got = metrics.sentiment(np.array([1.0, 1.0, 1.0, -1.0]), np.array([1.0, 1.0, -1.0, -1.0]))
    positive, negative = 2 * 2 / (2 * 2 + 1), 2 * 1 / (2 * 1 + 1)
    assert got["f1_a"] == pytest.approx((3 * positive + negative) / 4)


def test_a_constant_has_no_correlation_and_neutral_truth_no_polarity() -> None:
    assert metrics.sentiment(np.array([1.0, 2.0]), np.array([0.5, 0.5]))["corr"] == 0.0
    assert math.isnan(metrics.sentiment(np.zeros(2), np.ones(2))["acc2_b"])


def test_ch_sims_by_hand() -> None:
    truth = np.array([-1.0, -0.6, 0.0, 0.2, 0.8], np.float32)
    predicted = np.array([-1.5, -0.8, 0.1, 0.1, 0.9], np.float32)
    got = metrics.sims(truth, predicted)
    assert got["mae"] == pytest.approx((0 + 0.2 + 0.1 + 0.1 + 0.1) / 5)  # -1.5 is clipped to -1
    # An upper bound belongs to its class: .1 is neutral; -.8 is below -.7 and -.6 is not.
    assert got["acc5"] == pytest.approx(3 / 5)
    assert got["acc3"] == pytest.approx(4 / 5)
    assert got["acc2"] == pytest.approx(4 / 5)  # 0 is in the lower class, its prediction is not
    # F1 of the lower: 2*2/(2*2+1) = .8, of the upper: 2*2/(2*2+1) = .8
    assert got["f1"] == pytest.approx(0.8)


def test_emotions_by_hand() -> None:
    got = metrics.emotions(np.array([0, 0, 0, 2]), np.array([0, 0, 1, 2]))
    assert got["accuracy"] == 0.75
    assert got["uar"] == pytest.approx((2 / 3 + 1) / 2)  # class 1 does not occur
    assert got["weighted_f1"] == pytest.approx((3 * 0.8 + 1.0) / 4)


def test_one_versus_rest_by_hand() -> None:
    got = metrics.one_versus_rest(np.array([0, 1, 1]), np.array([0, 1, 0]), ["happy", "sad"])
    assert got["acc2_happy"] == got["acc2_sad"] == pytest.approx(2 / 3)
    # happy: the one true one found (F1 2/3), of two others one (F1 2/3).
    assert got["f1_happy"] == pytest.approx(2 / 3)


def test_auilc_is_the_trapezoids_area() -> None:
    rates, values = (0.0, 0.5, 1.0), (1.0, 3.0, 0.0)
    assert metrics.auilc(rates, values) == pytest.approx(1.0 + 0.75)
    assert metrics.auilc(rates, values, upto=0.5) == pytest.approx(1.0)
