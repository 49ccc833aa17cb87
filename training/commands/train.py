"""`normtr train`: one run from one config."""

from __future__ import annotations

import json
import sys
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal, Protocol

from normtr.config import configs, parse
from normtr.errors import UsageError
from training import run_folder
from training.noise import RATES
from training.run_folder import rate_folder
from training.systems.fit import first_process
from training.systems.system import Contender


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
    """Folder of the run; without it runs/CONFIG-SEED."""
    resume: Path | None = None
    """The same, but it must be there already."""
    seed: int = 1
    devices: int = 1
    """GPUs, or processes where there is none; a data set's runs only."""
    protocol: Literal["one", "per-rate"] = "one"
    """One model for all noise rates, or one for each (into RUN/rate-0 .. RUN/rate-1)."""


def run(argv: list[str]) -> int:
    config = parse(Train, argv, "train")
    if config.resume and config.out:
        raise UsageError("say where the run lies once: --out RUN, or --resume RUN if it is there.")
    out = config.resume or config.out or Path("runs", f"{_name(argv)}-{config.seed}")
    if config.protocol == "one":
        metrics = _train(config, config.part, out)
    elif isinstance(config.part, Contender):
        metrics = {
            name: _train(config, replace(config.part, masks="rates", rates=(rate,)), out / name)
            for rate, name in zip(RATES, map(rate_folder, RATES), strict=True)
        }
    else:
        raise UsageError("only a run on a data set has noise rates.")
    if first_process():
        json.dump(metrics, sys.stdout, indent=2)
        print()
    return 0


def _name(argv: list[str]) -> str:
    given = configs(argv)
    if not given:
        raise UsageError("say where the run shall lie: --out RUN.")
    return given[-1].stem


def _train(config: Train, part: Part, out: Path) -> dict[str, Any]:
    if first_process():
        run_folder.begin(out, part, config.seed, resume=config.resume is not None)
    if config.devices == 1:
        metrics = part.train(out, config.seed)
    elif isinstance(part, Contender):
        metrics = part.train(out, config.seed, config.devices)
    else:
        raise UsageError("only a run on a data set can use several devices.")
    if first_process():
        run_folder.write_json(out / "metrics.json", metrics)
    return metrics
