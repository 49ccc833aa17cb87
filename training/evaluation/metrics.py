"""Scores of predictions: sentiment, emotion classes, and the area under a noise curve."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from sklearn.metrics import accuracy_score, f1_score, mean_absolute_error, recall_score

Values = NDArray[np.floating]
Classes = NDArray[np.integer]
ROUNDING = 1e-5
"""Predictions from one and the same input differ by so much between places in a batch."""
SIMS_BOUNDS = {"acc5": (-0.7, -0.1, 0.1, 0.7), "acc3": (-0.1, 0.1), "acc2": (0.0,)}


def sentiment(truth: Values, predicted: Values) -> dict[str, float]:
    """Of values in [-3, 3], both [n].

    mae; corr: Pearson's, 0 where either is constant up to rounding; acc7, acc5, acc3: both
    clipped to +-3, 2, 1 and rounded half to even; acc2_a, f1_a: y >= 0 against p >= 0, of all; acc2_b, f1_b: y > 0
    against p > 0, of y != 0 only (NaN where there is none). F1 is weighted by the truth's support.
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
    """Of CH-SIMS's values in [-1, 1], both [n], as MMSA scores them.

    Both are clipped to [-1, 1] first. mae; corr as in `sentiment`; acc5, acc3, acc2: the classes
    between the bounds, to which the upper bound belongs; f1: of acc2's, weighted by the truth's
    support.
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
    """Of class numbers, both [n]: accuracy, UAR over the classes that occur, weighted F1."""
    return {
        "accuracy": float(accuracy_score(truth, predicted)),
        "uar": float(recall_score(truth, predicted, average="macro", labels=np.unique(truth))),
        "weighted_f1": float(f1_score(truth, predicted, average="weighted")),
    }


def one_versus_rest(truth: Classes, predicted: Classes, labels: Sequence[str]) -> dict[str, float]:
    """Accuracy and weighted F1 of each class against all others (IEMOCAP's tables)."""
    out = {}
    for number, label in enumerate(labels):
        y, p = truth == number, predicted == number
        out[f"acc2_{label}"] = float(accuracy_score(y, p))
        out[f"f1_{label}"] = float(f1_score(y, p, average="weighted"))
    return out


def auilc(rates: Sequence[float], values: Sequence[float], upto: float = 1.0) -> float:
    """Area under the curve of a metric over the noise rate (eq. 10): trapezoids, not normalised.

    `upto`: only the rates up to there.
    """
    within = np.asarray(rates) <= upto + 1e-9
    return float(np.trapezoid(np.asarray(values)[within], np.asarray(rates)[within]))
