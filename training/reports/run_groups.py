"""Groups runs into systems: runs of equal settings under different seeds, named by what differs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields, is_dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from normtr.errors import UserError
from training import run_folder
from training.evaluation import metrics
from training.noise import RATES
from training.reports.evaluation_result import EvaluationResult
from training.samples import DataSet
from training.systems.norm_tr import Architecture, NormTrSystem
from training.systems.system import System

RATE_FOLDERS = {run_folder.rate_folder(rate) for rate in RATES}
NAMED = 3
"""The name of a system tells at most this many of the settings that differ from the reference."""


@dataclass(frozen=True)
class Found:
    """The run folders that were found."""

    runs: tuple[Path, ...]
    left_out: dict[Path, str]
    """The reason for each folder that was left out."""


def find(paths: Sequence[Path]) -> Found:
    """Find runs on data sets in or below the paths, in the order of their names.

    Raises UserError when a path holds no run, or when no run can be used.
    """
    folders: dict[Path, Path] = {}
    for path in paths:
        within = sorted(file.parent for file in path.rglob(run_folder.SETTINGS))
        if not within:
            raise UserError(f"there is no run in {path}: no {run_folder.SETTINGS} in or below it.")
        for folder in within:
            folders.setdefault(folder.resolve(), folder)
    runs, left_out = [], {}
    seen: dict[Any, Path] = {}
    for folder in folders.values():
        try:
            run = run_folder.read(folder)
        except UserError as error:
            left_out[folder] = str(error)
            continue
        if folder.name in RATE_FOLDERS:
            left_out[folder] = (
                f"{folder} is for one noise rate; `normtr evaluate {folder.parent} "
                "--protocol per-rate` tells of all."
            )
            continue
        key = (run.seed, run.system.name, *settings(run.data, run.system).items())
        if seen.setdefault(key, folder) != folder:
            left_out[folder] = f"{folder} has the settings and the seed of {seen[key]}."
            continue
        runs.append(folder)
    if not runs:
        raise UserError(" ".join(left_out.values()))
    return Found(tuple(runs), left_out)


def settings(data: DataSet, system: System) -> dict[str, Any]:
    """Return every field of the system by its dotted name, and those of the data set after `data.`.

    Paths are absolute.
    """
    return _flat(data, "data") | _flat(system)


def _flat(config: Any, prefix: str = "") -> dict[str, Any]:
    if is_dataclass(config):
        within = {f.name: getattr(config, f.name) for f in fields(config)}
    elif isinstance(config, dict):
        within = config
    else:
        return {prefix: str(config.resolve()) if isinstance(config, Path) else config}
    return {
        name: value
        for key, inner in within.items()
        for name, value in _flat(inner, f"{prefix}.{key}" if prefix else key).items()
    }


@dataclass(frozen=True)
class RunGroup:
    """A system: runs of equal settings, one for each seed, on the same samples."""

    number: int
    """Its place in the section; the reference has 1."""
    changed: dict[str, Any]
    """The settings that differ from the reference; None where it has no such field."""
    results: tuple[EvaluationResult, ...]
    title: str = ""
    """Its name in a comparison; if empty, it is named by what is changed."""

    @property
    def data(self) -> DataSet:
        return self.results[0].data

    @property
    def system(self) -> System:
        return self.results[0].system

    @property
    def settings(self) -> dict[str, Any]:
        return settings(self.data, self.system)

    @property
    def network(self) -> Architecture:
        """The sizes of NORM-TR's network; other systems have none."""
        assert isinstance(self.system, NormTrSystem)
        return self.system.network

    @property
    def differences(self) -> tuple[str, ...]:
        return tuple(f"{name} = {written(value)}" for name, value in self.changed.items())

    @property
    def name(self) -> str:
        if self.title:
            return self.title
        if not self.changed:
            return "reference"
        if "system" in self.changed:
            return f"{self.changed['system']} (no. {self.number})"
        if len(self.changed) <= NAMED:
            return ", ".join(self.differences)
        rest = len(self.changed) - NAMED + 1
        return f"{', '.join(self.differences[: NAMED - 1])} and {rest} more (no. {self.number})"

    @property
    def seeds(self) -> tuple[int, ...]:
        return tuple(result.seed for result in self.results)

    @cached_property
    def _curves(self) -> list[dict[str, list[float]]]:
        return [result.curves() for result in self.results]

    @property
    def metrics(self) -> tuple[str, ...]:
        return tuple(self._curves[0])

    def curves(self, key: str) -> NDArray[np.float64]:
        """Return a metric [training seeds, rates], as its mean over the mask seeds."""
        return np.array([curves[key] for curves in self._curves])

    def areas(self, key: str, upto: float = 1.0) -> NDArray[np.float64]:
        """Return the AUILC of a metric over rates up to `upto`, [training seeds]."""
        rates = self.results[0].protocol.rates
        return np.array([metrics.auilc(rates, list(curve), upto) for curve in self.curves(key)])

    def per_sample(self) -> NDArray[np.float64]:
        """Return a figure for each sample, [rates, n], as its mean over all seeds.

        It is the absolute error, or for classes the share of right answers.
        """
        labels = self.results[0].labels
        if self.data.outputs == 1:
            each = [np.abs(r.outputs[..., 0].astype(np.float64) - labels) for r in self.results]
        else:
            each = [(r.outputs.argmax(-1) == labels).astype(np.float64) for r in self.results]
        return np.asarray(np.mean([values.mean(1) for values in each], axis=0))


