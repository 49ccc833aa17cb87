"""A regression's outputs, scaled and moved to where held-out labels lie."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from sklearn.linear_model import QuantileRegressor
from torch import nn

from normtr.errors import UserError
from training.curve import predictor
from training.samples import DataSet
from training.windows import Windows, joined


def check(data: DataSet) -> None:
    """Raises UserError where the labels are classes."""
    if data.outputs > 1:
        raise UserError(f"{data.name} has classes; calibrated = true is for numbers.")


def calibrate(network: nn.Module, heads: Sequence[nn.Linear], held_out: Sequence[Windows]) -> None:
    """Give its last layers the scale and shift under which it fits held-out windows best.

    The fit has the least mean absolute error. `heads`: of what it says, or of what that is the
    mean of; they say everything scaled and moved alike then, whatever input is missing.
    """
    windows = joined(list(held_out))
    line = QuantileRegressor(quantile=0.5, alpha=0)
    line.fit(predictor(network)(windows).double().numpy(), windows.labels.double().numpy())
    with torch.no_grad():
        for head in heads:
            head.weight.mul_(float(line.coef_[0]))
            head.bias.mul_(float(line.coef_[0])).add_(float(line.intercept_))
