"""Late fusion: a linear head for each modality alone, and what the heads say put together."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import KW_ONLY, dataclass
from pathlib import Path
from typing import Any, Literal

import torch
from numpy.typing import NDArray
from sklearn.model_selection import GroupKFold
from torch import Tensor, nn

from normtr.errors import UserError
from training.baselines.linear_layer import solve
from training.baselines.pooled import Pooled, PooledRival, pooled_copies
from training.components import Reduced, reduced_dims
from training.noise_aware import standardise
from training.samples import Samples
from training.windows import Windows

FOLDS = 5
Fusion = Literal["mean", "stacked"]


@dataclass(frozen=True)
class LateConfig:
    """Of the network: widths of rows, classes or 1, and how heads are put together."""

    dims: dict[str, int]
    outputs: int
    fusion: Fusion


class LateNetwork(nn.Module):
    """`mean` of what the heads of those modalities say that are there (for classes: of their
    log-probabilities), or `stacked`: a linear layer of that and of what is there."""

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
        """What is said where nothing is there."""

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
        """[B, M, C]: what each head says, 0 where its modality is missing."""
        each = [head(x) for head, x in zip(self.heads.values(), means, strict=True)]
        said = torch.stack(each, 1)
        said = said.log_softmax(2) if self.config.outputs > 1 else said
        return said * there[..., None]


def stackable(said: Tensor, there: Tensor) -> Tensor:
    """[B, M, C] and bool [B, M] -> [B, M (C + 1)]."""
    return torch.cat([said.flatten(1), there.to(said.dtype)], 1)


@dataclass(frozen=True)
class Late(PooledRival):
    """Late fusion of linear heads on one data set."""

    system = "late fusion"
    _: KW_ONLY
    fusion: Fusion = "stacked"

    def model(self, windows: Windows) -> Reduced[LateNetwork]:
        given = {m: x.shape[2] for m, x in windows.rows.items()}
        dims = reduced_dims(given, self.components)
        return Reduced(LateNetwork(LateConfig(dims, self.data.outputs, self.fusion)), given)

    def trained(
        self, train: Samples, valid: Samples, out: Path, seed: int, devices: int, progress: bool
    ) -> Reduced[LateNetwork]:
        """In one piece, of some seconds. The stack learns from heads that did not see the sample."""
        model = self.model(train.windows)
        model.fit(train.windows)
        train = model.samples(train)
        network = model.network
        standardise(network.pool, train.windows, together=self.components)
        means, there, labels, groups = pooled_copies(
            network.pool, train, self.masks, self.rates, seed, self.copies
        )
        if self.fusion == "stacked":
            said = self._unseen(network, means, there, labels, groups)
            solve(network.stack, stackable(said, there), labels, self.penalty)
        self._fit_heads(network, means, there, labels)
        network.get_buffer("empty").copy_(_prior(train.windows.labels, self.data.outputs))
        return model.eval()

    def _fit_heads(
        self, network: LateNetwork, means: list[Tensor], there: Tensor, labels: Tensor
    ) -> None:
        """Each on the samples that have its modality."""
        for i, (m, x) in enumerate(zip(network.heads, means, strict=True)):
            head: Any = network.heads[m]
            solve(head, x[there[:, i]], labels[there[:, i]], self.penalty)

    def _unseen(
        self,
        network: LateNetwork,
        means: list[Tensor],
        there: Tensor,
        labels: Tensor,
        groups: NDArray[Any],
    ) -> Tensor:
        """[n, M, C]: what heads say that were fitted on the other groups."""
        folds = min(FOLDS, len(set(groups)))
        if folds < 2:
            raise UserError("a stack is fitted on two videos or speakers, or more.")
        out = torch.zeros(*there.shape, self.data.outputs)
        with torch.no_grad():
            for own, left_out in GroupKFold(folds).split(labels, groups=groups):
                self._fit_heads(network, [x[own] for x in means], there[own], labels[own])
                out[left_out] = network.said([x[left_out] for x in means], there[left_out])
        return out


def _prior(labels: Tensor, outputs: int) -> Tensor:
    """What to say of nothing: the mean, or the log of how often each class is."""
    if outputs == 1:
        return labels.mean()[None]
    counts = torch.bincount(labels, minlength=outputs).float() + 1
    return (counts / counts.sum()).log()
