"""Judges the text network of a recognizer by itself."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch

from normtr import torch_networks
from normtr.checkpoint import Checkpoint
from normtr.errors import UserError
from training.data import dialogues
from training.data.dialogues import UNKNOWN
from training.evaluation.part_scores import Judged
from training.recognizer import text
from training.recognizer.asr_noise import AsrNoise
from training.recognizer.text_rows import Said


def judged(recognizer: Checkpoint, data: Path, misheard: int | None) -> Judged:
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
