"""The network of a checkpoint that turns a window into logits: NORM-TR, or one in its place."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np
from numpy.typing import NDArray

from normtr.device import Compute, Device, Gpu, OnDevice
from normtr.engine.compiled import Compiled
from normtr.engine.norm_tr_graph import norm_tr_graph
from normtr.engine.weights import Weights
from normtr.norm_tr_config import NormTrConfig
from normtr.spec import MODALITIES

if TYPE_CHECKING:
    from torch import Tensor, nn

    from normtr.model import NormTr

VERSIONS = 1 + len(MODALITIES)
"""A window is judged whole, and without each of its modalities."""


class Fusion(Protocol):
    """Weights that can be made a running network."""

    def on(self, device: Device | None) -> Compute:
        """Return logits float32 [B, V, C] of windows in V = VERSIONS versions each.

        What is returned takes valid bool [B, V, M, T], then rows float32 [B, T, N_m] for each
        modality, whose values do not matter where a version does not have the step.
        """
        ...

    def module(self) -> nn.Module:
        """Return torch's network, for evaluation.

        It takes rows float [B, T, N_m] by modality and valid bool [B, M, T], and returns logits
        [B, C].
        """
        ...


@dataclass(frozen=True)
class NormTrWeights:
    """A NORM-TR that was trained."""

    config: NormTrConfig
    weights: Weights

    def on(self, device: Device | None) -> Compute:
        one = Compiled(norm_tr_graph(self.weights, self.config, VERSIONS))

        def here(valid: NDArray[Any], *rows: NDArray[Any]) -> NDArray[np.float32]:
            return np.stack([one(*window) for window in zip(valid, *rows, strict=True)])

        return OnDevice(device, here, self._there)

    def module(self) -> NormTr:
        from normtr import torch_networks

        return torch_networks.norm_tr(self.weights, self.config)

    def _there(self, gpu: Gpu) -> Compute:
        from normtr.torch_compute import on_gpu

        return on_gpu(gpu, self.module(), _all)


def _all(network: NormTr, valid: Tensor, *rows: Tensor) -> Tensor:
    """Return the logits of all versions. No shape depends on a value, which suits a GPU."""
    named = dict(zip(MODALITIES, rows, strict=True))
    tokens = network.extract(named, valid[:, 0], every=True).under(valid)
    logits = network.fuse(tokens, valid.flatten(0, 1))
    return logits.view(*valid.shape[:2], -1)
