"""The windows of every step of a clip, as they are live when no row is late."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np

from normtr.cause import Cause
from normtr.spec import MODALITIES, NS_PER_MS, FeatureSpec
from normtr.text import TextEncoder, TimedWord
from normtr.window import Row, Window, assemble
from training.data.extraction.clip_features import GAP_NAMES, ClipEncoder, ClipFeatures, Unusable

WORD_DELAY_MS = 1000
"""A word is known so long after its end, as most are live (docs/speed.md)."""


class ClipReader:
    """Computes the windows of files."""

    def __init__(self, folder: Path) -> None:
        """Load the recognizer in `folder`. Raises UserError when a model cannot be loaded."""
        self._encoder = ClipEncoder(folder, text=True)

    def __call__(self, path: Path) -> list[Window] | Unusable:
        found, text = self._encoder(path), self._encoder.text
        assert text is not None
        return found if isinstance(found, Unusable) else windows(found, self._encoder.spec, text)


def windows(features: ClipFeatures, spec: FeatureSpec, text: TextEncoder) -> list[Window]:
    """Return the window that ends with each step of a clip."""
    out = []
    count = len(features.gaps)
    for last in range(count):
        begin = last + 1 - spec.steps
        numbers = range(begin, last + 1)
        columns = {m: [_outcome(features, m, n) for n in numbers] for m in MODALITIES}
        rows = text.rows(
            _known(features.words, (last + 1) * spec.step_ns),
            begin * spec.step_ns,
            spec.step_ns,
            spec.steps,
        )
        columns["text"] = [
            (Cause.NO_WORDS if cause == Cause.NONE else cause, None)
            if row is None
            else (Cause.NONE, row)
            for row, (cause, _) in zip(rows, columns["text"], strict=True)
        ]
        out.append(assemble(spec, begin * spec.step_ns, columns))
    return out


def _outcome(features: ClipFeatures, modality: str, step: int) -> tuple[Cause, Row | None]:
    if step < 0:
        return Cause.STARTING, None
    cause = GAP_NAMES[features.gaps[step, MODALITIES.index(modality)]]
    return cause, features.rows[modality][step] if cause == Cause.NONE else None


def _known(words: Sequence[TimedWord], now_ns: int) -> list[TimedWord]:
    return [word for word in words if word.end_ns + WORD_DELAY_MS * NS_PER_MS <= now_ns]


def only(window: Window, modality: str) -> Window:
    """Return the window as it is when the other modalities are off."""
    off = (Cause.OFF,) * window.steps
    gaps = {m: gaps if m == modality else off for m, gaps in window.gaps.items()}
    rows = {m: rows if m == modality else np.zeros_like(rows) for m, rows in window.rows.items()}
    return replace(window, rows=rows, gaps=gaps)
