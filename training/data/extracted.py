"""A data set from a cache of `normtr extract`: each clip is one window, as live at its end."""

from __future__ import annotations

import difflib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Self

import numpy as np
import torch
from numpy.typing import NDArray
from tqdm import tqdm

from normtr import checkpoint
from normtr.errors import UserError
from normtr.shipped import SHIPPED
from normtr.spec import MODALITIES, FeatureSpec
from normtr.text import TextEncoder
from training import noise
from training.data.extraction.cache import Cache, Labelled, Manifest, Place, open_cache
from training.data.extraction.mapped import Window, mapped
from training.evaluation import metrics
from training.samples import SPLITS, Samples, Split
from training.windows import Windows

Clips = list[tuple[Labelled, Place]]


def check_labels(own: Sequence[str], of: Path, known: Sequence[str], where: Path) -> None:
    """Raise UserError for labels in `own` that are not `known`; it names the nearest known ones.

    `of` and `where` are the caches that the message names: the one with the labels, and the one
    whose labels are known.
    """
    said = []
    for name in own:
        if name not in known:
            near = difflib.get_close_matches(name, known, n=1, cutoff=0.5)
            said.append(f"{name} (nearest: {near[0] if near else 'none'})")
    if said:
        raise UserError(
            f"{of} has labels that {where} does not know: {', '.join(said)}. Known are "
            f"{', '.join(known)}; rename them in the table and run `normtr extract` again."
        )


@dataclass(frozen=True)
class Extracted:
    """The last T steps of each clip, mapped; steps before the start of a clip are not valid.

    A modality that the cache was extracted without is never valid. Groups are people.
    """

    path: Path
    steps: int = 16
    modalities: tuple[str, ...] = MODALITIES
    spec: FeatureSpec = field(default_factory=FeatureSpec)
    """The features that the rows must have; a cache of other features is refused."""
    checkpoint: Path | None = None
    """The recognizer that extracted the cache; None is the shipped one. Its text model reads the
    words again when some are erased, and its networks make the rows live."""
    labels: tuple[str, ...] | None = None
    """The classes in the order of a model's outputs, some of which the cache may lack; None means
    those of the cache, sorted."""

    @property
    def name(self) -> str:
        return self.path.name

    @property
    def manifest(self) -> Manifest:
        return self._cache().manifest

    @property
    def recognizer(self) -> Path | None:
        return self.checkpoint

    @property
    def rows_of(self) -> str:
        return self.manifest.features.checkpoint_sha256

    @property
    def classes(self) -> tuple[str, ...] | None:
        return self.labels or self.manifest.classes

    @property
    def outputs(self) -> int:
        return len(self.classes or ("a number",))

    def scores(self, outputs: NDArray[np.floating[Any]], labels: NDArray[Any]) -> dict[str, float]:
        if self.outputs == 1:
            return metrics.sentiment(labels, outputs[:, 0])
        return metrics.emotions(labels, outputs.argmax(1))

    def groups(self) -> dict[Split, set[str]]:
        clips = [clip for clip, _ in self.manifest.clips]
        return {split: {c.person for c in clips if c.split == split} for split in SPLITS}

    def at(self, path: Path) -> Self:
        """Return this data set with the cache at `path`.

        Raises UserError when its rows or labels do not fit those of the present cache.
        """
        moved = replace(self, path=path)
        if not self.path.exists():
            return moved
        here, there = self.manifest, moved.manifest
        if here.features.checkpoint_sha256 != there.features.checkpoint_sha256:
            raise UserError(f"{path} was extracted with another checkpoint than {self.path}.")
        if (self.classes is None) != (there.classes is None):
            raise UserError(f"of {path} and {self.path} one has numbers as labels, one classes.")
        check_labels(there.classes or (), path, self.classes or (), self.path)
        return replace(moved, labels=self.classes)

    def load(self, split: Split) -> Samples:
        cache, clips = self._opened(split)
        rows, valid = {}, []
        for m in self.modalities:
            dim = self.spec.dims[m]
            rows[m], there = mapped(self._windows(cache, clips, m), self.steps, dim, self.path)
            valid.append(there)
        classes = self.classes
        labels = (
            torch.tensor([float(clip.label) for clip, _ in clips])
            if classes is None
            else torch.tensor([classes.index(str(clip.label)) for clip, _ in clips])
        )
        return Samples(
            tuple(clip.id for clip, _ in clips),
            tuple(clip.person for clip, _ in clips),
            Windows(rows, torch.stack(valid, 1), labels),
        )

    def without_words(self, split: Split, rate: float, seed: int) -> Samples:
        """Return the samples of the split with words erased at `rate`.

        The words of the whole clip are thinned out, and then BERT reads what is left.
        """
        whole = self.load(split)
        cache, clips = self._opened(split)
        if "text" not in {*self.modalities} & {*cache.manifest.features.modalities}:
            return whole
        erased = self._without_words(cache, clips, rate, seed)
        rows, there = mapped(erased, self.steps, self.spec.text.dim, self.path)
        valid = whole.windows.valid.clone()
        valid[:, self.modalities.index("text")] = there
        windows = replace(whole.windows, rows={**whole.windows.rows, "text": rows}, valid=valid)
        return replace(whole, windows=windows)

    def _windows(self, cache: Cache, clips: Clips, modality: str) -> Iterator[Window]:
        if modality not in cache.manifest.features.modalities:
            nothing = np.zeros((self.steps, self.spec.dims[modality]), np.float32)
            yield from [(nothing, np.zeros(self.steps, np.bool_))] * len(clips)
            return
        flat, gaps = cache.rows(modality), cache.gaps()[:, MODALITIES.index(modality)]
        for _, place in clips:
            end = place.offset + place.steps
            last = slice(max(place.offset, end - self.steps), end)
            before = self.steps - (last.stop - last.start)
            yield np.pad(flat[last], ((before, 0), (0, 0))), np.pad(gaps[last] == 0, (before, 0))

    def _without_words(
        self, cache: Cache, clips: Clips, rate: float, seed: int
    ) -> Iterator[Window]:
        loaded = checkpoint.load(self.checkpoint or SHIPPED)
        if loaded.sha256 != cache.manifest.features.checkpoint_sha256:
            raise UserError(
                f"words of {self.path} can be erased only with the recognizer that extracted it; "
                "name its checkpoint."
            )
        encoder = TextEncoder(self.spec.text, adapter=loaded.adapter)
        spoken = cache.words()
        for clip, place in tqdm(clips, "words to BERT", leave=False):
            words = spoken[clip.id]
            kept = noise.uniforms(seed, "text", clip.id, len(words)) >= rate
            begin_ns = (place.steps - self.steps) * self.spec.step_ns
            found = encoder.rows(
                [word for word, stays in zip(words, kept, strict=True) if stays],
                begin_ns,
                self.spec.step_ns,
                self.steps,
            )
            blank = np.zeros(encoder.dim, np.float32)
            yield (
                np.stack([blank if row is None else row for row in found]),
                np.array([row is not None for row in found]),
            )

    def _opened(self, split: Split) -> tuple[Cache, Clips]:
        cache = self._cache()
        clips = [(clip, place) for clip, place in cache.manifest.clips if clip.split == split]
        if not clips:
            raise UserError(f"{self.path} has no clips of the split {split!r}.")
        return cache, clips

    def _cache(self) -> Cache:
        """Open the cache. Raises UserError when it has other features than `spec`."""
        cache = open_cache(self.path)
        features = cache.manifest.features
        if features.spec_sha256 != self.spec.sha256():
            raise UserError(f"{self.path} was extracted with another feature specification.")
        return cache
