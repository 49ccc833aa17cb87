"""Pieces of sound with times -> contiguous samples at 16 kHz on the grid, with holes marked."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
import soxr
from numpy.typing import NDArray

Samples = NDArray[np.float32]

NS_PER_S = 1_000_000_000
TOLERANCE_NS = 60_000_000
"""A piece may begin so much off its expected time (rounded PTS, jitter) and still continue."""
MAX_HOLE_S = 0.04
"""A step with longer holes in its own sound has no voice row."""


@dataclass(frozen=True)
class Hole:
    """Samples [begin, end) that never came, and the gap cause that says why."""

    begin: int
    end: int
    cause: str


@dataclass(frozen=True)
class Placed:
    """Mono samples whose first one is sample `begin` of the grid."""

    begin: int
    samples: Samples


class SoundTrack:
    """Resamples one source by one stateful soxr stream, so that block sizes do not matter.

    Sample n lies at n / `rate` seconds after the grid's origin. A jump in time or a new input
    rate ends the stream and begins another; what would overlap is cut, what lies before the
    origin is dropped.
    """

    def __init__(self, rate: int) -> None:
        self._rate = rate
        self._stream: soxr.ResampleStream | None = None
        self._rate_in = 0
        self._begin_ns = 0
        self._fed = 0
        self._end = 0
        self._next = 0

    def push(self, begin_ns: int, samples: Samples, rate_in: int) -> list[Placed]:
        """Mono float32 samples at `rate_in` Hz, the first at `begin_ns` after the origin."""
        out: list[Placed] = []
        expected_ns = self._begin_ns + self._fed * NS_PER_S // max(self._rate_in, 1)
        jump = abs(begin_ns - expected_ns) > TOLERANCE_NS
        if self._stream is None or jump or rate_in != self._rate_in:
            out += self.flush()
            self._stream = soxr.ResampleStream(rate_in, self._rate, 1, dtype="float32")
            self._rate_in, self._begin_ns, self._fed = rate_in, begin_ns, 0
            self._next = round(begin_ns * self._rate / NS_PER_S)
        self._fed += len(samples)
        return out + self._place(self._stream.resample_chunk(np.ascontiguousarray(samples)))

    def flush(self) -> list[Placed]:
        """What the resampler still holds; the next piece begins a new stream."""
        if self._stream is None:
            return []
        rest = self._stream.resample_chunk(np.zeros(0, np.float32), last=True)
        self._stream = None
        return self._place(rest)

    def _place(self, samples: Samples) -> list[Placed]:
        begin, self._next = self._next, self._next + len(samples)
        late = max(self._end - begin, 0)
        if late >= len(samples):
            return []
        self._end = self._next
        return [Placed(begin + late, samples[late:])]


def hole_cause(holes: Iterable[Hole], begin: int, end: int, rate: int) -> str:
    """The gap cause of a step whose own sound is samples [begin, end); `none` if it is whole."""
    inside = [
        (min(hole.end, end) - max(hole.begin, begin), hole.cause)
        for hole in holes
        if hole.begin < end and hole.end > begin
    ]
    if sum(length for length, _ in inside) <= MAX_HOLE_S * rate:
        return "none"
    return max(inside)[1]
