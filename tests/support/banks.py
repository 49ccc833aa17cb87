"""What the parts of a recognizer say of made-up clips: the rows that fusion is trained on."""

from __future__ import annotations

import numpy as np

from normtr.spec import LABELS, MODALITIES
from training.recognizer.row_bank import Bank, ragged

STEPS, DIM = 16, 7


def bank(seed: int) -> Bank:
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
    )