@dataclass(frozen=True)
class Section:
    """Systems that were evaluated on the same samples; the first is the reference."""

    name: str
    groups: tuple[RunGroup, ...]

    @property
    def reference(self) -> RunGroup:
        return self.groups[0]

    @property
    def others(self) -> tuple[RunGroup, ...]:
        return self.groups[1:]

    def of_norm_tr(self) -> Section:
        """Return the section with only single NORM-TRs (no ensembles); there may be none."""
        ours = tuple(
            s for s in self.groups if isinstance(s.system, NormTrSystem) and s.system.members == 1
        )
        return replace(self, groups=ours)

    def swept(self) -> dict[str, list[tuple[float, RunGroup]]]:
        """Return the systems that differ from the reference in one numeric setting alone.

        For each such setting it is a list of values and systems, sorted by the value; the reference
        is among them.
        """
        base = self.reference.settings
        out: dict[str, list[tuple[float, RunGroup]]] = {}
        for group in self.others:
            (name, value), *more = group.changed.items()
            if not more and _is_number(value) and _is_number(base.get(name)):
                out.setdefault(name, [(float(base[name]), self.reference)])
                out[name].append((float(value), group))
        return {name: sorted(points, key=lambda p: p[0]) for name, points in sorted(out.items())}


def sections(results: Sequence[EvaluationResult]) -> list[Section]:
    """Make a section of the results on the same kind and folder of data and the same samples.

    Sections are in the order of the results; the system of a section's first result is the
    reference.
    """
    apart: dict[Any, list[EvaluationResult]] = {}
    for result in results:
        apart.setdefault(_view(result), []).append(result)
    found: list[Section] = []
    for together in apart.values():
        name = together[0].data.name
        same = sum(section.name.split(" ")[0] == name for section in found)
        groups = _systems(together)
        found.append(Section(f"{name} {same + 1}" if same else name, groups))
    return found


def named(results: Mapping[str, Sequence[EvaluationResult]]) -> Section:
    """Make a section of systems, given their results by name; the first is the reference.

    Raises UserError when the samples are not the same.
    """
    first = next(iter(results.values()))[0]
    for name, runs in results.items():
        if any(_samples(run) != _samples(first) for run in runs):
            raise UserError(f"{name} has other samples than {next(iter(results))}.")
    base = settings(first.data, first.system)
    found = []
    for number, (name, runs) in enumerate(results.items(), 1):
        mine = settings(runs[0].data, runs[0].system)
        changed = {k: mine.get(k) for k in {**base, **mine} if mine.get(k) != base.get(k)}
        found.append(RunGroup(number, changed, tuple(runs), name))
    return Section(first.data.name, tuple(found))


def _samples(result: EvaluationResult) -> Any:
    return result.ids, result.labels.tobytes()


def _view(result: EvaluationResult) -> Any:
    data = result.data
    paths = [getattr(data, f.name) for f in fields(data)]  # type: ignore[arg-type]
    where = [path.resolve() for path in paths if isinstance(path, Path)]
    return type(data), *where, *_samples(result)


def _systems(results: Sequence[EvaluationResult]) -> tuple[RunGroup, ...]:
    equal: dict[Any, list[EvaluationResult]] = {}
    for result in results:
        own = {"system": result.system.name, **settings(result.data, result.system)}
        equal.setdefault(tuple(own.items()), []).append(result)
    base = dict(next(iter(equal)))
    out = []
    for number, (own, runs) in enumerate(equal.items(), 1):
        mine = dict(own)
        changed = {k: mine.get(k) for k in {**base, **mine} if mine.get(k) != base.get(k)}
        out.append(RunGroup(number, changed, tuple(sorted(runs, key=lambda r: r.seed))))
    return tuple(out)


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def written(value: Any) -> str:
    """Return a setting as a config writes it."""
    if isinstance(value, tuple):
        return " + ".join(map(str, value))
    if isinstance(value, bool):
        return str(value).lower()
    if value is None:
        return "none"
    return f"{value:g}" if isinstance(value, float) else str(value)
