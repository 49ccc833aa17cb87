"""Tests with linear probes whether frozen features hide modality and noise (NORM-TR, 3.5)."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from torch import Tensor

from normtr.model import Features, NormTr
from training.reports.features import features
from training.samples import Samples
from training.systems.components import Reduced

TOKENS = 5_000
"""A probe is trained on at most this many tokens, chosen by seed 0."""
RATE, MASK_SEED = 0.5, 0
"""Noisy slices have noise `steps` of this rate and seed."""


@dataclass(frozen=True)
class Probed:
    """The accuracy of a probe on the tested split, and that of the most frequent answer."""

    accuracy: float
    chance: float


@dataclass(frozen=True)
class Known:
    """What probes can read from one kind of feature; None if there is nothing to tell apart."""

    modality: Probed | None
    noise: Probed | None


def probe(
    train: tuple[NDArray[np.float32], NDArray[np.int64]],
    test: tuple[NDArray[np.float32], NDArray[np.int64]],
) -> Probed | None:
    """Train and test a logistic regression on standardised features [k, H] with answers [k].

    Return None if there is only one answer, or nothing to test on.
    """
    (x, y), (x_test, y_test) = train, test
    if len(np.unique(y)) < 2 or not len(y_test):
        return None
    chosen = np.random.default_rng(0).permutation(len(y))[:TOKENS]
    model = make_pipeline(StandardScaler(), LogisticRegression(max_iter=1_000))
    model.fit(x[chosen], y[chosen])
    chance = float(np.bincount(y_test).max() / len(y_test))
    return Probed(float(model.score(x_test, y_test)), chance)


def known(model: Reduced[NormTr], train: Samples, test: Samples) -> dict[str, Known]:
    """Probe `nrgf` and `mf` for the modality of a valid token and the noise of a modality's slice.

    A slice is the mean over its steps, as D2 sees it. Each slice in which noise erases a valid step
    counts once clean and once noisy.
    """
    clean, noisy, erased = zip(*(_both(model, samples) for samples in (train, test)), strict=True)
    out = {}
    for kind in ("nrgf", "mf"):
        of = [getattr(found, kind) for found in clean]
        under = [getattr(found, kind) for found in noisy]
        there = [samples.windows.valid for samples in (train, test)]
        tokens = [_tokens(x, valid) for x, valid in zip(of, there, strict=True)]
        slices = [_slices(a, b, hit) for a, b, hit in zip(of, under, erased, strict=True)]
        out[kind] = Known(probe(tokens[0], tokens[1]), probe(slices[0], slices[1]))
    return out


def _both(model: Reduced[NormTr], samples: Samples) -> tuple[Features, Features, Tensor]:
    """Return the features of the samples and of their noisy copies.

    Also return which slices lost a step, bool [n, M].
    """
    noisy = samples.under("steps", RATE, MASK_SEED)
    erased = (samples.windows.valid & ~noisy.valid).any(2)
    return features(model, samples.windows), features(model, noisy), erased


def _tokens(x: Tensor, valid: Tensor) -> tuple[NDArray[np.float32], NDArray[np.int64]]:
    """Return the valid tokens [k, H] and the numbers of their modalities [k]."""
    return x[valid].numpy(), valid.nonzero()[:, 1].numpy()


def _slices(
    clean: Tensor, noisy: Tensor, erased: Tensor
) -> tuple[NDArray[np.float32], NDArray[np.int64]]:
    """Return slices [k, H], and whether they are noisy [k]: first the clean ones (0), then the
    noisy ones (1)."""
    x = torch.cat([clean.mean(2)[erased], noisy.mean(2)[erased]]).numpy()
    return x, np.repeat([0, 1], len(x) // 2)
