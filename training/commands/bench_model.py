"""`normtr bench model`: measures the time that NORM-TR alone takes, live and in training."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from normtr import bench_report
from normtr.config import parse
from normtr.progress import say


@dataclass(frozen=True)
class BenchModel:
    """Measure one window (batch 1, one thread), throughput (batch 256) and a training step."""

    steps: int = 16
    depth: int = 2
    width: int = 256
    device: Literal["cpu", "cuda"] = "cpu"
    repeats: int = 60
    json: bool = False

    def __post_init__(self) -> None:
        """Raise ValueError for too few repeats."""
        if self.repeats < 4:
            raise ValueError(f"--repeats is 4 or more, not {self.repeats}")


def run(argv: list[str]) -> int:
    config = parse(BenchModel, argv, "bench model")
    say("Loading libraries (5 s), then measuring (10 s)")
    from training.reports.model_speed import measure

    found = measure(config.steps, config.depth, config.width, config.device, config.repeats)
    bench_report.show(found, "bench model", as_json=config.json)
    return 0
