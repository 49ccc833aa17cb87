"""Writes a report's tables in Markdown: metrics, differences, and what is lost under noise."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from types import MappingProxyType

import numpy as np
from numpy.typing import NDArray

from training.evaluation import bootstrap
from training.evaluation.bootstrap import Difference
from training.reports.measures import Measure, measures
from training.reports.probe import Known, Probed
from training.reports.run_groups import RunGroup, Section, written

TO = 0.8
"""Areas are also taken up to this rate, because at rate 1 the two-class metrics depend only on the
sign of a constant."""
HALF = 0.5
"""The rate at which losses are measured."""


def table(header: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """Return a Markdown table whose first column is text, and whose others are numbers."""
    lines = [header, ["---", *["---:"] * (len(header) - 1)], *rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines) + "\n"


def caption(section: Section, stage: str | None = None) -> str:
    """Return a line that says how the figures of a table were measured.

    `stage` names the mask stages, if it is not that of the section.
    """
    first = section.reference.results[0]
    protocol = first.protocol
    groups = len(set(first.groups))
    of = ", each alone" if groups == len(first.ids) else f" of {groups} videos or speakers"
    return (
        f"*{section.name}, split {first.split}, n = {len(first.ids)}{of}; noise {protocol.noise}, mask stage "
        f"{stage or protocol.mask_stage}, mask seeds {ranged(protocol.mask_seeds)}, one checkpoint "
        f"for all rates; mean ± standard deviation over training seeds*\n"
    )


def ranged(seeds: Sequence[int]) -> str:
    """Return seeds as text: `1-3` for 1, 2, 3, and `1, 3` for 1, 3."""
    whole = len(seeds) > 2 and list(seeds) == list(range(seeds[0], seeds[-1] + 1))
    return f"{seeds[0]}-{seeds[-1]}" if whole else ", ".join(map(str, seeds))


def groups(section: Section) -> str:
    rows = [
        [
            group.name,
            str(group.number),
            "; ".join(f"`{difference}`" for difference in group.differences),
            ranged(group.seeds),
        ]
        for group in section.groups
    ]
    own = section.reference.settings
    lines = "\n".join(f"    {name} = {written(value)}" for name, value in own.items())
    listed = table(["system", "no.", "settings that differ from the reference", "seeds"], rows)
    return f"{listed}\nThe reference:\n\n{lines}\n"


def at_rate_0(section: Section) -> str:
    """Return the metrics without noise; the last row is what a constant answer reaches."""
    result = section.reference.results[0]
    first = result.protocol.rates.index(0.0)
    chance = result.chance()
    return _of(
        section,
        lambda group, key: group.curves(key)[:, first],
        {f"chance: {chance}": chance.metrics},
    )


def areas(section: Section, upto: float) -> str:
    return _of(section, lambda group, key: group.areas(key, upto))


def _of(
    section: Section,
    values: Callable[[RunGroup, str], NDArray[np.float64]],
    more: Mapping[str, Mapping[str, float]] = MappingProxyType({}),
) -> str:
    """Return a table of `values` for each system and metric.

    `more` holds further rows by name, with their metrics.
    """
    shown = measures(section.reference.metrics)
    rows = [
        [group.name, *(spread(values(group, m.key), m) for m in shown)] for group in section.groups
    ]
    rows += [[name, *(m.write(of[m.key]) for m in shown)] for name, of in more.items()]
    return table(["system", *(m.title for m in shown)], rows)


def confusions(section: Section) -> str:
    """Return for each system how often a class (row) got each answer (column), as seeds' mean."""
    classes = section.reference.data.classes or ()
    share = Measure("share", "share")
    parts = []
    for group in section.groups:
        counts = np.mean([result.confusion() for result in group.results], axis=0)
        shares = counts / np.maximum(counts.sum(1, keepdims=True), 1)
        rows = [
            [name, f"{row.sum():g}", *map(share.write, of)]
            for name, row, of in zip(classes, counts, shares, strict=True)
        ]
        parts.append(table([f"{group.name}, %", "n", *classes], rows))
    return "\n".join(parts)


def spread(values: NDArray[np.float64], measure: Measure) -> str:
    """Return mean ± sample deviation over seeds; one seed has no deviation."""
    mean = measure.write(float(values.mean()))
    return f"{mean} ± {measure.write(float(values.std(ddof=1)))}" if len(values) > 1 else mean


