"""`normtr bench model`: what NORM-TR alone costs, live and in training."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

import numpy as np
import torch
from torch import Tensor

from normtr import bench_report
from normtr.config import parse
from normtr.errors import UserError
from normtr.model import NormTr, NormTrConfig
from normtr.spec import LABELS, FeatureSpec
from training.curve import predictor
from training.noise_aware import Learning, NoiseAware
from training.windows import Windows

LARGE, TRAIN = 256, 16


@dataclass(frozen=True)
class BenchModel:
    """Measure one window (batch 1, one thread), throughput (batch 256) and a training step."""

    steps: int = 16
    depth: int = 2
    width: int = 256
    device: Literal["cpu", "cuda"] = "cpu"
    repeats: int = 60
    json: bool = False


def times_ms(work: Callable[[], object], repeats: int, device: str) -> list[float]:
    """Wall time of each of `repeats` runs after a warm-up of a fifth as many."""
    out = []
    for number in range(repeats + max(repeats // 5, 2)):
        began = time.perf_counter()
        work()
        if device == "cuda":
            torch.cuda.synchronize()
        out.append((time.perf_counter() - began) * 1e3)
        if number < max(repeats // 5, 2):
            out.clear()
    return out


def random_windows(config: NormTrConfig, count: int, device: str) -> Windows:
    rows = {m: torch.randn(count, config.steps, dim) for m, dim in config.dims.items()}
    valid = torch.rand(count, len(config.dims), config.steps) < 0.7
    labels = torch.randint(config.outputs, (count,))
    return Windows({m: x.to(device) for m, x in rows.items()}, valid.to(device), labels.to(device))


def training_step(config: NormTrConfig, device: str) -> Callable[[], Tensor]:
    """Forward, all losses, backward and optimizer step on 16 windows and their noisy versions."""
    module = NoiseAware(NormTr(config), Learning(), 1000, seed=1).to(device).train()
    module.on_train_start()
    module.log = lambda *_, **__: None  # type: ignore[method-assign]
    optimizer = module.configure_optimizers()["optimizer"]
    clean = random_windows(config, TRAIN, device)
    shape = (2, TRAIN, len(config.dims), config.steps)
    masks = torch.rand(shape, device=device) < 0.75
    noisy = torch.rand(TRAIN, len(config.dims), device=device) < 0.3

    def step() -> Tensor:
        loss = module.training_step((clean.rows, clean.valid, clean.labels, masks, noisy), 0)
        optimizer.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        optimizer.step()
        return loss

    return step


def run(argv: list[str]) -> int:
    bench = parse(BenchModel, argv, "bench model")
    if bench.device == "cuda" and not torch.cuda.is_available():
        raise UserError("there is no CUDA device here; use --device cpu.")
    torch.manual_seed(0)
    config = NormTrConfig(FeatureSpec().dims, len(LABELS), bench.steps, bench.width, bench.depth)
    network = NormTr(config).eval().to(bench.device)
    one, many = (random_windows(config, n, bench.device) for n in (1, LARGE))
    predict = predictor(network)
    cores = torch.get_num_threads()
    with torch.inference_mode():
        torch.set_num_threads(1)
        forward = times_ms(lambda: network(one.rows, one.valid), bench.repeats * 3, bench.device)
        torch.set_num_threads(cores)
        batch = times_ms(lambda: predict(many), bench.repeats // 4, bench.device)
    train = times_ms(training_step(config, bench.device), bench.repeats // 2, bench.device)
    report = {
        "steps": bench.steps,
        "depth": bench.depth,
        "width": bench.width,
        "device": bench.device,
        "parameters": sum(p.numel() for p in network.parameters()),
        "forward_ms": {f"p{p}": float(np.percentile(forward, p)) for p in (50, 95)},
        "windows_per_s": LARGE / (float(np.median(batch)) / 1e3),
        "train_step_ms": float(np.median(train)),
        "threads": cores,
    }
    bench_report.show(report, "bench model", as_json=bench.json)
    return 0
