"""The metrics of `normtr evaluate --part`, which judges one network of a recognizer."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.special import softmax
from sklearn.metrics import precision_recall_fscore_support

from normtr.spec import LABELS

Judged = tuple[NDArray[np.floating[Any]], NDArray[np.int64], NDArray[np.bool_]]
"""Probabilities [n, C], labels int64 [n], and which samples could be judged at all, bool [n]."""

BINS = 15
"""The number of bins of the calibration error."""


def scores(
    probabilities: NDArray[np.floating[Any]], labels: NDArray[np.int64], judged: NDArray[np.bool_]
) -> dict[str, Any]:
    """Score probabilities [n, C] against labels [n]: n, accuracy, uar, weighted_f1,
    macro_f1, ece, per_class.

    A sample that was not `judged` [n] counts as wrong, whatever its probabilities are. UAR and F1
    are taken over the classes that occur.
    """
    found = np.where(judged, probabilities.argmax(1), -1)
    present = np.unique(labels)
    precision, recall, f1, support = precision_recall_fscore_support(
        labels, found, labels=present, zero_division=0
    )
    right = found == labels
    return {
        "n": len(labels),
        "accuracy": float(right.mean()),
        "ece": ece(probabilities.max(1), right),
        **of_classes(present, precision, recall, f1, support),
    }


def of_classes(
    present: NDArray[np.int64],
    precision: NDArray[np.float64],
    recall: NDArray[np.float64],
    f1: NDArray[np.float64],
    support: NDArray[np.int64],
) -> dict[str, Any]:
    """Return uar, weighted_f1, macro_f1 and per_class from what scikit-learn says of each class.

    `present` are the classes' indices into LABELS; all are [n].
    """
    return {
        "uar": float(recall.mean()),
        "weighted_f1": float(np.average(f1, weights=support)),
        "macro_f1": float(f1.mean()),
        "per_class": {
            LABELS[label]: {
                "n": int(support[i]),
                "precision": float(precision[i]),
                "recall": float(recall[i]),
                "f1": float(f1[i]),
            }
            for i, label in enumerate(present)
        },
    }


def among(
    log_probabilities: NDArray[np.floating[Any]], labels: NDArray[np.int64]
) -> NDArray[np.float64]:
    """Return probabilities float64 [n, C] over the classes that occur in `labels`; others get 0."""
    kept = np.isin(np.arange(log_probabilities.shape[1]), labels)
    x = np.where(kept, log_probabilities.astype(np.float64), -np.inf)
    return np.asarray(softmax(x, axis=1))


def ece(confidence: NDArray[np.floating[Any]], right: NDArray[np.bool_]) -> float:
    """Return the expected calibration error of the top label, given its confidence and whether it
    is right, [n] each.

    It is the sum over bins of n_b / n |accuracy - confidence|. The BINS bins have equal mass
    (Nixon et al., CVPR workshops 2019), so that none is nearly empty.
    """
    order = np.argsort(confidence, kind="stable")
    gaps = [
        abs(float(right[part].mean()) - float(confidence[part].mean())) * len(part)
        for part in np.array_split(order, BINS)
        if len(part)
    ]
    return float(sum(gaps) / len(order))
