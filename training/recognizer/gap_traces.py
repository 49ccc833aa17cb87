"""Draws masks from gap traces: which steps of face, voice and words recorded streams had."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from normtr import gap_trace
from normtr.cause import Cause
from normtr.spec import MODALITIES

SHIPPED = Path(__file__).with_name("gap_traces.jsonl")


@dataclass(frozen=True)
class Traces:
    """For each stream bool [M, steps], True where a row was there."""

    streams: tuple[NDArray[np.bool_], ...]

    @staticmethod
    def load(path: Path | None = None) -> Traces:
        """Read what `normtr live --record-gaps` wrote; None: the shipped streams. Raises UserError."""
        return Traces(
            tuple(
                np.array([[step[m] == Cause.NONE for step in stream] for m in MODALITIES])
                for stream in gap_trace.read(path or SHIPPED)
            )
        )

    def mask(self, steps: int, random: np.random.Generator) -> NDArray[np.bool_]:
        """Return bool [M, steps] from anywhere of any stream, which begins anew where it ends.

        A stream is drawn as often as it is long.
        """
        lengths = np.array([stream.shape[1] for stream in self.streams])
        stream = self.streams[int(random.choice(len(lengths), p=lengths / lengths.sum()))]
        begin = int(random.integers(stream.shape[1]))
        return stream[:, np.arange(begin, begin + steps) % stream.shape[1]]
