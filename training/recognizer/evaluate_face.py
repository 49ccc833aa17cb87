"""Judges the face network of a recognizer by itself."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from normtr import torch_networks
from normtr.checkpoint import Checkpoint
from normtr.errors import UserError
from training.data import face_files
from training.evaluation.part_scores import Judged
from training.recognizer import face
from training.recognizer.face_crops import cropped


def judged(recognizer: Checkpoint, data: Path, split: int) -> Judged:
    """Judge the pictures that have a label, in the crops that the live detector makes of them.

    Where it finds no face, the crop is where most faces of the set are. Raises UserError when no
    picture has a label.
    """
    crops = cropped(face_files.load(data, split), recognizer.spec.face).labelled
    if not len(crops.labels):
        raise UserError(f"no picture of split {split} of {data} has a label.")
    network = torch_networks.face(recognizer.face, recognizer.spec.face)
    found = face.logits(network, crops.images).softmax(1).numpy()
    return found, crops.labels, np.ones(len(found), np.bool_)
