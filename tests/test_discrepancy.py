"""CMD, by which the rivals' features become alike, against values computed by hand."""

from __future__ import annotations

import math

import pytest
import torch

from training.systems.discrepancy import cmd, mean_cmd


def test_cmd_is_the_hand_computed_one() -> None:
    """x: 0, 2 (mean 1, moments 0 about it: 1, 0, 1, 0); y: 0, 4 (2; 4, 0, 16, 0): 1 + 3 + 0 + 15 + 0."""
    x, y = torch.tensor([[0.0], [2.0]]), torch.tensor([[0.0], [4.0]])
    assert float(cmd(x, y)) == pytest.approx(19, abs=1e-4)
    two = torch.cat([x, x], 1), torch.cat([y, y], 1)
    assert float(cmd(*two)) == pytest.approx(19 * math.sqrt(2), abs=1e-4)
    three = torch.stack([x, y, x], 1)
    assert float(mean_cmd(three)) == pytest.approx((19 + 0 + 19) / 3, abs=1e-4)


def test_cmd_of_equal_features_has_a_gradient() -> None:
    x = torch.ones(3, 2, requires_grad=True)
    cmd(x, x.detach().clone()).backward()
    assert x.grad is not None
    assert x.grad.isfinite().all()
