"""`normtr compare`: several systems on one data set, with equal seeds, tuning and protocol."""

from __future__ import annotations

import json
import logging
import os
import sys
import warnings
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from itertools import product
from pathlib import Path
from typing import Any

import numpy as np
from rich.console import Console
from rich.table import Table
from tqdm import tqdm

from normtr.config import build, parse, read
from normtr.errors import UsageError, UserError
from training import run_folder
from training.commands.train import NORM_TR, Train
from training.evaluation.noise_curves import Protocol
from training.processes import spread
from training.reports import comparison, tables
from training.reports.evaluation_result import result
from training.reports.measures import measures
from training.reports.run_groups import Section
from training.samples import Split

TRIAL_SEED = 0
"""The seed that draws the trials and trains them."""
RESERVED = ("class_path", "config", "space")
"""Keys of a system's table that are not fields of the system."""
DATA = "data."
"""The names of fields of the data set begin with this."""


@dataclass(frozen=True)
class Compare:
    """Train and evaluate several systems, given by how they differ from one config.

    Every run is a folder in `out`, so that a stopped comparison goes on where it was.
    """

    base: str | tuple[str, ...]
    """The config that every system starts from, or one config of data and one of a system."""
    out: Path
    """Folder of all runs and of the written comparison."""
    systems: dict[str, dict[str, Any]] = field(default_factory=dict)
    """How each system, by its name, differs from the base: fields by their dotted names, those of
    the data set after `data.`. `class_path` names another class of system, `config` another base,
    `space` other fields to tune, and `like` a system before it whose differences it takes over.
    The first system is the reference."""
    common: dict[str, Any] = field(default_factory=dict)
    """Fields in which all systems differ from the base. A system with a `class_path` takes only
    those of the data set."""
    systems_of: Path | None = None
    """A TOML file with systems that come before these. If one is in both, its fields here, and
    those of its `space`, replace the ones there."""
    seeds: str = "1,2,3,4,5"
    """Seeds of training, separated by commas."""
    space: dict[str, list[Any]] = field(default_factory=dict)
    """Fields to tune and their values to draw from, for systems without a `space` of their own."""
    folds: dict[str, list[Any]] = field(default_factory=dict)
    """A field and its values, such as the fold that validates: every trial is repeated with each
    value, and its score is the mean."""
    across: list[dict[str, Any]] = field(default_factory=list)
    """Fields that split the data, for each fold: every system is trained on every fold, and its
    answers on all their test samples are judged together."""
    trials: int = 20
    """Random draws from the space for each system. The one with the best validation AUILC is kept
    (of MAE, or of accuracy for classes)."""
    split: Split = "test"
    """The split on which the systems are compared."""
    jobs: int = 2
    """Runs at the same time, one thread each."""
    json: bool = False
    """Print records of system, dataset, condition, metric, mean, std and n_seeds."""

    def __post_init__(self) -> None:
        """Raise ValueError for seeds that are no numbers, or when there are no systems.

        Raises UsageError when the file of systems cannot be read.
        """
        if not self.entrants:
            raise ValueError("there are no systems to compare")
        try:
            _ = self.numbers
        except ValueError:
            raise ValueError(f"--seeds are numbers with commas, not {self.seeds!r}") from None

    @property
    def numbers(self) -> tuple[int, ...]:
        """The seeds as numbers."""
        return tuple(int(seed) for seed in self.seeds.split(","))

    @cached_property
    def entrants(self) -> dict[str, dict[str, Any]]:
        """The fields of every system by its name, in order."""
        found = _systems_in(self.systems_of) if self.systems_of else {}
        for name, own in self.systems.items():
            there = found.get(name, {})
            space = {**there.get("space", {}), **own["space"]} if own.get("space") else None
            found[name] = {**there, **own, **({"space": space} if space else {})}
        return found

    def fields(self, name: str) -> dict[str, Any]:
        """Return a system's fields, together with those of the system that it is `like`.

        Raises UserError when that system does not come before it.
        """
        own = dict(self.entrants[name])
        other = own.pop("like", None)
        if other is None:
            return own
        names = list(self.entrants)
        if other not in names[: names.index(name)]:
            raise UserError(f"{name} is like {other!r}, which is no system before it.")
        return {**self.fields(other), **own}


