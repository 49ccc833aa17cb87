"""Temperature scaling of a head (Guo et al., ICML 2017), folded into its weights."""

from __future__ import annotations

import math

import torch
import torch.nn.functional as F
from scipy.optimize import minimize_scalar
from torch import Tensor, nn


def cooled(head: nn.Linear, logits: Tensor, labels: Tensor) -> float:
    """Divide the head by the temperature at which its `logits` [n, C] have the least NLL on
    `labels` [n]; return the temperature."""
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
