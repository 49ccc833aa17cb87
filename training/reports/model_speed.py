"""Measures NORM-TR alone, for `normtr bench model` and reports."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.utils.flop_counter import FlopCounterMode

from normtr.engine.compiled import Compiled
from normtr.engine.norm_tr_graph import norm_tr_graph
from normtr.errors import UsageError, UserError
from normtr.model import NormTr
from normtr.norm_tr_config import NormTrConfig
from normtr.spec import LABELS, FeatureSpec
from normtr.torch_networks import weights_of
from training.evaluation.noise_curves import in_slices
from training.parallel_cpu import one_thread
from training.systems.noise_aware import Learning, NoiseAware
from training.windows import Windows

LARGE, TRAIN = 256, 16
"""The number of windows in the batch that measures throughput, and in a training step."""
VERSIONS, PASSES = 2, 3
"""A training step sees each window in two noisy versions; forward and backward count three times."""
SIZE = 1024
"""The side of the matrices whose product gives the speed of the machine at the moment."""


def times_ms(work: Callable[[], object], repeats: int, device: str) -> list[float]:
    """Return the wall time, ms, of each of `repeats` runs after a warm-up of a fifth as many."""
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


def products_per_ms(device: str) -> float:
    """Return the multiply-adds that a product of SIZE^3 float32 numbers does in a millisecond.

    It is measured for the threads that torch has at the moment, and beside whatever else runs.
    """
    a, b = torch.randn(2, SIZE, SIZE, device=device)
    return float(SIZE**3 / np.median(times_ms(lambda: a @ b, 20, device)))


def products(network: nn.Module, windows: Windows) -> float:
    """Return the multiply-adds of all matrix products in a forward of these windows."""
    with torch.no_grad(), FlopCounterMode(display=False) as counter:
        network(windows.rows, windows.valid)
    return float(counter.get_total_flops()) / 2


def random_windows(config: NormTrConfig, count: int, device: str) -> Windows:
    rows = {m: torch.randn(count, config.steps, dim) for m, dim in config.dims.items()}
    valid = torch.rand(count, len(config.dims), config.steps) < 0.7
    labels = torch.randint(config.outputs, (count,))
    return Windows({m: x.to(device) for m, x in rows.items()}, valid.to(device), labels.to(device))


def training_step(config: NormTrConfig, device: str) -> Callable[[], Tensor]:
    """Return a function that does one training step and returns the loss.

    The step is forward, all losses, backward and optimizer on TRAIN windows in two noisy versions.
    """
    module = (
        NoiseAware(NormTr(config), Learning(d1="after", d2="slices"), 1000, seed=1)
        .to(device)
        .train()
    )
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


def _alone(network: NormTr, window: Windows, device: str) -> Callable[[], object]:
    """Return a function that judges one window, as live: on a CPU by the graph, on a GPU by torch."""
    if device == "cuda":
        return lambda: network(window.rows, window.valid)
    graph = Compiled(norm_tr_graph(weights_of(network), network.config, 1))
    valid, rows = window.valid.numpy(), [x[0].numpy() for x in window.rows.values()]
    return lambda: graph(valid, *rows)


def measure(steps: int, depth: int, width: int, device: str, repeats: int) -> dict[str, Any]:
    """Measure NORM-TR of these sizes and return the report.

    Raises UserError when the device does not exist, and UsageError for sizes that cannot be.
    """
    if device == "cuda" and not torch.cuda.is_available():
        raise UserError("there is no CUDA device here; use --device cpu.")
    torch.manual_seed(0)
    try:
        config = NormTrConfig(FeatureSpec().dims, len(LABELS), steps, width, depth)
    except ValueError as error:
        raise UsageError(f"{error}.") from None
    network = NormTr(config).eval().to(device)
    one, many, some = (random_windows(config, n, device) for n in (1, LARGE, TRAIN))
    predict = in_slices(network)
    cores = torch.get_num_threads()
    with torch.inference_mode():
        with one_thread():
            one_core = products_per_ms(device)
            forward = times_ms(_alone(network, one, device), repeats * 3, device)
        all_cores = products_per_ms(device)
        batch = times_ms(lambda: predict(many), repeats // 4, device)
    all_cores_again = products_per_ms(device)
    with one_thread():  # as in training, whose slices are spread over the cores
        train = times_ms(training_step(config, device), repeats // 2, device)

    def to_gemm(times: list[float], windows: Windows, versions: int, speed: float) -> float:
        """Return how often longer it took than its matrix products alone would."""
        return float(np.median(times)) * speed / (versions * products(network, windows))

    return {
        "steps": steps,
        "depth": depth,
        "width": width,
        "device": device,
        "parameters": sum(p.numel() for p in network.parameters()),
        "forward_ms": {f"p{p}": float(np.percentile(forward, p)) for p in (50, 95)},
        "windows_per_s": LARGE / (float(np.median(batch)) / 1e3),
        "train_step_ms": float(np.median(train)),
        "forward_to_gemm": to_gemm(forward, one, 1, one_core),
        "windows_to_gemm": to_gemm(batch, many, 1, all_cores),
        "train_to_gemm": to_gemm(train, some, VERSIONS * PASSES, all_cores_again),
        "threads": cores,
    }
