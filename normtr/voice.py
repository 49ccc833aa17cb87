"""One second of sound -> log-mel, delta, delta-delta -> ResNet-18 row."""

from __future__ import annotations

from dataclasses import dataclass

import librosa
import numpy as np
import torch
from numpy.typing import NDArray

from normtr.resnet import ResNet18
from normtr.spec import VoiceSpec

Samples = NDArray[np.float32]


def log_mel(samples: Samples, spec: VoiceSpec) -> NDArray[np.float32]:
    """float32 [..., context_samples] -> float32 [..., 3, mels, frames].

    Channels: log-mel power in dB against full scale (no clip maximum: live there is no
    clip), its delta and its delta-delta, scaled as the FeatureSpec says. Frames lie wholly
    inside the samples, so the row depends on nothing else.
    """
    power = librosa.feature.melspectrogram(
        y=samples,
        sr=spec.sample_rate,
        n_fft=spec.n_fft,
        win_length=spec.window_samples,
        hop_length=spec.hop_samples,
        center=False,
        power=2.0,
        n_mels=spec.mels,
        fmin=spec.f_min,
        fmax=spec.f_max,
    )
    level = librosa.power_to_db(power, ref=1.0, amin=spec.power_floor, top_db=None)
    level = (level - spec.mean_db) / spec.scale_db
    delta = librosa.feature.delta(level, width=spec.delta_frames, axis=-1)
    delta2 = librosa.feature.delta(level, width=spec.delta_frames, order=2, axis=-1)
    return np.stack([level, delta, delta2], axis=-3).astype(np.float32)


def gate(samples: Samples, spec: VoiceSpec) -> str:
    """`muted`, `silence` or `none` for the last `gate_samples` of the context."""
    last = samples[-spec.gate_samples :]
    if float(np.abs(last).max(initial=0.0)) <= spec.muted_peak:
        return "muted"
    frames = last[: len(last) // spec.window_samples * spec.window_samples]
    power = np.square(frames.reshape(-1, spec.window_samples)).mean(axis=1).max(initial=0.0)
    return "none" if power >= 10.0 ** (spec.gate_dbfs / 10.0) else "silence"


@dataclass(frozen=True)
class VoiceRow:
    """A row [dim] float32, or None and the cause (`muted`, `silence`)."""

    cause: str
    vector: NDArray[np.float32] | None = None


class VoiceEncoder:
    """The whole way from one second of samples to a row, at batch 1."""

    def __init__(self, spec: VoiceSpec, network: ResNet18, device: str = "cpu") -> None:
        self.spec = spec
        self._network = network.eval().to(device)
        self._device = device

    def __call__(self, samples: Samples) -> VoiceRow:
        """float32 [context_samples], ending at the step's end -> VoiceRow.

        Raises ValueError for any other length.
        """
        if samples.shape != (self.spec.context_samples,):
            raise ValueError(f"a voice row needs {self.spec.context_samples} samples")
        cause = gate(samples, self.spec)
        if cause != "none":
            return VoiceRow(cause)
        x = torch.from_numpy(log_mel(samples, self.spec)[None]).to(self._device)
        with torch.inference_mode():
            row: NDArray[np.float32] = self._network.row(x)[0].float().cpu().numpy()
        return VoiceRow("none", row)
