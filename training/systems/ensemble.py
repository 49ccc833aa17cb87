"""Networks that were trained under different seeds, and answer together."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import Tensor, nn


class Ensemble(nn.Module):
    """The mean of what the members say, for classes the log of their mean probability."""

    def __init__(self, members: Sequence[nn.Module]) -> None:
        super().__init__()
        self.members = nn.ModuleList(members)

    @property
    def config(self) -> Any:
        """The config that all members have."""
        return self.members[0].config

    def forward(self, rows: Mapping[str, Tensor], valid: Tensor) -> Tensor:
        """rows float [B, T, dim] per modality, valid bool [B, M, T] -> outputs [B, C or 1]."""
        said = torch.stack([member(rows, valid) for member in self.members])
        if said.shape[2] == 1:
            return said.mean(0)
        return said.softmax(2).mean(0).log()
