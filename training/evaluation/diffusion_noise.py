"""Test noise of NMER's kind: erased steps are not gone but noisy, and no system is told which."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor

from normtr.errors import UserError
from training import noise
from training.evaluation.noise_scheduler import Noise, corrupted, kept
from training.samples import Samples
from training.windows import Windows

KINDS: tuple[Noise, ...] = ("gaussian", "impulse")
Statistics = Mapping[str, tuple[Tensor, Tensor]]
"""Mean and deviation [dim] of the training rows, by modality: the unit of the noise."""


def schedule(erased: str) -> tuple[Noise, int]:
    """`gaussian:100` -> the kind of noise and the steps of its schedule. Raises UserError."""
    named, _, steps = erased.partition(":")
    for kind in KINDS:
        if kind == named and steps.isdecimal() and int(steps) > 0:
            return kind, int(steps)
    raise UserError(f"erased rows become zero, gaussian:STEPS or impulse:STEPS, not {erased!r}.")


def statistics(windows: Windows) -> Statistics:
    """Of the valid rows."""
    out = {}
    for m in windows.rows:
        rows = windows.valid_rows(m)
        out[m] = rows.mean(0), rows.std(0).clamp_min(1e-3)
    return out


def diffused(samples: Samples, left: Windows, erased: str, unit: Statistics, seed: int) -> Windows:
    """The samples, their rows noisy where `left` has lost them.

    Each modality of a sample is at one random step of the schedule, which depends on the seed and
    their names only.
    """
    kind, steps = schedule(erased)
    abar = kept(steps)
    rows = {m: x.clone() for m, x in samples.windows.rows.items()}
    for i, (m, mine) in enumerate(rows.items()):
        lost = samples.windows.valid[:, i] & ~left.valid[:, i]
        mean, scale = unit[m]
        for n in lost.any(1).nonzero()[:, 0].tolist():
            with torch.random.fork_rng(devices=[]):
                torch.manual_seed(noise.seed_of(seed, m, samples.ids[n], "diffused"))
                t = torch.randint(steps, (1,))
                noisy = corrupted(((mine[n] - mean) / scale)[None], abar[t], kind)[0]
            mine[n] = torch.where(lost[n, :, None], noisy * scale + mean, mine[n])
    return Windows(rows, samples.windows.valid, samples.windows.labels)
