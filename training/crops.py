"""One-second crops of speech clips, as the live pipe hears them."""

from __future__ import annotations

from dataclasses import dataclass

import librosa
import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from tqdm import tqdm

from normtr.spec import NS_PER_MS, VoiceSpec
from normtr.voice import gate, log_mel
from training.datasets.speech import Clip, samples

TRAINING_STEP = 800
"""Training crops end every 50 ms: a multiple of the mel frames' 160 samples."""


@dataclass(frozen=True)
class Crops:
    """A clip, and where in it are crops that pass the gate.

    `frames` float32 [n, mels]: scaled log-mel of one second of zeros and then the clip, as if a
    stream began with it; `begins` int64: first frame of each crop.
    """

    label: int
    frames: NDArray[np.float32]
    begins: NDArray[np.int64]


def live_ends(length: int, spec: VoiceSpec, step_ms: int, phase: int = 0) -> range:
    """Where the windows of the live grid end in a clip of `length` samples, `phase` samples late."""
    step = spec.sample_rate * step_ms * NS_PER_MS // 1_000_000_000
    return range(step + phase, length + step, step)


def heard(sound: NDArray[np.float32], end: int, spec: VoiceSpec) -> NDArray[np.float32]:
    """The context before sample `end` of a stream that is silent before and after `sound`."""
    begin = end - spec.context_samples
    inside = sound[max(0, begin) : max(0, end)]
    before = max(0, -begin)
    return np.pad(inside, (before, spec.context_samples - before - len(inside)))


def training_crops(clips: list[Clip], spec: VoiceSpec) -> list[Crops]:
    """Every crop that may be trained on; clips in which nothing passes the gate are left out."""
    found = []
    for clip in tqdm(clips, "log-mel", unit="clip", mininterval=2):
        sound = samples(clip, spec.sample_rate)
        ends = range(2 * TRAINING_STEP, len(sound) + 1, TRAINING_STEP)
        ends_heard = [end for end in ends if gate(heard(sound, end, spec), spec) == "none"]
        if ends_heard:
            padded = np.pad(sound, (spec.context_samples, 0))
            frames = np.ascontiguousarray(log_mel(padded, spec)[0].T)
            begins = np.array(ends_heard, np.int64) // spec.hop_samples
            found.append(Crops(clip.label, frames, begins))
    return found


def live_crops(
    clip: Clip, spec: VoiceSpec, step_ms: int, phase: int = 0
) -> tuple[NDArray[np.float32], NDArray[np.int64]]:
    """What the live pipe makes of a clip: log-mels [n, 3, mels, frames] and their steps [n].

    Only steps whose sound passes the gate have one.
    """
    sound = samples(clip, spec.sample_rate)
    contexts = [heard(sound, end, spec) for end in live_ends(len(sound), spec, step_ms, phase)]
    steps = [i for i, context in enumerate(contexts) if gate(context, spec) == "none"]
    if not steps:
        frames = 1 + (spec.context_samples - spec.n_fft) // spec.hop_samples
        return np.zeros((0, 3, spec.mels, frames), np.float32), np.zeros(0, np.int64)
    return log_mel(np.stack([contexts[i] for i in steps]), spec), np.array(steps, np.int64)


class Deltas:
    """Log-mel -> log-mel, delta, delta-delta: equal to `normtr.voice.log_mel` up to rounding.

    Both deltas are linear along time, so a matrix says what each does.
    """

    def __init__(self, spec: VoiceSpec) -> None:
        self.frames = 1 + (spec.context_samples - spec.n_fft) // spec.hop_samples
        one = np.eye(self.frames, dtype=np.float32)
        width = spec.delta_frames
        self._first = torch.from_numpy(librosa.feature.delta(one, width=width))
        self._second = torch.from_numpy(librosa.feature.delta(one, width=width, order=2))

    def __call__(self, level: Tensor) -> Tensor:
        """Scaled log-mel float [B, mels, frames] -> [B, 3, mels, frames]."""
        return torch.stack([level, level @ self._first, level @ self._second], 1)