def over_rates(section: Section, measure: Measure) -> str:
    rates = section.reference.results[0].protocol.rates
    rows = [
        [group.name, *(measure.write(v) for v in group.curves(measure.key).mean(0))]
        for group in section.groups
    ]
    return table([f"{measure.title} at rate", *(f"{rate:g}" for rate in rates)], rows)


def intervals(section: Section) -> str:
    """Return intervals of each system's figures over videos or speakers."""
    measure = measures(section.reference.metrics)[0]
    reference = section.reference.results[0]
    rates, groups = reference.protocol.rates, reference.groups
    rows = []
    for group in section.groups:
        own = group.per_sample()
        cells = [group.name]
        for values in (own[rates.index(0.0)], area_of(own, rates)):
            found = bootstrap.difference(values, np.zeros_like(values), groups)
            cells += [measure.write(v) for v in (found.mean, found.low, found.high)]
        rows.append(cells)
    columns = [f"{measure.title} at rate 0", "from", "to", f"AUILC-{measure.title}", "from", "to"]
    return table(["system", *columns], rows)


def differences(section: Section) -> str:
    """Return each other system minus the reference, without noise and in area."""
    measure = measures(section.reference.metrics)[0]
    reference = section.reference.results[0]
    rates, groups = reference.protocol.rates, reference.groups
    base = section.reference.per_sample()
    rows = []
    for group in section.others:
        own = group.per_sample()
        clean = bootstrap.difference(own[rates.index(0.0)], base[rates.index(0.0)], groups)
        area = bootstrap.difference(area_of(own, rates), area_of(base, rates), groups)
        rows.append([group.name, *told(clean, measure), *told(area, measure)])
    interval = f"{bootstrap.LEVEL:.0%} interval"
    columns = [
        f"{measure.title} at rate 0",
        interval,
        "verdict",
        f"AUILC-{measure.title}",
        interval,
        "verdict",
    ]
    return table(["system minus reference", *columns], rows)


def area_of(values: NDArray[np.float64], rates: Sequence[float]) -> NDArray[np.float64]:
    """Return the AUILC of each sample [n], given its values [rates, n]."""
    return np.asarray(np.trapezoid(values, np.array(rates), axis=0), np.float64)


def told(found: Difference, measure: Measure, shown: bool | None = None) -> list[str]:
    """Return mean, interval and verdict of a difference.

    `shown` says whether it is shown; None means that its interval decides.
    """
    mean = measure.write(found.mean, signed=True)
    if np.isnan(found.low):
        return [mean, "one group only", "no difference shown"]
    low, high = (measure.write(v, signed=True) for v in (found.low, found.high))
    better = (found.mean < 0) == measure.lower
    shown = found.shown if shown is None else shown
    verdict = ("ahead" if better else "behind") if shown else "no difference shown"
    return [mean, f"{low} to {high}", verdict]


def lost(by_stage: Mapping[str, Sequence[RunGroup]], measure: Measure) -> str:
    """Return the share of a metric that is lost from rate 0 to HALF, for each mask stage.

    The results must have exactly these two rates.
    """
    share = Measure(measure.key, measure.label)
    rows = []
    for same in zip(*by_stage.values(), strict=True):
        cells = []
        for group in same:
            clean, noisy = group.curves(measure.key).T
            cells.append(spread((clean - noisy) / clean, share) if clean.all() else "-")
        rows.append([same[0].name, *cells])
    return table([f"{measure.label} lost, %", *(f"{stage} stage" for stage in by_stage)], rows)


def probes(section: Section, found: dict[int, list[dict[str, Known]]]) -> str:
    """Return the accuracies of the linear probes; `found` holds one per seed, by system number."""
    accuracy = Measure("accuracy", "accuracy")
    rows = []
    for group in section.groups:
        cells = []
        for question in ("modality", "noise"):
            chance = None
            for kind in ("nrgf", "mf"):
                seeds = [getattr(known[kind], question) for known in found[group.number]]
                answered = [p for p in seeds if isinstance(p, Probed)]
                used = kind in (group.network.query, group.network.memory)
                values = np.array([p.accuracy for p in answered])
                cells.append(spread(values, accuracy) if answered and used else "-")
                chance = answered[0].chance if answered else chance
            cells.append("-" if chance is None else accuracy.write(chance))
        rows.append([group.name, *cells])
    header = [
        f"{question}: {of}"
        for question in ("which modality", "was it noisy")
        for of in ("NRGF", "MF", "chance")
    ]
    return table(["accuracy of a linear probe, %", *header], rows)
