"""Judges a recognizer on clips of people who are seen and heard, through the live pipe."""

from __future__ import annotations

import os
from contextlib import closing
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from tqdm import tqdm

from normtr.errors import UserError
from normtr.spec import MODALITIES
from training.data.extraction.clip_features import Unusable
from training.data.labelled_clips import LabelledClip
from training.evaluation.part_scores import among, scores
from training.processes import spread
from training.recognizer.clip_estimates import FUSED, ClipEstimates, Estimator


def report(folder: Path, clips: list[LabelledClip]) -> dict[str, Any]:
    """Return the report of `normtr evaluate --part clips` with the recognizer in `folder`.

    A clip's answer is the mean log-probability of its estimates, among the classes that occur.
    `modalities` has the scores of each modality alone, `by_person` those of each person. Raises
    UserError when a clip cannot be read.
    """
    found = _estimates(folder, [clip.path for clip in clips])
    labels = np.array([clip.label for clip in clips])
    said = {
        name: among(np.stack([_mean_log(of.probabilities[name]) for of in found]), labels)
        for name in (FUSED, *MODALITIES)
    }
    judged = np.ones(len(clips), np.bool_)
    people = np.array([clip.person for clip in clips])
    told = ("n", "accuracy", "uar", "weighted_f1", "macro_f1", "ece")
    answered = np.concatenate([~of.abstained for of in found])
    right = np.concatenate(
        [
            of.probabilities[FUSED].argmax(1) == label
            for of, label in zip(found, labels, strict=True)
        ]
    )
    return {
        **scores(said[FUSED], labels, judged),
        "modalities": {m: _some(scores(said[m], labels, judged), told) for m in MODALITIES},
        "by_person": {
            person: _some(scores(said[FUSED][of], labels[of], judged[of]), told)
            for person in np.unique(people).tolist()
            for of in [people == person]
        },
        "coverage": float(answered.mean()),
        "selective_accuracy": float(right[answered].mean()) if answered.any() else None,
    }


def _estimates(folder: Path, paths: list[Path]) -> list[ClipEstimates]:
    """Return the estimates of each clip, in order, computed on all cores."""
    found: dict[Path, ClipEstimates] = {}
    results = spread(paths, partial(Estimator, folder), os.cpu_count() or 1)
    with closing(results), tqdm(desc="clips", total=len(paths)) as bar:
        for path, of in results:
            if of is None:
                raise UserError(f"the process that read {path} died.")
            if isinstance(of, Unusable):
                raise UserError(f"{path} cannot be used: {of.reason}")
            found[path] = of
            bar.update()
    return [found[path] for path in paths]


def _mean_log(probabilities: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the mean log-probability [C] of estimates [steps, C]."""
    return np.asarray(np.log(np.maximum(probabilities, 1e-12)).mean(0))


def _some(scores: dict[str, Any], keys: tuple[str, ...]) -> dict[str, Any]:
    return {key: scores[key] for key in keys}
