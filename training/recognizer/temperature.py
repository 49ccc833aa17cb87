"""Scales a head by a temperature (Guo et al., ICML 2017), which is folded into its weights."""

from __future__ import annotations

import math

import torch
import torch.nn.functional as F
from scipy.optimize import minimize_scalar
from torch import Tensor, nn


def cooled(head: nn.Linear, logits: Tensor, labels: Tensor) -> float:
    """Divide the head's weights by the best temperature, and return the temperature.

    It is the one at which the head's `logits` [n, C] have the least NLL on `labels` [n].
    """
    found = minimize_scalar(
        lambda log_t: float(F.cross_entropy(logits.double() / math.exp(log_t), labels)),
        bounds=(-3.0, 3.0),
        method="bounded",
    )
    temperature = math.exp(float(found.x))
    with torch.no_grad():
        for parameter in head.parameters():
            parameter.div_(temperature)
    return temperature
