"""How well a network judges windows under gaps."""

from __future__ import annotations

import dataclasses
from typing import Any

import numpy as np
from numpy.typing import NDArray

from training.evaluation.noise_curves import Predict
from training.evaluation.part_scores import ece
from training.windows import Windows

ANSWERED = 0.8
"""Tables give the selective accuracy of this share of the windows."""

Probability = NDArray[np.float64]


@dataclasses.dataclass(frozen=True)
class Reliability:
    """Scores where a class must be chosen; the last three are of abstention."""

    accuracy: float
    nll: float
    brier: float
    ece: float
    coverage: float
    """The share of the windows that are not abstained from."""
    selective_accuracy: float | None
    """The accuracy of these windows; None where there are none."""
    accuracy_of_the_surest: float
    """The accuracy of the ANSWERED share with the highest confidence."""


def reliability(
    probability: Probability, labels: NDArray[np.int64], nothing: NDArray[np.bool_], tau: float
) -> Reliability:
    """Return the scores of probability [n, C] for labels [n].

    `nothing` [n] marks windows without a valid step, and `tau` is the threshold of abstention.
    """
    confidence, right = probability.max(1), probability.argmax(1) == labels
    answered = (confidence >= tau) & ~nothing
    truth = np.eye(probability.shape[1])[labels]
    surest = np.argsort(-confidence, kind="stable")[: round(ANSWERED * len(labels))]
    return Reliability(
        float(right.mean()),
        float(-np.log(probability[np.arange(len(labels)), labels]).mean()),
        float(((probability - truth) ** 2).sum(1).mean()),
        ece(confidence, right),
        float(answered.mean()),
        float(right[answered].mean()) if answered.any() else None,
        float(right[surest].mean()),
    )


def risk_coverage(probability: Probability, labels: NDArray[np.int64]) -> dict[str, list[float]]:
    """Return the error among the surest windows at each twentieth of coverage."""
    order = np.argsort(-probability.max(1), kind="stable")
    wrong = (probability.argmax(1) != labels)[order].cumsum()
    counts = [max(1, round(len(labels) * k / 20)) for k in range(1, 21)]
    return {
        "coverage": [k / 20 for k in range(1, 21)],
        "risk": [float(wrong[n - 1] / n) for n in counts],
    }


def nothing_seen(predict: Predict, windows: Windows) -> dict[str, Any]:
    """Return the extreme probabilities where no step is valid; 1 / classes would be ideal."""
    one = windows.part(slice(0, 1))
    probability = predict(one.under(np.zeros(one.valid.shape, np.bool_))).softmax(1)
    return {"highest": float(probability.max()), "lowest": float(probability.min())}
