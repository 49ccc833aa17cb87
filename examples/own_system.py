"""Train a system of your own on the same data: python examples/own_system.py FOLDER"""

from __future__ import annotations

import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import torch
from own_dataset import Clips, make_up, show
from torch import Tensor, nn

from training.systems.components import Reduced
from training.systems.system import FitInputs, System
from training.windows import Windows


@dataclass(frozen=True)
class MeansConfig:
    """The width of a row for each modality, and the number of classes."""

    dims: dict[str, int]
    outputs: int


class MeansNetwork(nn.Module):
    """Chooses the class whose mean is nearest."""

    def __init__(self, config: MeansConfig) -> None:
        super().__init__()
        self.config = config
        self.register_buffer("means", torch.zeros(config.outputs, sum(config.dims.values())))

    def pooled(self, rows: Mapping[str, Tensor], valid: Tensor) -> Tensor:
        """Return [B, sum of dims] of rows [B, T, dim] and valid [B, M, T]; 0 where nothing is
        valid."""
        kept = [x * valid[:, i, :, None] for i, x in enumerate(rows.values())]
        counts = valid.sum(2).clamp_min(1)
        return torch.cat([x.sum(1) / counts[:, i, None] for i, x in enumerate(kept)], 1)

    def forward(self, rows: Mapping[str, Tensor], valid: Tensor) -> Tensor:
        """Return outputs [B, C] of rows [B, T, dim] and valid [B, M, T]."""
        return -torch.cdist(self.pooled(rows, valid), self.get_buffer("means"))


@dataclass(frozen=True, kw_only=True)
class NearestMean(System):
    """Has no settings of its own."""

    name = "nearest mean"

    def model(self, windows: Windows, outputs: int) -> Reduced[MeansNetwork]:
        config = MeansConfig(windows.dims, outputs)
        return Reduced(MeansNetwork(config), windows.dims)

    def learn(self, network: MeansNetwork, inputs: FitInputs) -> None:
        train = inputs.train.windows
        pooled = network.pooled(train.rows, train.valid)
        for c, mean in enumerate(network.get_buffer("means")):
            mean.copy_(pooled[train.labels == c].mean(0))


if __name__ == "__main__":
    folder = Path(sys.argv[1])
    folder.mkdir(parents=True, exist_ok=True)
    make_up(folder)
    show(NearestMean().train(Clips(folder), folder / "nearest_mean", seed=1, progress=False))
