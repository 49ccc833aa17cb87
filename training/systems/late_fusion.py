"""Late fusion: a linear head for each modality alone, and a rule that puts their answers together."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

import torch
from numpy.typing import NDArray
from sklearn.model_selection import GroupKFold
from torch import Tensor, nn

from normtr.errors import UserError
from training.systems.linear_layer import solve
from training.systems.pooled import Copies, Pooled, PooledNetwork, PooledRival

FOLDS = 5
Fusion = Literal["mean", "stacked"]


@dataclass(frozen=True)
class LateConfig:
    """The network's widths of rows, classes or 1, and how heads are put together."""

    dims: dict[str, int]
    outputs: int
    fusion: Fusion


class LateNetwork(PooledNetwork):
    """Puts together the heads of the modalities that are there.

    `mean` averages what they say, for classes their log-probabilities; `stacked` is a linear layer
    over that and over which modalities are there.
    """

    def __init__(self, config: LateConfig) -> None:
        super().__init__()
        self.config = config
        self.pool = Pooled(config.dims)
        self.heads = nn.ModuleDict(
            {m: nn.Linear(dim, config.outputs) for m, dim in config.dims.items()}
        )
        if config.fusion == "stacked":
            self.stack = nn.Linear(len(config.dims) * (config.outputs + 1), config.outputs)
        self.register_buffer("empty", torch.zeros(config.outputs))
        """The answer where nothing is there."""

    def forward(self, rows: Mapping[str, Tensor], valid: Tensor) -> Tensor:
        """rows float [B, T, dim] per modality, valid bool [B, M, T] -> outputs [B, C or 1]."""
        means, there = self.pool(rows, valid)
        said = self.said(means, there)
        if self.config.fusion == "stacked":
            out: Tensor = self.stack(stackable(said, there))
            return out
        mean = said.sum(1) / there.sum(1, keepdim=True).clamp_min(1)
        return torch.where(there.any(1, keepdim=True), mean, self.get_buffer("empty"))

    def said(self, means: list[Tensor], there: Tensor) -> Tensor:
        """Return [B, M, C]: what each head says, 0 where its modality is missing."""
        each = [head(x) for head, x in zip(self.heads.values(), means, strict=True)]
        said = torch.stack(each, 1)
        said = said.log_softmax(2) if self.config.outputs > 1 else said
        return said * there[..., None]


def stackable(said: Tensor, there: Tensor) -> Tensor:
    """Return [B, M (C + 1)] of said [B, M, C] and there bool [B, M]."""
    return torch.cat([said.flatten(1), there.to(said.dtype)], 1)


@dataclass(frozen=True, kw_only=True)
class LateFusion(PooledRival[LateNetwork]):
    """Late fusion of linear heads."""

    name = "late fusion"
    fusion: Fusion = "stacked"

    def network(self, dims: dict[str, int], outputs: int) -> LateNetwork:
        return LateNetwork(LateConfig(dims, outputs, self.fusion))

    def solve(self, network: LateNetwork, copies: Copies, labels: Tensor) -> None:
        """Fit the heads; the stack learns from heads that did not see the sample."""
        if self.fusion == "stacked":
            stacked = stackable(self._unseen(network, copies), copies.there)
            solve(network.stack, stacked, copies.labels, self.penalty)
        self._fit_heads(network, copies)
        network.get_buffer("empty").copy_(prior(labels, network.config.outputs))

    def _fit_heads(
        self, network: LateNetwork, copies: Copies, some: NDArray[Any] | slice = slice(None)
    ) -> None:
        """Fit each head on those of `some` copies that have its modality."""
        there, labels = copies.there[some], copies.labels[some]
        for i, (m, x) in enumerate(zip(network.heads, copies.means, strict=True)):
            head: Any = network.heads[m]
            solve(head, x[some][there[:, i]], labels[there[:, i]], self.penalty)

    def _unseen(self, network: LateNetwork, copies: Copies) -> Tensor:
        """Return [n, M, C]: what heads say that were fitted on the other groups."""
        folds = min(FOLDS, len(set(copies.groups)))
        if folds < 2:
            raise UserError("a stack is fitted on two videos or speakers, or more.")
        out = torch.zeros(*copies.there.shape, network.config.outputs)
        with torch.no_grad():
            for own, others in GroupKFold(folds).split(copies.labels, groups=copies.groups):
                self._fit_heads(network, copies, own)
                out[others] = network.said([x[others] for x in copies.means], copies.there[others])
        return out


def prior(labels: Tensor, outputs: int) -> Tensor:
    """Return the answer where nothing is there: the mean label, or the log of each class's share."""
    if outputs == 1:
        return labels.mean()[None]
    counts = torch.bincount(labels, minlength=outputs).float() + 1
    return (counts / counts.sum()).log()
