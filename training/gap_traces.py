"""Gaps of recorded streams: which steps of face, voice and words were there.

`python -m training.gap_traces RECORDING ... > training/gap_traces.json` makes the file from
recordings of `normtr live --record`; it holds no more of a stream than that.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from normtr.spec import MODALITIES

SHIPPED = Path(__file__).with_name("gap_traces.json")


@dataclass(frozen=True)
class Traces:
    """Per stream bool [M, steps], True where a row was there."""

    streams: tuple[NDArray[np.bool_], ...]

    @staticmethod
    def load(path: Path = SHIPPED) -> Traces:
        streams = json.loads(path.read_text())
        return Traces(
            tuple(np.array([[c == "1" for c in s[m]] for m in MODALITIES]) for s in streams)
        )

    def mask(self, steps: int, random: np.random.Generator) -> NDArray[np.bool_]:
        """[M, steps] from anywhere of any stream, which begins anew where it ends."""
        stream = self.streams[int(random.integers(len(self.streams)))]
        begin = int(random.integers(stream.shape[1]))
        return stream[:, np.arange(begin, begin + steps) % stream.shape[1]]


def trace(recording: Path) -> dict[str, str]:
    """1 or 0 a step and modality, as the step was when it left the window: words come late."""
    messages = map(json.loads, recording.read_text(encoding="utf-8").splitlines())
    windows = [m["payload"]["gaps"] for m in messages if m["topic"] == "er.v1.affect"]
    steps = [{m: causes[0] for m, causes in gaps.items()} for gaps in windows[:-1]]
    last = zip(*windows[-1].values(), strict=True)
    steps += [dict(zip(windows[-1], causes, strict=True)) for causes in last]
    begun = [step for step in steps if step["face"] != "starting"]
    return {m: "".join("1" if s[m] == "none" else "0" for s in begun) for m in MODALITIES}


def main(argv: Sequence[str]) -> int:
    json.dump([trace(Path(name)) for name in argv], sys.stdout, indent=0)
    print()
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
