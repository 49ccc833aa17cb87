"""`normtr evaluate`: judges a run on one split of a data set, over noise rates."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np
from rich.console import Console
from rich.table import Table

from normtr.config import parse
from normtr.errors import UserError
from training.evaluation import noise_curves
from training.evaluation.noise_curves import MASK_SEEDS, Protocol, with_missing
from training.noise import RATES
from training.recognizer import evaluate_part
from training.reports.evaluation_result import EvaluationResult, per_rate_result, result
from training.samples import Split, loaded

PROTOCOLS = {"one": "one checkpoint for all rates", "per-rate": "one checkpoint per rate"}
"""What the report says for each value of --protocol."""


@dataclass(frozen=True)
class Evaluate:
    """Evaluate a run over noise rates; see `--part face --help` for a recognizer's networks."""

    run: str
    """A run folder, or the model.safetensors in it, or a recognizer's folder (normtr/weights)."""
    data: Path | None = None
    """Folder of the data set, if not the one that the run was trained on."""
    split: Split = "test"
    """The split whose samples are judged."""
    rates: str = ",".join(f"{rate:g}" for rate in RATES)
    """Noise rates from 0 to 1, separated by commas."""
    noise: str = "steps"
    """What is erased: steps, windows, or modality:NAME[+NAME] (steps of these modalities)."""
    mask_stage: Literal["feature", "word"] = "feature"
    """Erase rows (feature), or words before BERT reads them (word)."""
    erased: str = "zero"
    """What erased rows become: zero, or noise that no system is told of, gaussian:STEPS or
    impulse:STEPS (a random step of NMER's schedule with STEPS steps)."""
    protocol: Literal["one", "per-rate"] = "one"
    """One model for all rates, or one for each, as the run was trained."""
    conditions: bool = False
    """Judge every choice of modalities with the others missing, instead of noise."""
    json: bool = False
    """Print the report as JSON."""

    def noises(self) -> Protocol:
        """Return the noise to judge under. Raises UserError when the rates are no numbers."""
        try:
            rates = tuple(float(rate) for rate in self.rates.split(","))
        except ValueError:
            raise UserError(f"--rates are numbers with commas, not {self.rates!r}.") from None
        return Protocol(self.noise, self.mask_stage, rates, MASK_SEEDS, self.erased)


def run(argv: list[str]) -> int:
    if any(word.partition("=")[0] == "--part" for word in argv):
        return evaluate_part.run(argv)
    config = parse(Evaluate, argv, "evaluate", positional=("run",))
    report = in_conditions(config) if config.conditions else evaluate(config)
    if config.json:
        json.dump(report, sys.stdout, indent=1)
        print()
        return 0
    if config.conditions:
        Console().print(_table_of_conditions(report))
        return 0
    console = Console()
    for table in _tables(report):
        console.print(table)
    if report["chance"]["verdict"]:
        console.print(report["chance"]["verdict"])
    return 0


def _tables(report: dict[str, Any]) -> Iterator[Table]:
    title = f"{report['dataset']} {report['split']}, n = {report['n']}, noise {report['noise']}"
    table = Table(
        "rate",
        *report["metrics"],
        title=f"{title}, mask stage {report['mask_stage']}, erased rows {report['erased']}, {report['protocol']}",
    )
    for i, rate in enumerate(report["rates"]):
        table.add_row(f"{rate:g}", *(_written(v[i]) for v in report["metrics"].values()))
    table.add_section()
    if report["auilc"]:
        table.add_row("AUILC", *map(_written, report["auilc"].values()))
    chance = report["chance"]
    table.add_row(f"chance: {chance['answer']}", *map(_written, chance["metrics"].values()))
    yield table
    if report["confusion"] is not None:
        labels = report["confusion"]["labels"]
        title = f"what was said (columns) of what is so (rows), rate {report['rates'][0]:g}"
        answers = Table("", *labels, title=title)
        for label, counts in zip(labels, report["confusion"]["counts"], strict=True):
            answers.add_row(label, *map(str, counts))
        yield answers


def _written(value: float) -> str:
    """Return the number with three decimals, or a dash for NaN."""
    return "-" if np.isnan(value) else f"{value:.3f}"


def _table_of_conditions(report: dict[str, Any]) -> Table:
    others = "missing" if report["erased"] == "zero" else report["erased"]
    title = f"{report['dataset']} {report['split']}, n = {report['n']}, other modalities {others}"
    table = Table("there", *report["mean"], title=title)
    for there, metrics in report["conditions"].items():
        table.add_row(there, *(f"{value:.3f}" for value in metrics.values()))
    table.add_section()
    table.add_row("mean but of all", *(f"{value:.3f}" for value in report["mean"].values()))
    return table


def in_conditions(config: Evaluate) -> dict[str, Any]:
    """Return what `--conditions --json` prints.

    Its `mean` is the mean of each metric over the conditions in which a modality is missing.
    Raises UserError when the run cannot be judged.
    """
    whole = _result(config, Protocol(rates=(0.0,)))
    modalities = list(loaded(whole.data, config.split).windows.rows)
    found = {
        there: _metrics(_result(config, protocol))
        for there, protocol in with_missing(modalities, config.erased).items()
    }
    return {
        "dataset": whole.data.name,
        "split": whole.split,
        "n": len(whole.ids),
        "erased": config.erased,
        "conditions": {**found, "+".join(modalities): _metrics(whole)},
        "mean": {
            name: sum(metrics[name] for metrics in found.values()) / len(found)
            for name in _metrics(whole)
        },
        "seed": whole.seed,
        "checkpoint_sha256": whole.checkpoint_sha256,
    }


def _metrics(found: EvaluationResult) -> dict[str, float]:
    """Return the metrics at the only rate that the result has."""
    return {name: values[0] for name, values in found.curves().items()}


def _result(config: Evaluate, protocol: Protocol) -> EvaluationResult:
    evaluated = result if config.protocol == "one" else per_rate_result
    return evaluated(Path(config.run), config.split, protocol, config.data)


def evaluate(config: Evaluate) -> dict[str, Any]:
    """Return what `--json` prints. Raises UserError when the run cannot be judged."""
    found = _result(config, config.noises())
    protocol = found.protocol
    curves = found.curves()
    chance, labels = found.chance(), found.data.classes
    return {
        "dataset": found.data.name,
        "split": found.split,
        "n": len(found.ids),
        "rates": list(protocol.rates),
        "noise": protocol.noise,
        "mask_stage": protocol.mask_stage,
        "mask_seeds": list(protocol.mask_seeds),
        "erased": protocol.erased,
        "protocol": PROTOCOLS[config.protocol],
        "metrics": curves,
        "auilc": noise_curves.areas(protocol.rates, curves),
        "auilc_to_0.8": noise_curves.areas(protocol.rates, curves, 0.8),
        "chance": {
            "answer": chance.answer,
            "metrics": chance.metrics,
            "beaten": chance.beaten,
            "verdict": chance.verdict(len(found.ids)),
        },
        "confusion": None
        if labels is None
        else {"labels": labels, "counts": found.confusion().tolist()},
        "seed": found.seed,
        "checkpoint_sha256": found.checkpoint_sha256,
    }
