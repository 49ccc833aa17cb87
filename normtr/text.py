"""Turns timed words into BERT vectors in the context of recent words, and into one row per step."""

from __future__ import annotations

import copy
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from normtr.bert import GPU_LENGTHS, Bert
from normtr.device import Compute, Device, Gpu, OnDevice
from normtr.engine.weights import Weights
from normtr.spec import NS_PER_MS, TextSpec


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
        adapter: Weights | None = None,
    ) -> None:
        """Load BERT.

        `layers` are the hidden states that are joined into a vector; live, it is the last one.
        `adapter` holds factors that `normtr.adapter.adapted` adds to BERT. Raises UserError when
        BERT cannot be loaded.
        """
        self.spec = spec
        self.dim = spec.dim * len(layers)
        self._bert = Bert(spec.model, layers, adapter)

        def there(gpu: Gpu) -> Compute:
            from normtr.torch_bert import states_on

            return states_on(gpu, spec.model, layers, adapter)

        self._states = OnDevice(device, self._bert, there)
        self._known: tuple[tuple[str, ...], NDArray[np.float32]] | None = None

    def another(self) -> TextEncoder:
        """Return an encoder with the same network and a memory of its own, for other words."""
        return copy.copy(self)

    def warm_up(self) -> None:
        """Run a pass of each length that a GPU gets (or of one), so that the first real pass is not
        late."""
        for length in GPU_LENGTHS if self._states.on_gpu else GPU_LENGTHS[:1]:
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
        ids, owners = self._bert.tokens(words)
        states = self._states(ids)
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
