"""A BertModel and its tokenizer, read from their files without transformers."""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import dacite
import numpy as np
from numpy.typing import NDArray
from tokenizers import Tokenizer

from normtr import adapter as adapters
from normtr.engine import weights as weight_files
from normtr.engine.bert_graph import BertConfig, bert_graph
from normtr.engine.compiled import Compiled
from normtr.engine.weights import Array, Reader, Unfit, Weights
from normtr.errors import UserError
from normtr.models import folder

FILES = ("config.json", "model.safetensors", "tokenizer.json")
UNUSED = ("pooler.", "cls.", "embeddings.position_ids")
"""Tensors of a file that make no token's states."""
GPU_LENGTHS = (16, 32, 64, 128)
"""The lengths to which tokens are padded on a GPU. On an H200 the first pass of each new length
took 70 ms, the following ones 6 ms."""
LEGACY = {"gamma": "weight", "beta": "bias"}
"""Names of a LayerNorm's tensors in old files."""


class Bert:
    """Turns words into tokens and tokens into hidden states, on the CPU."""

    def __init__(self, model: str, layers: tuple[int, ...], adapter: Weights | None = None) -> None:
        """Load it by package name, folder, or (with a network) hub name.

        `layers` are the hidden states that are joined; -1 is the last. `adapter` holds factors that
        `normtr.adapter.adapted` adds. Raises UserError when the model cannot be loaded.
        """
        place = _place(model)
        try:
            found = json.loads((place / "config.json").read_text(encoding="utf-8"))
            config = dacite.from_dict(BertConfig, found)
            self._tokenizer = Tokenizer.from_file(str(place / "tokenizer.json"))
            tensors = _named(weight_files.of_file(place / "model.safetensors"))
        except Exception as error:  # a file that is no tokenizer raises a plain Exception
            raise _unusable(model, str(error).splitlines()[0]) from None
        if (config.model_type, config.hidden_act) != ("bert", "gelu"):
            raise _unusable(model, f"it is no BertModel with GELU, but {config.model_type!r}")
        self._tokenizer.no_padding()
        # The newest words matter most.
        self._tokenizer.enable_truncation(config.max_position_embeddings, direction="left")
        try:
            self._read(adapters.adapted(tensors, adapter or {}), config, layers)
        except Unfit as error:
            raise _unusable(model, str(error)) from None

    def _read(self, tensors: Weights, config: BertConfig, layers: tuple[int, ...]) -> None:
        take, width = Reader(tensors), config.hidden_size
        # The table of words is large and of each text only some rows are read: it stays in its file.
        self._words = take("embeddings.word_embeddings.weight", config.vocab_size, width)
        self._places = take(
            "embeddings.position_embeddings.weight", config.max_position_embeddings, width
        )
        types = take("embeddings.token_type_embeddings.weight", config.type_vocab_size, width)
        self._type = types[0]
        self._states = Compiled(bert_graph(take, config, layers))
        take.end()

    def tokens(self, words: Sequence[str]) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """Return the tokens' ids [n] and, for each, the number of its word; -1 for none."""
        found = self._tokenizer.encode(list(words), is_pretokenized=True)
        owners = [-1 if word is None else word for word in found.word_ids]
        return np.array(found.ids, np.int64), np.array(owners, np.int64)

    def __call__(self, ids: NDArray[Any]) -> Array:
        """Return the joined hidden states float32 [n, dim] of tokens [n]."""
        embedded = self._words[ids] + self._places[: len(ids)] + self._type
        return self._states(embedded[None])


def _place(model: str) -> Path:
    """Return the folder of the model's files. Raises UserError when there is none."""
    place = Path(folder(model))
    if not place.is_dir() and re.fullmatch(r"[\w-]+(/[\w.-]+)?", model):
        from huggingface_hub import snapshot_download

        try:
            place = Path(snapshot_download(model, allow_patterns=list(FILES)))
        except Exception as error:  # its errors have no common class
            raise _unusable(model, str(error).splitlines()[0]) from None
    for name in FILES:
        if not (place / name).is_file():
            raise _unusable(model, f"there is no {name} in its folder")
    return place


def _named(tensors: Weights) -> dict[str, Array]:
    """Return the tensors that make states, as a plain BertModel names them."""
    out = {}
    for name, tensor in tensors.items():
        start, _, last = name.removeprefix("bert.").rpartition(".")
        plain = f"{start}.{LEGACY.get(last, last)}"
        if not plain.startswith(UNUSED):
            out[plain] = tensor
    return out


def _unusable(model: str, reason: str) -> UserError:
    return UserError(f"the text model {model!r} cannot be loaded: {reason.rstrip('.')}.")
