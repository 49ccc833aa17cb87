"""The missing-modality conditions: of three modalities six, each a set of those that are there."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import combinations

import torch
from torch import Tensor

from normtr.errors import UserError


def conditions(modalities: Sequence[str]) -> tuple[tuple[str, ...], ...]:
    """{a}, {v}, {t}, {a, v} ..: not all, not none. Raises UserError where there are none."""
    if len(modalities) < 2:
        raise UserError("where modalities shall be missing, the data need two or more.")
    sizes = range(1, len(modalities))
    return tuple(there for size in sizes for there in combinations(modalities, size))


def as_masks(modalities: Sequence[str]) -> Tensor:
    """Bool [conditions, M], True where a modality is there."""
    return torch.tensor([[m in there for m in modalities] for there in conditions(modalities)])
