"""One second of sound -> states of Whisper's encoder -> voice row."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from normtr.cause import Cause
from normtr.models import speech_model
from normtr.sound import Samples
from normtr.spec import VoiceSpec


def gate(samples: Samples, spec: VoiceSpec) -> Cause:
    """`muted`, `silence` or `none` for the last `gate_samples` of the context."""
    last = samples[-spec.gate_samples :]
    if float(np.abs(last).max(initial=0.0)) <= spec.muted_peak:
        return Cause.MUTED
    frames = last[: len(last) // spec.gate_frame * spec.gate_frame]
    power = np.square(frames.reshape(-1, spec.gate_frame)).mean(axis=1).max(initial=0.0)
    return Cause.NONE if power >= 10.0 ** (spec.gate_dbfs / 10.0) else Cause.SILENCE


@dataclass(frozen=True)
class VoiceRow:
    """A row [dim] float32, or None and the cause (`muted`, `silence`)."""

    cause: Cause
    vector: NDArray[np.float32] | None = None


class VoiceNetwork(nn.Module):
    """Statistics of a second's states -> row -> class logits; one hidden layer, whose output is
    the row."""

    def __init__(self, spec: VoiceSpec, classes: int) -> None:
        super().__init__()
        self.register_buffer("mean", torch.zeros(2 * spec.width))
        self.register_buffer("scale", torch.ones(2 * spec.width))
        self.hidden = nn.Linear(2 * spec.width, spec.dim)
        self.head = nn.Linear(spec.dim, classes)

    def row(self, x: Tensor) -> Tensor:
        """[B, 2 * width] -> [B, dim]."""
        return torch.relu(self.hidden(self.standardised(x)))

    def standardised(self, x: Tensor) -> Tensor:
        """[B, 2 * width] of mean 0 and deviation 1 over the training rows."""
        return (x - self.get_buffer("mean")) / self.get_buffer("scale")

    def forward(self, x: Tensor) -> Tensor:
        """[B, 2 * width] -> class logits [B, classes]."""
        logits: Tensor = self.head(self.row(x))
        return logits


class States:
    """Samples -> mean and deviation over time of the states of Whisper's encoder, on the CPU.

    Whisper's log-mel (80 bands, 10 ms) of exactly these samples and its encoder, which takes any
    length; how a second is spoken lies in it beside what is said. Raises UserError when the
    speech model cannot be loaded.
    """

    def __init__(self, spec: VoiceSpec, users: int = 1) -> None:
        """`users`: so many threads can have states computed at once."""
        self._whisper = speech_model(spec.model, users, spec.precision)

    def __call__(self, samples: Samples) -> NDArray[np.float32]:
        """float32 [n] -> [2 * width]."""
        mel = self._whisper.feature_extractor(samples, padding=0)
        states = np.asarray(self._whisper.encode(mel), np.float32)[0]
        return np.concatenate([states.mean(0), states.std(0)])


class VoiceEncoder:
    """The whole way from one second of samples to a row, at batch 1 and always on the CPU."""

    def __init__(self, spec: VoiceSpec, network: VoiceNetwork, users: int = 1) -> None:
        """`users`: so many threads can call it at once."""
        self.spec = spec
        self._states = States(spec, users)
        self._network = network.eval()

    def __call__(self, samples: Samples) -> VoiceRow:
        """float32 [context_samples], ending at the step's end -> VoiceRow.

        Raises ValueError for any other length.
        """
        if samples.shape != (self.spec.context_samples,):
            raise ValueError(f"a voice row needs {self.spec.context_samples} samples")
        cause = gate(samples, self.spec)
        if cause != Cause.NONE:
            return VoiceRow(cause)
        x = torch.from_numpy(self._states(samples))[None]
        with torch.inference_mode():
            row: NDArray[np.float32] = self._network.row(x)[0].numpy()
        return VoiceRow(Cause.NONE, row)