def _systems_in(path: Path) -> dict[str, dict[str, Any]]:
    """Read the systems of a TOML file.

    Raises UsageError when it cannot be read or holds anything else.
    """
    content = read(path)
    systems = content.pop("systems", None)
    tables = systems.values() if isinstance(systems, dict) else [systems]
    if content or not all(isinstance(table, dict) for table in tables):
        raise UsageError(f"{path} may hold [systems.NAME] and nothing else.")
    return dict(systems)


@dataclass(frozen=True)
class Cell:
    """One run of a comparison."""

    run: Path
    """The folder of the run."""
    train: Train
    seed: int
    split: Split | None
    """The split to evaluate it on; None for a trial, which is only validated."""


def run(argv: list[str]) -> int:
    if argv and not argv[0].startswith("-"):
        argv = ["--config", *argv]
    config = parse(Compare, argv, "compare")
    cells = {}
    for name in config.entrants:
        fields = config.fields(name)
        cells[name] = _cells(config, name, {**fields, **tuned(config, name, fields)})
    train_all([c for seeds in cells.values() for folds in seeds for c in folds], config.jobs)
    runs = {name: [[c.run for c in folds] for folds in seeds] for name, seeds in cells.items()}
    found = comparison.found(runs, config.split)
    written = comparison.write(found, config.out)
    if config.json:
        json.dump(list(comparison.records(found)), sys.stdout, indent=1)
        print()
        return 0
    Console().print(table(found.under_steps))
    print(written)
    return 0


def _cells(config: Compare, name: str, overrides: Mapping[str, Any]) -> list[list[Cell]]:
    """Return the runs of one system: for each seed one run, or one for each fold."""
    found = []
    for seed in config.numbers:
        run = config.out / name / f"seed-{seed}"
        folds = [(run / f"fold-{k}", fold) for k, fold in enumerate(config.across)] or [(run, {})]
        found.append(
            [
                Cell(where, run_config(config, {**overrides, **fold}), seed, config.split)
                for where, fold in folds
            ]
        )
    return found


def run_config(config: Compare, overrides: Mapping[str, Any]) -> Train:
    """Return the settings of the base, or of the config in `overrides`, with some fields changed.

    Raises UserError for a config, field or value that does not exist.
    """
    bases = overrides.get("config", config.base)
    content = {"system": {"class_path": NORM_TR}}
    for base in [bases] if isinstance(bases, str) else bases:
        content |= read(Path(base))
    if "data" not in content:
        raise UserError(f"{base} names no data set.")
    common = config.common
    if "class_path" in overrides:
        content["system"] = {"class_path": overrides["class_path"]}
        common = {key: value for key, value in common.items() if key.startswith(DATA)}
    for key, value in {**common, **overrides}.items():
        if key not in RESERVED:
            _set(content, key if key.startswith(DATA) else f"system.{key}", value)
    return build(Train, content, "compare")


def _set(content: dict[str, Any], key: str, value: Any) -> None:
    """Set a field by its dotted name; the fields of a class stand in its `init_args`."""
    *path, last = key.split(".")
    for name in path:
        content = content.setdefault(name, {})
        content = content.setdefault("init_args", {}) if "class_path" in content else content
    content[last] = value


