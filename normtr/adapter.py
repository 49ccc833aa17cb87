"""Low-rank adapters of a BERT: the weights that our own training adds to an embedded model."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor, nn

from normtr.errors import UserError

EMOTIONAL = Path(__file__).with_name("text_adapter.safetensors")
"""The adapter for the embedded MiniLM, trained on the emotion and sentiment of spoken utterances.
Benchmarks use it."""


def read(path: Path) -> dict[str, Tensor]:
    """Read an adapter's factors. Raises UserError when the file is not an adapter."""
    try:
        return load_file(path)
    except (SafetensorError, OSError) as error:
        reason = str(error).splitlines()[0]
        raise UserError(f"the adapter {path.name} cannot be read: {reason}") from None


def adapt(bert: nn.Module, factors: Mapping[str, Tensor]) -> None:
    """Add the adapter to the weights: W + B A (Hu et al., ICLR 2022, eq. 3).

    `factors` holds `LAYER.a` [rank, in] and `LAYER.b` [out, rank] for each adapted linear layer.
    Raises UserError when they do not fit the network.
    """
    try:
        with torch.no_grad():
            for name in sorted({key.rpartition(".")[0] for key in factors}):
                weight = bert.get_submodule(name).get_parameter("weight")
                weight.add_(factors[f"{name}.b"].float() @ factors[f"{name}.a"].float())
    except (KeyError, AttributeError, RuntimeError) as error:
        reason = str(error).splitlines()[0]
        raise UserError(f"the adapter does not fit the text model: {reason}") from None
