"""Computes the rows, gap causes and words of all steps of a media file."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from normtr import checkpoint, speech
from normtr.cause import GAPS, Cause
from normtr.errors import UserError
from normtr.face import FaceEncoder
from normtr.spec import MODALITIES
from normtr.speech import Whisper
from normtr.text import TextEncoder, TimedWord
from normtr.thread_limits import one_thread_each
from normtr.voice import VoiceEncoder
from normtr.window import Row
from training.data.extraction.clip_rows import Outcome, clip_rows
from training.data.extraction.transcript import transcript

GAP_NAMES = (Cause.NONE, *GAPS)
"""The causes; `ClipFeatures.gaps` holds their numbers in this order."""


@dataclass(frozen=True)
class ClipFeatures:
    """What the recognizer sees in a clip.

    The rows of text are those of a window that ends with the clip and holds all its steps: a word
    that lies further back than the text's context has none.
    """

    rows: dict[str, Row]
    """By modality: float32 [steps, dim], zero where there is a gap."""
    gaps: NDArray[np.uint8]
    """uint8 [steps, modalities]: indices into GAP_NAMES, modalities in the order of MODALITIES."""
    words: tuple[TimedWord, ...]


@dataclass(frozen=True)
class Unusable:
    """The reason why a file has no features."""

    reason: str


class ClipEncoder:
    """Runs the networks of a checkpoint over files, on the CPU as live; every pool has one thread.

    With `text`, speech is transcribed in one pass for each passage. Raises UserError when a model
    cannot be loaded.
    """

    def __init__(self, folder: Path, text: bool) -> None:
        loaded = checkpoint.load(folder)
        one_thread_each()  # after what may have imported torch: a run of training
        self.spec = loaded.spec
        self._face = FaceEncoder(loaded.spec.face, loaded.face)
        self._voice = VoiceEncoder(loaded.spec.voice, loaded.voice)
        self._whisper = Whisper() if text else None
        self.text = TextEncoder(loaded.spec.text, adapter=loaded.adapter) if text else None
        """What makes rows of words; None without `text`."""
        if text and loaded.spec.voice.sample_rate != speech.RATE:
            raise UserError(f"words need sound at {speech.RATE} Hz; give --text off.")

    def __call__(self, path: Path) -> ClipFeatures | Unusable:
        try:
            return self.features(path)
        except UserError as error:
            return Unusable(str(error))
        except Exception as error:  # one file of thousands must not end the run
            what = " ".join(f"{type(error).__name__}: {error}".split())
            return Unusable(f"{path.name} failed unexpectedly ({what.rstrip('.')}).")

    def features(self, path: Path) -> ClipFeatures:
        """Return what is seen in the file. Raises UserError when it cannot be used."""
        found = clip_rows(str(path), self.spec, self._face, self._voice)
        words: tuple[TimedWord, ...] = ()
        columns = {"face": found.face, "voice": found.voice}
        if self._whisper is not None and self.text is not None:
            words = transcript(found.sound, self._whisper)
            rows = self.text.rows(words, 0, self.spec.step_ns, len(found.voice))
            columns["text"] = tuple(
                _text(row, cause) for row, (cause, _) in zip(rows, found.voice, strict=True)
            )
        else:
            columns["text"] = ((Cause.OFF, None),) * len(found.voice)
        return ClipFeatures(
            {m: _stacked(columns[m], dim) for m, dim in self.spec.dims.items()},
            np.array(
                [[GAP_NAMES.index(cause) for cause, _ in columns[m]] for m in MODALITIES], np.uint8
            ).T,
            words,
        )


def _text(row: Row | None, voice: Cause) -> Outcome:
    """Return the outcome of text in a step, as it is live once every word is known."""
    if row is not None:
        return Cause.NONE, row
    missing = voice in (Cause.NO_TRACK, Cause.MUTED, Cause.STALLED, Cause.DROPPED)
    return (voice if missing else Cause.NO_WORDS), None


def _stacked(column: Sequence[Outcome], dim: int) -> Row:
    rows = np.zeros((len(column), dim), np.float32)
    for step, (_, row) in enumerate(column):
        if row is not None:
            rows[step] = row
    return rows
