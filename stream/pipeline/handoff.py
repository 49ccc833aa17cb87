"""Passes data between threads: `Newest` for frames, `SoundRing` for sound.

Frames may be skipped, so only the newest is kept. Sound must not be torn, so the ring keeps it
contiguous and remembers where there was none. Both count what they drop.
"""

from __future__ import annotations

import threading
from dataclasses import dataclass
from typing import Generic, TypeVar

import numpy as np
from numpy.typing import NDArray

from normtr.cause import Cause
from normtr.sound import Hole

T = TypeVar("T")
Samples = NDArray[np.float32]


class Newest(Generic[T]):
    """A slot for one item: a new item displaces the one that nobody took."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._item: T | None = None
        self.dropped = 0

    def put(self, item: T) -> T | None:
        """Store `item`; return the item that it displaced, or None."""
        with self._lock:
            displaced, self._item = self._item, item
            self.dropped += displaced is not None
            return displaced

    def take(self) -> T | None:
        """Empty the slot and return its item; None if it was empty."""
        with self._lock:
            item, self._item = self._item, None
            return item


@dataclass(frozen=True)
class Sound:
    """A stretch of the ring: `samples` float32 [n] from sample `begin` on, with zeros in holes."""

    begin: int
    samples: Samples

    @property
    def end(self) -> int:
        return self.begin + len(self.samples)


class SoundRing:
    """The last `capacity` samples of one mono stream; sample 0 lies at the grid's origin."""

    def __init__(self, rate: int, capacity: int) -> None:
        self.rate = rate
        self._ring = np.zeros(capacity, np.float32)
        self._lock = threading.Lock()
        self._end = 0
        self._holes: list[Hole] = []
        self.missing = 0

    @property
    def end(self) -> int:
        """The number of the first sample that has not come yet."""
        return self._end

    @property
    def holes(self) -> tuple[Hole, ...]:
        """The holes that the ring still remembers."""
        with self._lock:
            return tuple(self._holes)

    def append(self, samples: Samples) -> None:
        """Add samples float32 [n] right after the last ones; n is at most the capacity."""
        with self._lock:
            self._copy_in(samples)

    def skip_to(self, begin: int, cause: Cause) -> None:
        """Mark everything up to sample `begin` as a hole, which is filled with zeros."""
        with self._lock:
            if begin <= self._end:
                return
            self._holes.append(Hole(self._end, begin, cause))
            self.missing += begin - self._end
            count = min(begin - self._end, len(self._ring))
            self._end = begin - count
            self._copy_in(np.zeros(count, np.float32))
            oldest = self._end - len(self._ring)
            self._holes = [hole for hole in self._holes if hole.end > oldest]

    def read(self, begin: int, end: int) -> Sound:
        """Return samples [begin, end), with zeros in holes and before sample 0.

        Raises ValueError when samples have not come yet or were overwritten.
        """
        with self._lock:
            first = max(begin, 0)
            if end > self._end or first < self._end - len(self._ring):
                raise ValueError(f"the ring holds up to sample {self._end}, not [{begin}, {end})")
            out = np.zeros(end - begin, np.float32)
            indices = np.arange(first, end) % len(self._ring)
            out[first - begin :] = self._ring[indices]
            out.flags.writeable = False
            return Sound(begin, out)

    def _copy_in(self, samples: Samples) -> None:
        kept = samples[-len(self._ring) :]
        self._end += len(samples)
        indices = np.arange(self._end - len(kept), self._end) % len(self._ring)
        self._ring[indices] = kept
