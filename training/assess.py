"""How well a network judges windows: accuracy under gaps, beside late fusion; calibration."""

from __future__ import annotations

import dataclasses
import itertools
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.optimize import minimize
from torch import Tensor, nn

from normtr.calibration import Calibration
from normtr.spec import MODALITIES
from training import noise
from training.rows import Bank
from training.windows import Windows

SUBSETS = tuple(s for n in (1, 2, 3) for s in itertools.combinations(MODALITIES, n))
CONFIDENT = 0.80
"""Wanted accuracy of what is not abstained from."""

Scores = Callable[[Windows], Tensor]


def late_fusion_scores(heads: Mapping[str, nn.Linear]) -> Scores:
    """The simple rival: each modality's head on its valid rows, probabilities averaged."""

    def scores(windows: Windows) -> Tensor:
        total: Tensor | float = 0.0
        for i, m in enumerate(MODALITIES):
            valid = windows.valid[:, i].float()
            with torch.inference_mode():
                logp = heads[m](windows.rows[m]).log_softmax(-1) * valid[..., None]
            mean = (logp.sum(1) / valid.sum(1).clamp_min(1)[:, None]).softmax(-1)
            total = total + mean * (valid.sum(1) > 0)[:, None]
        assert isinstance(total, Tensor)
        return total

    return scores


def lost(windows: Windows, rate: float, seed: int) -> Windows:
    """Every modality of every window loses one stretch of round(rate * T) steps."""
    n, m, t = windows.valid.shape
    return windows.under(np.stack([noise.lost(m, t, seed, i, rate) for i in range(n)]))


def only(windows: Windows, modalities: tuple[str, ...]) -> Windows:
    keep = np.array([m in modalities for m in MODALITIES])
    return windows.under(np.broadcast_to(keep[None, :, None], windows.valid.shape).copy())


def accuracy(scores: Scores, windows: Windows) -> float:
    return float((scores(windows).argmax(1) == windows.labels).float().mean())


def under_gaps(scores: Scores, windows: Windows, seed: int) -> dict[str, dict[str, float]]:
    """Accuracy at each rate of lost steps and with each subset of the modalities."""
    return {
        "rate": {f"{r:.1f}": accuracy(scores, lost(windows, r, seed)) for r in noise.RATES},
        "subset": {"+".join(s): accuracy(scores, only(windows, s)) for s in SUBSETS},
    }


