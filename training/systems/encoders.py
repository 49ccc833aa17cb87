"""The modules that IF-MMIN and NMER share (and MMIN before them): encoders, invariant layers and
classifiers.

Shapes are named by letters: B batch, M modalities, T steps.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from typing import Literal

import torch
import torch.nn.functional as F
from torch import Tensor, nn

Preset = Literal["sound", "as_released"]
"""`as_released` does what the authors' code does, `sound` what makes sense; the module of each
system says how they differ."""
WIDTH = 128
"""The width of an encoder's output."""
KERNELS = (3, 4, 5)
"""The widths of the text encoder's convolutions, steps."""
TEXT_DROPOUT = 0.5
GROUP = 32
"""A CPU encodes this many samples of similar length at a time."""


class Encoder(nn.Module, ABC):
    """Turns a sequence into WIDTH numbers."""

    def forward(self, x: Tensor, counted: Tensor) -> Tensor:
        """Encode x [B, T, dim] as [B, WIDTH].

        `counted`, bool [B, T], names the steps that count; every sample must have one. On a CPU
        the steps after the last counted one of a group are left out, because most utterances have
        few words.
        """
        if x.is_cuda or len(x) <= GROUP:
            return self.encoded(x, counted)
        ends = (counted * torch.arange(1, counted.shape[1] + 1)).amax(1)
        order = ends.argsort(stable=True)
        found = []
        for group in torch.split(order, GROUP):
            seen = int(ends[group[-1]]) + max(KERNELS) - 1  # a kernel may begin at the last
            found.append(self.encoded(x[group, :seen], counted[group, :seen]))
        return torch.cat(found)[order.argsort()]

    @abstractmethod
    def encoded(self, x: Tensor, counted: Tensor) -> Tensor:
        """Encode as `forward` does, but leave no step out."""


class LstmEncoder(Encoder):
    """Encodes face and voice: an LSTM, and the maximum of its states over time."""

    def __init__(self, dim: int) -> None:
        super().__init__()
        self.lstm = nn.LSTM(dim, WIDTH, batch_first=True)

    def encoded(self, x: Tensor, counted: Tensor) -> Tensor:
        states, _ = self.lstm(x)
        return _highest(states, counted)


class TextCnnEncoder(Encoder):
    """Encodes text by a TextCNN (Kim, EMNLP 2014): convolutions, maxima over time and a layer."""

    def __init__(self, dim: int) -> None:
        super().__init__()
        self.convolutions = nn.ModuleList(nn.Conv1d(dim, WIDTH, kernel) for kernel in KERNELS)
        self.dropout = nn.Dropout(TEXT_DROPOUT)
        self.linear = nn.Linear(len(KERNELS) * WIDTH, WIDTH)

    def encoded(self, x: Tensor, counted: Tensor) -> Tensor:
        """Encode x; a kernel's place counts if all of its steps do.

        If a sample has no such place, those count that have a counted step.
        """
        lacking = max(0, max(KERNELS) - x.shape[1])  # a kernel needs as many steps
        x = F.pad(x, (0, 0, 0, lacking)).transpose(1, 2)
        counted = F.pad(counted, (0, lacking))
        found = [
            _highest(F.relu(convolution(x)).transpose(1, 2), _places(counted, kernel))
            for convolution, kernel in zip(self.convolutions, KERNELS, strict=True)
        ]
        return F.relu(self.linear(self.dropout(torch.cat(found, 1))))


def _highest(x: Tensor, counted: Tensor) -> Tensor:
    """Return the maximum [B, N] of x [B, T, N] over the counted steps [B, T]."""
    return x.masked_fill(~counted[..., None], -torch.inf).amax(1)


def _places(counted: Tensor, kernel: int) -> Tensor:
    """Return which places of a kernel count, [B, T - kernel + 1], given which steps do, [B, T]."""
    covered = counted.unfold(1, kernel, 1)
    whole = covered.all(2)
    return whole | (covered.any(2) & ~whole.any(1, keepdim=True))


def span(valid: Tensor) -> Tensor:
    """Return the steps from the first to the last one that is valid in any modality, bool [B, T].

    `valid` is bool [B, M, T]. So a missing modality is as long as the others. If nothing is valid,
    all steps are returned.
    """
    there = valid.any(1)
    begun, goes_on = there.cumsum(1) > 0, there.flip(1).cumsum(1).flip(1) > 0
    return (begun & goes_on) | ~there.any(1, keepdim=True)


def encoders(dims: Mapping[str, int]) -> nn.ModuleDict:
    """Make an encoder for each modality, for rows of these widths."""
    return nn.ModuleDict(
        {m: TextCnnEncoder(dim) if m == "text" else LstmEncoder(dim) for m, dim in dims.items()}
    )


def invariant() -> nn.Sequential:
    """Make the layers that all modalities share: [B, WIDTH] -> [B, WIDTH]."""
    return nn.Sequential(
        nn.Linear(WIDTH, WIDTH), nn.LeakyReLU(), nn.Linear(WIDTH, WIDTH), nn.LeakyReLU()
    )


def classifier(width: int, outputs: int, dropout: float) -> nn.Sequential:
    """Make a classifier [B, width] -> [B, outputs] with two hidden layers."""
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
    """Initialise linear layers and convolutions as the authors do; other layers stay as they are.

    Weights are normal (He et al., ICCV 2015, fan-in), and biases are zero.
    """
    for layer in module.modules():
        if isinstance(layer, nn.Linear | nn.Conv1d):
            nn.init.kaiming_normal_(layer.weight)
            if layer.bias is not None:
                nn.init.zeros_(layer.bias)
