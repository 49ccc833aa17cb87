"""What `normtr train` prints at the end: validation figures, where the run is, what to do next."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from training.evaluation.chance import Chance
from training.reports.measures import measures
from training.samples import LiveData

SHOWN = 3
"""This many metrics of a data set are printed; the others are in metrics.json."""


def lines(data: Any, metrics: Mapping[str, Any], out: Path) -> Iterator[str]:
    """Yield the lines to print.

    `data` is the data set, or None for a part of the recognizer. `metrics` is what `train`
    returned; for a per-rate run it holds that of every model by its name. `out` is the run folder.
    """
    if data is None:
        yield from _figures(metrics)
        yield f"The run is in {out}; all figures are in its metrics.json."
    elif "valid" not in metrics:
        yield f"A model for each of {len(metrics)} noise rates is in {out}."
        yield f"Next: normtr evaluate {out} --protocol per-rate"
    else:
        yield from _validated(metrics["valid"])
        yield f"The run is in {out}; all figures are in its metrics.json."
        yield f"Next: normtr evaluate {out}"
        if isinstance(data, LiveData) and metrics["labels"] is not None:
            yield f"or:   normtr live --checkpoint {out}"


def _validated(valid: Mapping[str, Any]) -> Iterator[str]:
    chance = Chance(**valid["chance"])
    first, *more = measures(list(valid["metrics"]))[:SHOWN]
    said = [f"{m.label} {m.write(valid['metrics'][m.key][0])} {m.unit}" for m in (first, *more)]
    base = f"{chance}: {first.write(chance.metrics[first.key])} {first.unit}".rstrip()
    rate = valid["rates"][0]
    under = f"noise rate {rate:g}" if rate else "without noise"
    yield f"Validation, {valid['n']} samples, {under}: {', '.join(map(str.rstrip, said))} ({base})."
    if verdict := chance.verdict(valid["n"]):
        yield verdict


def _figures(metrics: Mapping[str, Any]) -> Iterator[str]:
    """Yield one line with the numbers in `metrics`, and one for each mapping with its name."""
    own = {name: value for name, value in metrics.items() if isinstance(value, float)}
    if own:
        yield ", ".join(f"{name} {value:.3f}" for name, value in own.items())
    for name, of in metrics.items():
        if isinstance(of, Mapping):
            yield from (f"{name}: {line}" for line in list(_figures(of))[:1])
