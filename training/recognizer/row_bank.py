"""Rows of many people's faces, voices and words, from which paired windows are made."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from tqdm import tqdm

from normtr import face
from normtr.spec import FeatureSpec
from training import run_folder
from training.data.meld import MeldUtterance
from training.data.speech import Clip
from training.recognizer import augment
from training.recognizer.asr_noise import AsrNoise, bare_said
from training.recognizer.face_crops import FaceCrops
from training.recognizer.parts import Parts, centred
from training.recognizer.text_rows import Said, word_vectors
from training.recognizer.voice_rows import VoiceRows, voice_rows

Rows = NDArray[np.floating[Any]]
Folds = NDArray[np.int64]
"""int64 [n]: the number of the Parts that reads each sample."""


@dataclass(frozen=True)
class Ragged:
    """Sequences of rows, one after another: sequence i is values[offsets[i]:offsets[i + 1]]."""

    values: Rows
    """float [rows, dim]; a row of NaN means that there is none, as in a voice's silent step."""
    offsets: NDArray[np.int64]
    """int64 [sequences + 1]."""
    labels: NDArray[np.int64]
    """int64 [sequences], indices into `normtr.spec.LABELS`."""

    def __getitem__(self, index: int) -> Rows:
        return self.values[self.offsets[index] : self.offsets[index + 1]]

    def part(self, chosen: NDArray[np.bool_]) -> Ragged:
        """Return the sequences that are chosen, bool [n]; at least one is."""
        numbers = np.flatnonzero(chosen).tolist()
        return ragged([self[i] for i in numbers], self.labels[numbers].tolist())


@dataclass(frozen=True)
class Pairs:
    """Clips of people who are seen and heard at once: their centred logits in each step."""

    faces: Ragged
    """A sequence for each clip, as of voices: NaN where there is no face."""
    voices: Ragged
    """The voices in the same steps."""
    people: NDArray[np.str_]
    """Who is in each clip."""

    def part(self, chosen: NDArray[np.bool_]) -> Pairs:
        """Return the clips that are chosen, bool [n]."""
        return Pairs(self.faces.part(chosen), self.voices.part(chosen), self.people[chosen])


@dataclass(frozen=True)
class Bank:
    """The rows of faces, voices and texts with their labels."""

    faces: Rows
    """float [pictures, versions, dim]: the augmented versions of each picture."""
    face_labels: NDArray[np.int64]
    """int64 [pictures]."""
    voices: Ragged
    """A sequence for each version of a clip: its rows on the 250 ms grid."""
    texts: Ragged
    """A sequence for each version of an utterance: the rows of its words."""
    pairs: Pairs | None = None
    """What is known of faces and voices of one person, if anything is."""

    @property
    def dims(self) -> dict[str, int]:
        return {
            "face": self.faces.shape[-1],
            "voice": self.voices.values.shape[-1],
            "text": self.texts.values.shape[-1],
        }

    def save(self, path: Path) -> None:
        sequences = {"voices": self.voices, "texts": self.texts}
        arrays: dict[str, NDArray[Any]] = {"faces": self.faces, "face_labels": self.face_labels}
        if self.pairs is not None:
            sequences |= {"pair_faces": self.pairs.faces, "pair_voices": self.pairs.voices}
            arrays["people"] = self.pairs.people
        named = {f"{m}_{k}": v for m, of in sequences.items() for k, v in vars(of).items()}
        run_folder.write_arrays(path, arrays | named)

    @staticmethod
    def load(path: Path) -> Bank:
        with np.load(path) as f:

            def sequences(of: str) -> Ragged:
                return Ragged(*(f[f"{of}_{k}"] for k in ("values", "offsets", "labels")))

            pairs = (
                Pairs(sequences("pair_faces"), sequences("pair_voices"), f["people"])
                if "people" in f
                else None
            )
            return Bank(
                f["faces"], f["face_labels"], sequences("voices"), sequences("texts"), pairs
            )


def ragged(sequences: Sequence[Rows], labels: Sequence[int]) -> Ragged:
    ends = np.cumsum([0, *map(len, sequences)])
    return Ragged(np.concatenate(sequences), ends.astype(np.int64), np.array(labels, np.int64))


def some_of_each(labels: NDArray[np.int64], most: int, seed: int) -> NDArray[np.int64]:
    """Choose at most `most` random samples of each label; return their numbers in order."""
    random = np.random.default_rng(seed)
    chosen = [random.permutation(np.flatnonzero(labels == c))[:most] for c in np.unique(labels)]
    return np.sort(np.concatenate(chosen))


