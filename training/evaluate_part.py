"""`normtr evaluate --part`: how well one network of a recognizer does, by itself."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np
import torch
from numpy.typing import NDArray
from rich.console import Console
from rich.table import Table
from torch.utils.data import DataLoader

from normtr import checkpoint
from normtr.checkpoint import SHIPPED, Checkpoint
from normtr.config import parse
from normtr.errors import UserError
from normtr.spec import LABELS
from training.datasets import fer2013, meld, ravdess
from training.face import normalised
from training.part_scores import scores
from training.text import utterance_means
from training.voice import live_dataset

Judged = tuple[NDArray[np.floating[Any]], NDArray[np.int64], NDArray[np.bool_]]
"""Probabilities [n, C], labels [n], and which samples could be judged at all [n]."""


@dataclass(frozen=True)
class EvaluatePart:
    """Evaluate the face, voice or text network of a recognizer by its own head."""

    part: Literal["face", "voice", "text"]
    data: Path
    """face: fer2013.npz; voice: a folder of RAVDESS actors; text: a MELD table."""
    split: int = 1
    """face: which split of the file; 0 training, 1 PublicTest."""
    checkpoint: Path = SHIPPED
    json: bool = False


def run(argv: list[str]) -> int:
    config = parse(EvaluatePart, argv, "evaluate")
    recognizer = checkpoint.load(config.checkpoint)
    judged = {"face": _faces, "voice": _voices, "text": _texts}[config.part](recognizer, config)
    report = {"part": config.part, **scores(*judged), "checkpoint_sha256": recognizer.sha256}
    if config.json:
        json.dump(report, sys.stdout, indent=1)
        print()
        return 0
    shown = ", ".join(f"{k} {report[k]:.3f}" for k in ("accuracy", "uar", "weighted_f1", "ece"))
    table = Table("class", "n", "precision", "recall", "F1", title=f"{config.part}: {shown}")
    for name, of in report["per_class"].items():
        table.add_row(name, str(of["n"]), *(f"{of[k]:.3f}" for k in ("precision", "recall", "f1")))
    Console().print(table)
    return 0


def _faces(recognizer: Checkpoint, config: EvaluatePart) -> Judged:
    """The pictures as they are, which look like the crops of our detector."""
    try:
        faces = fer2013.load(config.data, config.split)
    except (OSError, ValueError, KeyError) as error:
        raise UserError(f"{config.data} cannot be read as FER2013: {error}.") from None
    logits = _over(recognizer.face, DataLoader(normalised(faces), 256))
    return logits.softmax(1).numpy(), faces.labels, np.ones(len(logits), np.bool_)


def _voices(recognizer: Checkpoint, config: EvaluatePart) -> Judged:
    """Mean log-probability of the rows that the live pipe would compute of a clip; none where it
    hears silence only. Calm counts as neutral."""
    clips = ravdess.load(config.data, calm_is_neutral=True)
    labels = np.array([clip.label for clip in clips])
    data = live_dataset(clips, recognizer.spec)
    logp = _over(recognizer.voice, DataLoader(data, 256)).log_softmax(1)
    of = data.tensors[2]
    count = torch.bincount(of, minlength=len(clips))
    mean = torch.zeros(len(clips), len(LABELS)).index_add(0, of, logp) / count.clamp_min(1)[:, None]
    return mean.softmax(1).numpy(), labels, (count > 0).numpy()


def _texts(recognizer: Checkpoint, config: EvaluatePart) -> Judged:
    """The mean vector of an utterance's words, as written."""
    said = meld.load(config.data)
    means = utterance_means([u.text for u in said], recognizer.spec.text)
    with torch.inference_mode():
        probabilities = recognizer.text(torch.from_numpy(means)).softmax(1).numpy()
    return probabilities, np.array([u.label for u in said]), np.ones(len(said), np.bool_)


def _over(network: Callable[[torch.Tensor], torch.Tensor], loader: DataLoader[Any]) -> torch.Tensor:
    with torch.inference_mode():
        return torch.cat([network(batch[0]) for batch in loader])
