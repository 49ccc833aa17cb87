"""Computes the voice network's input for clips, as live, and for augmented copies of them."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from tqdm import tqdm

from normtr.cause import Cause
from normtr.sound import Samples
from normtr.spec import FeatureSpec
from normtr.thread_limits import one_thread_each
from normtr.voice import States, gate
from training import run_folder
from training.data.speech import Clip, samples
from training.recognizer import audio_augmentation

SEVERAL = 50
"""The number of clips in a file, which is what an interruption can lose."""


@dataclass(frozen=True)
class VoiceRows:
    """Rows for the voice network; steps that are muted or silent have none."""

    values: NDArray[np.float16]
    """float16 [rows, 2 * width]: statistics of Whisper's states."""
    clip: NDArray[np.int64]
    """int64 [rows]: the number of the clip."""
    version: NDArray[np.int64]
    """int64 [rows]: the version of the clip; 0 is as recorded."""
    step: NDArray[np.int64]
    """int64 [rows]: the step of the grid."""

    def part(self, chosen: NDArray[np.bool_]) -> VoiceRows:
        return VoiceRows(*(x[chosen] for x in vars(self).values()))


def voice_rows(
    clips: list[Clip], spec: FeatureSpec, versions: int, seed: int, cache: Path | None = None
) -> VoiceRows:
    """Return the rows of each clip as recorded, and of `versions` - 1 augmented copies of it.

    `cache` is a folder that keeps them in pieces, so that an interrupted run can go on; with None
    they are not kept.
    """
    one_thread_each()
    encoder = States(spec.voice)
    pieces = []
    for begin in tqdm(range(0, len(clips), SEVERAL), "voice rows", unit="piece"):
        path = cache / f"voice-{begin:05d}.npz" if cache else None
        if path is None or not path.is_file():
            end = min(begin + SEVERAL, len(clips))
            piece = _piece(clips, range(begin, end), encoder, spec, versions, seed)
            if path is not None:
                run_folder.write_arrays(path, vars(piece))
        else:
            with np.load(path) as kept:
                piece = VoiceRows(**{name: kept[name] for name in kept.files})
        pieces.append(piece)
    joined = zip(*(vars(piece).values() for piece in pieces), strict=True)
    return VoiceRows(*(np.concatenate(parts) for parts in joined))


def _piece(
    clips: list[Clip],
    numbers: range,
    encoder: States,
    spec: FeatureSpec,
    versions: int,
    seed: int,
) -> VoiceRows:
    rate = spec.voice.sample_rate
    values, of = [], []
    for number in numbers:
        recorded = samples(clips[number], rate)
        for version in range(versions):
            random = np.random.default_rng((seed, number, version))
            sound, phase = recorded, 0
            if version:
                other = samples(clips[int(random.integers(len(clips)))], rate)
                sound = audio_augmentation.elsewhere(recorded, other, rate, random)
                phase = int(random.integers(rate * spec.step_ms // 1000))
            for step, context in enumerate(contexts(sound, spec, phase)):
                if gate(context, spec.voice) == Cause.NONE:
                    values.append(encoder(context).astype(np.float16))
                    of.append((number, version, step))
    clip, version_of, step_of = np.array(of, np.int64).reshape(-1, 3).T
    return VoiceRows(
        np.array(values, np.float16).reshape(-1, 2 * spec.voice.width), clip, version_of, step_of
    )


def contexts(sound: Samples, spec: FeatureSpec, phase: int = 0) -> list[Samples]:
    """Return the context of each step of a stream that is silent before and after `sound`.

    The grid begins `phase` samples after the sound.
    """
    per_step = spec.voice.sample_rate * spec.step_ms // 1000
    before = spec.voice.context_samples
    padded = np.pad(sound, (before, per_step + phase)).astype(np.float32)
    ends = range(per_step + phase, len(sound) + per_step, per_step)
    return [padded[end : end + before] for end in ends]
