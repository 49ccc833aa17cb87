"""Erasing steps: the paper's masks (3.5.1), gaps of whole modalities, and the noise of the test.

Every draw comes from a counter-based generator keyed by what it is for, so a mask does not
depend on the order of samples, on batches, on the other modalities or on an interruption.
Masks are bool, True where the input stays.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

Mask = NDArray[np.bool_]

RATES = tuple(r / 10 for r in range(11))
"""The rates of erased steps in every table."""
TYPE_1, TYPE_2, ABSENT, WINDOW, RATE_1, RATE_2, GAPS, CONDITION = 0, 1, 2, 4, 5, 6, 7, 8
"""The uses of a generator; each use of a sample has its own stream of numbers."""


def generator(seed: int, epoch: int, sample: int, use: int) -> np.random.Generator:
    """Return Philox (Salmon et al., SC 2011), keyed by seed and sample, from (use, epoch) on."""
    return np.random.Generator(np.random.Philox(key=[seed, sample], counter=[0, 0, use, epoch]))


def _keep(steps: int, begin: int, length: int) -> Mask:
    place = np.arange(steps)
    return (place < begin) | (place >= begin + length)


def _window(steps: int, longest: int, random: np.random.Generator) -> Mask:
    """Return a mask with one erased stretch anywhere; its length is uniform in 0..longest."""
    length = int(random.integers(0, longest + 1))
    return _keep(steps, int(random.integers(0, steps - length + 1)), length)


def type_1(modalities: int, steps: int, seed: int, epoch: int, sample: int) -> Mask:
    """Return Type-1 noise [M, T]: every modality loses its own window of 0..T/2 steps."""
    random = generator(seed, epoch, sample, TYPE_1)
    return np.stack([_window(steps, steps // 2, random) for _ in range(modalities)])


def type_2(modalities: int, steps: int, seed: int, epoch: int, sample: int) -> tuple[Mask, int]:
    """Return Type-2 noise [M, T], where one random modality loses 0..T/2 steps, and its number."""
    random = generator(seed, epoch, sample, TYPE_2)
    mask = np.ones((modalities, steps), np.bool_)
    chosen = int(random.integers(modalities))
    mask[chosen] = _window(steps, steps // 2, random)
    return mask, chosen


def rate_1(
    modalities: int, steps: int, seed: int, epoch: int, sample: int, rates: Sequence[float]
) -> Mask:
    """Return Type-1 noise as tests have it: each step is erased with one probability of `rates`."""
    random = generator(seed, epoch, sample, RATE_1)
    rate = float(random.choice(rates))
    return random.random((modalities, steps)) >= rate


def rate_2(
    modalities: int, steps: int, seed: int, epoch: int, sample: int, rates: Sequence[float]
) -> tuple[Mask, int]:
    """Return Type-2 noise as tests have it, in one random modality, and its number."""
    random = generator(seed, epoch, sample, RATE_2)
    mask = np.ones((modalities, steps), np.bool_)
    chosen = int(random.integers(modalities))
    rate = float(random.choice(rates))
    mask[chosen] = random.random(steps) >= rate
    return mask, chosen


def absent(modalities: int, steps: int, seed: int, epoch: int, sample: int, share: float) -> Mask:
    """Return [M, T]: on `share` of the samples each modality is missing with probability 1/2."""
    random = generator(seed, epoch, sample, ABSENT)
    gone = (random.random(modalities) < 0.5) & (random.random() < share)
    return np.repeat(~gone[:, None], steps, axis=1)


def condition(modalities: int, steps: int, seed: int, epoch: int, sample: int) -> Mask:
    """Return a mask [M, T] with some modalities whole and the others missing.

    Each choice but none and all is equally likely.
    """
    chosen = int(generator(seed, epoch, sample, CONDITION).integers(1, 2**modalities - 1))
    stays = (chosen >> np.arange(modalities) & 1).astype(np.bool_)
    return np.repeat(stays[:, None], steps, axis=1)


def _named(seed: int, modality: str, sample: str, use: str) -> np.random.Generator:
    """Return Philox keyed by the BLAKE2b hash of the arguments."""
    text = "\n".join([str(seed), modality, sample, use])
    key = hashlib.blake2b(text.encode(), digest_size=16).digest()
    return np.random.Generator(np.random.Philox(key=np.frombuffer(key, "<u8")))


def seed_of(seed: int, modality: str, sample: str, use: str) -> int:
    """Return a seed for a generator of another library; it depends on the arguments only."""
    return int(_named(seed, modality, sample, use).integers(2**62))


def uniforms(seed: int, modality: str, sample: str, count: int) -> NDArray[np.float64]:
    """Return u [count] in [0, 1). What has u < r is erased at rate r, so rates are nested."""
    return _named(seed, modality, sample, "steps").random(count)


def kept_steps(seed: int, modality: str, sample: str, steps: int, rate: float) -> Mask:
    """Return bool [T]: what `--noise steps` leaves of one modality of one sample."""
    return uniforms(seed, modality, sample, steps) >= rate


def kept_window(seed: int, modality: str, sample: str, steps: int, rate: float) -> Mask:
    """Return bool [T]: `--noise windows` erases one window of round(rate * T) steps anywhere."""
    length = round(rate * steps)
    begin = int(_named(seed, modality, sample, "windows").integers(0, steps - length + 1))
    return _keep(steps, begin, length)


def kept_windows(
    seed: int, modalities: Sequence[str], sample: str, steps: int, rate: float
) -> Mask:
    """Return bool [M, T]: what `--noise windows` leaves of one sample."""
    return np.stack([kept_window(seed, m, sample, steps, rate) for m in modalities])
