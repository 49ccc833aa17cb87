"""`normtr train`: one run from one config."""

from __future__ import annotations

import json
import sys
from contextlib import nullcontext
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal, Protocol

import torch

from normtr.config import configs, parse
from normtr.errors import UsageError
from training import run_folder
from training.commands import train_text
from training.noise import RATES
from training.run_folder import rate_folder
from training.systems.fit import first_process
from training.systems.system import System


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
    force: bool = False
    """Replace a run of other settings, or train into a folder that holds other files."""
    json: bool = False
    """Print the validation metrics as JSON, as they also lie in RUN/metrics.json."""

    def __post_init__(self) -> None:
        """Raises UsageError for what has no meaning together."""
        if self.resume and self.out:
            raise UsageError(
                "say where the run lies once: --out RUN, or --resume RUN if it is there."
            )
        if self.resume and self.force:
            raise UsageError("--resume goes on with what is there; leave --force out.")


def run(argv: list[str]) -> int:
    config = parse(Train, argv, "train")
    out = config.resume or config.out or Path("runs", f"{_name(argv)}-{config.seed}")
    if first_process():
        where = "the GPU" if torch.cuda.is_available() else "the CPU"
        print(f"Training on {where} into {out}; Ctrl-C, and it goes on later.", file=sys.stderr)
    with run_folder.gone_if_failed(out) if first_process() else nullcontext():
        metrics = _all(config, out)
    if first_process():
        if config.json:
            json.dump(metrics, sys.stdout, indent=2)
            print()
        else:
            print("\n".join(train_text.lines(config.part, metrics, out)))
    return 0


def _all(config: Train, out: Path) -> dict[str, Any]:
    """The one model, or that of every rate."""
    if config.protocol == "one":
        return _train(config, config.part, out)
    if not isinstance(config.part, System):
        raise UsageError("only a run on a data set has noise rates.")
    folders = {rate_folder(rate): rate for rate in RATES}
    if first_process():
        run_folder.refuse_filled(out, config.force, but=folders)
    return {
        name: _train(config, replace(config.part, masks="rates", rates=(rate,)), out / name)
        for name, rate in folders.items()
    }


def _name(argv: list[str]) -> str:
    given = configs(argv)
    if not given:
        raise UsageError("say where the run shall lie: --out RUN.")
    return given[-1].stem


def _train(config: Train, part: Part, out: Path) -> dict[str, Any]:
    if first_process():
        resume = config.resume is not None
        run_folder.begin(out, part, config.seed, resume=resume, force=config.force)
    if config.devices == 1:
        metrics = part.train(out, config.seed)
    elif isinstance(part, System):
        metrics = part.train(out, config.seed, config.devices)
    else:
        raise UsageError("only a run on a data set can use several devices.")
    if first_process():
        run_folder.write_json(out / "metrics.json", metrics)
    return metrics
