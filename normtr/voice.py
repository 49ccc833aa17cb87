"""Turns one second of sound into states of Whisper's encoder, and these into a voice row."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from normtr.cause import Cause
from normtr.engine.compiled import Compiled
from normtr.engine.voice_graph import voice_graph
from normtr.engine.weights import Weights
from normtr.models import speech_model
from normtr.sound import Samples
from normtr.spec import LABELS, VoiceSpec


def gate(samples: Samples, spec: VoiceSpec) -> Cause:
    """Return `muted`, `silence` or `none` for the last `gate_samples` of the context."""
    last = samples[-spec.gate_samples :]
    if float(np.abs(last).max(initial=0.0)) <= spec.muted_peak:
        return Cause.MUTED
    frames = last[: len(last) // spec.gate_frame * spec.gate_frame]
    power = np.square(frames.reshape(-1, spec.gate_frame)).mean(axis=1).max(initial=0.0)
    return Cause.NONE if power >= 10.0 ** (spec.gate_dbfs / 10.0) else Cause.SILENCE


@dataclass(frozen=True)
class VoiceRow:
    """A row float32 [dim], or None and the cause (`muted`, `silence`)."""

    cause: Cause
    vector: NDArray[np.float32] | None = None


class States:
    """Turns samples into the mean and deviation over time of Whisper's encoder states, on the CPU.

    It uses Whisper's log-mel (80 bands, 10 ms) of exactly these samples and its encoder, which
    takes any length. The states contain how a second is spoken as well as what is said.
    """

    def __init__(self, spec: VoiceSpec, users: int = 1) -> None:
        """Load the speech model; `users` threads can compute states at once.

        Raises UserError when the model cannot be loaded.
        """
        self._whisper = speech_model(spec.model, users, spec.precision)

    def __call__(self, samples: Samples) -> NDArray[np.float32]:
        """Return the statistics float32 [2 * width] of samples float32 [n]."""
        mel = self._whisper.feature_extractor(samples, padding=0)
        states = np.asarray(self._whisper.encode(mel), np.float32)[0]
        return np.concatenate([states.mean(0), states.std(0)])


class VoiceEncoder:
    """Turns one second of samples into a row, at batch size 1 and always on the CPU."""

    def __init__(self, spec: VoiceSpec, weights: Weights, users: int = 1) -> None:
        """Load the speech model; `users` threads can call the encoder at once."""
        self.spec = spec
        self._states = States(spec, users)
        self._network = Compiled(voice_graph(weights, spec, len(LABELS)))

    def __call__(self, samples: Samples) -> VoiceRow:
        """Return the VoiceRow of samples float32 [context_samples] that end where the step ends.

        Raises ValueError for any other length.
        """
        if samples.shape != (self.spec.context_samples,):
            raise ValueError(f"a voice row needs {self.spec.context_samples} samples")
        cause = gate(samples, self.spec)
        if cause != Cause.NONE:
            return VoiceRow(cause)
        return VoiceRow(Cause.NONE, self._network(self._states(samples)[None])[0])