def of_strangers(
    pictures: FaceCrops,
    clips: Sequence[Clip],
    utterances: Sequence[MeldUtterance],
    parts: Parts,
    spec: FeatureSpec,
    versions: int,
    seed: int,
    read: bool,
) -> Bank:
    """Make a bank of people that the parts never saw.

    It has `versions` of all pictures, the clips as recorded, and all utterances. With `read` its
    rows are the centred logits of the parts' heads.
    """
    one: Folds = np.zeros(max(map(len, (pictures.labels, clips, utterances))), np.int64)
    return Bank(
        faces(pictures, (parts,), one[: len(pictures.labels)], versions, seed, read),
        pictures.labels,
        voices(clips, voice_rows(list(clips), spec, 1, seed), (parts,), one, read),
        texts(utterances, (parts,), one[: len(utterances)], spec, seed, read),
    )


def faces(
    pictures: FaceCrops, parts: Sequence[Parts], of: Folds, versions: int, seed: int, read: bool
) -> Rows:
    """Return the rows of augmented pictures, float16 [n, versions, dim].

    With `read` they are the heads' centred logits, float32 [n, versions, classes].
    """
    generator = torch.Generator().manual_seed(seed)
    rows = []
    parted = np.array_split(np.arange(len(of)), -(-len(of) // 64))
    for numbers in tqdm(parted, "face rows", mininterval=2):
        images = torch.from_numpy(pictures.images[numbers]).float()[:, None]
        images = images.repeat_interleave(versions, 0)
        crops = augment.faces(images, generator).round().to(torch.uint8).numpy()
        x = torch.from_numpy(face.normalise(crops))
        owner = np.repeat(of[numbers], versions)
        out = np.empty((len(x), _width(parts[0].face.head, read)), np.float32)
        with torch.inference_mode():
            for k, reader in enumerate(parts):
                mine = owner == k
                if mine.any():
                    row = reader.face.row(x[torch.from_numpy(mine)])
                    out[mine] = (centred(reader.face.head, row) if read else row).numpy()
        rows.append(out.reshape(len(numbers), versions, -1))
    joined = np.concatenate(rows)
    return joined if read else joined.astype(np.float16)


def _width(head: torch.nn.Linear, read: bool) -> int:
    return head.out_features if read else head.in_features


def voices(
    clips: Sequence[Clip], rows: VoiceRows, parts: Sequence[Parts], of: Folds, read: bool
) -> Ragged:
    """Return the rows of each version of each clip, from its first heard step to its last."""
    x = torch.from_numpy(rows.values.astype(np.float32))
    values: Rows = np.empty((len(x), _width(parts[0].voice.head, read)), np.float32)
    for k, reader in enumerate(parts):
        mine = of[rows.clip] == k
        with torch.inference_mode():
            row = reader.voice.row(x[torch.from_numpy(mine)])
            values[mine] = (centred(reader.voice.head, row) if read else row).numpy()
    if not read:
        values = values.astype(np.float16)
    sequences, labels = [], []
    keys = rows.clip * (rows.version.max(initial=0) + 1) + rows.version
    for key in np.unique(keys):
        mine = np.flatnonzero(keys == key)
        steps = rows.step[mine]
        sequence = np.full((steps.max() - steps.min() + 1, values.shape[1]), np.nan, values.dtype)
        sequence[steps - steps.min()] = values[mine]
        sequences.append(sequence)
        labels.append(clips[int(rows.clip[mine[0]])].label)
    return ragged(sequences, labels)


def texts(
    utterances: Sequence[MeldUtterance],
    parts: Sequence[Parts],
    of: Folds,
    spec: FeatureSpec,
    seed: int,
    read: bool,
) -> Ragged:
    """Return the rows of each utterance's words in three versions.

    They are as written, bare, and as a recogniser hears them. BERT reads them after what was said
    before the utterance.
    """
    asr_noise = AsrNoise(u.text for u in utterances)
    random = np.random.default_rng(seed)
    sequences: list[Rows] = []
    labels: list[int] = []
    written = [Said(u.text, u.before) for u in utterances]
    said = [
        written,
        [bare_said(s) for s in written],
        [asr_noise.said(s, random) for s in written],
    ]
    for k, reader in enumerate(parts):
        mine = np.flatnonzero(of == k).tolist()
        for version in said:
            vectors = word_vectors([version[i] for i in mine], spec.text, reader.adapter)
            for number, words in zip(mine, vectors, strict=True):
                if len(words):
                    row: Rows = words.astype(np.float16)
                    if read:
                        row = centred(reader.text, torch.from_numpy(words)).numpy()
                    sequences.append(row)
                    labels.append(utterances[number].label)
    return ragged(sequences, labels)
