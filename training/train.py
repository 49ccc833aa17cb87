"""`normtr train`: one run from one config."""

from __future__ import annotations

import os

os.environ.setdefault("OMP_WAIT_POLICY", "passive")  # before torch: spinning starves the other core

import json
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

from normtr.config import parse


class Part(Protocol):
    """What a config's `part.class_path` names: something that can be trained."""

    def train(self, out: Path, seed: int) -> dict[str, Any]:
        """Train into the folder `out` (resuming what is there); return validation metrics."""
        ...


@dataclass(frozen=True)
class Train:
    """Train one part from one config, resuming from the last finished epoch in --out."""

    part: Part
    out: Path
    seed: int = 1


def run(argv: list[str]) -> int:
    config = parse(Train, argv, "train")
    config.out.mkdir(parents=True, exist_ok=True)
    metrics = config.part.train(config.out, config.seed)
    partial = config.out / "metrics.json.partial"
    partial.write_text(json.dumps(metrics, indent=2) + "\n")
    partial.replace(config.out / "metrics.json")
    json.dump(metrics, sys.stdout, indent=2)
    print()
    return 0
