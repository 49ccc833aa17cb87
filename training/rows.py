"""Rows of many people's faces, voices and words: what paired windows are made of.

Rows are computed by the shipped networks (weights rounded to float16, as a checkpoint stores
them) and kept as float16, because a fusion run reads them thousands of times.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from safetensors.torch import load_file
from torch import nn
from tqdm import tqdm

from normtr import face
from normtr.errors import UserError
from normtr.resnet import ResNet18
from normtr.spec import LABELS, FeatureSpec
from normtr.text import TextEncoder
from training import augment, sounds
from training.crops import Deltas, live_crops, live_ends
from training.datasets import fer2013
from training.datasets.meld import Utterance
from training.datasets.speech import Clip, samples
from training.text import bare

Rows = NDArray[np.float16]


@dataclass(frozen=True)
class Ragged:
    """Sequences of rows, one after another: sequence i is values[offsets[i]:offsets[i + 1]]."""

    values: Rows
    offsets: NDArray[np.int64]
    labels: NDArray[np.int64]

    def __getitem__(self, index: int) -> Rows:
        return self.values[self.offsets[index] : self.offsets[index + 1]]


@dataclass(frozen=True)
class Bank:
    """`faces` float16 [pictures, versions, dim]: augmented versions of each picture.

    `voices`: rows of a clip on the 250 ms grid, a zero row where the gate says silence.
    `texts`: rows of an utterance's words.
    """

    faces: Rows
    face_labels: NDArray[np.int64]
    voices: Ragged
    texts: Ragged

    def save(self, path: Path) -> None:
        partial = path.with_name(path.name + ".partial")
        with partial.open("wb") as file:
            np.savez(
                file,
                faces=self.faces,
                face_labels=self.face_labels,
                **{f"voices_{k}": v for k, v in vars(self.voices).items()},
                **{f"texts_{k}": v for k, v in vars(self.texts).items()},
            )
        partial.replace(path)

    @staticmethod
    def load(path: Path) -> Bank:
        with np.load(path) as f:
            voices, texts = (
                Ragged(*(f[f"{m}_{k}"] for k in ("values", "offsets", "labels")))
                for m in ("voices", "texts")
            )
            return Bank(f["faces"], f["face_labels"], voices, texts)


def ragged(sequences: list[Rows], labels: list[int]) -> Ragged:
    ends = np.cumsum([0, *map(len, sequences)])
    return Ragged(np.concatenate(sequences), ends.astype(np.int64), np.array(labels, np.int64))


def network(path: Path, channels: int, width: int) -> ResNet18:
    """A trained ResNet-18 with its weights rounded as a checkpoint rounds them."""
    if not path.is_file():
        raise UserError(f"{path} is missing; train that part first (see `make weights`).")
    net = ResNet18(channels, width, len(LABELS))
    net.load_state_dict(load_file(path))
    rounded(net)
    return net.eval()


def rounded(module: nn.Module) -> None:
    """Round every weight to float16, in place."""
    with torch.no_grad():
        for tensor in module.state_dict().values():
            if tensor.is_floating_point():
                tensor.copy_(tensor.half().float())


def sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def some_of_each(labels: NDArray[np.int64], per_class: int, seed: int) -> NDArray[np.int64]:
    """Numbers of at most `per_class` random samples of each label."""
    random = np.random.default_rng(seed)
    by_class = [np.flatnonzero(labels == c) for c in range(len(LABELS))]
    return np.concatenate([random.permutation(mine)[:per_class] for mine in by_class])


def face_rows(
    faces: fer2013.Faces, net: ResNet18, per_class: int, versions: int, seed: int
) -> tuple[Rows, NDArray[np.int64]]:
    """Augmented rows of at most `per_class` pictures of each label."""
    chosen = some_of_each(faces.labels, per_class, seed)
    generator = torch.Generator().manual_seed(seed)
    rows = []
    for part in tqdm(np.array_split(chosen, -(-len(chosen) // 64)), "face rows", mininterval=2):
        images = torch.from_numpy(faces.images[part]).float()[:, None]
        images = images.repeat_interleave(versions, 0)
        crops = augment.faces(images, generator).round().to(torch.uint8).numpy()
        with torch.inference_mode():
            out = net.row(torch.from_numpy(face.normalise(crops))).numpy()
        rows.append(out.reshape(len(part), versions, -1).astype(np.float16))
    return np.concatenate(rows), faces.labels[chosen]


def voice_rows(
    clips: list[Clip], net: ResNet18, spec: FeatureSpec, versions: int, seed: int
) -> Ragged:
    """Rows of each clip at `versions` phases of the grid; all but the first are augmented."""
    random = np.random.default_rng(seed)
    generator = torch.Generator().manual_seed(seed)
    deltas = Deltas(spec.voice)
    sequences, labels = [], []
    for clip in tqdm(clips, "voice rows", mininterval=2):
        length = len(samples(clip, spec.voice.sample_rate))
        for version in range(versions):
            phase = int(random.integers(0, 4_000))
            mels, steps = live_crops(clip, spec.voice, spec.step_ms, phase)
            rows = np.zeros(
                (len(live_ends(length, spec.voice, spec.step_ms, phase)), spec.voice.dim),
                np.float16,
            )
            if len(steps):
                x = torch.from_numpy(mels)
                if version:
                    x = deltas(sounds.sounds(x[:, 0], spec.voice, generator))
                with torch.inference_mode():
                    rows[steps] = net.row(x).numpy()
            sequences.append(rows)
            labels.append(clip.label)
    return ragged(sequences, labels)


def word_vectors(
    utterances: list[Utterance], encoder: TextEncoder, plain: bool
) -> list[NDArray[np.float16]]:
    """Per utterance its words' vectors [words, dim], at most `max_words`; `plain`: bare text."""
    vectors = []
    for utterance in tqdm(utterances, "text rows", mininterval=2):
        words = (bare(utterance.text) if plain else utterance.text).split()
        words = words[: encoder.spec.max_words]
        vectors.append(encoder.word_vectors(words).astype(np.float16))
    return vectors


def text_rows(
    utterances: list[Utterance], encoder: TextEncoder, per_class: int, seed: int
) -> Ragged:
    """Rows of at most `per_class` utterances of each label, twice: as written and as bare words."""
    numbers = some_of_each(np.array([u.label for u in utterances]), per_class, seed)
    utterances = [utterances[i] for i in numbers]
    sequences, labels = [], []
    for plain in (False, True):
        for utterance, rows in zip(
            utterances, word_vectors(utterances, encoder, plain), strict=True
        ):
            if len(rows):
                sequences.append(rows)
                labels.append(utterance.label)
    return ragged(sequences, labels)
