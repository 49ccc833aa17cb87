"""Batches of paired windows with the masks of both noise types."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.utils.data import DataLoader, Dataset, Sampler, TensorDataset

from normtr.spec import MODALITIES, FeatureSpec
from training import noise
from training.pairing import Pairing

ABSENT_SHARE = 0.4
"""Share of the training windows in which each modality may be missing throughout."""

Key = tuple[int, int]
"""(epoch, sample)."""
Batch = tuple[dict[str, Tensor], Tensor, Tensor, Tensor, Tensor]
"""Rows [B, T, dim] per modality; valid bool [B, M, T]; labels int64 [B]; masks bool
[2, B, M, T], Type-1 first; noisy bool [B, M]: the slices that Type-2 erased something of."""


@dataclass(frozen=True)
class Windows:
    """Many windows as tensors.

    `rows` float32 [n, T, dim] per modality, `valid` bool [n, M, T], `labels` int64 [n].
    """

    rows: dict[str, Tensor]
    valid: Tensor
    labels: Tensor

    def dataset(self) -> TensorDataset:
        return TensorDataset(*(self.rows[m] for m in MODALITIES), self.valid, self.labels)

    def under(self, masks: NDArray[np.bool_]) -> Windows:
        """The same windows with only what `masks` [n, M, T] keeps."""
        return Windows(self.rows, self.valid & torch.from_numpy(masks), self.labels)

    def part(self, chosen: slice) -> Windows:
        rows = {m: x[chosen] for m, x in self.rows.items()}
        return Windows(rows, self.valid[chosen], self.labels[chosen])


def draw(pairing: Pairing, keys: list[Key]) -> Windows:
    """The windows of some (epoch, sample) keys."""
    drawn = [pairing(epoch, sample) for epoch, sample in keys]
    return Windows(
        {m: torch.from_numpy(np.stack([d.window.rows[m] for d in drawn])) for m in MODALITIES},
        torch.from_numpy(np.stack([d.window.valid for d in drawn])),
        torch.tensor([d.label for d in drawn]),
    )


class Keys(Dataset[int]):
    """As many samples as an epoch has; a sample is its number."""

    def __init__(self, size: int) -> None:
        self._size = size

    def __len__(self) -> int:
        return self._size

    def __getitem__(self, key: Any) -> Any:
        return key


class EpochOrder(Sampler[Any]):
    """(epoch, sample) keys in an order that depends on (seed, epoch) only."""

    def __init__(self, size: int, seed: int) -> None:
        self._size, self._seed, self._epoch = size, seed, 0

    def set_epoch(self, epoch: int) -> None:
        """Lightning calls this before each epoch."""
        self._epoch = epoch

    def __len__(self) -> int:
        return self._size

    def __iter__(self) -> Iterator[Key]:
        order = np.random.default_rng((self._seed, self._epoch)).permutation(self._size)
        return iter([(self._epoch, int(i)) for i in order])


class NoisyBatches:
    """Collates keys into windows and the masks of both noise types."""

    def __init__(self, pairing: Pairing, spec: FeatureSpec, seed: int) -> None:
        self._pairing, self._spec, self._seed = pairing, spec, seed

    def __call__(self, keys: list[Key]) -> Batch:
        """Plain tensors, which Lightning can move to a device."""
        windows = draw(self._pairing, keys)
        shape = (len(MODALITIES), self._spec.steps, self._seed)
        there = np.stack([noise.absent(*shape, *key, share=ABSENT_SHARE) for key in keys])
        first = np.stack([noise.type_1(*shape, *key) for key in keys])
        second = np.stack([noise.type_2(*shape, *key)[0] for key in keys])
        masks = torch.from_numpy(np.stack([first & there, second & there]))
        noisy = torch.from_numpy(~second.all(axis=2))
        return windows.rows, windows.valid, windows.labels, masks, noisy


def loader(
    pairing: Pairing, spec: FeatureSpec, size: int, batch: int, seed: int
) -> DataLoader[Any]:
    """An endless training set, `size` fresh windows an epoch."""
    return DataLoader(
        Keys(size),
        batch,
        sampler=EpochOrder(size, seed),
        drop_last=True,
        collate_fn=NoisyBatches(pairing, spec, seed),
    )