def mixed_gaps(windows: Windows, seed: int) -> Windows:
    """Each window under its own rate of 0..0.8 lost steps, four of ten lacking modalities."""
    n, m, t = windows.valid.shape
    masks = [
        noise.lost(m, t, seed, i, noise.RATES[i // 7 % 9]) & noise.absent(m, t, seed, 0, i, 0.4)
        for i in range(n)
    ]
    return windows.under(np.stack(masks))


def _missing(windows: Windows) -> NDArray[np.float64]:
    """1 - share of valid steps, [n, M]."""
    return 1.0 - windows.valid.double().mean(2).numpy()


def _temperatures(calibration: Calibration, windows: Windows) -> NDArray[np.float64]:
    weights = np.array([calibration.missing[m] for m in MODALITIES])
    return np.asarray(np.exp(calibration.log_temperature + _missing(windows) @ weights))


def probabilities(calibration: Calibration, logits: Tensor, windows: Windows) -> Tensor:
    """What `Calibration.probabilities` gives, for many windows: float64 [n, classes]."""
    temperature = torch.from_numpy(_temperatures(calibration, windows))
    return (logits.double() / temperature[:, None]).softmax(1)


def calibrate(logits: Tensor, windows: Windows) -> Calibration:
    """The temperatures with the least NLL; the threshold is still 0."""
    x, y, missing = logits.double(), windows.labels, torch.from_numpy(_missing(windows))

    def nll(parameters: NDArray[np.float64]) -> tuple[float, NDArray[np.float64]]:
        p = torch.tensor(parameters, requires_grad=True)
        log_t = p[0] + missing @ p[1:]
        loss = (
            nn.functional.cross_entropy(x / log_t.exp()[:, None], y) + 1e-3 * p[1:].square().sum()
        )
        loss.backward()  # type: ignore[no-untyped-call]
        assert p.grad is not None
        return loss.item(), p.grad.numpy()

    found = minimize(nll, np.zeros(1 + len(MODALITIES)), jac=True, method="L-BFGS-B").x
    return Calibration(
        float(found[0]), {m: float(w) for m, w in zip(MODALITIES, found[1:], strict=True)}, 0.0
    )


def threshold(probability: Tensor, labels: Tensor) -> float:
    """The smallest confidence from which on the accuracy is at least CONFIDENT (else 1)."""
    confidence, found = probability.max(1)
    order = confidence.argsort(descending=True)
    right = (found == labels)[order].double()
    selective = right.cumsum(0) / torch.arange(1, len(right) + 1)
    good = torch.nonzero(selective >= CONFIDENT)
    return float(confidence[order][good[-1]]) if len(good) else 1.0


def with_threshold(calibration: Calibration, logits: Tensor, windows: Windows) -> Calibration:
    probability = probabilities(calibration, logits, windows)
    return dataclasses.replace(calibration, threshold=threshold(probability, windows.labels))


def nothing_seen(scores: Scores, windows: Windows) -> dict[str, float]:
    """The highest probability of any class where no step is valid; 1 / classes would be ideal."""
    probability = scores(only(windows.part(slice(0, 1)), ())).softmax(1)
    return {"highest": float(probability.max()), "lowest": float(probability.min())}


def unimodal(heads: Mapping[str, nn.Linear], bank: Bank) -> dict[str, float]:
    """Mean of class accuracies of single rows (text: utterance means) under each part's head."""
    voiced = bank.voices.values.any(axis=1)
    owner = np.repeat(np.arange(len(bank.voices.labels)), np.diff(bank.voices.offsets))
    begins = bank.texts.offsets[:-1]
    totals = np.add.reduceat(bank.texts.values.astype(np.float32), begins)
    rows: dict[str, tuple[NDArray[Any], NDArray[np.int64]]] = {
        "face": (
            bank.faces.reshape(-1, bank.faces.shape[2]),
            np.repeat(bank.face_labels, bank.faces.shape[1]),
        ),
        "voice": (bank.voices.values[voiced], bank.voices.labels[owner[voiced]]),
        "text": (totals / np.diff(bank.texts.offsets)[:, None], bank.texts.labels),
    }
    out = {}
    for m, (x, y) in rows.items():
        with torch.inference_mode():
            hit = heads[m](torch.from_numpy(x.astype(np.float32))).argmax(1).numpy() == y
        out[m] = float(np.mean([hit[y == c].mean() for c in np.unique(y)]))
    return out


def reliability(calibration: Calibration, logits: Tensor, windows: Windows) -> dict[str, Any]:
    """NLL, expected calibration error (15 equal bins), and what abstention does.

    `nll_raw`: the NLL without calibration.
    """
    probability, labels = probabilities(calibration, logits, windows), windows.labels
    confidence, found = probability.max(1)
    right = (found == labels).double()
    bins = (confidence * 15).long().clamp_max(14)
    gaps = [
        float((right[bins == b].mean() - confidence[bins == b].mean()).abs() * (bins == b).sum())
        for b in range(15)
        if (bins == b).any()
    ]
    answered = confidence >= calibration.threshold
    return {
        "n": len(labels),
        "accuracy": float(right.mean()),
        "nll": float(-probability.log()[torch.arange(len(labels)), labels].mean()),
        "nll_raw": float(nn.functional.cross_entropy(logits.double(), labels)),
        "ece": sum(gaps) / len(labels),
        "answered": float(answered.double().mean()),
        "selective_accuracy": float(right[answered].mean()) if answered.any() else None,
    }