def tuned(config: Compare, name: str, fields: Mapping[str, Any]) -> dict[str, Any]:
    """Run a system's trials and return the fields of the best one.

    It is empty if there is nothing to tune. All trials are logged in the system's `trials.json`.
    """
    space = fields.get("space", config.space)
    if not space:
        return {}
    drawn = draws(space, config.trials)
    folder = config.out / name
    repeats = [
        dict(zip(config.folds, values, strict=True)) for values in product(*config.folds.values())
    ]
    cells = [
        [
            Cell(
                folder / "trials" / f"{number:02}-{fold}",
                run_config(config, {**fields, **draw, **repeat}),
                TRIAL_SEED,
                None,
            )
            for fold, repeat in enumerate(repeats)
        ]
        for number, draw in enumerate(drawn)
    ]
    train_all([cell for of_trial in cells for cell in of_trial], config.jobs)
    scores = [float(np.mean([_score(cell) for cell in of_trial])) for of_trial in cells]
    best = int(np.argmin(scores))
    log = [{**draw, "score": score} for draw, score in zip(drawn, scores, strict=True)]
    run_folder.write_json(folder / "trials.json", {"best": best, "trials": log})
    return drawn[best]


def _score(trial: Cell) -> float:
    """Return a trial's score on validation samples; lower is better."""
    found = json.loads((trial.run / "metrics.json").read_text())
    # A system that is validated at one rate has no area.
    areas = found["valid_auilc"] or {k: v[0] for k, v in found["valid"]["metrics"].items()}
    return float(areas["mae"] if "mae" in areas else -areas["accuracy"])


def draws(space: Mapping[str, list[Any]], trials: int) -> list[dict[str, Any]]:
    """Draw random points of the space; every system with this space gets the same ones."""
    random = np.random.default_rng(TRIAL_SEED)
    return [
        {key: values[random.integers(len(values))] for key, values in space.items()}
        for _ in range(trials)
    ]


def train_all(cells: list[Cell], jobs: int) -> None:
    """Train and evaluate the runs that are not there yet, `jobs` at a time, one thread each.

    Raises UserError when a run that is there has other settings, or when a process dies.
    """
    waiting = [cell for cell in cells if not (cell.run / "metrics.json").is_file()]
    for cell in cells:
        if cell not in waiting:
            run_folder.begin(cell.run, cell.train.configs, cell.seed, resume=True)
    if not waiting:
        return
    # The workers read these when they import torch and tqdm.
    os.environ.update(OMP_NUM_THREADS="1", TQDM_DISABLE="1")
    for cell, metrics in tqdm(spread(waiting, _worker, jobs), "runs", len(waiting)):
        if metrics is None:
            raise UserError(
                f"the process of {cell.run} ended; where memory is short, fewer --jobs help."
            )
        run_folder.write_json(cell.run / "metrics.json", metrics)
        for checkpoint in cell.run.rglob("*.ckpt"):  # those of a hundred runs fill a disk
            checkpoint.unlink()


def _worker() -> Callable[[Cell], dict[str, Any]]:
    """Start a worker, which stays quiet because the bar over all runs is enough to look at."""
    logging.getLogger("lightning.pytorch").setLevel(logging.ERROR)
    warnings.simplefilter("ignore")
    return _train


def _train(cell: Cell) -> dict[str, Any]:
    run_folder.begin(cell.run, cell.train.configs, cell.seed, resume=False)
    data, shared = cell.train.data, cell.train.shared_people
    assert data is not None
    metrics = cell.train.trained.train(
        data, cell.run, cell.seed, progress=False, shared_people=shared
    )
    if cell.split:
        result(cell.run, cell.split, Protocol())
    return metrics


def table(section: Section) -> Table:
    """Return a table of the main metrics: their mean and deviation over the seeds."""
    protocol = section.reference.results[0].protocol
    title = f"{section.name}, noise {protocol.noise}, mask stage {protocol.mask_stage}"
    shown = measures(section.reference.metrics)[:3]
    out = Table(
        "system",
        *(measure.title for measure in shown),
        f"AUILC {shown[0].title}",
        title=f"{title}, mean ± deviation over training seeds",
    )
    for group in section.groups:
        columns = [(group.curves(measure.key)[:, 0], measure) for measure in shown]
        columns.append((group.areas(shown[0].key), shown[0]))
        out.add_row(group.name, *(tables.spread(values, measure) for values, measure in columns))
    return out
