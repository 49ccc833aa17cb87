"""Scores predictions of sentiment and of emotion classes, and the area under a noise curve."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from sklearn.metrics import accuracy_score, f1_score, mean_absolute_error, recall_score

Values = NDArray[np.floating]
Classes = NDArray[np.integer]
ROUNDING = 1e-5
"""Predictions from the same input may differ by up to this between places in a batch."""
SIMS_BOUNDS = {"acc5": (-0.7, -0.1, 0.1, 0.7), "acc3": (-0.1, 0.1), "acc2": (0.0,)}
"""The bounds between the classes of CH-SIMS."""


def sentiment(truth: Values, predicted: Values) -> dict[str, float]:
    """Score predicted sentiment p against the truth y, [n] each with values in [-3, 3].

    - `mae` is the mean absolute error, and `corr` is Pearson's correlation (0 if y or p is constant
      up to rounding).
    - `acc7`, `acc5` and `acc3` are accuracies after y and p are clipped to +-3, 2 and 1 and rounded
      half to even.
    - `acc2_a` and `f1_a` compare y >= 0 with p >= 0 for all samples.
    - `acc2_b` and `f1_b` compare y > 0 with p > 0 for samples with y != 0 (NaN if there are none).

    F1 is weighted by the truth's support.
    """
    out = {
        "mae": float(mean_absolute_error(truth, predicted)),
        "corr": _correlation(truth, predicted),
    }
    for name, limit in (("acc7", 3), ("acc5", 2), ("acc3", 1)):
        a, b = (np.round(np.clip(x, -limit, limit)) for x in (truth, predicted))
        out[name] = float(np.mean(a == b))
    polar = truth != 0
    for name, y, p in (
        ("a", truth >= 0, predicted >= 0),
        ("b", truth[polar] > 0, predicted[polar] > 0),
    ):
        out[f"acc2_{name}"] = float(accuracy_score(y, p)) if len(y) else float("nan")
        out[f"f1_{name}"] = float(f1_score(y, p, average="weighted")) if len(y) else float("nan")
    return out


def sims(truth: Values, predicted: Values) -> dict[str, float]:
    """Score CH-SIMS's values in [-1, 1], [n] each, as MMSA does.

    Both are clipped to [-1, 1] first. `mae` and `corr` are as in `sentiment`. `acc5`, `acc3` and
    `acc2` are accuracies over the classes between SIMS_BOUNDS; an upper bound belongs to its class.
    `f1` is that of the two classes of `acc2`, weighted by the truth's support.
    """
    y, p = np.clip(truth, -1, 1), np.clip(predicted, -1, 1)
    out = {"mae": float(mean_absolute_error(y, p)), "corr": _correlation(y, p)}
    for name, bounds in SIMS_BOUNDS.items():
        a, b = (np.digitize(x, np.array(bounds, x.dtype), right=True) for x in (y, p))
        out[name] = float(accuracy_score(a, b))
    out["f1"] = float(f1_score(y > 0, p > 0, average="weighted"))
    return out


def _correlation(truth: Values, predicted: Values) -> float:
    constant = min(np.ptp(truth), np.ptp(predicted)) < ROUNDING
    return 0.0 if constant else float(np.corrcoef(truth, predicted)[0, 1])


def emotions(truth: Classes, predicted: Classes) -> dict[str, float]:
    """Score class numbers, [n] each: accuracy, UAR over the classes that occur, and weighted F1."""
    return {
        "accuracy": float(accuracy_score(truth, predicted)),
        "uar": float(recall_score(truth, predicted, average="macro", labels=np.unique(truth))),
        "weighted_f1": float(f1_score(truth, predicted, average="weighted")),
    }


def one_versus_rest(truth: Classes, predicted: Classes, labels: Sequence[str]) -> dict[str, float]:
    """Return accuracy and weighted F1 of each class against all others, for IEMOCAP's tables."""
    out = {}
    for number, label in enumerate(labels):
        y, p = truth == number, predicted == number
        out[f"acc2_{label}"] = float(accuracy_score(y, p))
        out[f"f1_{label}"] = float(f1_score(y, p, average="weighted"))
    return out


def auilc(rates: Sequence[float], values: Sequence[float], upto: float = 1.0) -> float:
    """Return the area under a metric's curve over noise rates up to `upto` (AUILC).

    It is the sum of the trapezoids between the rates, not normalised (NORM-TR, eq. 10).
    """
    within = np.asarray(rates) <= upto + 1e-9
    return float(np.trapezoid(np.asarray(values)[within], np.asarray(rates)[within]))
