"""`normtr evaluate --part`: judges one network of a recognizer by itself, or their fusion."""

from __future__ import annotations

import json
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from rich.console import Console
from rich.table import Table

from normtr import checkpoint
from normtr.checkpoint import Checkpoint
from normtr.config import parse
from normtr.errors import UsageError
from normtr.shipped import SHIPPED
from training.data import labelled_clips
from training.evaluation.part_scores import scores
from training.recognizer import evaluate_clips, evaluate_face, evaluate_text, evaluate_voice
from training.recognizer.clip_orders import Order
from training.recognizer.evaluate_fusion import Fused, fused


@dataclass(frozen=True)
class EvaluatePart:
    """Evaluate the face, voice or text network of a recognizer by its own head, their fusion on
    label-paired windows, or all of it on clips."""

    part: Literal["face", "voice", "text", "fusion", "clips"]
    """What is judged."""
    data: Path | None = None
    """face: rafdb.npz or ferplus.npz; voice: a folder of RAVDESS actors, EmoDB, EMOVO or Javanese
    speakers; text: a table of MELD, IEMOCAP's transcripts or GoEmotions; clips: a folder of media
    files, whose names tell emotion and person as in the Javanese corpus or RAVDESS, if `labels` does
    not."""
    labels: Path | None = None
    """clips: a CSV with the columns clip (a path inside the folder), label and person."""
    order: Literal["alone", "random", "everyday", "moods"] = "alone"
    """clips: alone; or random, everyday or moods, in which a person shows one clip after the other
    and the running baseline follows."""
    split: int = 1
    """face, fusion: the split of the pictures; 0 is training, 1 validation, 2 test."""
    faces: Path | None = None
    """fusion: rafdb.npz or ferplus.npz."""
    voice: Path | None = None
    """fusion: a folder of RAVDESS actors."""
    text: Path | None = None
    """fusion: a MELD table."""
    misheard: bool = False
    """text: drop 8 % of the words and take 8 % for others, in Whisper's case and punctuation."""
    bare: bool = False
    """text: take case and punctuation away."""
    seed: int = 7
    """fusion: seed of windows and gaps; text: of what is misheard; clips: of the order."""
    n: int = 10_000
    """fusion: number of windows, which are paired by label."""
    checkpoint: Path = SHIPPED
    """Folder of the recognizer."""
    json: bool = False
    """Print the report as JSON."""


def run(argv: list[str]) -> int:
    config = parse(EvaluatePart, argv, "evaluate")
    recognizer = checkpoint.load(config.checkpoint)
    report = {
        "part": config.part,
        **_report(config, recognizer),
        "checkpoint_sha256": recognizer.sha256,
    }
    if config.json:
        json.dump(report, sys.stdout, indent=1)
        print()
    else:
        _show(report, Console())
    return 0


def _report(config: EvaluatePart, recognizer: Checkpoint) -> dict[str, Any]:
    if config.part == "fusion":
        if config.faces is None or config.voice is None or config.text is None:
            raise UsageError("--part fusion needs --faces, --voice and --text.")
        sources = Fused(config.faces, config.split, config.voice, config.text)
        return fused(recognizer, config.checkpoint, sources, config.seed, config.n)
    if config.data is None:
        raise UsageError(f"--part {config.part} needs --data.")
    match config.part:
        case "face":
            return scores(*evaluate_face.judged(recognizer, config.data, config.split))
        case "voice":
            return scores(*evaluate_voice.judged(recognizer, config.data))
        case "text":
            misheard = config.seed if config.misheard else None
            return evaluate_text.report(
                recognizer, config.checkpoint, config.data, misheard, config.bare
            )
        case "clips":
            clips = labelled_clips.load(config.data, config.labels)
            return evaluate_clips.report(
                recognizer, config.checkpoint, clips, Order(config.order), config.seed
            )


def _show(report: dict[str, Any], console: Console) -> None:
    shown = ", ".join(f"{k} {report[k]:.3f}" for k in ("accuracy", "uar", "weighted_f1", "ece"))
    table = Table("class", "n", "precision", "recall", "F1", title=f"{report['part']}: {shown}")
    for name, of in report["per_class"].items():
        table.add_row(name, str(of["n"]), *(f"{of[k]:.3f}" for k in ("precision", "recall", "f1")))
    console.print(table)
    if report["part"] == "clips":
        _show_people(report, console)
    if report["part"] == "fusion":
        _show_rates(report, console)


def _show_people(report: dict[str, Any], console: Console) -> None:
    shown = f"of all estimates {report['coverage']:.0%} are answered"
    table = Table("clips by", "n", "UAR", "accuracy", "ECE", title=shown)
    for of in (report["modalities"], report["by_person"]):
        for name, found in of.items():
            cells = (f"{found[key]:.3f}" for key in ("uar", "accuracy", "ece"))
            table.add_row(name, str(found["n"]), *cells)
    console.print(table)


def _show_rates(report: dict[str, Any], console: Console) -> None:
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
