"""The plainest rival: ridge or logistic regression on every modality's mean row."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor, nn

from training.baselines.linear_layer import solve
from training.baselines.pooled import Pooled, PooledRival, pooled_copies
from training.components import Reduced, reduced_dims
from training.noise_aware import standardise
from training.samples import Samples
from training.windows import Windows


@dataclass(frozen=True)
class LinearConfig:
    """Of the network: widths of rows, and classes or 1."""

    dims: dict[str, int]
    outputs: int


class LinearNetwork(nn.Module):
    """One layer of the means of all modalities and of what is there."""

    def __init__(self, config: LinearConfig) -> None:
        super().__init__()
        self.config = config
        self.pool = Pooled(config.dims)
        self.layer = nn.Linear(sum(config.dims.values()) + len(config.dims), config.outputs)

    def forward(self, rows: Mapping[str, Tensor], valid: Tensor) -> Tensor:
        """rows float [B, T, dim] per modality, valid bool [B, M, T] -> outputs [B, C or 1]."""
        out: Tensor = self.layer(side_by_side(*self.pool(rows, valid)))
        return out


def side_by_side(means: list[Tensor], there: Tensor) -> Tensor:
    """[B, dim] of M modalities and bool [B, M] -> [B, sum of dims + M]."""
    return torch.cat([*means, there.to(means[0].dtype)], 1)


@dataclass(frozen=True)
class Linear(PooledRival):
    """Ridge regression, or for classes logistic regression, on one data set."""

    system = "linear"

    def model(self, windows: Windows) -> Reduced[LinearNetwork]:
        given = {m: x.shape[2] for m, x in windows.rows.items()}
        dims = reduced_dims(given, self.components)
        return Reduced(LinearNetwork(LinearConfig(dims, self.data.outputs)), given)

    def trained(
        self, train: Samples, valid: Samples, out: Path, seed: int, devices: int, progress: bool
    ) -> Reduced[LinearNetwork]:
        """In one piece, of some seconds."""
        model = self.model(train.windows)
        model.fit(train.windows)
        train = model.samples(train)
        network = model.network
        standardise(network.pool, train.windows, together=self.components)
        means, there, labels, _ = pooled_copies(
            network.pool, train, self.masks, self.rates, seed, self.copies
        )
        solve(network.layer, side_by_side(means, there), labels, self.penalty)
        return model.eval()
