"""The two adversarial losses of NORM-TR's noise-aware learning (section 3.5.2, eq. 6 and 7).

Shapes are named by letters: B batch, M modalities, T steps, H = N / 2.
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
    """Return x, but multiply its gradient by -strength (Ganin & Lempitsky, ICML 2015)."""
    out: Tensor = _Reversal.apply(x, strength)  # type: ignore[no-untyped-call]
    return out


@dataclass(frozen=True)
class Adversarial:
    """A discriminator's loss and how often it was right (0..1) for each sample, float [B] each."""

    loss: Tensor
    accuracy: Tensor


class ModalityDiscriminator(nn.Module):
    """D1: one linear layer tells the modality of a token (L_adv-1, eq. 6).

    It learns from detached MFs, and from NRGFs that come through extra token-wise MLPs (one for
    each modality) and the reversal. `d1` places the reversal `after` or `before` the extra MLPs;
    with `none` there is no such loss.
    """

    def __init__(self, modalities: int, half: int, d1: D1) -> None:
        super().__init__()
        self.d1 = d1
        self.extra = nn.ModuleList(
            nn.Sequential(nn.Linear(half, half), nn.LeakyReLU()) for _ in range(modalities)
        )
        self.linear = nn.Linear(half, modalities)

    def forward(self, features: Features, strength: float = 1.0) -> Adversarial:
        """Return the mean of the losses on MFs and on NRGFs, which are [B, M, T, H].

        The accuracy is that on NRGFs. `strength` is that of the reversal.
        """
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
    """D2: one linear layer looks for noise in the NRGFs, through the reversal (L_adv-2, eq. 7).

    With `slices` it tells from each modality's mean over the steps whether some steps were erased.
    With `samples` it tells from the means of all modalities which one had steps erased, or none
    (M + 1 classes; the last is rare unless the batch has clean samples). With `none` there is no
    such loss.
    """

    def __init__(self, modalities: int, half: int, d2: D2) -> None:
        super().__init__()
        self.d2 = d2
        whole = d2 == "samples"
        self.linear = nn.Linear(modalities * half, modalities + 1) if whole else nn.Linear(half, 1)

    def forward(self, nrgf: Tensor, noisy: Tensor, strength: float = 1.0) -> Adversarial:
        """Return the loss on nrgf [B, M, T, H].

        `noisy`, bool [B, M], names the slices in which steps were erased, and `strength` is that of
        the reversal.
        """
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
