"""Windows as tensors, and the order in which a training run sees them."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.utils.data import DataLoader, Dataset, Sampler, TensorDataset

MOST_ROWS = 50_000
"""This many rows are enough for means, deviations and principal components."""
Key = tuple[int, int]
"""A key is (epoch, sample)."""
Batch = tuple[dict[str, Tensor], Tensor, Tensor, Tensor, Tensor]
"""Rows [B, T, dim] per modality; valid bool [B, M, T]; labels [B]; masks bool
[V, B, M, T]: Type-1, Type-2, and further versions; noisy bool [B, M]: the slices that Type-2
erased something of."""


@dataclass(frozen=True)
class Windows:
    """Many windows as tensors.

    `rows` float32 [n, T, dim] per modality, `valid` bool [n, M, T], `labels` int64 [n], or
    float32 [n] for regression.
    """

    rows: dict[str, Tensor]
    valid: Tensor
    labels: Tensor

    @property
    def dims(self) -> dict[str, int]:
        """The width of a row, by modality."""
        return {m: x.shape[2] for m, x in self.rows.items()}

    def dataset(self) -> TensorDataset:
        return TensorDataset(*self.rows.values(), self.valid, self.labels)

    def under(self, masks: NDArray[np.bool_]) -> Windows:
        """Return the same windows with only what `masks` [n, M, T] keeps."""
        return Windows(self.rows, self.valid & torch.from_numpy(masks), self.labels)

    def valid_rows(self, modality: str) -> Tensor:
        """Return valid rows float32 [rows, dim], evenly chosen where there are more than MOST_ROWS.

        Windows may be mapped and larger than the memory; their statistics must not be.
        """
        where = self.valid[:, list(self.rows).index(modality)].nonzero()
        where = where[:: max(1, -(-len(where) // MOST_ROWS))]
        return self.rows[modality][where[:, 0], where[:, 1]]

    def part(self, chosen: slice | NDArray[np.int64]) -> Windows:
        rows = {m: x[chosen] for m, x in self.rows.items()}
        return Windows(rows, self.valid[chosen], self.labels[chosen])


def joined(many: list[Windows]) -> Windows:
    """Return the windows one after another."""
    return Windows(
        {m: torch.cat([w.rows[m] for w in many]) for m in many[0].rows},
        torch.cat([w.valid for w in many]),
        torch.cat([w.labels for w in many]),
    )


class SampleNumbers(Dataset[int]):
    """Stands for the samples of an epoch; a sample is its number."""

    def __init__(self, size: int) -> None:
        self._size = size

    def __len__(self) -> int:
        return self._size

    def __getitem__(self, key: Any) -> Any:
        return key


def process() -> tuple[int, int]:
    """Return the rank and the number of the processes that train together."""
    if torch.distributed.is_available() and torch.distributed.is_initialized():
        return torch.distributed.get_rank(), torch.distributed.get_world_size()
    return 0, 1


class EpochOrder(Sampler[Any]):
    """Gives keys (epoch, sample) in an order that depends on (seed, epoch) only.

    Of several processes each takes every n-th, so that together they see the same batches.
    """

    def __init__(self, size: int, seed: int) -> None:
        self._size, self._seed, self._epoch = size, seed, 0

    def set_epoch(self, epoch: int) -> None:
        """Set the epoch; Lightning calls this before each one."""
        self._epoch = epoch

    def __len__(self) -> int:
        return self._size // process()[1]

    def __iter__(self) -> Iterator[Key]:
        order = np.random.default_rng((self._seed, self._epoch)).permutation(self._size)
        rank, world = process()
        whole = self._size // world * world
        return iter([(self._epoch, int(i)) for i in order[rank:whole:world]])


def loader(
    batches: Callable[[list[Key]], Batch], size: int, batch: int, seed: int
) -> DataLoader[Any]:
    """Return a loader of `size` samples an epoch; `batches` makes a batch of keys."""
    return DataLoader(
        SampleNumbers(size),
        batch,
        sampler=EpochOrder(size, seed),
        drop_last=True,
        collate_fn=batches,
    )
