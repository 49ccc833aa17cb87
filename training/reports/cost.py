"""What a trained model costs at one window on one thread."""

from __future__ import annotations

import numpy as np
import torch

from training import run_folder
from training.bench_model import times_ms
from training.results import Result
from training.samples import loaded

REPEATS = 30


def forward_ms(found: Result) -> tuple[float, float]:
    """Median milliseconds of a forward, and parameters in millions, of the run of a result."""
    run = run_folder.read(found.run)
    windows = loaded(found.part.data, found.split).windows
    model = found.part.model(windows)
    run_folder.fill(model, run)
    rows, valid = {m: x[:1] for m, x in windows.rows.items()}, windows.valid[:1]
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        with torch.inference_mode():
            times = times_ms(lambda: model(rows, valid), REPEATS, "cpu")
    finally:
        torch.set_num_threads(threads)
    return float(np.median(times)), sum(p.numel() for p in model.parameters()) / 1e6
