"""BERT as transformers' torch module, for training and for a GPU."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional
from transformers import AutoModel, AutoTokenizer
from transformers.utils import logging

from normtr.adapter import adapted
from normtr.bert import GPU_LENGTHS
from normtr.device import Compute, Gpu
from normtr.engine.weights import Weights
from normtr.errors import UserError
from normtr.models import folder
from normtr.torch_compute import on_gpu


def text_model(model: str) -> tuple[Any, Any]:
    """Load tokenizer and BERT by package name, folder, or (with a network) hub name.

    Raises UserError when the model cannot be loaded.
    """
    quiet: Any = logging
    quiet.set_verbosity_error()
    quiet.disable_progress_bar()
    place = folder(model)
    local = Path(place).is_dir()
    try:
        tokenizer = AutoTokenizer.from_pretrained(place, use_fast=True, local_files_only=local)
        bert = AutoModel.from_pretrained(place, local_files_only=local)
    except (OSError, ValueError) as error:
        reason = str(error).splitlines()[0]
        raise UserError(f"the text model {model!r} cannot be loaded: {reason}") from None
    return tokenizer, bert


def adapt(bert: nn.Module, factors: Weights) -> None:
    """Add an adapter to the weights, in place. Raises UserError when it does not fit."""
    names = {f"{name.rpartition('.')[0]}.weight" for name in factors}
    weights = {name: x.detach().numpy() for name, x in bert.named_parameters() if name in names}
    with torch.no_grad():
        for name, values in adapted(weights, factors).items():
            bert.get_parameter(name).copy_(torch.from_numpy(values))


def states_on(gpu: Gpu, model: str, layers: tuple[int, ...], adapter: Weights | None) -> Compute:
    """Return what `normtr.bert.Bert` computes of tokens [n], on a GPU. Raises RuntimeError."""
    _, bert = text_model(model)
    adapt(bert, adapter or {})

    def states(network: nn.Module, ids: Tensor) -> Tensor:
        count = len(ids)
        more = next((length - count for length in GPU_LENGTHS if length >= count), 0)
        there = functional.pad(torch.ones_like(ids), (0, more))[None]
        padded = functional.pad(ids, (0, more))[None]
        found = network(input_ids=padded, attention_mask=there, output_hidden_states=True)
        joined = torch.cat([found.hidden_states[layer][0] for layer in layers], dim=-1)
        return joined[:count]

    return on_gpu(gpu, bert, states, fast=True)
