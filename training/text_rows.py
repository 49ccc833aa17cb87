"""Word vectors of many texts at once."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from tqdm import tqdm

from normtr.adapter import adapt
from normtr.models import text_model
from normtr.spec import TextSpec


def word_vectors(
    texts: Sequence[str], spec: TextSpec, adapter: Mapping[str, Tensor], batch: int = 64
) -> list[NDArray[np.float32]]:
    """Of each text the vectors [words, dim] of its first `max_words` words; a word of signs that
    the tokenizer does not know has none.

    Those of `normtr.text.TextEncoder` up to rounding, but many texts at once.
    """
    tokenizer, bert = text_model(spec.model)
    adapt(bert, adapter)
    words = [text.split()[: spec.max_words] for text in texts]
    found = [np.zeros((0, spec.dim), np.float32)] * len(texts)
    order = sorted((i for i, mine in enumerate(words) if mine), key=lambda i: len(words[i]))
    pieces = [order[i : i + batch] for i in range(0, len(order), batch)]
    for piece in tqdm(pieces, "text rows", mininterval=2):
        tokens = tokenizer(
            [words[i] for i in piece],
            is_split_into_words=True,
            return_tensors="pt",
            padding=True,
            truncation=True,
        )
        with torch.inference_mode():
            states = bert.eval()(**tokens).last_hidden_state.numpy()
        for place, i in enumerate(piece):
            owner = np.array([-1 if w is None else w for w in tokens.word_ids(place)])
            with_vector = np.unique(owner[owner >= 0])
            if len(with_vector):
                found[i] = np.stack([states[place, owner == w].mean(0) for w in with_vector])
    return found
