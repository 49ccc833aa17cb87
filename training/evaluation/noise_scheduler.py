"""NMER's noise scheduler: a forward diffusion of raw rows, as far as a random step of a schedule."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal

import torch
from torch import Tensor

Noise = Literal["gaussian", "impulse", "zero"]
FIRST, LAST = 0.01, 0.5
"""beta of the first and the last step, however many there are."""
IMPULSE_PROB = 0.3


def kept(steps: int) -> Tensor:
    """abar float32 [steps]: the share of a row's variance that is left after each step."""
    beta = torch.linspace(FIRST**0.5, LAST**0.5, steps, dtype=torch.float64).square()
    return torch.cumprod(1 - beta, 0).float()


def corrupted(x: Tensor, abar: Tensor, noise: Noise) -> Tensor:
    """Rows x [B, T, N] after the steps that leave abar [B or 1].

    gaussian: of unit variance; impulse: +1 and -1 with probability IMPULSE_PROB / 2 each, which
    at a late step is mostly attenuation; zero: nothing is left, whatever abar.
    """
    if noise == "zero":
        return torch.zeros_like(x)
    n = torch.randn_like(x)
    if noise == "impulse":
        n = n.sign() * (torch.rand_like(x) < IMPULSE_PROB)
    abar = abar[:, None, None]
    return abar.sqrt() * x + (1 - abar).sqrt() * n


class Scheduler:
    """Makes noise of erased steps."""

    def __init__(self, noises: tuple[Noise, ...], steps: int, *, released: bool) -> None:
        """`steps` of the schedule; of `noises` one is drawn for every batch."""
        self.noises, self.released, self._abar = noises, released, kept(steps)

    def __call__(
        self, x: Mapping[str, Tensor], valid: Tensor, masks: Tensor
    ) -> tuple[dict[str, Tensor], Tensor]:
        """Scaled rows x, valid and masks bool [B, M, T] -> the rows, which are noisy where a mask
        is False, and which steps there are, noisy ones among them."""
        noise = self.noises[int(torch.randint(len(self.noises), ()))]
        out = {}
        for i, (m, rows) in enumerate(x.items()):
            t = torch.randint(len(self._abar), (1 if self.released else len(rows),))
            noisy = corrupted(rows, self._abar[t].to(rows.device), noise)
            if not self.released:
                noisy = noisy * valid[:, i, :, None]
            out[m] = torch.where(masks[:, i, :, None], rows, noisy)
        return out, valid & masks if noise == "zero" else valid
