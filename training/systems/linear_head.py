"""A linear head on fixed rows: what frozen networks and encoders are read out by."""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import NDArray
from sklearn.linear_model import LogisticRegression
from torch import nn

from normtr.spec import LABELS

NEVER = -30.0
"""Logit of a class that did not occur."""


def fit_head(x: NDArray[np.float32], y: NDArray[np.int64], c: float) -> nn.Linear:
    """Multinomial logistic regression on standardised x [n, dim] (inverse penalty `c`), every
    class y [n] of equal weight, as one layer dim -> classes."""
    mean, scale = x.mean(0), x.std(0) + 1e-6
    model = LogisticRegression(C=c, max_iter=500, class_weight="balanced")
    model.fit((x - mean) / scale, y)
    head = nn.Linear(x.shape[1], len(LABELS))
    weight = np.zeros((len(LABELS), x.shape[1]))
    bias = np.full(len(LABELS), NEVER)
    weight[model.classes_] = model.coef_ / scale
    bias[model.classes_] = model.intercept_ - weight[model.classes_] @ mean
    with torch.no_grad():
        head.weight.copy_(torch.from_numpy(weight))
        head.bias.copy_(torch.from_numpy(bias))
    return head
