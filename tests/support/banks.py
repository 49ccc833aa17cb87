"""What the parts of a recognizer say of made-up clips: the rows that fusion is trained on."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from normtr.spec import LABELS, MODALITIES
from training.recognizer.row_bank import Bank, Pairs, ragged

STEPS, DIM = 16, 7
Rows = Callable[[str, int, int], np.ndarray]


def bank(seed: int, with_pairs: bool = False) -> Bank:
    """Rows whose first number is 10 + label; the rest is noise around the label's own point."""
    random = np.random.default_rng(seed)
    labels = np.repeat(np.arange(len(LABELS)), 6)
    centre = {m: np.random.default_rng(i).normal(size=(7, DIM)) for i, m in enumerate(MODALITIES)}

    def rows(modality: str, label: int, count: int) -> np.ndarray:
        x = centre[modality][label] + 0.5 * random.normal(size=(count, DIM))
        x[:, 0] = 10 + label
        return x.astype(np.float32)

    voices = [rows("voice", int(label), 9) for label in labels]
    for voice in voices:
        voice[4] = np.nan  # a silent step
    return Bank(
        np.stack([rows("face", int(label), 3) for label in labels]),
        labels,
        ragged(voices, labels.tolist()),
        ragged([rows("text", int(label), 7) for label in labels], labels.tolist()),
        pairs(rows) if with_pairs else None,
    )


def pairs(rows: Rows) -> Pairs:
    """Two people, who show every label but disgust twice, for 5 steps each."""
    shown = [label for label in range(len(LABELS)) if label != 1] * 4
    faces, voices = ([rows(m, label, 5) for label in shown] for m in ("face", "voice"))
    for face, voice in zip(faces, voices, strict=True):
        face[0], voice[3] = np.nan, np.nan
    people = np.repeat(["b one", "b two"], len(shown) // 2)
    return Pairs(ragged(faces, shown), ragged(voices, shown), people)
