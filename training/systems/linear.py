"""The plainest rival: ridge or logistic regression on the mean row of every modality."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from training.systems.linear_layer import solve
from training.systems.pooled import Copies, Pooled, PooledNetwork, PooledRival


@dataclass(frozen=True)
class LinearConfig:
    """The network's widths of rows, and classes or 1."""

    dims: dict[str, int]
    outputs: int


class LinearNetwork(PooledNetwork):
    """One layer reads the means of all modalities, and which modalities are there."""

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
    """Return [B, sum of dims + M] of means [B, dim] for M modalities and bool [B, M]."""
    return torch.cat([*means, there.to(means[0].dtype)], 1)


@dataclass(frozen=True, kw_only=True)
class Linear(PooledRival[LinearNetwork]):
    """Ridge regression, or for classes logistic regression."""

    name = "linear"

    def network(self, dims: dict[str, int], outputs: int) -> LinearNetwork:
        return LinearNetwork(LinearConfig(dims, outputs))

    def solve(self, network: LinearNetwork, copies: Copies, labels: Tensor) -> None:
        x = side_by_side(copies.means, copies.there)
        solve(network.layer, x, copies.labels, self.penalty)
