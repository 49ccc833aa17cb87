"""Augments training sound by other rooms, noises and lines, with draws from a numpy generator."""

from __future__ import annotations

import math

import numpy as np
import scipy.signal
import soxr
from numpy.random import Generator
from numpy.typing import NDArray

from normtr.sound import Samples

TELEPHONE_HZ = (300.0, 3_400.0)


def elsewhere(sound: Samples, other: Samples, rate: int, random: Generator) -> Samples:
    """Return a sound, float32 [n] at `rate` Hz, as if it had been recorded elsewhere.

    It may be faster or slower, in another room, over a telephone, and beside noise or the voices of
    `other`; it is louder or softer. Its length may change.
    """
    x = sound
    if random.random() < 0.5:
        x = _faster(x, rate, float(random.uniform(0.9, 1.1)))
    if random.random() < 0.35:
        x = _in_a_room(x, rate, random)
    if random.random() < 0.15:
        low, high = TELEPHONE_HZ
        band = scipy.signal.butter(4, (low, high), "bandpass", fs=rate, output="sos")
        x = scipy.signal.sosfilt(band, x)
    if random.random() < 0.6:
        noise = _tiled(other, len(x)) if random.random() < 0.3 else _coloured(len(x), random)
        x = x + noise * _level(x) / _level(noise) * 10.0 ** (-random.uniform(3, 35) / 20.0)
    peak = float(np.abs(x).max(initial=1e-6))
    loudest = 10.0 ** (random.uniform(-24, -1) / 20.0)
    if random.random() < 0.1:
        loudest = random.uniform(1.0, 3.0)  # overdriven
    out: Samples = np.clip(x * (loudest / peak), -1.0, 1.0).astype(np.float32)
    return out


def _faster(x: Samples, rate: int, factor: float) -> Samples:
    return np.asarray(soxr.resample(x, rate * factor, rate), np.float32)


def _in_a_room(x: NDArray[np.floating], rate: int, random: Generator) -> NDArray[np.floating]:
    """Add reverberation of 0.1 to 0.6 s: decaying noise after the direct sound."""
    seconds = float(random.uniform(0.1, 0.6))
    t = np.arange(int(seconds * rate)) / rate
    tail = random.normal(size=len(t)) * 10.0 ** (-3.0 * t / seconds)
    tail *= 10.0 ** (random.uniform(-15, 0) / 20.0) / math.sqrt(float((tail**2).sum()))
    tail[0] = 1.0
    return np.asarray(scipy.signal.fftconvolve(x, tail)[: len(x)])


def _coloured(n: int, random: Generator) -> NDArray[np.floating]:
    """Return noise [n] with a power that falls by 0 to 9 dB an octave."""
    spectrum = np.fft.rfft(random.normal(size=n))
    frequency = np.maximum(np.arange(len(spectrum)), 1.0)
    return np.fft.irfft(spectrum * frequency ** -random.uniform(0, 1.5), n)


def _tiled(x: Samples, n: int) -> Samples:
    tiled: Samples = np.resize(x, n)
    return tiled


def _level(x: NDArray[np.floating]) -> float:
    return math.sqrt(float(np.square(x).mean())) + 1e-9
