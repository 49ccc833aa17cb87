"""Measures what trained models cost for one window on one thread."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial

import numpy as np
import torch
from torch import nn

from training import run_folder
from training.reports.evaluation_result import EvaluationResult
from training.reports.model_speed import times_ms
from training.samples import loaded
from training.windows import Windows

ROUNDS, REPEATS = 15, 10


def forwards_ms(found: Sequence[EvaluationResult]) -> list[tuple[float, float]]:
    """Return for each result's run the median time of a forward, ms, and its parameters, millions.

    The models are measured in turns, so that other work on the machine disturbs them alike.
    """
    models = [_model(result) for result in found]
    times: list[list[float]] = [[] for _ in models]
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        with torch.inference_mode():
            for _ in range(ROUNDS):
                for (model, one), mine in zip(models, times, strict=True):
                    forward = partial(model, one.rows, one.valid)
                    mine += times_ms(forward, REPEATS, "cpu")
    finally:
        torch.set_num_threads(threads)
    return [
        (float(np.median(mine)), sum(p.numel() for p in model.parameters()) / 1e6)
        for (model, _), mine in zip(models, times, strict=True)
    ]


def _model(found: EvaluationResult) -> tuple[nn.Module, Windows]:
    """Return the run's model and one window for it."""
    run = run_folder.read(found.run)
    windows = loaded(found.data, found.split).windows
    model = run.system.model(windows, found.data.outputs)
    run_folder.fill(model, run)
    return model, windows.part(slice(0, 1))
