"""Tells what a constant answer would reach, and whether a model is shown to be better."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.stats import binomtest, wilcoxon

from training.samples import DataSet

LEVEL = 0.05
"""The probability that a model that knows nothing is taken for better than chance."""


@dataclass(frozen=True)
class Chance:
    """What the best constant answer reaches."""

    answer: str | float
    """The most frequent class, or the mean of the labels."""
    metrics: dict[str, float]
    """The scores of that answer."""
    beaten: bool
    """Whether the model was shown to be better, in accuracy or in absolute error."""

    def __str__(self) -> str:
        always = self.answer if isinstance(self.answer, str) else f"{self.answer:.3g}"
        return f"always {always}"

    def verdict(self, n: int) -> str:
        """Return a sentence if `n` samples do not show that the model learned anything.

        It is empty otherwise.
        """
        if self.beaten:
            return ""
        return (
            f"Not shown to be better than chance: {n} samples do not tell it from answering "
            f"{self}. More clips of more people may help."
        )


def chance(data: DataSet, outputs: NDArray[np.floating[Any]], labels: NDArray[Any]) -> Chance:
    """Compare outputs [n, C or 1] with the best constant answer, given labels [n].

    For classes (labels are their numbers) it is a binomial test of the share of right answers
    against the share of the most frequent class; for numbers it is Wilcoxon's signed-rank test of
    the absolute errors against those of the mean.
    """
    answers = np.zeros_like(outputs)
    if (classes := data.classes) is not None:
        counts = np.bincount(labels, minlength=len(classes))
        most = int(counts.argmax())
        answers[:, most] = 1
        right = int((outputs.argmax(1) == labels).sum())
        test = binomtest(right, len(labels), counts[most] / len(labels), "greater")
        return Chance(classes[most], data.scores(answers, labels), bool(test.pvalue < LEVEL))
    answers[:] = labels.mean()
    nearer = np.abs(answers[:, 0] - labels) - np.abs(outputs[:, 0] - labels)
    p = wilcoxon(nearer, alternative="greater").pvalue if nearer.any() else 1.0
    return Chance(float(labels.mean()), data.scores(answers, labels), bool(p < LEVEL))


def confusion(outputs: NDArray[np.floating[Any]], labels: NDArray[Any]) -> NDArray[np.int64]:
    """Count answers, given outputs [n, C] and labels [n]: [true class, answered class]."""
    counts = np.zeros((outputs.shape[1],) * 2, np.int64)
    np.add.at(counts, (labels, outputs.argmax(1)), 1)
    return counts
