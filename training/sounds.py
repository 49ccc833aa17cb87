"""Augmentation of training sound, done on log-mel frames and drawn from a torch generator.

A room, a telephone line, a noise or a louder voice change the mel power of a frame by sums and
products, so they are applied there; the samples are transformed once per clip.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Generator, Tensor

from normtr.spec import VoiceSpec


def _uniform(n: int, low: float, high: float, generator: Generator) -> Tensor:
    return (torch.rand(n, generator=generator) * (high - low) + low).view(n, 1, 1)


def _some(n: int, share: float, generator: Generator) -> Tensor:
    return (torch.rand(n, generator=generator) < share).float().view(n, 1, 1)


def sounds(level: Tensor, spec: VoiceSpec, generator: Generator) -> Tensor:
    """Scaled log-mel float [B, mels, frames] -> the same of another speaker, room and line."""
    n = len(level)
    db = level * spec.scale_db + spec.mean_db
    db = _other_speaker(db, generator) + _filter(n, db.shape[1], generator)
    power = _room(10.0 ** (db / 10.0), generator)
    power = _noise(power, generator)
    db = 10.0 * torch.log10(power.clamp_min(spec.power_floor)) + _uniform(n, -12, 12, generator)
    db = db.clamp_min(10.0 * torch.log10(torch.tensor(spec.power_floor)))
    return (_masked(db, generator) - spec.mean_db) / spec.scale_db


def _other_speaker(db: Tensor, generator: Generator) -> Tensor:
    """Vocal tract up to 10 % longer or shorter, speech up to 15 % faster or slower."""
    n, mels, frames = db.shape
    zero = torch.zeros(n, 1, 1)
    faster = _uniform(n, 0.87, 1.15, generator)
    higher = _uniform(n, 0.92, 1.08, generator)
    shift = _uniform(n, -0.06, 0.06, generator)
    matrix = torch.cat([torch.cat([faster, zero, zero], 2), torch.cat([zero, higher, shift], 2)], 1)
    grid = F.affine_grid(matrix, [n, 1, mels, frames], align_corners=False)
    return F.grid_sample(db[:, None], grid, padding_mode="border", align_corners=False)[:, 0]


def _filter(n: int, mels: int, generator: Generator) -> Tensor:
    """A smooth response of up to about 8 dB, and for one in seven a telephone band. [n, mels, 1]"""
    band = torch.linspace(0, 1, mels).view(1, mels, 1)
    response = torch.zeros(n, mels, 1)
    for waves in (0.5, 1.0, 2.0):
        phase = _uniform(n, 0, 2 * torch.pi, generator)
        response = response + _uniform(n, 0, 3, generator) * torch.cos(
            torch.pi * 2 * waves * band + phase
        )
    outside = torch.sigmoid((band - 0.72) * 60) + torch.sigmoid((0.14 - band) * 60)
    return response - 40.0 * outside * _some(n, 0.15, generator)


def _room(power: Tensor, generator: Generator) -> Tensor:
    """Exponentially decaying echo (reverberation time 0.1 to 0.6 s) on a third."""
    n, _, frames = power.shape
    decay = 10.0 ** (-6.0 * 0.01 / _uniform(n, 0.1, 0.6, generator))
    amount = _uniform(n, 0.02, 0.3, generator) * _some(n, 0.35, generator)
    age = torch.arange(frames)[None, :] - torch.arange(frames)[:, None]
    echo = amount * decay ** age.clamp_min(0)[None] * (age > 0)[None]
    return power @ (echo + torch.eye(frames))


def _noise(power: Tensor, generator: Generator) -> Tensor:
    """Coloured noise, or the voice of another crop of the batch, 0 to 35 dB under the speech."""
    n, mels, frames = power.shape
    band = torch.linspace(0, 1, mels).view(1, mels, 1)
    slope = _uniform(n, -30, 15, generator)
    grain = torch.randn(4, n, mels, frames, generator=generator).square().mean(0)
    coloured = 10.0 ** (slope * band / 10.0) * grain
    babble = power[torch.randperm(n, generator=generator)]
    noise = torch.where(_some(n, 0.3, generator) > 0, babble, coloured)
    loud, quiet = power.mean((1, 2), keepdim=True), noise.mean((1, 2), keepdim=True)
    ratio = 10.0 ** (-_uniform(n, 3, 35, generator) / 10.0) * _some(n, 0.7, generator)
    return power + noise * ratio * loud / quiet.clamp_min(1e-20)


def _masked(db: Tensor, generator: Generator) -> Tensor:
    """SpecAugment (Park et al., Interspeech 2019): a band and a stretch become the crop's mean."""
    n, mels, frames = db.shape
    mean = db.mean((1, 2), keepdim=True)
    for size, axis, most in ((mels, 1, 10), (frames, 2, 20)):
        for _ in range(2):
            length = _uniform(n, 0, most, generator)
            begin = _uniform(n, 0, 1, generator) * (size - length)
            place = torch.arange(size).view(1, -1, 1) if axis == 1 else torch.arange(size)
            inside = (place >= begin) & (place < begin + length)
            db = torch.where(inside, mean, db)
    return db
