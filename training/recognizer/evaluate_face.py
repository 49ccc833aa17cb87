"""Judges the face network of a recognizer by itself."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from normtr import torch_networks
from normtr.checkpoint import Checkpoint
from normtr.errors import UserError
from training.data import fer2013
from training.evaluation.part_scores import Judged
from training.recognizer import face
from training.recognizer.recrop import recropped


def judged(recognizer: Checkpoint, data: Path, split: int, detected: bool) -> Judged:
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
