"""How well a network judges windows under gaps; calibration and abstention."""

from __future__ import annotations

import dataclasses
import itertools
from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.optimize import minimize
from torch import Tensor, nn

from normtr.calibration import Calibration
from normtr.spec import LABELS, MODALITIES
from training import noise
from training.part_scores import ece
from training.windows import Windows

SUBSETS = tuple(s for n in (1, 2, 3) for s in itertools.combinations(MODALITIES, n))
CONFIDENT = 0.80
"""Wanted accuracy of what is not abstained from."""
ANSWERED = 0.8
"""Share of the windows for which the selective accuracy of tables is given."""
CALIBRATED = noise.RATES[:9]
"""Rates up to 0.8: what calibration and abstention are fitted on."""

Scores = Callable[[Windows], Tensor]
Probability = NDArray[np.float64]


def lost(windows: Windows, rate: float, seed: int, first: int = 0) -> Windows:
    """Every modality of every window loses one stretch of round(rate * T) steps.

    `first`: the number of the first window.
    """
    n, m, t = windows.valid.shape
    return windows.under(np.stack([noise.lost(m, t, seed, first + i, rate) for i in range(n)]))


def only(windows: Windows, modalities: tuple[str, ...]) -> Windows:
    keep = np.array([m in modalities for m in MODALITIES])
    return windows.under(np.broadcast_to(keep[None, :, None], windows.valid.shape).copy())


def accuracy(scores: Scores, windows: Windows) -> float:
    return float((scores(windows).argmax(1) == windows.labels).float().mean())


def by_rate(scores: Scores, windows: Windows, seed: int) -> dict[str, float]:
    """Accuracy at each of `noise.RATES`."""
    return {f"{r:.1f}": accuracy(scores, lost(windows, r, seed)) for r in noise.RATES}


def mixed_gaps(windows: Windows, seed: int) -> Windows:
    """Each window under its own rate of 0..0.8 lost steps, four of ten lacking modalities."""
    n, m, t = windows.valid.shape
    masks = [
        noise.lost(m, t, seed, i, CALIBRATED[i // len(LABELS) % len(CALIBRATED)])
        & noise.absent(m, t, seed, 0, i, 0.4)
        for i in range(n)
    ]
    return windows.under(np.stack(masks))


def missing(valid: Tensor) -> NDArray[np.float64]:
    """1 - share of valid steps, [n, M], of valid [n, M, T]."""
    return 1.0 - valid.double().mean(2).numpy()


def probabilities(calibration: Calibration, logits: Tensor, valid: Tensor) -> Probability:
    """What `Calibration.probabilities` gives, for many windows: float64 [n, classes]."""
    weights = np.array([calibration.missing[m] for m in MODALITIES])
    temperature = np.exp(calibration.log_temperature + missing(valid) @ weights)
    x = torch.from_numpy(logits.double().numpy() / temperature[:, None])
    return np.asarray(x.softmax(1).numpy())


def calibrate(logits: Tensor, windows: Windows) -> Calibration:
    """The temperatures with the least NLL; the threshold is still 0. The prior is the windows':
    uniform."""
    x, y = logits.double(), windows.labels
    gone = torch.from_numpy(missing(windows.valid))

    def nll(parameters: NDArray[np.float64]) -> tuple[float, NDArray[np.float64]]:
        p = torch.tensor(parameters, requires_grad=True)
        log_t = p[0] + gone @ p[1:]
        loss = (
            nn.functional.cross_entropy(x / log_t.exp()[:, None], y) + 1e-3 * p[1:].square().sum()
        )
        loss.backward()  # type: ignore[no-untyped-call]
        assert p.grad is not None
        return loss.item(), p.grad.numpy()

    found = minimize(nll, np.zeros(1 + len(MODALITIES)), jac=True, method="L-BFGS-B").x
    return Calibration(
        float(found[0]),
        {m: float(w) for m, w in zip(MODALITIES, found[1:], strict=True)},
        0.0,
        (1 / len(LABELS),) * len(LABELS),
    )


def threshold(probability: Probability, labels: NDArray[np.int64]) -> float:
    """The smallest confidence from which on the accuracy is at least CONFIDENT (else 1)."""
    confidence = probability.max(1)
    order = np.argsort(-confidence, kind="stable")
    right = (probability.argmax(1) == labels)[order]
    selective = right.cumsum() / np.arange(1, len(right) + 1)
    good = np.flatnonzero(selective >= CONFIDENT)
    return float(confidence[order][good[-1]]) if len(good) else 1.0


def with_threshold(calibration: Calibration, logits: Tensor, windows: Windows) -> Calibration:
    """`windows`: pooled over the rates CALIBRATED."""
    p = probabilities(calibration, logits, windows.valid)
    return dataclasses.replace(calibration, threshold=threshold(p, windows.labels.numpy()))


@dataclasses.dataclass(frozen=True)
class Reliability:
    """Of forced choice, but for the three of abstention."""

    accuracy: float
    nll: float
    brier: float
    ece: float
    coverage: float
    """Share of the windows that are not abstained from."""
    selective_accuracy: float | None
    """Of these; None where there are none."""
    accuracy_of_the_surest: float
    """Of the ANSWERED share with the highest confidence."""


def reliability(
    probability: Probability, labels: NDArray[np.int64], nothing: NDArray[np.bool_], tau: float
) -> Reliability:
    """probability [n, C], labels [n]; `nothing` [n]: no step is valid, so it abstains."""
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
    """Error among the surest windows at each twentieth of coverage."""
    order = np.argsort(-probability.max(1), kind="stable")
    wrong = (probability.argmax(1) != labels)[order].cumsum()
    counts = [max(1, round(len(labels) * k / 20)) for k in range(1, 21)]
    return {
        "coverage": [k / 20 for k in range(1, 21)],
        "risk": [float(wrong[n - 1] / n) for n in counts],
    }


def nothing_seen(scores: Scores, windows: Windows) -> dict[str, Any]:
    """The highest probability of any class where no step is valid; 1 / classes would be ideal."""
    probability = scores(only(windows.part(slice(0, 1)), ())).softmax(1)
    return {"highest": float(probability.max()), "lowest": float(probability.min())}
