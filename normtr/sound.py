"""Turns pieces of sound with times into contiguous 16 kHz samples on the grid, and marks holes."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
import soxr
from numpy.typing import NDArray

from normtr.cause import Cause

Samples = NDArray[np.float32]

NS_PER_S = 1_000_000_000
TOLERANCE_NS = 60_000_000
"""A piece that begins this far off its expected time (rounded PTS, jitter) still continues the
stream."""
MAX_HOLE_S = 0.04
"""A step with longer holes in its own sound has no voice row."""
STEER_FROM_NS = 3_000_000
"""A steered stream may lie this far off its time, because measured times jitter."""
STEER_NS = 10_000_000_000
"""A steered stream makes good what goes beyond that within about this long."""
MAX_STEER = 0.005
"""A steered stream is stretched or squeezed by at most this share."""
DRIFT_FROM_NS = 5_000_000_000
"""The first times of a stream are not used to measure its drift."""
DRIFT_SPAN_NS = 60_000_000_000
"""Drift is measured once the stream is this long."""
DRIFT_POINTS = 900
"""Drift is measured over the last 15 minutes: one point a second."""


@dataclass(frozen=True)
class Hole:
    """Samples [begin, end) that never came, and the gap cause that says why."""

    begin: int
    end: int
    cause: Cause


@dataclass(frozen=True)
class PlacedSamples:
    """Mono samples; the first one is sample `begin` of the grid."""

    begin: int
    samples: Samples


class SoundTrack:
    """Resamples one source with one stateful soxr stream, so that block sizes do not matter.

    Sample n lies n / `rate` seconds after the grid's origin. A jump in time or a new input rate
    ends the stream and begins another. Samples that would overlap, or lie before the origin, are
    cut.

    A device's samples are `steered`: its clock runs a little faster or slower than ours, so the
    resampler's ratio follows the given times and no jump arises.
    """

    def __init__(self, rate: int) -> None:
        self.drift = Drift()
        self._rate = rate
        self._stream: soxr.ResampleStream | None = None
        self._rate_in = 0
        self._begin_ns = 0
        self._fed = 0
        self._steered_ns = 0
        self._end = 0
        self._next = 0

    def push(
        self, begin_ns: int, samples: Samples, rate_in: int, *, steered: bool = False
    ) -> list[PlacedSamples]:
        """Resample a piece and return the samples that are ready now.

        `samples` is mono float32 at `rate_in` Hz; the first one lies `begin_ns` after the origin.
        """
        out: list[PlacedSamples] = []
        fed_ns = self._fed * NS_PER_S // max(self._rate_in, 1)
        off_ns = begin_ns - (self._begin_ns + fed_ns + self._steered_ns)
        if self._stream is None or abs(off_ns) > TOLERANCE_NS or rate_in != self._rate_in:
            out += self.flush()
            # A stream whose ratio may change must know the largest one.
            most = rate_in * (1 + 2 * MAX_STEER) if steered else rate_in
            self._stream = soxr.ResampleStream(most, self._rate, 1, dtype="float32", vr=steered)
            self._rate_in, self._begin_ns, self._fed = rate_in, begin_ns, 0
            self._steered_ns = off_ns = fed_ns = 0
            self._next = round(begin_ns * self._rate / NS_PER_S)
            self.drift = Drift()
            if steered:
                self._stream.set_io_ratio(rate_in, self._rate)
        if steered:
            self.drift.add(fed_ns, begin_ns - self._begin_ns)
            beyond_ns = off_ns - min(max(off_ns, -STEER_FROM_NS), STEER_FROM_NS)
            share = beyond_ns / STEER_NS - (self.drift.ppm or 0.0) / 1e6
            share = min(max(share, -MAX_STEER), MAX_STEER)
            self._stream.set_io_ratio(rate_in, self._rate * (1 + share), len(samples))
            self._steered_ns += round(share * len(samples) * NS_PER_S / rate_in)
        self._fed += len(samples)
        return out + self._place(self._stream.resample_chunk(np.ascontiguousarray(samples)))

    def flush(self) -> list[PlacedSamples]:
        """Return the rest that the resampler holds; the next piece begins a new stream."""
        if self._stream is None:
            return []
        rest = self._stream.resample_chunk(np.zeros(0, np.float32), last=True)
        self._stream = None
        return self._place(rest)

    def _place(self, samples: Samples) -> list[PlacedSamples]:
        begin, self._next = self._next, self._next + len(samples)
        late = max(self._end - begin, 0)
        if late >= len(samples):
            return []
        self._end = self._next
        return [PlacedSamples(begin + late, samples[late:])]


class Drift:
    """Measures how much faster a device's clock runs than ours: it fits a line to one time a
    second."""

    def __init__(self) -> None:
        self._points: deque[tuple[int, int]] = deque(maxlen=DRIFT_POINTS)
        self._due_ns = DRIFT_FROM_NS
        self.ppm: float | None = None
        """The drift in parts per million; None before `DRIFT_SPAN_NS` of sound."""

    def add(self, device_ns: int, our_ns: int) -> None:
        """Add a moment as both clocks show it; each clock counts from the stream's beginning."""
        if device_ns < self._due_ns:
            return
        self._due_ns = device_ns + NS_PER_S
        self._points.append((device_ns, our_ns - device_ns))
        if device_ns - self._points[0][0] >= DRIFT_SPAN_NS:
            times, lags = np.array(self._points, np.float64).T
            times -= times.mean()
            self.ppm = -1e6 * float(times @ lags) / float(times @ times)


def hole_cause(holes: Iterable[Hole], begin: int, end: int, rate: int) -> Cause:
    """Return the gap cause of a step whose own sound is samples [begin, end); `none` if it is
    whole."""
    inside = [
        (min(hole.end, end) - max(hole.begin, begin), hole.cause)
        for hole in holes
        if hole.begin < end and hole.end > begin
    ]
    if sum(length for length, _ in inside) <= MAX_HOLE_S * rate:
        return Cause.NONE
    return max(inside)[1]
