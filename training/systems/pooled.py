"""Means of each modality's rows over a window, for the simple rivals.

Letters in the shape comments: B windows, M modalities, T steps.
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Generic, TypeVar

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from training.samples import Masks, SampleBatches
from training.systems.components import Reduced, reduced_dims
from training.systems.noise_aware import standardise
from training.systems.system import FitInputs, System
from training.windows import Windows


class Pooled(nn.Module):
    """Standardises rows, and averages those that are there."""

    def __init__(self, dims: Mapping[str, int]) -> None:
        super().__init__()
        for m, dim in dims.items():
            self.register_buffer(f"mean_{m}", torch.zeros(dim))
            self.register_buffer(f"scale_{m}", torch.ones(dim))

    def forward(self, rows: Mapping[str, Tensor], valid: Tensor) -> tuple[list[Tensor], Tensor]:
        """rows [B, T, dim] per modality, valid bool [B, M, T] -> means [B, dim] of each modality,
        0 where it is missing; bool [B, M]: where it is not."""
        means = []
        for i, (m, x) in enumerate(rows.items()):
            there = valid[:, i, :, None].to(x.dtype)
            x = (x - self.get_buffer(f"mean_{m}")) / self.get_buffer(f"scale_{m}")
            means.append((x * there).sum(1) / there.sum(1).clamp_min(1))
        return means, valid.any(2)


class PooledNetwork(nn.Module):
    """A network of rows float [B, T, dim] per modality and valid bool [B, M, T] -> [B, C or 1]."""

    pool: Pooled
    config: Any


Network = TypeVar("Network", bound=PooledNetwork)


@dataclass(frozen=True)
class Copies:
    """The means of what training's masks leave of every sample, drawn several times."""

    means: list[Tensor]
    """Float [n, dim] for each modality, 0 where it is missing."""
    there: Tensor
    """Bool [n, M]: the modality is there."""
    labels: Tensor
    """The label of each copy, [n]."""
    groups: NDArray[Any]
    """[n]: the video or speaker that each is of."""


def pooled_copies(
    pool: Pooled, inputs: FitInputs, masks: Masks, rates: Sequence[float], copies: int
) -> Copies:
    """Return `copies` versions of every training window, or as many epochs of drawn ones."""
    batches = SampleBatches(inputs.draw, masks, rates, masks == "none", inputs.seed)
    means: list[list[Tensor]] = [[] for _ in inputs.train.windows.rows]
    there, labels, groups = [], [], []
    for copy in range(copies):
        rows, valid, label, kept, _ = batches([(copy, n) for n in range(inputs.size)])
        for mask in kept:
            mine, here = pool(rows, valid & mask)
            for every, one in zip(means, mine, strict=True):
                every.append(one)
            there.append(here)
            labels.append(label)
            groups.append(inputs.groups)
    return Copies(
        [torch.cat(every) for every in means],
        torch.cat(there),
        torch.cat(labels),
        np.concatenate(groups),
    )


@dataclass(frozen=True, kw_only=True)
class PooledRival(System, Generic[Network]):
    """A rival whose weights are solved for at once, from the means of noisy copies."""

    masks: Masks = "rates"
    components: dict[str, int] = field(default_factory=dict)
    """The number of principal components that a modality's rows are reduced to."""
    penalty: float = 0.01
    """The penalty of the squared weights, against the mean loss of a sample."""
    copies: int = 4
    """The number of copies of every sample; each has masks of its own."""

    def __post_init__(self) -> None:
        """Raise ValueError where nothing can be fitted so."""
        if self.penalty <= 0 or min(self.copies, *self.components.values(), 1) < 1:
            raise ValueError("penalty lies over 0; copies and components are 1 or more")

    @abstractmethod
    def network(self, dims: dict[str, int], outputs: int) -> Network:
        """Return an untrained network for rows of such widths; `outputs`: classes, or 1."""

    @abstractmethod
    def solve(self, network: Network, copies: Copies, labels: Tensor) -> None:
        """Set the network's weights by the copies; `labels` are those of the samples."""

    def model(self, windows: Windows, outputs: int) -> Reduced[Network]:
        network = self.network(reduced_dims(windows.dims, self.components), outputs)
        return Reduced(network, windows.dims)

    def learn(self, network: Network, inputs: FitInputs) -> None:
        """Fit in one piece, which takes some seconds."""
        windows = inputs.train.windows
        standardise(network.pool, windows, together=self.components)
        copies = pooled_copies(network.pool, inputs, self.masks, self.rates, self.copies)
        self.solve(network, copies, windows.labels)
