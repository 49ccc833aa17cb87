"""Fits calibration and abstention: the temperatures under gaps and the threshold of confidence."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.optimize import minimize
from torch import Tensor, nn

from normtr.calibration import Calibration
from normtr.spec import LABELS
from training import noise
from training.evaluation.gap_metrics import Probability
from training.evaluation.noise_curves import Predict
from training.evaluation.part_scores import ece
from training.samples import numbered
from training.windows import Windows, joined

CONFIDENT = 0.80
"""The accuracy wanted among the windows that are not abstained from."""
CALIBRATED = noise.RATES[:9]
"""The noise rates (up to 0.8) on which calibration and abstention are fitted."""
ENOUGH = 1_000
"""If there are fewer windows, they are used several times, and the temperatures are drawn to 1."""
EVEN = (1 / len(LABELS),) * len(LABELS)
"""A prior under which all labels are equally frequent."""


def mixed_gaps(windows: Windows, seed: int) -> Windows:
    """Return each window under a rate of 0 to 0.8 lost steps; four of ten also lack modalities."""
    n, m, t = windows.valid.shape
    names = list(windows.rows)
    rates = [CALIBRATED[i // len(LABELS) % len(CALIBRATED)] for i in range(n)]
    masks = [
        noise.kept_windows(seed, names, str(i), t, rate) & noise.absent(m, t, seed, 0, i, 0.4)
        for i, rate in enumerate(rates)
    ]
    return windows.under(np.stack(masks))


def probabilities(
    calibration: Calibration, logits: Tensor, valid: Tensor, prior: Sequence[float] | None = None
) -> Probability:
    """Return calibrated probabilities, float64 [n, classes].

    `logits` are [n, classes], and `valid` is [n, M, T] with the modalities of the calibration.
    `prior` [classes] replaces how often each class is expected; None keeps that of the training.
    """
    share = valid.double().mean(2).numpy()
    named = dict(zip(calibration.missing, share.T, strict=True))
    return calibration.probabilities(logits.numpy(), named, prior)


def shares(labels: Tensor, classes: int) -> tuple[float, ...]:
    """Return how often each class occurs among labels [n], after adding one of every class."""
    counts = torch.bincount(labels, minlength=classes).double() + 1
    return tuple((counts / counts.sum()).tolist())


def temperatures(
    logits: Tensor, windows: Windows, prior: tuple[float, ...] = EVEN, usual: float = 0.0
) -> Calibration:
    """Return a calibration with the temperatures of the least NLL; its threshold is still 0.

    `logits` are [n, classes]. `prior` is how often each class occurred in training. `usual` says
    how strongly the temperatures are drawn to 1.
    """
    x, y = logits.double(), windows.labels
    gone = 1.0 - windows.valid.double().mean(2)

    def nll(parameters: NDArray[np.float64]) -> tuple[float, NDArray[np.float64]]:
        p = torch.tensor(parameters, requires_grad=True)
        log_t = p[0] + gone @ p[1:]
        loss = (
            nn.functional.cross_entropy(x / log_t.exp()[:, None], y)
            + 1e-3 * p[1:].square().sum()
            + usual * p.square().sum()
        )
        loss.backward()  # type: ignore[no-untyped-call]
        assert p.grad is not None
        return loss.item(), p.grad.numpy()

    found = minimize(nll, np.zeros(1 + len(windows.rows)), jac=True, method="L-BFGS-B").x
    return Calibration(
        float(found[0]),
        {m: float(w) for m, w in zip(windows.rows, found[1:], strict=True)},
        0.0,
        prior,
    )


def threshold(probability: Probability, labels: NDArray[np.int64]) -> float:
    """Return the smallest confidence from which upwards the accuracy is at least CONFIDENT.

    `probability` is [n, classes] and `labels` [n]. It is 1 if no confidence reaches that accuracy.
    """
    confidence = probability.max(1)
    order = np.argsort(-confidence, kind="stable")
    right = (probability.argmax(1) == labels)[order]
    selective = right.cumsum() / np.arange(1, len(right) + 1)
    good = np.flatnonzero(selective >= CONFIDENT)
    return float(confidence[order][good[-1]]) if len(good) else 1.0


def with_threshold(calibration: Calibration, logits: Tensor, windows: Windows) -> Calibration:
    """Return the calibration with the threshold that fits these windows.

    They must be pooled over the rates CALIBRATED. `logits` are [n, classes].
    """
    p = probabilities(calibration, logits, windows.valid)
    return dataclasses.replace(calibration, threshold=threshold(p, windows.labels.numpy()))


def calibrated(
    predict: Predict, windows: Windows, seed: int, prior: tuple[float, ...] = EVEN
) -> Calibration:
    """Fit temperatures and threshold to a network that gives `scores`.

    `windows` must have nothing erased yet. `prior` is how often each class occurred in training.
    """
    n = len(windows.labels)
    gapped = mixed_gaps(joined([windows] * -(-ENOUGH // n)), seed)
    # So strong is a standard normal prior of the log temperatures beside n windows.
    usual = 0.5 / n if n < ENOUGH else 0.0
    calibration = temperatures(predict(gapped), gapped, prior, usual)
    at_rates = joined([numbered(windows).under("windows", r, seed) for r in CALIBRATED])
    return with_threshold(calibration, predict(at_rates), at_rates)


def ece_of_others(predict: Predict, halves: list[Windows], seed: int) -> dict[str, float]:
    """Return the ECE at each noise rate; each half is judged under the calibration of the other."""
    calibrations = [calibrated(predict, half, seed) for half in reversed(halves)]
    labels = joined(halves).labels.numpy()
    found = {}
    for rate in noise.RATES:
        gapped = [numbered(half).under("windows", rate, seed) for half in halves]
        p = np.concatenate(
            [
                probabilities(calibration, predict(half), half.valid)
                for calibration, half in zip(calibrations, gapped, strict=True)
            ]
        )
        found[f"{rate:.1f}"] = ece(p.max(1), p.argmax(1) == labels)
    return found
