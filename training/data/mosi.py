"""CMU-MOSI as Poria et al. (2017) split it: transcripts, and vectors for whole utterances."""

from __future__ import annotations

import functools
import hashlib
from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Self
from zipfile import BadZipFile

import numpy as np
from numpy.typing import NDArray
from tqdm import tqdm

from normtr import models
from normtr.adapter import EMOTIONAL, read
from normtr.errors import UserError
from normtr.spec import TextSpec
from normtr.text import TextEncoder
from training import noise
from training.data.folder import DATA
from training.evaluation import metrics
from training.parallel_cpu import one_thread
from training.samples import SPLITS, Samples, Split, windows

FOLDER = DATA / "mosi_utterance"
WORDS_VALID = 12
"""The number of train_'s videos that validate in the views with words."""
GIVEN_VALID = 6
"""The number of test_'s videos that validate the given features, whose extractors saw train_'s
labels."""

Rows = NDArray[np.float32]


@dataclass(frozen=True)
class Utterances:
    """One part of the file, ordered by video and by the place in the video."""

    ids: tuple[str, ...]
    videos: tuple[str, ...]
    labels: NDArray[np.float32]
    """float32 [n] in [-3, 3]."""
    texts: tuple[str, ...]
    vectors: dict[str, Rows]
    """The given features by modality, float [n, dim]."""

    def of(self, videos: set[str], *, there: bool) -> Utterances:
        """Return the utterances of these videos, or of all others if not `there`."""
        chosen = [i for i, video in enumerate(self.videos) if (video in videos) == there]
        return Utterances(
            tuple(self.ids[i] for i in chosen),
            tuple(self.videos[i] for i in chosen),
            self.labels[chosen],
            tuple(self.texts[i] for i in chosen),
            {m: x[chosen] for m, x in self.vectors.items()},
        )


def load(folder: Path, part: str) -> Utterances:
    """Read a part of the file, train or test, without the utterances that have no label.

    Raises UserError when it cannot be read.
    """
    path = folder / "mosi_utterance.npz"
    try:
        with np.load(path, allow_pickle=False) as data:
            got = {
                key: data[f"{part}_{key}"]
                for key in ("id", "sentiment", "text_raw", "text", "audio", "video")
            }
    except (OSError, ValueError, KeyError, EOFError, BadZipFile) as error:
        raise UserError(f"{path} cannot be read as CMU-MOSI: {error}.") from None
    names = [str(name).rpartition("_") for name in got["id"]]
    order = sorted(range(len(names)), key=lambda i: (names[i][0], int(names[i][2])))
    order = [i for i in order if np.isfinite(got["sentiment"][i])]
    return Utterances(
        tuple(str(got["id"][i]) for i in order),
        tuple(names[i][0] for i in order),
        got["sentiment"][order].astype(np.float32),
        tuple(str(got["text_raw"][i]) for i in order),
        {m: got[k][order] for m, k in (("face", "video"), ("voice", "audio"), ("text", "text"))},
    )


def smallest(videos: Sequence[str], count: int, fold: int = 0) -> set[str]:
    """Return the `count` videos whose ids have the smallest sha256.

    Fold 1 has the `count` videos after them, and so on.
    """
    by_hash = sorted(set(videos), key=lambda video: hashlib.sha256(video.encode()).hexdigest())
    return set(by_hash[fold * count : (fold + 1) * count])


def history(videos: Sequence[str], steps: int) -> tuple[NDArray[np.int64], NDArray[np.bool_]]:
    """Return the indices [n, T] of each utterance (last) and of those before it in its video.

    Also return which of them exist, bool [n, T].
    """
    index = np.arange(len(videos))[:, None] + np.arange(1 - steps, 1)[None]
    named = np.asarray(videos)
    there = (index >= 0) & (named[np.maximum(index, 0)] == named[:, None])
    return np.where(there, index, 0), there


@dataclass(frozen=True)
class _Mosi(ABC):
    """What all views of the folder have in common."""

    path: Path = FOLDER
    steps: int = 8
    modalities: tuple[str, ...] = ("voice", "text")

    @property
    def classes(self) -> None:
        return None

    @property
    def outputs(self) -> int:
        return 1

    def scores(self, outputs: NDArray[np.floating[Any]], labels: NDArray[Any]) -> dict[str, float]:
        return metrics.sentiment(labels, outputs[:, 0])

    @abstractmethod
    def utterances(self, split: Split) -> Utterances:
        """Return the utterances of the split."""

    def groups(self) -> dict[Split, set[str]]:
        return {split: set(self.utterances(split).videos) for split in SPLITS}

    def at(self, path: Path) -> Self:
        return replace(self, path=path)


@functools.cache
def _encoder(model: str, dim: int, layers: tuple[int, ...], adapted: bool) -> TextEncoder:
    adapter = read(EMOTIONAL) if adapted else None
    return TextEncoder(TextSpec(model=model, dim=dim), layers=layers, adapter=adapter)


