"""`normtr train`: one run from one config."""

from __future__ import annotations

import json
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

from normtr.config import parse
from normtr.errors import UsageError
from training import run_folder
from training.benchmark import Benchmark


class Part(Protocol):
    """What a config's `part.class_path` names: something that can be trained."""

    def train(self, out: Path, seed: int) -> dict[str, Any]:
        """Train into the folder `out` (resuming what is there); return validation metrics."""
        ...


@dataclass(frozen=True)
class Train:
    """Train one part from one config, resuming from the last finished epoch in --out."""

    part: Part
    out: Path | None = None
    """Folder of the run."""
    resume: Path | None = None
    """The same, but it must be there already."""
    seed: int = 1
    devices: int = 1
    """GPUs, or processes where there is none; a data set's runs only."""


def run(argv: list[str]) -> int:
    config = parse(Train, argv, "train")
    out = config.resume or config.out
    if out is None or (config.resume and config.out):
        raise UsageError("say where the run lies: --out RUN, or --resume RUN if it is there.")
    run_folder.begin(out, config.part, config.seed, resume=config.resume is not None)
    if config.devices == 1:
        metrics = config.part.train(out, config.seed)
    elif isinstance(config.part, Benchmark):
        metrics = config.part.train(out, config.seed, config.devices)
    else:
        raise UsageError("only a run on a data set can use several devices.")
    run_folder.write_json(out / "metrics.json", metrics)
    json.dump(metrics, sys.stdout, indent=2)
    print()
    return 0
