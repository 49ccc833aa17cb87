"""What IF-MMIN and NMER (and MMIN before them) share: sequences as 128 numbers, invariant layers,
classifiers.

Letters in the shape comments: B batch, T steps.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from typing import Literal

import torch
import torch.nn.functional as F
from torch import Tensor, nn

Preset = Literal["sound", "as_released"]
"""What makes sense, or what the authors' code does; each system says how they differ."""
WIDTH = 128
"""Of what an encoder gives."""
KERNELS = (3, 4, 5)
TEXT_DROPOUT = 0.5
GROUP = 32
"""Samples of similar length that a CPU encodes at a time."""


class Encoder(nn.Module, ABC):
    """A sequence as WIDTH numbers."""

    def forward(self, x: Tensor, counted: Tensor) -> Tensor:
        """x [B, T, dim], counted bool [B, T], of which one is -> [B, WIDTH].

        On a CPU the steps after the last counted one of a group are left out: most utterances
        have few words.
        """
        if x.is_cuda or len(x) <= GROUP:
            return self.encoded(x, counted)
        ends = (counted * torch.arange(1, counted.shape[1] + 1)).amax(1)
        order = ends.argsort(stable=True)
        found = []
        for group in torch.split(order, GROUP):
            seen = int(ends[group[-1]]) + max(KERNELS) - 1  # by a kernel over the last counted step
            found.append(self.encoded(x[group, :seen], counted[group, :seen]))
        return torch.cat(found)[order.argsort()]

    @abstractmethod
    def encoded(self, x: Tensor, counted: Tensor) -> Tensor:
        """As `forward`, of all steps."""


class SequenceEncoder(Encoder):
    """Face and voice: an LSTM, the maximum of its states over time."""

    def __init__(self, dim: int) -> None:
        super().__init__()
        self.lstm = nn.LSTM(dim, WIDTH, batch_first=True)

    def encoded(self, x: Tensor, counted: Tensor) -> Tensor:
        states, _ = self.lstm(x)
        return _highest(states, counted)


class TextEncoder(Encoder):
    """Text: convolutions over 3, 4 and 5 steps, their maximum over time, one layer."""

    def __init__(self, dim: int) -> None:
        super().__init__()
        self.convolutions = nn.ModuleList(nn.Conv1d(dim, WIDTH, kernel) for kernel in KERNELS)
        self.dropout = nn.Dropout(TEXT_DROPOUT)
        self.linear = nn.Linear(len(KERNELS) * WIDTH, WIDTH)

    def encoded(self, x: Tensor, counted: Tensor) -> Tensor:
        """As `Encoder`; a kernel's place counts where its steps do, or if none is so, where
        one of them does."""
        lacking = max(0, max(KERNELS) - x.shape[1])  # a kernel needs as many steps
        x = F.pad(x, (0, 0, 0, lacking)).transpose(1, 2)
        counted = F.pad(counted, (0, lacking))
        found = [
            _highest(F.relu(convolution(x)).transpose(1, 2), _places(counted, kernel))
            for convolution, kernel in zip(self.convolutions, KERNELS, strict=True)
        ]
        return F.relu(self.linear(self.dropout(torch.cat(found, 1))))


def _highest(x: Tensor, counted: Tensor) -> Tensor:
    """[B, T, N] -> [B, N]: the maximum over the counted steps."""
    return x.masked_fill(~counted[..., None], -torch.inf).amax(1)


def _places(counted: Tensor, kernel: int) -> Tensor:
    """Steps [B, T] -> places of a kernel [B, T - kernel + 1]."""
    covered = counted.unfold(1, kernel, 1)
    whole = covered.all(2)
    return whole | (covered.any(2) & ~whole.any(1, keepdim=True))


def span(valid: Tensor) -> Tensor:
    """Valid bool [B, M, T] -> bool [B, T]: from the first to the last step of which anything is.

    So a missing modality is as long as the others. Where nothing is valid: all steps.
    """
    there = valid.any(1)
    begun, goes_on = there.cumsum(1) > 0, there.flip(1).cumsum(1).flip(1) > 0
    return (begun & goes_on) | ~there.any(1, keepdim=True)


def encoders(dims: Mapping[str, int]) -> nn.ModuleDict:
    """One for each modality, for rows of these widths."""
    return nn.ModuleDict(
        {m: TextEncoder(dim) if m == "text" else SequenceEncoder(dim) for m, dim in dims.items()}
    )


def invariant() -> nn.Sequential:
    """The layers that all modalities share: [B, WIDTH] -> [B, WIDTH]."""
    return nn.Sequential(
        nn.Linear(WIDTH, WIDTH), nn.LeakyReLU(), nn.Linear(WIDTH, WIDTH), nn.LeakyReLU()
    )


def classifier(width: int, outputs: int, dropout: float) -> nn.Sequential:
    """[B, width] -> [B, outputs]."""
    return nn.Sequential(
        nn.Linear(width, WIDTH),
        nn.ReLU(),
        nn.Dropout(dropout),
        nn.Linear(WIDTH, WIDTH),
        nn.ReLU(),
        nn.Dropout(dropout),
        nn.Linear(WIDTH, outputs),
    )


def initialise(module: nn.Module) -> None:
    """As the authors: Kaiming's normal weights (fan in), no bias; all but such layers stay."""
    for layer in module.modules():
        if isinstance(layer, nn.Linear | nn.Conv1d):
            nn.init.kaiming_normal_(layer.weight)
            if layer.bias is not None:
                nn.init.zeros_(layer.bias)
