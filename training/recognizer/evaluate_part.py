"""`normtr evaluate --part`: judges one network of a recognizer by itself, or their fusion."""

from __future__ import annotations

import json
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np
import torch
from numpy.typing import NDArray
from rich.console import Console
from rich.table import Table

from normtr import checkpoint, torch_networks
from normtr.checkpoint import Checkpoint
from normtr.config import parse
from normtr.errors import UsageError, UserError
from normtr.shipped import SHIPPED
from training.data import dialogues, fer2013, ravdess
from training.data.dialogues import UNKNOWN
from training.evaluation.part_scores import scores
from training.recognizer import face, text, voice
from training.recognizer.asr_noise import AsrNoise
from training.recognizer.evaluate_fusion import Fused, fused
from training.recognizer.recrop import recropped
from training.recognizer.text_rows import Said
from training.recognizer.voice_rows import voice_rows

Judged = tuple[NDArray[np.floating[Any]], NDArray[np.int64], NDArray[np.bool_]]
"""Probabilities [n, C], labels int64 [n], and which samples could be judged at all, bool [n]."""


@dataclass(frozen=True)
class EvaluatePart:
    """Evaluate the face, voice or text network of a recognizer by its own head, or their fusion."""

    part: Literal["face", "voice", "text", "fusion"]
    """Which network is judged."""
    data: Path | None = None
    """face: fer2013.npz; voice: a folder of RAVDESS actors; text: a table of MELD or IEMOCAP's
    transcripts."""
    split: int = 1
    """face, fusion: the split of fer2013.npz; 0 is training, 1 is PublicTest."""
    detected: bool = False
    """face: use the live detector's crops of the faces that it finds in enlarged pictures."""
    faces: Path | None = None
    """fusion: fer2013.npz."""
    voice: Path | None = None
    """fusion: a folder of RAVDESS actors."""
    text: Path | None = None
    """fusion: a MELD table."""
    misheard: bool = False
    """text: drop 8 % of the words and take 8 % for others, in Whisper's case and punctuation."""
    seed: int = 7
    """fusion: seed of windows and gaps; text: seed of what is misheard."""
    n: int = 10_000
    """fusion: number of windows, which are paired by label."""
    checkpoint: Path = SHIPPED
    """Folder of the recognizer."""
    json: bool = False
    """Print the report as JSON."""


def run(argv: list[str]) -> int:
    config = parse(EvaluatePart, argv, "evaluate")
    recognizer = checkpoint.load(config.checkpoint)
    report: dict[str, Any] = {"part": config.part}
    if config.part == "fusion":
        if config.faces is None or config.voice is None or config.text is None:
            raise UsageError("--part fusion needs --faces, --voice and --text.")
        sources = Fused(config.faces, config.split, config.voice, config.text)
        report |= fused(recognizer, config.checkpoint, sources, config.seed, config.n)
    else:
        if config.data is None:
            raise UsageError(f"--part {config.part} needs --data.")
        if config.part == "face":
            judged = _faces(recognizer, config.data, config.split, config.detected)
        elif config.part == "voice":
            judged = _voices(recognizer, config.data)
        else:
            judged = _texts(recognizer, config.data, config.seed if config.misheard else None)
        report |= scores(*judged)
    report["checkpoint_sha256"] = recognizer.sha256
    if config.json:
        json.dump(report, sys.stdout, indent=1)
        print()
    else:
        _show(report, Console())
    return 0


def _show(report: dict[str, Any], console: Console) -> None:
    shown = ", ".join(f"{k} {report[k]:.3f}" for k in ("accuracy", "uar", "weighted_f1", "ece"))
    table = Table("class", "n", "precision", "recall", "F1", title=f"{report['part']}: {shown}")
    for name, of in report["per_class"].items():
        table.add_row(name, str(of["n"]), *(f"{of[k]:.3f}" for k in ("precision", "recall", "f1")))
    console.print(table)
    if "rates" not in report:
        return
    columns = {
        "NORM-TR": "accuracy_by_rate",
        "late fusion": "late_fusion_accuracy_by_rate",
        "ECE": "ece_by_rate",
        "answered": "coverage_by_rate",
        "right of these": "selective_accuracy_by_rate",
    }
    lead = "lead {mean:+.4f} ({low:+.4f} to {high:+.4f})".format(**report["lead"])
    table = Table("lost", *columns, title=f"accuracy by share of lost steps: {lead}")
    for i, rate in enumerate(report["rates"]):
        cells = [report[key][i] for key in columns.values()]
        table.add_row(f"{rate:.1f}", *("-" if c is None else f"{c:.3f}" for c in cells))
    console.print(table)


def _faces(recognizer: Checkpoint, data: Path, split: int, detected: bool) -> Judged:
    """Judge the pictures as they are or, if `detected`, the faces that the live pipe finds in them.

    Raises UserError when it finds none.
    """
    faces = fer2013.load(data, split)
    if detected:
        crops, seen = recropped(faces, recognizer.spec.face)
        if not seen.any():
            raise UserError(f"the detector finds no face in {data}.")
        faces = crops.part(seen)
    network = torch_networks.face(recognizer.face, recognizer.spec.face)
    found = face.logits(network, faces).softmax(1).numpy()
    return found, faces.labels, np.ones(len(found), np.bool_)


def _voices(recognizer: Checkpoint, data: Path) -> Judged:
    """Judge clips by the mean log-probability of the rows that the live pipe would compute.

    A clip in which it hears only silence is not judged. Calm counts as neutral.
    """
    clips = ravdess.load(data, calm_is_neutral=True)
    rows = voice_rows(clips, recognizer.spec, 1, seed=0)
    network = torch_networks.voice(recognizer.voice, recognizer.spec.voice)
    found, judged = voice.clip_probabilities(network, rows, len(clips))
    return found, np.array([clip.label for clip in clips]), judged


def _texts(recognizer: Checkpoint, data: Path, misheard: int | None) -> Judged:
    """Judge utterances by the mean vector of their words, read after what was said before them.

    `misheard` is the seed by which words are misheard; None takes them as written. Raises UserError
    when no utterance has an emotion.
    """
    said = [u for u in dialogues.table(data) if u.emotion != UNKNOWN]
    if not said:
        raise UserError(f"{data} has no utterance with an emotion.")
    heard = [Said(u.text, u.before) for u in said]
    if misheard is not None:
        asr_noise, random = AsrNoise(u.text for u in said), np.random.default_rng(misheard)
        heard = [asr_noise.said(s, random, written=True) for s in heard]
    means = text.utterance_means(heard, recognizer.spec.text, recognizer.adapter)
    with torch.inference_mode():
        logits = torch_networks.head(recognizer.text)(torch.from_numpy(means))
        probabilities = logits.softmax(1).numpy()
    return probabilities, np.array([u.emotion for u in said]), np.ones(len(said), np.bool_)
