"""Judges the voice network of a recognizer by itself."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from normtr import torch_networks
from normtr.checkpoint import Checkpoint
from training.data import speech_folder
from training.evaluation.part_scores import Judged, among
from training.recognizer import voice
from training.recognizer.voice_rows import voice_rows


def judged(recognizer: Checkpoint, data: Path) -> Judged:
    """Judge clips by the mean log-probability of the rows that the live pipe would compute, among
    the classes that the corpus has.

    A clip in which it hears only silence is not judged.
    """
    clips = speech_folder.load(data)
    rows = voice_rows(clips, recognizer.spec, 1, seed=0)
    network = torch_networks.voice(recognizer.voice, recognizer.spec.voice)
    found, heard = voice.clip_log_probabilities(network, rows, len(clips))
    labels = np.array([clip.label for clip in clips])
    return among(found, labels), labels, heard
