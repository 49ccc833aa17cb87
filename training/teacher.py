"""What the voice network is taught beside labels: the embedded Whisper encoder's states.

Its states over a crop, averaged and whitened, are a target of a second head of the network
(feature distillation, Romero et al., ICLR 2015). The head is dropped after training, and
Whisper sees only clips that are fitted.
"""

from __future__ import annotations

import ctranslate2
import numpy as np
from faster_whisper import WhisperModel
from numpy.typing import NDArray
from tqdm import tqdm

from normtr.models import SPEECH, folder
from training.datasets.speech import Clip, samples

FRAME_SAMPLES = 320
"""One encoder state each 20 ms."""


def states(clips: list[Clip], rate: int) -> list[NDArray[np.float32]]:
    """Encoder states of each clip, float32 [n, 384]."""
    whisper = WhisperModel(folder(SPEECH), device="cpu", compute_type="float32", cpu_threads=2)
    out = []
    for clip in tqdm(clips, "teacher", unit="clip", mininterval=2):
        mel = whisper.feature_extractor(samples(clip, rate), padding=0)
        mel = np.ascontiguousarray(mel[None, :, : mel.shape[1] // 2 * 2], np.float32)
        encoded = whisper.model.encode(ctranslate2.StorageView.from_array(mel))
        out.append(np.array(encoded)[0].astype(np.float32))
    return out


class Whitening:
    """The first principal components of the states' means over crops, each of deviation 1."""

    def __init__(self, states: list[NDArray[np.float32]], crop: int, width: int) -> None:
        self._crop = crop
        x = np.stack([self._mean(s, b) for s in states for b in range(0, len(s), crop // 2)])
        self._centre = x.mean(0)
        _, spread, axes = np.linalg.svd(x - self._centre, full_matrices=False)
        self._axes = axes[:width].T / spread[:width] * np.sqrt(len(x))

    def _mean(self, states: NDArray[np.float32], begin: int) -> NDArray[np.float32]:
        inside = states[max(0, begin) : max(1, begin + self._crop)]
        return np.asarray(inside.mean(0))

    def __call__(self, states: NDArray[np.float32], begin: int) -> NDArray[np.float32]:
        """Target float32 [width] of the crop that begins at state `begin` (before 0: zeros)."""
        return np.asarray((self._mean(states, begin) - self._centre) @ self._axes, np.float32)
