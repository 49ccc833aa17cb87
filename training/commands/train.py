"""`normtr train`: one run of a system on a data set, or of a part of the recognizer."""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Sequence
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
from training.samples import DataSet
from training.systems.fit import first_process
from training.systems.norm_tr import NormTrSystem
from training.systems.system import System

NORM_TR = f"{NormTrSystem.__module__}.{NormTrSystem.__qualname__}"
"""The class path of the system that is trained if no config names one."""


class Part(Protocol):
    """A part of the recognizer; a config's `part.class_path` names its class."""

    def train(self, out: Path, seed: int) -> dict[str, Any]:
        """Train into the folder `out` (resuming what is there); return validation metrics."""
        ...


@dataclass(frozen=True)
class Train:
    """Train a system on a data set, or a part of the recognizer, as its configs say.

    A run that was stopped goes on from its last finished epoch.
    """

    data: DataSet | None = None
    """The data set, named by a config of configs/data; --data FOLDER reads it from elsewhere."""
    system: System | None = None
    """The system, named by a config of configs/systems; NORM-TR if none is named."""
    part: Part | None = None
    """A part of the recognizer to train instead, named by a config of configs/recognizer."""
    out: Path | None = None
    """Folder of the run; runs/CONFIG-SEED if not given."""
    resume: Path | None = None
    """Folder of a run that is there already and shall go on."""
    seed: int = 1
    """Seed of all random draws."""
    devices: int = 1
    """Number of GPUs, or of processes without a GPU; only for a run on a data set."""
    protocol: Literal["one", "per-rate"] = "one"
    """One model for all noise rates, or one for each (in RUN/rate-0 to RUN/rate-1)."""
    shared_people: bool = False
    """Whether the data set's splits may share a video or speaker; otherwise that is refused."""
    force: bool = False
    """Replace a run of other settings, or train into a folder that holds other files."""
    json: bool = False
    """Print the validation metrics as JSON; they are also in RUN/metrics.json."""

    def __post_init__(self) -> None:
        """Raise UsageError for options that exclude each other, and when there is no data."""
        if self.resume and self.out:
            raise UsageError(
                "say where the run lies once: --out RUN, or --resume RUN if it is there."
            )
        if self.resume and self.force:
            raise UsageError("--resume goes on with what is there; leave --force out.")
        if self.data is None and self.part is None:
            raise UsageError(
                "say what to train on: --config configs/data/NAME.toml "
                "(or a part of the recognizer: --config configs/recognizer/NAME.toml)."
            )
        if self.data is not None and self.part is not None:
            raise UsageError("a part of the recognizer knows its data; leave the data set out.")

    @property
    def configs(self) -> dict[str, Any]:
        """What the run is made from; the run folder keeps it."""
        if self.part is not None:
            return {"part": self.part}
        return {"data": self.data, "system": self.trained}

    @property
    def trained(self) -> System:
        """The system that is trained."""
        return self.system or NormTrSystem()


def run(argv: list[str]) -> int:
    argv, folder = _without_folder(argv)
    # NORM-TR comes first, so that later arguments may set its fields or name another class, which
    # then has its own defaults. As the field's default it would pass its values on to that class.
    config = parse(Train, ["--system", NORM_TR, *argv], "train")
    if folder is not None:
        if config.data is None:
            raise UsageError("--data FOLDER is of a data set, and a part names its data by fields.")
        config = replace(config, data=config.data.at(folder))
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
            print("\n".join(train_text.lines(config.data, metrics, out)))
    return 0


def _without_folder(argv: Sequence[str]) -> tuple[list[str], Path | None]:
    """Split `--data FOLDER` from the other arguments; the folder is None if it is not given.

    The parser could not read it, because to it `data` is a class with fields.
    """
    parser = argparse.ArgumentParser(add_help=False, allow_abbrev=False, exit_on_error=False)
    parser.add_argument("--data", type=Path)
    try:
        found, rest = parser.parse_known_args(argv)
    except argparse.ArgumentError:
        raise UsageError("--data needs a value.") from None
    return rest, found.data


def _all(config: Train, out: Path) -> dict[str, Any]:
    """Train the one model, or the model of every rate; return the validation metrics."""
    if config.protocol == "one":
        return _train(config, out)
    if config.data is None:
        raise UsageError("only a run on a data set has noise rates.")
    folders = {rate_folder(rate): rate for rate in RATES}
    if first_process():
        run_folder.refuse_filled(out, config.force, but=folders)
    return {
        name: _train(
            replace(config, system=replace(config.trained, masks="rates", rates=(rate,))),
            out / name,
        )
        for name, rate in folders.items()
    }


def _name(argv: list[str]) -> str:
    given = configs(argv)
    if not given:
        raise UsageError("say where the run shall lie: --out RUN.")
    return "-".join(path.stem for path in given)


def _train(config: Train, out: Path) -> dict[str, Any]:
    if first_process():
        resume = config.resume is not None
        run_folder.begin(out, config.configs, config.seed, resume=resume, force=config.force)
    if config.data is not None:
        metrics = config.trained.train(
            config.data,
            out,
            config.seed,
            devices=config.devices,
            shared_people=config.shared_people,
        )
    elif config.part is not None and config.devices == 1:
        metrics = config.part.train(out, config.seed)
    else:
        raise UsageError("only a run on a data set can use several devices.")
    if first_process():
        run_folder.write_json(out / "metrics.json", metrics)
    return metrics
