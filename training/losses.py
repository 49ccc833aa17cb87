"""The noise-aware losses of NORM-TR: emotion, and two adversarial ones (3.5.2, 3.6).

Letters in the shape comments: B batch, M modalities, T steps, H = N / 2.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from normtr.model import Features

D1 = Literal["after", "before", "none"]


class _Reversal(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor, strength: float) -> Tensor:
        ctx.strength = strength
        return x.view_as(x)

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor, None]:
        return -ctx.strength * gradient, None


def reverse(x: Tensor, strength: float = 1.0) -> Tensor:
    """Gradient reversal (Ganin & Lempitsky, ICML 2015): x, whose gradient is -strength times."""
    out: Tensor = _Reversal.apply(x, strength)  # type: ignore[no-untyped-call]
    return out


@dataclass(frozen=True)
class Adversarial:
    """A discriminator's loss and how often it was right (0..1)."""

    loss: Tensor
    accuracy: Tensor


class ModalityDiscriminator(nn.Module):
    """D1: one linear layer says of which modality a token is (loss adv-1).

    It learns from MFs, which are detached, and from NRGFs, which come through three extra
    token-wise MLPs (one per modality) and the reversal. `d1` says where the reversal stands:
    `after` or `before` the extra MLPs; `none`: no such loss.
    """

    def __init__(self, modalities: int, half: int, d1: D1) -> None:
        super().__init__()
        self.d1 = d1
        self.extra = nn.ModuleList(
            nn.Sequential(nn.Linear(half, half), nn.LeakyReLU()) for _ in range(modalities)
        )
        self.linear = nn.Linear(half, modalities)

    def forward(self, features: Features) -> Adversarial:
        """nrgf, mf [B, M, T, H] -> the mean of the losses on MFs and on NRGFs."""
        nrgf, mf = features.nrgf, features.mf.detach()
        if self.d1 == "none":
            return Adversarial(nrgf.new_zeros(()), nrgf.new_zeros(()))
        nrgf = reverse(nrgf) if self.d1 == "before" else nrgf
        nrgf = torch.stack([mlp(nrgf[:, i]) for i, mlp in enumerate(self.extra)], 1)
        nrgf = reverse(nrgf) if self.d1 == "after" else nrgf
        b, m, t, _ = mf.shape
        label = torch.arange(m, device=mf.device)[None, :, None].expand(b, m, t).flatten()
        on_mf, on_nrgf = self.linear(mf).flatten(0, 2), self.linear(nrgf).flatten(0, 2)
        loss = 0.5 * (F.cross_entropy(on_mf, label) + F.cross_entropy(on_nrgf, label))
        return Adversarial(loss, (on_nrgf.argmax(1) == label).float().mean())


class NoiseDiscriminator(nn.Module):
    """D2: one linear layer says whether a modality's slice of the NRGFs is noisy (loss adv-2)."""

    def __init__(self, half: int) -> None:
        super().__init__()
        self.linear = nn.Linear(half, 1)

    def forward(self, features: Features, noisy: Tensor) -> Adversarial:
        """nrgf [B, M, T, H]; noisy bool [B, M]: the slices whose steps were erased."""
        logits = self.linear(reverse(features.nrgf.mean(dim=2)))[..., 0]  # [B, M]
        loss = F.binary_cross_entropy_with_logits(logits, noisy.float())
        return Adversarial(loss, ((logits > 0) == noisy).float().mean())
