"""Twenty fixed inputs and what the shipped recognizer says of them.

`python -m tests.support.regression` writes tests/support/regression.json anew, after new weights.
"""

from __future__ import annotations

import json
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from normtr import checkpoint
from normtr.cause import Cause
from normtr.checkpoint import Checkpoint
from normtr.engine.weights import Weights
from normtr.face import FaceEncoder
from normtr.predictor import Predictor
from normtr.shipped import SHIPPED
from normtr.spec import MODALITIES, FeatureSpec
from normtr.text import TextEncoder
from normtr.thread_limits import one_thread_each
from normtr.voice import VoiceEncoder
from normtr.window import Window, assemble
from tests.support.clips import tone

KEPT = Path(__file__).with_name("regression.json")


def crop(number: int) -> NDArray[np.uint8]:
    """A face of a few strokes: its mouth and brows depend on the number."""
    picture = np.full((48, 48), 190, np.uint8)
    for x in (15, 32):
        cv2.circle(picture, (x, 19), 3, 60, -1)
        cv2.line(picture, (x - 5, 13 - number % 3), (x + 5, 13 + number % 2), 80, 2)
    cv2.ellipse(picture, (24, 36), (8, 1 + 2 * (number % 4)), 0, 0, 180 + 30 * number, 70, 2)
    return cv2.GaussianBlur(picture, (3, 3), 0).astype(np.uint8)


def second(number: int) -> NDArray[np.float32]:
    """A wavering tone in noise."""
    noise = np.random.default_rng(number).normal(0, 0.01, 16_000)
    swell = 1 + 0.5 * np.sin(np.arange(16_000) / (800.0 + 300 * number))
    return (tone(16_000, 1.0, 120.0 + 60 * number, 0.2) * swell + noise).astype(np.float32)


def window(number: int, spec: FeatureSpec) -> Window:
    """Rows like those of networks (positive, sparse), with gaps from none to nearly all."""
    random = np.random.default_rng(number)
    columns = {}
    for m in MODALITIES:
        rows = np.maximum(random.normal(size=(spec.steps, spec.dims[m])), 0).astype(np.float32)
        gone = random.random(spec.steps) < number / 11
        columns[m] = [
            ("error", None) if g else (Cause.NONE, r) for g, r in zip(gone, rows, strict=True)
        ]
    return assemble(spec, 0, columns)


def outputs(loaded: Checkpoint) -> list[list[float]]:
    """Five crops and five seconds as class probabilities, two sentences, eight windows."""
    one_thread_each()  # as live: the int8 encoder's states depend on the number of threads
    voice = VoiceEncoder(loaded.spec.voice, loaded.voice)
    text = TextEncoder(loaded.spec.text, adapter=loaded.adapter)
    predictor = Predictor(loaded)
    face = FaceEncoder(loaded.spec.face, loaded.face)
    found = []
    for number in range(5):
        found.append(said(loaded.face, "head.", face.row(crop(number))))
    for number in range(5):
        row = voice(second(number)).vector
        assert row is not None
        found.append(said(loaded.voice, "head.", row))
    for sentence in ("oh my god that is wonderful", "leave me alone you liar"):
        mean = text.word_vectors(sentence.split()).mean(0)
        found.append(said(loaded.text, "", mean))
    windows = [
        list(predictor([window(number, loaded.spec)])[0].probabilities) for number in range(8)
    ]
    return found + windows


def said(weights: Weights, head: str, row: NDArray[np.float32]) -> list[float]:
    """What a linear head says of a row, as class probabilities."""
    odds = np.exp(weights[f"{head}weight"] @ row + weights[f"{head}bias"])
    return [float(p) for p in odds / odds.sum()]


def main() -> None:
    loaded = checkpoint.load(SHIPPED)
    rounded = [[round(p, 5) for p in row] for row in outputs(loaded)]
    KEPT.write_text(json.dumps({"checkpoint": loaded.sha256, "outputs": rounded}, indent=0) + "\n")


if __name__ == "__main__":
    main()
