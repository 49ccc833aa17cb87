"""Principal components of wide rows, which a run's model takes before its network."""

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
"""The number of windows that are projected at once."""


class Reduced(nn.Module, Generic[Network]):
    """Projects the rows of some modalities on their components, and gives them to its network."""

    def __init__(self, network: Network, given: Mapping[str, int]) -> None:
        """`given` are the widths of rows by modality; `network.config.dims` those after that."""
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
        """Compute the components from the valid rows. Raises UserError when these are too few."""
        for m in windows.rows:
            if self.given[m] != (dim := self.dims[m]):
                rows = np.unique(windows.valid_rows(m).numpy(), axis=0)
                if len(rows) < dim:
                    raise UserError(f"{len(rows)} different rows of {m} have no {dim} components.")
                pca = PCA(dim, svd_solver="full").fit(rows)
                self.get_buffer(f"centre_{m}").copy_(torch.from_numpy(pca.mean_))
                self.get_buffer(f"basis_{m}").copy_(torch.from_numpy(pca.components_.T.copy()))

    def reduce(self, rows: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """Return rows [B, T, given] as [B, T, dim]."""
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
        """Project in slices, because the centred rows of mapped windows may not fit into memory."""
        centre = self.get_buffer(f"centre_{modality}")
        basis = self.get_buffer(f"basis_{modality}")
        return torch.cat([(part - centre) @ basis for part in torch.split(rows, SLICE)])

    def forward(self, rows: Mapping[str, Tensor], valid: Tensor) -> Tensor:
        """Return outputs [B, C or 1] for rows float [B, T, given] by modality, valid [B, M, T]."""
        out: Tensor = self.network(self.reduce(rows), valid)
        return out


def reduced_dims(given: Mapping[str, int], components: Mapping[str, int]) -> dict[str, int]:
    """Return the widths after the reduction, by modality.

    `components` names the number of components of some modalities. Raises UserError when their rows
    are too narrow.
    """
    for m, count in components.items():
        if m in given and count > given[m]:
            raise UserError(f"rows of {m} have {given[m]} numbers, so no {count} components.")
    return {m: components.get(m, dim) for m, dim in given.items()}
