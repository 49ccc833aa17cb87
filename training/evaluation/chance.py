"""What one answer to everything would reach, and whether a model is shown to do better."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.stats import binomtest, wilcoxon

from training.samples import DataSet

LEVEL = 0.05
"""A model that knows nothing is taken for better than chance so often."""


@dataclass(frozen=True)
class Chance:
    """`answer`: the most frequent class, or the mean of the labels; `metrics`: its scores."""

    answer: str | float
    metrics: dict[str, float]
    beaten: bool
    """Whether the model was shown to be better, in accuracy or in absolute error."""

    def __str__(self) -> str:
        always = self.answer if isinstance(self.answer, str) else f"{self.answer:.3g}"
        return f"always {always}"

    def verdict(self, n: int) -> str:
        """A sentence where nothing was shown to be learned, of `n` samples; else empty."""
        if self.beaten:
            return ""
        return (
            f"Not shown to be better than chance: {n} samples do not tell it from answering "
            f"{self}. More clips of more people may help."
        )


def chance(data: DataSet, outputs: NDArray[np.floating[Any]], labels: NDArray[Any]) -> Chance:
    """What to hold outputs [n, C or 1] against, of labels [n] that number the classes, if any.

    Classes: a binomial test of the share of right answers against the most frequent class's;
    numbers: Wilcoxon's signed-rank test of the absolute errors against those of the mean.
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
    """Outputs [n, C] and labels [n] -> counts [C, C]: a row a true class, a column an answer."""
    counts = np.zeros((outputs.shape[1],) * 2, np.int64)
    np.add.at(counts, (labels, outputs.argmax(1)), 1)
    return counts
