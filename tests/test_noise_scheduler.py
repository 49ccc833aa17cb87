"""NMER's noise: the paper's schedule, three kinds, and what a mask keeps."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch

from training.evaluation.noise_scheduler import Noise, Scheduler, corrupted, kept


@pytest.mark.parametrize(
    ("steps", "quarters", "last", "mean", "below_half"),
    [
        (20, [0.99, 0.8048, 0.4032, 0.0841], 8.4e-3, 0.613, 0.55),
        (40, [0.99, 0.6819, 0.1921, 0.0108], 8.0e-5, 0.479, 0.65),
        (60, [0.99, 0.5770, 0.0910, 0.0014], 7.7e-7, 0.406, 0.717),
        (80, [0.99, 0.4880, 0.0431, 0.0002], 7.3e-9, 0.358, 0.75),
        (100, [0.99, 0.4128, 0.0204, 0.0000], 7.0e-11, 0.324, 0.78),
    ],
)
def test_the_schedule_is_the_papers(
    steps: int, quarters: list[float], last: float, mean: float, below_half: float
) -> None:
    abar = kept(steps)
    assert abar[[0, steps // 4, steps // 2, 3 * steps // 4]].tolist() == pytest.approx(
        quarters, abs=1e-4
    )
    assert float(abar[-1]) == pytest.approx(last, rel=0.02)
    assert float(abar.sqrt().mean()) == pytest.approx(mean, abs=6e-4)
    assert float((abar < 0.5).float().mean()) == pytest.approx(below_half, abs=6e-4)


@pytest.mark.parametrize("abar", [1.0, 0.6, 0.0])
def test_noise_keeps_the_share_of_the_signal_it_says(abar: float) -> None:
    torch.manual_seed(0)
    x = torch.full((1, 1_000, 100), 2.0)
    part = torch.tensor([abar])
    gaussian = corrupted(x, part, "gaussian")
    assert float(gaussian.mean()) == pytest.approx(2 * math.sqrt(abar), abs=0.02)
    assert float(gaussian.var()) == pytest.approx(1 - abar, abs=0.02)
    impulses = (corrupted(x, part, "impulse") - math.sqrt(abar) * x) / math.sqrt(1 - abar or 1)
    values = impulses.round(decimals=4).unique().tolist()
    assert values == ([0.0] if abar == 1 else [-1.0, 0.0, 1.0])
    assert float(impulses.var()) == pytest.approx(0.0 if abar == 1 else 0.3, abs=0.01)
    assert not corrupted(x, part, "zero").any()


@pytest.mark.parametrize("noise", ["gaussian", "impulse", "zero"])
@pytest.mark.parametrize("released", [False, True])
def test_what_a_mask_keeps_is_bit_identical_and_the_rest_is_not(
    noise: Noise, released: bool
) -> None:
    torch.manual_seed(0)
    rows = {"voice": torch.randn(20, 7, 3), "text": torch.randn(20, 7, 5)}
    valid = torch.ones(20, 2, 7, dtype=torch.bool)
    valid[:, :, :2] = False
    masks = torch.ones_like(valid)
    masks[:10, 0] = False
    masks[10:, 1, 4:] = False
    x = {m: values * valid[:, i, :, None] for i, (m, values) in enumerate(rows.items())}
    noisy, there = Scheduler((noise,), 100, released=released)(x, valid, masks)
    assert torch.equal(there, valid & masks if noise == "zero" else valid)
    for i, m in enumerate(rows):
        stays, erased = masks[:, i], ~masks[:, i] & valid[:, i]
        assert torch.equal(noisy[m][stays], x[m][stays])
        assert (noisy[m][erased] != x[m][erased]).any(1).all()
        padding = noisy[m][~masks[:, i] & ~valid[:, i]]
        assert bool(padding.any()) == (released and noise != "zero" and i == 0)


def test_as_released_draws_one_step_of_the_schedule_for_a_batch() -> None:
    """All noise is zero where rows are: what is left of a row of ones is sqrt(abar)."""
    x = {"voice": torch.full((50, 2, 2_000), 1_000.0)}
    valid = torch.ones(50, 1, 2, dtype=torch.bool)
    left = {}
    for released in (False, True):
        torch.manual_seed(3)
        noisy, _ = Scheduler(("gaussian",), 100, released=released)(x, valid, ~valid)
        left[released] = (noisy["voice"].mean((1, 2)) / 1_000).tolist()
    assert np.ptp(left[True]) < 1e-3
    assert np.ptp(left[False]) > 0.5
