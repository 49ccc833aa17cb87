"""Turns timed words into BERT vectors in the context of recent words, and into one row per step."""

from __future__ import annotations

import copy
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional

from normtr.adapter import adapt
from normtr.device import Device, OnDevice
from normtr.models import text_model
from normtr.spec import NS_PER_MS, TextSpec

GPU_LENGTHS = (16, 32, 64, 128)
"""The lengths to which tokens are padded on a GPU. On an H200 the first pass of each new length
took 70 ms, the following ones 6 ms."""


@dataclass(frozen=True)
class TimedWord:
    """A recognised word and when it was said, in ns on the session's clock."""

    text: str
    begin_ns: int
    end_ns: int

    @property
    def middle_ns(self) -> int:
        return (self.begin_ns + self.end_ns) // 2


class TextEncoder:
    """Runs BERT over the last words. It remembers the last list of words, which seldom changes."""

    def __init__(
        self,
        spec: TextSpec,
        device: Device | None = None,
        layers: tuple[int, ...] = (-1,),
        adapter: Mapping[str, Tensor] | None = None,
    ) -> None:
        """Load BERT.

        `layers` are the hidden states that are joined into a vector; live, it is the last one.
        `adapter` holds factors that `normtr.adapter.adapt` adds to BERT.
        """
        self.spec = spec
        self.dim = spec.dim * len(layers)
        self._layers = layers
        self._tokenizer, bert = text_model(spec.model)
        if adapter:
            adapt(bert, adapter)
        self._tokenizer.truncation_side = "left"  # the newest words matter most
        self._bert: OnDevice[nn.Module] = OnDevice(bert, device)
        self._known: tuple[tuple[str, ...], NDArray[np.float32]] | None = None

    def another(self) -> TextEncoder:
        """Return an encoder with the same network and a memory of its own, for other words."""
        return copy.copy(self)

    def warm_up(self) -> None:
        """Run a pass of each length that a GPU gets (or of one), so that the first real pass is not
        late."""
        for length in GPU_LENGTHS if self._bert.on_gpu else GPU_LENGTHS[:1]:
            self.word_vectors(["ready"] * (length - 2))

    def word_vectors(self, words: Sequence[str]) -> NDArray[np.float32]:
        """Return float32 [len(words), dim] for words in order: each is the mean of its tokens'
        states."""
        key = tuple(words)
        if not key:
            return np.zeros((0, self.dim), np.float32)
        if self._known is None or self._known[0] != key:
            self._known = (key, self._encode(key))
        return self._known[1]

    def _encode(self, words: tuple[str, ...]) -> NDArray[np.float32]:
        tokens = self._tokenizer(
            [list(words)], is_split_into_words=True, return_tensors="np", truncation=True
        )
        owners = np.array([-1 if i is None else i for i in tokens.word_ids(0)])

        def states_of(bert: nn.Module, *given: Tensor) -> Tensor:
            named = dict(zip(tokens, given, strict=True))
            hidden = bert(**named, output_hidden_states=True).hidden_states
            return torch.cat([hidden[layer][0] for layer in self._layers], dim=-1)

        def padded(bert: nn.Module, *given: Tensor) -> Tensor:
            count = given[0].shape[1]
            more = next((length - count for length in GPU_LENGTHS if length >= count), 0)
            return states_of(bert, *(functional.pad(x, (0, more)) for x in given))[:count]

        states = self._bert.run(states_of, *tokens.values(), there=padded, fast=True)
        vectors = np.zeros((len(words), self.dim), np.float32)
        for index in range(len(words)):
            mine = states[owners == index]
            if len(mine):  # the oldest words may lie beyond the longest input
                vectors[index] = mine.mean(axis=0)
        return vectors

    def rows(
        self, words: Sequence[TimedWord], begin_ns: int, step_ns: int, steps: int
    ) -> list[NDArray[np.float32] | None]:
        """Return one row [dim] for each step; None when no word's middle lies in the step.

        The context is the last `max_words` words whose middle lies in the `context_ms` before the
        window's end, so that it does not depend on how long old words are remembered.
        """
        end_ns = begin_ns + steps * step_ns
        first_ns = end_ns - self.spec.context_ms * NS_PER_MS
        recent = [w for w in words if first_ns <= w.middle_ns < end_ns][-self.spec.max_words :]
        vectors = self.word_vectors([word.text for word in recent])
        steps_of = [(word.middle_ns - begin_ns) // step_ns for word in recent]
        rows: list[NDArray[np.float32] | None] = []
        for step in range(steps):
            # A word beyond the network's longest input has no vector.
            mine = [vectors[i] for i, s in enumerate(steps_of) if s == step and vectors[i].any()]
            rows.append(np.mean(mine, axis=0, dtype=np.float32) if mine else None)
        return rows
