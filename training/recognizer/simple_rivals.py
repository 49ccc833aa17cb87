"""Rivals that fuse early: a concatenation MLP, and our Transformer without noise-aware learning."""

from __future__ import annotations

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor, nn

from normtr.model import NormTr, NormTrConfig
from normtr.spec import LABELS
from training.recognizer.learn import learn
from training.windows import Windows

HIDDEN = 256


class Concatenation(nn.Module):
    """All steps of all modalities side by side, with what is there -> logits; taught with gaps."""

    def __init__(self, windows: Windows) -> None:
        super().__init__()
        numbers = sum(x[0].numel() for x in windows.rows.values()) + windows.valid[0].numel()
        self.layers = nn.Sequential(
            nn.Linear(numbers, HIDDEN),
            nn.ReLU(),
            nn.Dropout(0.2),
            nn.Linear(HIDDEN, HIDDEN),
            nn.ReLU(),
            nn.Linear(HIDDEN, len(LABELS)),
        )

    def forward(self, windows: Windows) -> Tensor:
        seen = [
            (x * windows.valid[:, i, :, None]).flatten(1)
            for i, x in enumerate(windows.rows.values())
        ]
        out: Tensor = self.layers(torch.cat([*seen, windows.valid.float().flatten(1)], 1))
        return out


class Transformer(nn.Module):
    """NORM-TR's network, taught on whole windows only and without adversaries."""

    def __init__(self, config: NormTrConfig) -> None:
        super().__init__()
        self.network = NormTr(config)

    def forward(self, windows: Windows) -> Tensor:
        out: Tensor = self.network(windows.rows, windows.valid)
        return out


def teach(rival: nn.Module, windows: Windows, epochs: int, seed: int) -> None:
    """Cross-entropy of the windows' labels."""

    def loss(numbers: NDArray[np.int64]) -> Tensor:
        part = windows.part(numbers)
        return F.cross_entropy(rival(part), part.labels)

    learn(rival, loss, len(windows.labels), epochs, seed)
