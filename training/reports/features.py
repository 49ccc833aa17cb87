"""Computes the features that the two extractors of a trained NORM-TR make of samples."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch

from normtr.model import Features, NormTr
from training import run_folder
from training.parallel_cpu import slices
from training.samples import Samples
from training.systems.components import Reduced
from training.windows import Windows


def trained(run: Path, samples: Samples) -> Reduced[NormTr]:
    """Return the run's model for samples like these. Raises UserError when it does not fit."""
    found = run_folder.read(run)
    model: Reduced[NormTr] = found.system.model(samples.windows, found.data.outputs)
    run_folder.fill(model, found)
    return model


def features(model: Reduced[NormTr], windows: Windows) -> Features:
    """Return NRGF and MF of every step of the windows, float [n, M, T, H] each."""
    n, m, t = windows.valid.shape
    with torch.inference_mode():
        parts = [
            model.network.extract(model.reduce(part.rows), part.valid).features()
            for part in map(windows.part, slices(n, m * t))
        ]
    return Features(torch.cat([p.nrgf for p in parts]), torch.cat([p.mf for p in parts]))


def some(samples: Samples, most: int, seed: int = 0) -> Samples:
    """Return at most `most` samples, chosen by the seed."""
    if len(samples) <= most:
        return samples
    chosen = np.sort(np.random.default_rng(seed).choice(len(samples), most, replace=False))
    return Samples(
        tuple(samples.ids[i] for i in chosen),
        tuple(samples.groups[i] for i in chosen),
        samples.windows.part(chosen),
    )
