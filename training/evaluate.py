"""`normtr evaluate`: a run on one split of a data set, over noise rates."""

from __future__ import annotations

import json
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from rich.console import Console
from rich.table import Table

from normtr.config import parse
from normtr.errors import UserError
from training import curve, evaluate_part
from training.curve import MASK_SEEDS, Protocol
from training.noise import RATES
from training.results import per_rate_result, result
from training.samples import Split

PROTOCOLS = {"one": "one checkpoint for all rates", "per-rate": "one checkpoint per rate"}


@dataclass(frozen=True)
class Evaluate:
    """Evaluate a run over noise rates; `--part face --help` tells of a recognizer's networks."""

    run: str
    """A run folder, or the model.safetensors in it, or a recognizer's folder (normtr/weights)."""
    data: Path | None = None
    """Folder of the data set; without it the one the run was trained on."""
    split: Split = "test"
    rates: str = ",".join(f"{rate:g}" for rate in RATES)
    """Noise rates from 0 to 1, with commas."""
    noise: str = "steps"
    """steps, windows, or modality:NAME (steps of that one)."""
    mask_stage: Literal["feature", "word"] = "feature"
    """Erase rows, or words before BERT."""
    protocol: Literal["one", "per-rate"] = "one"
    """One model for all rates, or one for each, as the run was trained."""
    json: bool = False

    def noises(self) -> Protocol:
        try:
            rates = tuple(float(rate) for rate in self.rates.split(","))
        except ValueError:
            raise UserError(f"--rates are numbers with commas, not {self.rates!r}.") from None
        return Protocol(self.noise, self.mask_stage, rates, MASK_SEEDS)


def run(argv: list[str]) -> int:
    if any(word.partition("=")[0] == "--part" for word in argv):
        return evaluate_part.run(argv)
    config = parse(Evaluate, argv, "evaluate", positional=("run",))
    report = evaluate(config)
    if config.json:
        json.dump(report, sys.stdout, indent=1)
        print()
        return 0
    title = f"{report['dataset']} {report['split']}, n = {report['n']}, noise {report['noise']}"
    table = Table(
        "rate",
        *report["metrics"],
        title=f"{title}, mask stage {report['mask_stage']}, {report['protocol']}",
    )
    for i, rate in enumerate(report["rates"]):
        table.add_row(f"{rate:g}", *(f"{values[i]:.3f}" for values in report["metrics"].values()))
    table.add_section()
    table.add_row("AUILC", *(f"{area:.3f}" for area in report["auilc"].values()))
    Console().print(table)
    return 0


def evaluate(config: Evaluate) -> dict[str, Any]:
    """What `--json` prints. Raises UserError."""
    evaluated = result if config.protocol == "one" else per_rate_result
    found = evaluated(Path(config.run), config.split, config.noises(), config.data)
    protocol = found.protocol
    curves = found.curves()
    return {
        "dataset": found.part.data.name,
        "split": found.split,
        "n": len(found.ids),
        "rates": list(protocol.rates),
        "noise": protocol.noise,
        "mask_stage": protocol.mask_stage,
        "mask_seeds": list(protocol.mask_seeds),
        "protocol": PROTOCOLS[config.protocol],
        "metrics": curves,
        "auilc": curve.areas(protocol.rates, curves),
        "auilc_to_0.8": curve.areas(protocol.rates, curves, 0.8),
        "seed": found.seed,
        "checkpoint_sha256": found.checkpoint_sha256,
    }