@functools.lru_cache(2)
def word_rows(
    folder: Path,
    part: str,
    rate: float,
    seed: int,
    model: str,
    dim: int,
    layers: tuple[int, ...],
    adapted: bool,
) -> dict[str, tuple[Rows, NDArray[np.bool_]]]:
    """Return for each utterance of a part, by its id, rows [words, dim] and which words were kept.

    BERT does not read an erased word, and its row is zero. The result is remembered, because every
    fold and view of the part needs the same.
    """
    encoder = _encoder(model, dim, layers, adapted)
    said = load(folder, part)
    out = {}
    texts = tqdm(list(zip(said.ids, said.texts, strict=True)), "words to BERT", leave=False)
    with one_thread():
        for name, text in texts:
            words = text.lower().split()
            kept = noise.uniforms(seed, "text", name, len(words)) >= rate
            rows = np.zeros((len(words), encoder.dim), np.float32)
            rows[kept] = encoder.word_vectors([w for w, k in zip(words, kept, strict=True) if k])
            out[name] = (rows, kept)
    return out


@dataclass(frozen=True)
class _Transcripts(_Mosi):
    """A view with rows of words, which can be erased before BERT reads them."""

    model: str = models.TEXT
    dim: int = 384
    layers: tuple[int, ...] = (3, 4, 5, 6)
    """The layers of BERT whose hidden states are concatenated to a row."""
    adapted: bool = True
    """Whether our adapter for emotion in speech is added to the embedded BERT."""
    fold: int = 0
    """Which dozen of train_'s videos validates, from 0 to 4 (in the order of their hashes)."""

    def load(self, split: Split) -> Samples:
        return self.without_words(split, 0.0, 0)

    @abstractmethod
    def without_words(self, split: Split, rate: float, seed: int) -> Samples:
        """Return the samples of the split without the erased words."""

    def utterances(self, split: Split) -> Utterances:
        if split == "test":
            return load(self.path, "test")
        train = load(self.path, "train")
        return train.of(smallest(train.videos, WORDS_VALID, self.fold), there=split == "valid")

    def spoken(
        self, split: Split, rate: float, seed: int
    ) -> tuple[Utterances, list[tuple[Rows, NDArray[np.bool_]]]]:
        """Return the split's utterances, and for each the rows of its words and which were kept."""
        said, part = self.utterances(split), "test" if split == "test" else "train"
        how = (self.model, self.dim, self.layers, self.adapted)
        of = word_rows(self.path, part, rate, seed, *how)
        return said, [of[name] for name in said.ids]


@dataclass(frozen=True)
class MosiSentences(_Transcripts):
    """A window is an utterance and those before it in its video, a step each.

    A step has the mean of the utterance's word vectors and its audio vector. 12 train_ videos
    validate, and all of test_ tests. Erased words do not count in the mean, and a sentence without
    words is not valid.
    """

    @property
    def name(self) -> str:
        return "mosi_words"

    def without_words(self, split: Split, rate: float, seed: int) -> Samples:
        said, found = self.spoken(split, rate, seed)
        index, there = history(said.videos, self.steps)
        rows, valid = {}, {}
        if "voice" in self.modalities:
            rows["voice"], valid["voice"] = said.vectors["voice"][index], there
        if "text" in self.modalities:
            means = np.stack([x.sum(0) / max(1, int(kept.sum())) for x, kept in found])
            rows["text"] = means[index]
            valid["text"] = there & np.array([kept.any() for _, kept in found])[index]
        return Samples(said.ids, said.videos, windows(rows, valid, said.labels))


@dataclass(frozen=True)
class MosiWords(_Transcripts):
    """A window is one utterance, a word for each step, with its audio vector at every word.

    Words after the first T are cut off, and steps beyond the last word are not valid.
    """

    steps: int = 50

    @property
    def name(self) -> str:
        return "mosi_words50"

    def without_words(self, split: Split, rate: float, seed: int) -> Samples:
        said, rows_of = self.spoken(split, rate, seed)
        n = len(said.ids)
        width = self.dim * len(self.layers)
        text = np.zeros((n, self.steps, width), np.float32)
        kept, spoken = np.zeros((2, n, self.steps), np.bool_)
        for i, (found, stays) in enumerate(rows_of):
            count = min(len(found), self.steps)
            text[i, :count], kept[i, :count], spoken[i, :count] = found[:count], stays[:count], True
        voice = np.repeat(said.vectors["voice"][:, None], self.steps, axis=1)
        rows = {"voice": voice, "text": text}
        valid = {"voice": spoken, "text": kept}
        of = [m for m in rows if m in self.modalities]
        return Samples(
            said.ids,
            said.videos,
            windows({m: rows[m] for m in of}, {m: valid[m] for m in of}, said.labels),
        )


@dataclass(frozen=True)
class MosiGiven(_Mosi):
    """A window is an utterance and those before it in its video, with three given vectors each.

    The extractors of text and video were trained on train_'s labels, so all of train_ is trained
    on, 6 test_ videos validate and the other test_ videos are reported.
    """

    modalities: tuple[str, ...] = ("face", "voice", "text")

    @property
    def name(self) -> str:
        return "mosi_given"

    def utterances(self, split: Split) -> Utterances:
        if split == "train":
            return load(self.path, "train")
        said = load(self.path, "test")
        return said.of(smallest(said.videos, GIVEN_VALID), there=split == "valid")

    def load(self, split: Split) -> Samples:
        said = self.utterances(split)
        index, there = history(said.videos, self.steps)
        rows = {m: said.vectors[m][index] for m in self.modalities}
        return Samples(
            said.ids, said.videos, windows(rows, dict.fromkeys(rows, there), said.labels)
        )

    def without_words(self, split: Split, rate: float, seed: int) -> Samples:
        raise UserError("the given text vectors have no words to erase; use --mask-stage feature.")
