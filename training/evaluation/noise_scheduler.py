"""NMER's noise scheduler: it diffuses raw rows up to a random step of a schedule."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal

import torch
from torch import Tensor

Noise = Literal["gaussian", "impulse", "zero"]
FIRST, LAST = 0.01, 0.5
"""The schedule's beta at the first and at the last step, however many steps there are."""
IMPULSE_PROB = 0.3
"""The probability that impulse noise hits a number of a row."""


def kept(steps: int) -> Tensor:
    """Return abar, float32 [steps]: the share of a row's variance that is left after each step."""
    beta = torch.linspace(FIRST**0.5, LAST**0.5, steps, dtype=torch.float64).square()
    return torch.cumprod(1 - beta, 0).float()


def corrupted(x: Tensor, abar: Tensor, noise: Noise) -> Tensor:
    """Return rows x [B, T, N] after the steps that leave the share abar [B or 1] of the variance.

    They are sqrt(abar) x + sqrt(1 - abar) n, the forward diffusion of Ho et al. (NeurIPS 2020,
    eq. 4). Gaussian noise n has unit variance. Impulse noise is +1 and -1 with probability
    IMPULSE_PROB / 2 each and otherwise 0, so that late steps mostly attenuate the row. With "zero"
    nothing is left, whatever abar is.
    """
    if noise == "zero":
        return torch.zeros_like(x)
    n = torch.randn_like(x)
    if noise == "impulse":
        n = n.sign() * (torch.rand_like(x) < IMPULSE_PROB)
    abar = abar[:, None, None]
    return abar.sqrt() * x + (1 - abar).sqrt() * n


class Scheduler:
    """Replaces erased steps by noisy ones."""

    def __init__(self, noises: tuple[Noise, ...], steps: int, *, released: bool) -> None:
        """Make a schedule of `steps`; one of the `noises` is drawn for every batch.

        If `released`, it works as in the authors' code: a modality has one step of the schedule for
        the whole batch, and steps that are not valid become noisy, too.
        """
        self.noises, self.released, self._abar = noises, released, kept(steps)

    def __call__(
        self, x: Mapping[str, Tensor], valid: Tensor, masks: Tensor
    ) -> tuple[dict[str, Tensor], Tensor]:
        """Return the scaled rows x, noisy where a mask is False, and which steps the network sees.

        x is float [B, T, N_m] by modality; `valid`, `masks` and the second result are bool
        [B, M, T]. Noisy steps count as seen, unless the noise is "zero".
        """
        noise = self.noises[int(torch.randint(len(self.noises), ()))]
        out = {}
        for i, (m, rows) in enumerate(x.items()):
            t = torch.randint(len(self._abar), (1 if self.released else len(rows),))
            noisy = corrupted(rows, self._abar[t].to(rows.device), noise)
            if not self.released:
                noisy = noisy * valid[:, i, :, None]
            out[m] = torch.where(masks[:, i, :, None], rows, noisy)
        return out, valid & masks if noise == "zero" else valid
