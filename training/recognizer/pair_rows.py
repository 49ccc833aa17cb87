"""Reads videos of strangers: what the parts say in each step of those who are seen and heard."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import torch
from tqdm import tqdm

from normtr.face import FaceEncoder
from normtr.resnet import ResNetEnsemble
from normtr.spec import LABELS, FeatureSpec
from normtr.torch_networks import weights_of
from normtr.voice import VoiceEncoder
from normtr.voice_network import VoiceNetwork
from training.data.extraction.clip_rows import clip_rows
from training.data.speech import Clip
from training.recognizer.parts import centred
from training.recognizer.row_bank import Pairs, Rows, ragged
from training.recognizer.voice_rows import VoiceRows


def pairs(
    clips: Sequence[Clip],
    face: ResNetEnsemble,
    voices: Mapping[str, VoiceNetwork],
    rows: VoiceRows,
    spec: FeatureSpec,
) -> Pairs:
    """Return the centred logits of face and voice in the steps of videos.

    `face` has not seen the people, and `voices` has for each person a network that has not heard
    them. `rows` are those of the `clips`, whose version 0 is used. Raises UserError when a video
    cannot be read.
    """
    readers = {person: VoiceEncoder(spec.voice, weights_of(v)) for person, v in voices.items()}
    encoder = FaceEncoder(spec.face, weights_of(face))
    seen: list[Rows] = []
    heard: list[Rows] = []
    for number, clip in enumerate(tqdm(clips, "videos", mininterval=2)):
        found = clip_rows(str(clip.path), spec, encoder, readers[clip.person])
        logits = _missing(len(found.face))
        for step, (_, row) in enumerate(found.face):
            if row is not None:
                logits[step] = centred(face.head, torch.from_numpy(row)).numpy()
        seen.append(logits)
        heard.append(_heard(voices[clip.person], rows, number, len(found.face)))
    labels = [clip.label for clip in clips]
    return Pairs(
        ragged(seen, labels), ragged(heard, labels), np.array([clip.person for clip in clips])
    )


def _heard(network: VoiceNetwork, rows: VoiceRows, clip: int, steps: int) -> Rows:
    mine = np.flatnonzero((rows.clip == clip) & (rows.version == 0) & (rows.step < steps))
    out = _missing(steps)
    with torch.inference_mode():
        row = network.row(torch.from_numpy(rows.values[mine].astype(np.float32)))
        out[rows.step[mine]] = centred(network.head, row).numpy()
    return out


def _missing(steps: int) -> Rows:
    return np.full((steps, len(LABELS)), np.nan, np.float32)
