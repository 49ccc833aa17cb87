"""RML: six emotions in six languages by eight speakers, face and voice (Wang & Guan, 2008)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from normtr.errors import UserError
from training.data.given import Given, arrays, check, layout, there, to_steps
from training.evaluation import metrics
from training.samples import Samples, Split, windows

CLASSES = ("anger", "disgust", "fear", "happiness", "sadness", "surprise")


@dataclass(frozen=True)
class Rml(Given):
    """Features that its user extracted into `path/rml.npz`, with the arrays

    - `ids` and `speakers` [n], text; `labels` int [n], indices into `CLASSES`,
    - `face` and `voice`, float [n, t, dim], where t may differ; rows of zeros are not valid.

    The sorted speakers are cut into `folds` parts of nearly equal size (2, 2, 2, 1, 1 for 8
    speakers and 5 folds, the paper's "about 8:2"). Fold k (from 1) tests part k, the part after it
    validates, and the others are trained on. `given.to_steps` fits a t other than `steps`.
    """

    folds: int = 5
    fold: int = 1
    steps: int = 8
    modalities: tuple[str, ...] = ("face", "voice")

    @property
    def name(self) -> str:
        return "rml"

    @property
    def classes(self) -> tuple[str, ...]:
        return CLASSES

    def scores(self, outputs: NDArray[np.floating[Any]], labels: NDArray[Any]) -> dict[str, float]:
        """Return accuracy (Acc-6), UAR and weighted F1."""
        return metrics.emotions(labels, outputs.argmax(1))

    def groups(self) -> dict[Split, set[str]]:
        speakers = sorted(set(arrays(self.path / "rml.npz", ["speakers"])["speakers"].tolist()))
        if not 3 <= self.folds <= len(speakers) or not 1 <= self.fold <= self.folds:
            raise UserError(
                f"there is no fold {self.fold} of {self.folds} for {len(speakers)} speakers: "
                "there can be as many folds as speakers, and must be 3."
            )
        parts = [set(part.tolist()) for part in np.array_split(speakers, self.folds)]
        test, valid = parts[self.fold - 1], parts[self.fold % self.folds]
        return {"train": set(speakers) - test - valid, "valid": valid, "test": test}

    def load(self, split: Split) -> Samples:
        path = self.path / "rml.npz"
        data = arrays(path, ["ids", "speakers", "labels", *self.modalities])
        with layout(path):
            labels = data["labels"].astype(np.int64)
            rows = {m: data[m].astype(np.float32) for m in self.modalities}
            check(path, data["ids"].tolist(), labels, rows)
            if labels.max() >= len(CLASSES):
                raise UserError(f"{path} has labels beyond the {len(CLASSES)} classes.")
            chosen = np.flatnonzero(np.isin(data["speakers"], list(self.groups()[split])))
            rows = {m: x[chosen] for m, x in rows.items()}
            rows, valid = to_steps(rows, {m: there(x) for m, x in rows.items()}, self.steps)
            return Samples(
                tuple(data["ids"][chosen].tolist()),
                tuple(data["speakers"][chosen].tolist()),
                windows(rows, valid, labels[chosen]),
            )
