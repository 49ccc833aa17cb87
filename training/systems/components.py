"""Principal components of wide rows, as part of what a run's model does before its network."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Generic, TypeVar

import numpy as np
import torch
from sklearn.decomposition import PCA
from torch import Tensor, nn

from normtr.errors import UserError
from training.samples import Samples
from training.windows import Windows

Network = TypeVar("Network", bound=nn.Module)

SLICE = 4_096
"""Windows that are projected at once."""


class Reduced(nn.Module, Generic[Network]):
    """Rows of some modalities are projected on their components, then the network sees them.

    `network.config.dims` are the widths after that; `given` the widths before.
    """

    def __init__(self, network: Network, given: Mapping[str, int]) -> None:
        super().__init__()
        self.network = network
        config: Any = network.config
        self.dims: dict[str, int] = config.dims
        self.given = dict(given)
        for m, dim in self.dims.items():
            if given[m] != dim:
                self.register_buffer(f"centre_{m}", torch.zeros(given[m]))
                self.register_buffer(f"basis_{m}", torch.zeros(given[m], dim))

    def fit(self, windows: Windows) -> None:
        """Take the components of the valid rows. Raises UserError where these are too few."""
        for m in windows.rows:
            if self.given[m] != (dim := self.dims[m]):
                rows = np.unique(windows.valid_rows(m).numpy(), axis=0)
                if len(rows) < dim:
                    raise UserError(f"{len(rows)} different rows of {m} have no {dim} components.")
                pca = PCA(dim, svd_solver="full").fit(rows)
                self.get_buffer(f"centre_{m}").copy_(torch.from_numpy(pca.mean_))
                self.get_buffer(f"basis_{m}").copy_(torch.from_numpy(pca.components_.T.copy()))

    def reduce(self, rows: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """Rows [B, T, given] -> [B, T, dim]."""
        return {
            m: self._projected(m, x) if self.given[m] != self.dims[m] else x
            for m, x in rows.items()
        }

    def samples(self, samples: Samples) -> Samples:
        """Return what the network itself sees of samples, computed once."""
        return Samples(samples.ids, samples.groups, self.windows(samples.windows))

    def windows(self, windows: Windows) -> Windows:
        """Return what the network itself sees of windows."""
        return Windows(self.reduce(windows.rows), windows.valid, windows.labels)

    def _projected(self, modality: str, rows: Tensor) -> Tensor:
        """In slices: the centred rows of mapped windows need not fit into memory."""
        centre = self.get_buffer(f"centre_{modality}")
        basis = self.get_buffer(f"basis_{modality}")
        return torch.cat([(part - centre) @ basis for part in torch.split(rows, SLICE)])

    def forward(self, rows: Mapping[str, Tensor], valid: Tensor) -> Tensor:
        """rows float [B, T, given] per modality, valid bool [B, M, T] -> outputs [B, C or 1]."""
        out: Tensor = self.network(self.reduce(rows), valid)
        return out


def reduced_dims(given: Mapping[str, int], components: Mapping[str, int]) -> dict[str, int]:
    """Widths after the reduction, by modality. Raises UserError where rows are too narrow."""
    for m, count in components.items():
        if m in given and count > given[m]:
            raise UserError(f"rows of {m} have {given[m]} numbers, so no {count} components.")
    return {m: components.get(m, dim) for m, dim in given.items()}
