"""The paper's masks (3.5.1) and gaps of whole modalities, as pure functions of a sample's number.

Every draw comes from a counter-based generator keyed by (seed, epoch, sample), so a mask does
not depend on the order of samples, on batches or on an interruption. Masks are bool
[M, T], True where the input stays.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Mask = NDArray[np.bool_]

TYPE_1, TYPE_2, ABSENT, LOST, WINDOW = range(5)
"""What a generator is for; each use of a sample has its own stream."""


def generator(seed: int, epoch: int, sample: int, use: int) -> np.random.Generator:
    """Philox (Salmon et al., SC 2011) keyed by seed and sample, counting from (use, epoch)."""
    return np.random.Generator(np.random.Philox(key=[seed, sample], counter=[0, 0, use, epoch]))


def _keep(steps: int, begin: int, length: int) -> Mask:
    place = np.arange(steps)
    return (place < begin) | (place >= begin + length)


def _window(steps: int, longest: int, random: np.random.Generator) -> Mask:
    """One erased stretch, its length uniform in 0..longest, anywhere."""
    length = int(random.integers(0, longest + 1))
    return _keep(steps, int(random.integers(0, steps - length + 1)), length)


def type_1(modalities: int, steps: int, seed: int, epoch: int, sample: int) -> Mask:
    """Every modality loses its own window of 0..T/2 steps."""
    random = generator(seed, epoch, sample, TYPE_1)
    return np.stack([_window(steps, steps // 2, random) for _ in range(modalities)])


def type_2(modalities: int, steps: int, seed: int, epoch: int, sample: int) -> tuple[Mask, int]:
    """One random modality loses a window of 0..T/2 steps; also which one was drawn."""
    random = generator(seed, epoch, sample, TYPE_2)
    mask = np.ones((modalities, steps), np.bool_)
    chosen = int(random.integers(modalities))
    mask[chosen] = _window(steps, steps // 2, random)
    return mask, chosen


def absent(modalities: int, steps: int, seed: int, epoch: int, sample: int, share: float) -> Mask:
    """On `share` of the samples each modality is missing throughout with probability one half."""
    random = generator(seed, epoch, sample, ABSENT)
    gone = (random.random(modalities) < 0.5) & (random.random() < share)
    return np.repeat(~gone[:, None], steps, axis=1)


def lost(modalities: int, steps: int, seed: int, sample: int, rate: float) -> Mask:
    """Test noise: every modality loses one window of round(rate * T) steps."""
    random = generator(seed, 0, sample, LOST)
    length = round(rate * steps)
    begins = random.integers(0, steps - length + 1, modalities)
    return np.stack([_keep(steps, int(begin), length) for begin in begins])
