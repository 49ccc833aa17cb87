"""Low-rank adapters of a BERT: what our own training adds to an embedded model."""

from __future__ import annotations

from pathlib import Path

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import nn

from normtr.errors import UserError

EMOTIONAL = Path(__file__).with_name("text_adapter.safetensors")
"""For the embedded MiniLM: emotion and sentiment of spoken utterances."""


def adapt(bert: nn.Module, path: Path) -> None:
    """Add the adapter in the file to the weights: W + B A (Hu et al., ICLR 2022, eq. 3).

    The file holds `LAYER.a` [rank, in] and `LAYER.b` [out, rank] of linear layers. Raises
    UserError where it does not fit the network.
    """
    try:
        factors = load_file(path)
        with torch.no_grad():
            for name in sorted({key.rpartition(".")[0] for key in factors}):
                weight = bert.get_submodule(name).get_parameter("weight")
                weight.add_(factors[f"{name}.b"].float() @ factors[f"{name}.a"].float())
    except (SafetensorError, OSError, KeyError, AttributeError, RuntimeError) as error:
        reason = str(error).splitlines()[0]
        raise UserError(f"the adapter {path.name} does not fit the text model: {reason}") from None
