"""Test noise of NMER's kind: erased steps become noisy, and no system is told which these are."""

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
"""The mean and deviation of the training rows by modality, float [dim]; the noise is scaled by
them."""


def schedule(erased: str) -> tuple[Noise, int]:
    """Return the kind of noise and the number of steps of its schedule, given e.g. `gaussian:100`.

    Raises UserError for anything else.
    """
    named, _, steps = erased.partition(":")
    for kind in KINDS:
        if kind == named and steps.isdecimal() and int(steps) > 0:
            return kind, int(steps)
    raise UserError(f"erased rows become zero, gaussian:STEPS or impulse:STEPS, not {erased!r}.")


def statistics(windows: Windows) -> Statistics:
    """Return the mean and deviation of the valid rows of each modality."""
    out = {}
    for m in windows.rows:
        rows = windows.valid_rows(m)
        out[m] = rows.mean(0), rows.std(0).clamp_min(1e-3)
    return out


def diffused(samples: Samples, left: Windows, erased: str, unit: Statistics, seed: int) -> Windows:
    """Return the samples with noise on the rows that are not valid in `left`.

    `erased` names the noise (see `schedule`), and `unit` is its scale. Each modality of a sample is
    at one random step of the schedule, which depends only on the seed and the names of both.
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
