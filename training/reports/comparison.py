"""Evaluates compared systems, and writes records for machines, tables and a picture for people."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from tqdm import tqdm

from normtr.whole_file import whole_file
from training.evaluation import bootstrap
from training.evaluation.bootstrap import Difference
from training.evaluation.noise_curves import Protocol, with_missing
from training.reports import figures, tables
from training.reports.cost import forwards_ms
from training.reports.evaluation_result import joined, result
from training.reports.measures import Measure, measures
from training.reports.run_groups import RunGroup, Section, named
from training.samples import Split, loaded

PICTURE, TEXT = "comparison.png", "comparison.md"
PerSample = NDArray[np.float64]
"""[n]: the figure of each sample by which systems are compared."""


@dataclass(frozen=True)
class Compared:
    """Systems under noise `steps` and with modalities missing throughout.

    The first system is the reference.
    """

    under_steps: Section
    missing: dict[str, Section]
    """The systems in each condition, by the modalities that are there, e.g. `text+voice`."""

    @property
    def measure(self) -> Measure:
        return measures(self.under_steps.reference.metrics)[0]


Runs = Mapping[str, Sequence[Sequence[Path]]]
"""The runs of each system by its name: for each seed one run, or one for each fold."""


def found(runs: Runs, split: Split) -> Compared:
    """Evaluate the runs of each system, unless the result is kept beside the run already."""

    def section(protocol: Protocol) -> Section:
        return named(
            {
                name: [joined([result(run, split, protocol) for run in folds]) for folds in seeds]
                for name, seeds in runs.items()
            }
        )

    under_steps = section(Protocol())
    modalities = list(loaded(under_steps.reference.data, split).windows.rows)
    some = with_missing(modalities) if len(modalities) > 1 else {}
    named_protocols = tqdm(some.items(), "missing modalities", leave=False)
    missing = {there: section(protocol) for there, protocol in named_protocols}
    return Compared(under_steps, missing)


def records(comparison: Compared) -> Iterator[dict[str, Any]]:
    """Yield a record for each system, metric and condition.

    Conditions are `rate=R` of erased steps, `auilc` over these rates, `there=NAMES` with the other
    modalities missing, and `there=mean` over these. A record has the mean and deviation over
    training seeds.
    """
    for group in comparison.under_steps.groups:
        for key in group.metrics:
            rates = group.results[0].protocol.rates
            curves = group.curves(key)
            for rate, values in zip(rates, curves.T, strict=True):
                yield _record(group, f"rate={rate:g}", key, values)
            yield _record(group, "auilc", key, group.areas(key))
    for there, section in comparison.missing.items():
        for group in section.groups:
            for key in group.metrics:
                yield _record(group, f"there={there}", key, group.curves(key)[:, 0])
    for n, group in enumerate(comparison.under_steps.groups if comparison.missing else ()):
        for key in group.metrics:
            each = [s.groups[n].curves(key)[:, 0] for s in comparison.missing.values()]
            yield _record(group, "there=mean", key, np.mean(each, axis=0))


def _record(
    group: RunGroup, condition: str, metric: str, values: NDArray[np.float64]
) -> dict[str, Any]:
    return {
        "system": group.name,
        "dataset": group.data.name,
        "condition": condition,
        "metric": metric,
        "mean": _number(values.mean()),
        "std": _number(values.std(ddof=1)) if len(values) > 1 else None,
        "n_seeds": len(values),
    }


def _number(value: np.floating[Any]) -> float | None:
    """Return the number, or None for NaN and inf, which JSON does not know."""
    return float(value) if np.isfinite(value) else None


def write(comparison: Compared, out: Path) -> Path:
    """Write Markdown and a picture into the folder; return the path of the Markdown."""
    section = comparison.under_steps
    figures.over_rates(out / PICTURE, section)
    parts = [
        "# Comparison\n",
        tables.caption(section),
        tables.at_rate_0(section),
        "## Area under the metrics over noise rates 0 to 1\n",
        tables.areas(section, 1.0),
        f"![Metrics over noise rates]({PICTURE})\n",
    ]
    if comparison.missing:
        parts += [f"## {comparison.measure.title} with modalities missing\n", _missing(comparison)]
    parts += [f"## The others against {section.reference.name}\n", _SAID, _verdicts(comparison)]
    parts += ["## Cost of one window, one thread\n", _costs(section)]
    with whole_file(out / TEXT) as partial:
        partial.write_text("\n".join(parts), encoding="utf-8")
    return out / TEXT


_SAID = (
    f"Each system minus the reference, mean over training seeds; {bootstrap.LEVEL:.0%} intervals "
    f"from {bootstrap.DRAWS:,} paired bootstraps over videos or speakers (where each sample is "
    "alone, over samples, which says nothing of other people); ahead or behind where that still "
    "holds after Holm's correction over the systems of a column.\n"
)


def _missing(comparison: Compared) -> str:
    """Return a table with a row for each system and a column for each condition."""
    measure = comparison.measure
    rows = []
    for n, group in enumerate(comparison.under_steps.groups):
        each = [
            section.groups[n].curves(measure.key)[:, 0] for section in comparison.missing.values()
        ]
        rows.append([group.name, *(tables.spread(values, measure) for values in each)])
    return tables.table(["there", *comparison.missing], rows)


def _verdicts(comparison: Compared) -> str:
    """Return a table with a row for each rival and a column for each figure compared."""
    measure, section = comparison.measure, comparison.under_steps
    rates = section.reference.results[0].protocol.rates
    columns = {
        f"{measure.title} at rate 0": _differences(section, lambda s: s.per_sample()[0]),
        f"AUILC-{measure.title}": _differences(
            section, lambda s: tables.area_of(s.per_sample(), rates)
        ),
    }
    for there, missing in comparison.missing.items():
        columns[f"only {there}"] = _differences(missing, lambda s: s.per_sample()[0])
    rows = [[group.name] for group in section.others]
    for differences in columns.values():
        for row, found, shown in zip(rows, differences, holm(differences), strict=True):
            row.append(", ".join(tables.told(found, measure, shown)))
    return tables.table(["system minus reference", *columns], rows)


def _differences(section: Section, of: Callable[[RunGroup], PerSample]) -> list[Difference]:
    """Return the difference of each other system and the reference."""
    groups = section.reference.results[0].groups
    ours = of(section.reference)
    return [bootstrap.difference(of(group), ours, groups) for group in section.others]


def holm(differences: Sequence[Difference]) -> list[bool]:
    """Return which differences are shown when all are tested together (Holm, 1979).

    From the smallest p on they are shown, up to the first that is over (1 - LEVEL) / k, where k is
    the number of differences that are left.
    """
    order = [int(n) for n in np.argsort([found.p for found in differences])]  # NaN is last
    shown = [False] * len(differences)
    for place, n in enumerate(order):
        if not differences[n].p <= (1 - bootstrap.LEVEL) / (len(order) - place):
            break
        shown[n] = True
    return shown


def _costs(section: Section) -> str:
    costs = forwards_ms([group.results[0] for group in section.groups])
    rows = [
        [group.name, *(f"{cost:.2f}" for cost in of)]
        for group, of in zip(section.groups, costs, strict=True)
    ]
    return tables.table(["system", "forward, ms (median)", "parameters, millions"], rows)
