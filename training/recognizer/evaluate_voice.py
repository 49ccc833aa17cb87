"""Judges the voice network of a recognizer by itself."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from normtr import torch_networks
from normtr.checkpoint import Checkpoint
from training.data import ravdess
from training.evaluation.part_scores import Judged
from training.recognizer import voice
from training.recognizer.voice_rows import voice_rows


def judged(recognizer: Checkpoint, data: Path) -> Judged:
    """Judge clips by the mean log-probability of the rows that the live pipe would compute.

    A clip in which it hears only silence is not judged. Calm counts as neutral.
    """
    clips = ravdess.load(data, calm_is_neutral=True)
    rows = voice_rows(clips, recognizer.spec, 1, seed=0)
    network = torch_networks.voice(recognizer.voice, recognizer.spec.voice)
    found, judged = voice.clip_probabilities(network, rows, len(clips))
    return found, np.array([clip.label for clip in clips]), judged
