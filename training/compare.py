"""`normtr compare`: several systems on one data set, the same seeds, tuning budget and protocol."""

from __future__ import annotations

import json
import logging
import os
import tomllib
import warnings
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from itertools import product
from pathlib import Path
from tempfile import NamedTemporaryFile
from typing import Any

import numpy as np
from numpy.typing import NDArray
from rich.console import Console
from rich.table import Table
from tqdm import tqdm

from normtr.config import parse
from normtr.errors import UserError
from training import curve, run_folder
from training.contender import Contender
from training.curve import Protocol
from training.measures import measures
from training.processes import spread
from training.results import result
from training.samples import Split
from training.train import Train

TRIAL_SEED = 0


@dataclass(frozen=True)
class Compare:
    """Train and evaluate several systems, given by how they differ from one config.

    Every run is a folder of `out`, so that a stopped comparison goes on where it was.
    """

    base: Path
    """The config that every system starts from."""
    out: Path
    systems: dict[str, dict[str, Any]]
    """By system: fields by their dotted names in the part, and `config` for another base."""
    seeds: list[int] = field(default_factory=lambda: [1, 2, 3, 4, 5])
    space: dict[str, list[Any]] = field(default_factory=dict)
    """Fields to tune and the values that may be drawn; the same for every system."""
    folds: dict[str, list[Any]] = field(default_factory=dict)
    """A field that every trial is repeated with, such as the fold that validates; its score is
    the mean."""
    trials: int = 20
    """Random draws from the space for each system; the one with the best validation AUILC (of MAE,
    for classes of accuracy) is kept."""
    split: Split = "test"
    jobs: int = 2
    """Runs at the same time, one thread each."""


@dataclass(frozen=True)
class Cell:
    """One run of a comparison; `split`: what to evaluate it on, None for a trial."""

    run: Path
    part: Contender
    seed: int
    split: Split | None


def run(argv: list[str]) -> int:
    config = parse(Compare, argv, "compare")
    cells = {}
    for name, ours in config.systems.items():
        best = tuned(config, name) if config.space else {}
        part = system(config, {**ours, **best})
        cells[name] = [
            Cell(config.out / name / f"seed-{seed}", part, seed, config.split)
            for seed in config.seeds
        ]
    train_all([cell for mine in cells.values() for cell in mine], config.jobs)
    Console().print(table(cells, config.split))
    return 0


def system(config: Compare, overrides: Mapping[str, Any]) -> Contender:
    """The base, or the config that is named, with some fields changed.

    Raises UserError where a config, field or value is none.
    """
    base = Path(overrides.get("config", config.base))
    if not isinstance(parse(Train, ["--config", str(base)], "train").part, Contender):
        raise UserError(f"{base} is no run on a data set.")
    content = tomllib.loads(base.read_text())
    for key, value in overrides.items():
        if key == "config":
            continue
        *path, last = key.split(".")
        section = content["part"]["init_args"]
        for name in path:
            section = section.setdefault(name, {})
            section = section.setdefault("init_args", {}) if "class_path" in section else section
        section[last] = value
    with NamedTemporaryFile("w", suffix=".toml") as file:
        file.write("\n".join(_dotted("", content)))
        file.flush()
        part = parse(Train, ["--config", file.name], "compare").part
    assert isinstance(part, Contender)
    return part


def _dotted(prefix: str, value: Any) -> list[str]:
    """TOML lines, one a leaf, whose numbers, strings and lists are written as in JSON."""
    if isinstance(value, dict) and value:
        return [
            line for k, v in value.items() for line in _dotted(f"{prefix}.{k}" if prefix else k, v)
        ]
    return [f"{prefix} = {json.dumps(value)}"]


def tuned(config: Compare, name: str) -> dict[str, Any]:
    """The best of a system's trials; all are logged in its `trials.json`."""
    drawn = draws(config.space, config.trials)
    folder = config.out / name
    repeats = [
        dict(zip(config.folds, values, strict=True)) for values in product(*config.folds.values())
    ]
    cells = [
        [
            Cell(
                folder / "trials" / f"{number:02}-{fold}",
                system(config, {**config.systems[name], **draw, **repeat}),
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
    areas = json.loads((trial.run / "metrics.json").read_text())["valid_auilc"]
    return float(areas["mae"] if "mae" in areas else -areas["accuracy"])


def draws(space: Mapping[str, list[Any]], trials: int) -> list[dict[str, Any]]:
    """Random points of the space, the same for every system."""
    random = np.random.default_rng(TRIAL_SEED)
    return [
        {key: values[random.integers(len(values))] for key, values in space.items()}
        for _ in range(trials)
    ]


def train_all(cells: list[Cell], jobs: int) -> None:
    """Train and evaluate what is not there yet, several runs at a time, one thread each."""
    waiting = [cell for cell in cells if not (cell.run / "metrics.json").is_file()]
    if not waiting:
        return
    # For the workers: it is read where torch and tqdm are imported.
    os.environ.update(OMP_NUM_THREADS="1", TQDM_DISABLE="1")
    for cell, metrics in tqdm(spread(waiting, _worker, jobs), "runs", len(waiting)):
        if metrics is None:
            raise UserError(
                f"the process of {cell.run} ended; where memory is short, fewer --jobs help."
            )
        run_folder.write_json(cell.run / "metrics.json", metrics)


def _worker() -> Callable[[Cell], dict[str, Any]]:
    """In a worker, where the bar over all runs is enough to look at."""
    logging.getLogger("lightning.pytorch").setLevel(logging.ERROR)
    warnings.simplefilter("ignore")
    return _train


def _train(cell: Cell) -> dict[str, Any]:
    run_folder.begin(cell.run, cell.part, cell.seed, resume=False)
    metrics = cell.part.train(cell.run, cell.seed, progress=False)
    if cell.split:
        result(cell.run, cell.split, Protocol())
    return metrics


def table(cells: Mapping[str, list[Cell]], split: Split) -> Table:
    """Mean and deviation over the seeds; `normtr report` shows more."""
    out = Table(title=f"{split}, noise steps, mask stage feature, mean (deviation) over seeds")
    for name, mine in cells.items():
        found = [result(cell.run, split, Protocol()).curves() for cell in mine]
        shown = measures(list(found[0]))[:3]
        if not out.columns:
            titles = [measure.label for measure in shown]
            for column in ("system", *titles, f"AUILC {titles[0]}"):
                out.add_column(column)
        columns = [[curves[measure.key][0] for curves in found] for measure in shown]
        areas = [curve.areas(Protocol().rates, curves) for curves in found]
        columns.append([area[shown[0].key] for area in areas])
        out.add_row(name, *(_spread(np.array(values)) for values in columns))
    return out


def _spread(values: NDArray[np.float64]) -> str:
    deviation = values.std(ddof=1) if len(values) > 1 else 0.0
    return f"{values.mean():.3f} ({deviation:.3f})"
