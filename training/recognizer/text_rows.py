"""Computes the word vectors of many texts at once."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from tqdm import tqdm

from normtr.engine.weights import Weights
from normtr.spec import TextSpec
from normtr.torch_bert import adapt, text_model


class Said(NamedTuple):
    """A text and what was said before it, of which `max_words` words are used, as live."""

    text: str
    before: str = ""

    def words(self, spec: TextSpec) -> tuple[list[str], int]:
        """Return the words in order, and how many of them come before the text's own words."""
        own = self.text.split()[: spec.max_words]
        room = spec.max_words - len(own)
        earlier = self.before.split()[-room:] if room else []
        return earlier + own, len(earlier)


def owners(word_ids: Sequence[int | None], first: int) -> NDArray[np.int64]:
    """Return the number of the text's own word that each token belongs to, int64 [tokens].

    It is -1 for none. `word_ids` are the tokenizer's, and `first` is the first own word's.
    """
    of = np.array([-1 if word is None else word - first for word in word_ids], np.int64)
    return np.maximum(of, -1)


def word_vectors(
    said: Sequence[Said], spec: TextSpec, adapter: Weights, batch: int = 64
) -> list[NDArray[np.float32]]:
    """Return for each text the vectors [words, dim] of its own words.

    They are those of `normtr.text.TextEncoder` up to rounding, but for many texts at once. A word
    for which the tokenizer has no token has no vector.
    """
    tokenizer, bert = text_model(spec.model)
    adapt(bert, adapter)
    parted = [one.words(spec) for one in said]
    words, first = [w for w, _ in parted], [f for _, f in parted]
    found = [np.zeros((0, spec.dim), np.float32)] * len(said)
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
            owner = owners(tokens.word_ids(place), first[i])
            with_vector = np.unique(owner[owner >= 0])
            if len(with_vector):
                found[i] = np.stack([states[place, owner == w].mean(0) for w in with_vector])
    return found
