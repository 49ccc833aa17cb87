"""Metrics of labels of which several may hold: a label is given from its threshold on."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.metrics import f1_score, precision_recall_fscore_support

from normtr.spec import LABELS
from training.evaluation.part_scores import ece, of_classes

THRESHOLDS = np.arange(0.02, 0.9, 0.02)
"""The thresholds that are tried; of equally good ones the middle one is taken."""


def thresholds(
    probabilities: NDArray[np.floating[Any]], holds: NDArray[np.bool_]
) -> dict[str, float]:
    """Return for each label the threshold at which its F1 is best.

    `probabilities` and `holds`, what is true, are [n, C].
    """
    chosen = {}
    for name, p, truth in zip(LABELS, probabilities.T, holds.T, strict=True):
        f1 = np.array([f1_score(truth, p >= t, zero_division=0) for t in THRESHOLDS])
        best = np.flatnonzero(f1 == f1.max())
        chosen[name] = float(THRESHOLDS[best[len(best) // 2]])
    return chosen


def scores(
    probabilities: NDArray[np.floating[Any]], holds: NDArray[np.bool_], least: dict[str, float]
) -> dict[str, Any]:
    """Score probabilities [n, C] against the labels that hold [n, C], given a threshold of each.

    `accuracy` is the share of samples whose labels are found exactly. UAR and F1 are taken over
    the labels that occur. `ece` is that of the likeliest label, which is right if it holds.
    """
    found = probabilities >= np.array([least[name] for name in LABELS])
    present = np.flatnonzero(holds.any(0))
    precision, recall, f1, support = precision_recall_fscore_support(
        holds[:, present], found[:, present], zero_division=0
    )
    top = probabilities.argmax(1)
    return {
        "n": len(holds),
        "accuracy": float((found == holds).all(1).mean()),
        "ece": ece(probabilities.max(1), holds[np.arange(len(holds)), top]),
        **of_classes(present, precision, recall, f1, support),
    }
