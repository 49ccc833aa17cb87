"""Solves for a linear layer: ridge regression, or multinomial logistic regression."""

from __future__ import annotations

import numpy as np
import torch
from sklearn.linear_model import LogisticRegression, Ridge
from torch import Tensor, nn

from normtr.errors import UserError

NEVER = -30.0
"""The logit of a class that did not occur."""


def solve(layer: nn.Linear, x: Tensor, y: Tensor, penalty: float) -> None:
    """Fit the layer to x [n, dim] -> y [n]: numbers where it has one output, else classes.

    `penalty`: of the squared weights, against the loss of a sample in the mean over all. Raises
    UserError where there is nothing to fit it to.
    """
    given, wanted = x.double().numpy(), y.numpy()
    if len(set(wanted.tolist())) < 2:
        raise UserError("a linear layer is fitted to samples of two labels or more.")
    if layer.out_features == 1:
        ridge = Ridge(alpha=penalty * len(given)).fit(given, wanted)
        weight, bias = ridge.coef_[None], np.array([ridge.intercept_])
    else:
        model = LogisticRegression(C=1 / (2 * penalty * len(given)), max_iter=1000)
        model.fit(given, wanted)
        weight = np.zeros((layer.out_features, given.shape[1]))
        bias = np.full(layer.out_features, NEVER)
        binary = len(model.classes_) == 2  # told of the second class, the first has 0
        those = model.classes_[1:] if binary else model.classes_
        bias[model.classes_] = 0
        weight[those], bias[those] = model.coef_, model.intercept_
    with torch.no_grad():
        layer.weight.copy_(torch.from_numpy(weight))
        layer.bias.copy_(torch.from_numpy(bias))
