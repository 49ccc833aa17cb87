"""The missing-modality conditions; each is a set of modalities that are there while others miss."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import combinations

import torch
from torch import Tensor

from normtr.errors import UserError


def conditions(modalities: Sequence[str]) -> tuple[tuple[str, ...], ...]:
    """Return every choice of at least one modality but not all, e.g. six for three modalities.

    Raises UserError when there are fewer than two modalities.
    """
    if len(modalities) < 2:
        raise UserError("where modalities shall be missing, the data need two or more.")
    sizes = range(1, len(modalities))
    return tuple(there for size in sizes for there in combinations(modalities, size))


def as_masks(modalities: Sequence[str]) -> Tensor:
    """Return the conditions as bool [conditions, M], True where a modality is there."""
    return torch.tensor([[m in there for m in modalities] for there in conditions(modalities)])
