"""Says when the samples of a sound stream were taken."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass
from statistics import median_low

import numpy as np
from numpy.typing import NDArray

MAX_AGE_S = 5.0
"""PortAudio's capture time is believed if it lies at most this far back."""
TIMED_BLOCKS = 50
"""This many blocks (1 s of sound) together tell when a stream's samples were taken."""
SETTLED_BLOCKS = 8
"""A stream's times are relied on this many blocks after its begin or an overflow."""


@dataclass(frozen=True)
class SoundBlock:
    """A block as PortAudio gives it: float32 [n, channels], and its age since the capture."""

    came_ns: int
    age_s: float
    samples: NDArray[np.float32]
    overflowed: bool


class Timeline:
    """Says when the samples of one stream were taken.

    No sample is missing between two overflows, so one moment places all samples. It is the median
    over the last blocks, because single blocks err: a busy machine hands them over late and in
    bursts, and a stream just opened tells ages that are too large.
    """

    def __init__(self, rate: int) -> None:
        self._rate = rate
        self._samples = 0
        self._starts: deque[int] = deque(maxlen=TIMED_BLOCKS)
        self._waiting: list[tuple[int, SoundBlock]] = []

    def push(self, block: SoundBlock) -> list[tuple[int, SoundBlock]]:
        """Return the blocks that can be placed by now, each with the time of its first sample in
        ns."""
        placed: list[tuple[int, SoundBlock]] = []
        if block.overflowed:
            placed = self._placed()
            self._starts.clear()
        length_s = len(block.samples) / self._rate
        # Some drivers tell no capture time, or one later than the block's own length allows.
        age_s = max(block.age_s, length_s) if block.age_s <= MAX_AGE_S else length_s
        before_ns = self._samples * 1_000_000_000 // self._rate
        self._starts.append(block.came_ns - round(age_s * 1e9) - before_ns)
        self._waiting.append((before_ns, block))
        self._samples += len(block.samples)
        return placed + (self._placed() if len(self._starts) >= SETTLED_BLOCKS else [])

    def _placed(self) -> list[tuple[int, SoundBlock]]:
        waiting, self._waiting = self._waiting, []
        return [(median_low(self._starts) + before_ns, block) for before_ns, block in waiting]
