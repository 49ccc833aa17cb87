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
D2 = Literal["slices", "samples", "none"]


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
    """A discriminator's loss and how often it was right (0..1), float [B]: of each sample."""

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

    def forward(self, features: Features, strength: float = 1.0) -> Adversarial:
        """nrgf, mf [B, M, T, H] -> the mean of the losses on MFs and on NRGFs."""
        nrgf, mf = features.nrgf, features.mf.detach()
        if self.d1 == "none":
            return Adversarial(nrgf.new_zeros(len(nrgf)), nrgf.new_zeros(len(nrgf)))
        nrgf = reverse(nrgf, strength) if self.d1 == "before" else nrgf
        nrgf = torch.stack([mlp(nrgf[:, i]) for i, mlp in enumerate(self.extra)], 1)
        nrgf = reverse(nrgf, strength) if self.d1 == "after" else nrgf
        b, m, t, _ = mf.shape
        label = torch.arange(m, device=mf.device)[None, :, None].expand(b, m, t)
        on_mf, on_nrgf = (self.linear(x).movedim(3, 1) for x in (mf, nrgf))  # [B, class, M, T]
        loss = F.cross_entropy(on_mf, label, reduction="none")
        loss = loss + F.cross_entropy(on_nrgf, label, reduction="none")
        right = (on_nrgf.argmax(1) == label).float()
        return Adversarial(0.5 * loss.mean((1, 2)), right.mean((1, 2)))


class NoiseDiscriminator(nn.Module):
    """D2: one linear layer looks for noise in the NRGFs (loss adv-2), which come reversed.

    `d2` says what it decides: `slices`: of each modality's mean over the steps, whether some were
    erased; `samples`: of all modalities' means at once, which modality was, or none of them
    (M + 1 classes; without clean samples in the batch the last is rare); `none`: no such loss.
    """

    def __init__(self, modalities: int, half: int, d2: D2) -> None:
        super().__init__()
        self.d2 = d2
        whole = d2 == "samples"
        self.linear = nn.Linear(modalities * half, modalities + 1) if whole else nn.Linear(half, 1)

    def forward(self, nrgf: Tensor, noisy: Tensor, strength: float = 1.0) -> Adversarial:
        """nrgf [B, M, T, H]; noisy bool [B, M]: the slices of which steps were erased."""
        if self.d2 == "none":
            return Adversarial(nrgf.new_zeros(len(noisy)), nrgf.new_zeros(len(noisy)))
        means = reverse(nrgf.mean(dim=2), strength)  # [B, M, H]
        if self.d2 == "samples":
            logits = self.linear(means.flatten(1))  # [B, M + 1]
            which = torch.where(noisy.any(1), noisy.int().argmax(1), noisy.shape[1])
            loss = F.cross_entropy(logits, which, reduction="none")
            return Adversarial(loss, (logits.argmax(1) == which).float())
        logits = self.linear(means)[..., 0]  # [B, M]
        loss = F.binary_cross_entropy_with_logits(logits, noisy.float(), reduction="none")
        return Adversarial(loss.mean(1), ((logits > 0) == noisy).float().mean(1))
