"""The plainest network: all steps of all modalities side by side go through two layers."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from training.systems.components import Reduced, reduced_dims
from training.systems.one_phase import OnePhase
from training.systems.phase import Phase, PhaseModule
from training.windows import Batch, Windows

LENGTH = Phase(constant=8, decay=8, batch=32, clip=1.0, dropout=0.2, beta1=0.9, lr=1e-3)


@dataclass(frozen=True)
class ConcatenationConfig:
    """The sizes of the network: widths of rows, classes or 1, steps, hidden numbers."""

    dims: dict[str, int]
    outputs: int
    steps: int
    hidden: int


class ConcatenationNetwork(nn.Module):
    """Reads standardised rows, 0 where they are missing, and which steps are there."""

    def __init__(self, config: ConcatenationConfig, dropout: float) -> None:
        super().__init__()
        self.config = config
        for m, dim in config.dims.items():
            self.register_buffer(f"mean_{m}", torch.zeros(dim))
            self.register_buffer(f"scale_{m}", torch.ones(dim))
        self.layers = nn.Sequential(
            nn.Linear((sum(config.dims.values()) + len(config.dims)) * config.steps, config.hidden),
            nn.ReLU(),
            nn.Dropout(dropout),
            nn.Linear(config.hidden, config.hidden),
            nn.ReLU(),
            nn.Dropout(dropout),
            nn.Linear(config.hidden, config.outputs),
        )

    def forward(self, rows: Mapping[str, Tensor], valid: Tensor) -> Tensor:
        """rows float [B, T, dim] per modality, valid bool [B, M, T] -> outputs [B, C or 1]."""
        seen = [valid.to(torch.float32).flatten(1)]
        for i, (m, x) in enumerate(rows.items()):
            x = (x - self.get_buffer(f"mean_{m}")) / self.get_buffer(f"scale_{m}")
            seen.append((x * valid[:, i, :, None]).flatten(1))
        out: Tensor = self.layers(torch.cat(seen, 1))
        return out


class ConcatenationLearning(PhaseModule):
    """Learns by the emotion loss of every version that the masks leave."""

    network: ConcatenationNetwork

    def training_step(self, batch: Batch, _: int) -> Tensor:
        rows, valid, labels, masks, _noisy = batch
        losses = [self.emotion_loss(self.network(rows, valid & mask), labels) for mask in masks]
        return self.told({"emotion": torch.stack(losses).mean()})


@dataclass(frozen=True, kw_only=True)
class Concatenation(OnePhase):
    """The concatenation of all rows, learned by gradient steps."""

    name = "concatenation"
    hidden: int = 256
    length: Phase = LENGTH

    def model(self, windows: Windows, outputs: int) -> Reduced[ConcatenationNetwork]:
        dims = reduced_dims(windows.dims, self.components)
        steps = windows.valid.shape[2]
        config = ConcatenationConfig(dims, outputs, steps, self.hidden)
        return Reduced(ConcatenationNetwork(config, self.length.dropout), windows.dims)

    def module(self, network: ConcatenationNetwork, seed: int) -> ConcatenationLearning:
        outputs = network.config.outputs
        return ConcatenationLearning(network, outputs, self.length, self.regression, seed)
