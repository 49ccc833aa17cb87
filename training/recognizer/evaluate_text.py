"""Judges the text network of a recognizer by itself."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from normtr import torch_networks
from normtr.checkpoint import Checkpoint
from normtr.errors import UserError
from normtr.spec import LABELS
from training.data import dialogues, goemotions
from training.evaluation import part_scores, several_labels
from training.recognizer import text
from training.recognizer.asr_noise import AsrNoise, bare_said
from training.recognizer.text_rows import Said


def report(
    recognizer: Checkpoint, folder: Path, data: Path, misheard: int | None, bare: bool
) -> dict[str, Any]:
    """Score a table of MELD, IEMOCAP or GoEmotions by the mean vector of each text's words.

    What was said before an utterance is read, too. `misheard` is the seed by which words are
    misheard; None takes them as written. `bare` takes case and punctuation away. GoEmotions'
    thresholds are those that `folder`, the recognizer's, has recorded, or else the best ones on a
    tenth of the `train.tsv` beside the table. Raises UserError when there is neither, or when no
    utterance has an emotion.
    """
    if goemotions.is_table(data):
        comments = goemotions.load(data)
        heard = _heard([Said(c.text) for c in comments], misheard, bare)
        least = _recorded(folder) or _chosen(recognizer, data.parent / "train.tsv")
        found = _probabilities(recognizer, heard)
        return several_labels.scores(found, goemotions.holds(comments), least)
    said = [u for u in dialogues.table(data) if u.emotions]
    if not said:
        raise UserError(f"{data} has no utterance with an emotion.")
    heard = _heard([Said(u.text, u.before) for u in said], misheard, bare)
    labels = np.array([u.emotions[0] for u in said])
    judged = np.ones(len(said), np.bool_)
    return part_scores.scores(_probabilities(recognizer, heard), labels, judged)


def _heard(said: list[Said], misheard: int | None, bare: bool) -> list[Said]:
    if misheard is not None:
        asr_noise, random = AsrNoise(s.text for s in said), np.random.default_rng(misheard)
        said = [asr_noise.said(s, random, written=True) for s in said]
    return [bare_said(s) for s in said] if bare else said


def _probabilities(recognizer: Checkpoint, said: list[Said]) -> NDArray[np.float32]:
    means = text.utterance_means(said, recognizer.spec.text, recognizer.adapter)
    with torch.inference_mode():
        logits = torch_networks.head(recognizer.text)(torch.from_numpy(means))
        return np.asarray(logits.softmax(1).numpy())


def _recorded(folder: Path) -> dict[str, float] | None:
    """Return the thresholds that were recorded when the recognizer was trained, if any were."""
    try:
        metrics = json.loads((folder / "recorded.json").read_text(encoding="utf-8"))["metrics"]
        return {name: float(metrics["text"]["thresholds"][name]) for name in LABELS}
    except (OSError, ValueError, KeyError, TypeError):
        return None


def _chosen(recognizer: Checkpoint, train: Path) -> dict[str, float]:
    if not train.is_file():
        raise UserError(
            f"the recognizer has no thresholds for several labels, and there is no {train} to "
            "choose them on."
        )
    comments = [c for c in goemotions.load(train) if c.held_out]
    if not comments:
        raise UserError(f"{train} has too few comments to choose thresholds on.")
    found = _probabilities(recognizer, [Said(c.text) for c in comments])
    return several_labels.thresholds(found, goemotions.holds(comments))
