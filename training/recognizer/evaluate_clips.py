"""Judges a recognizer on clips of people who are seen and heard, through the live pipe."""

from __future__ import annotations

import os
from collections.abc import Sequence
from contextlib import closing
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from tqdm import tqdm

from normtr.checkpoint import Checkpoint
from normtr.errors import UserError
from normtr.predictor import Predictor
from normtr.running_baseline import RunningBaseline
from normtr.spec import MODALITIES
from normtr.window import Window
from training.data.extraction.clip_features import Unusable
from training.data.labelled_clips import LabelledClip
from training.evaluation.part_scores import among, scores
from training.processes import spread
from training.recognizer.clip_orders import Order, shown
from training.recognizer.clip_windows import ClipReader, only

FUSED = "fused"


@dataclass(frozen=True)
class ClipEstimates:
    """The estimates of a clip's steps."""

    probabilities: dict[str, NDArray[np.float64]]
    """float64 [steps, C], calibrated, by what was looked at: FUSED, `face`, `voice`, `text`."""
    abstained: NDArray[np.bool_]
    """bool [steps]: where the recognizer abstains, looking at everything."""


def report(
    recognizer: Checkpoint, folder: Path, clips: list[LabelledClip], order: Order, seed: int
) -> dict[str, Any]:
    """Return the report of `normtr evaluate --part clips` with the recognizer in `folder`.

    A clip's answer is the mean log-probability of its estimates, among the classes that occur. In
    an `order` other than ALONE a running baseline follows each person. `modalities` has the scores
    of each modality alone, `by_person` those of each person. Raises UserError when a clip cannot be
    read, and when the recognizer has no running baseline and the order needs one.
    """
    if order != Order.ALONE and not recognizer.crowd:
        raise UserError("this recognizer has no running baseline; give --order alone.")
    read = _windows(folder, [clip.path for clip in clips])
    if order != Order.ALONE:
        read = _without_baselines(recognizer, read, clips, order, seed)
    predictor = Predictor(recognizer)
    found = [_estimates(predictor, windows) for windows in tqdm(read, "judging", mininterval=2)]
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
        "order": order,
    }


def _windows(folder: Path, paths: list[Path]) -> list[list[Window]]:
    """Return the windows of each clip, in order, computed on all cores."""
    found: dict[Path, list[Window]] = {}
    results = spread(paths, partial(ClipReader, folder), os.cpu_count() or 1)
    with closing(results), tqdm(desc="clips", total=len(paths)) as bar:
        for path, of in results:
            if of is None:
                raise UserError(f"the process that read {path} died.")
            if isinstance(of, Unusable):
                raise UserError(f"{path} cannot be used: {of.reason}")
            found[path] = of
            bar.update()
    return [found[path] for path in paths]


def _without_baselines(
    recognizer: Checkpoint,
    read: list[list[Window]],
    clips: Sequence[LabelledClip],
    order: Order,
    seed: int,
) -> list[list[Window]]:
    """Return the windows of all clips after a running baseline has followed each person."""
    moved, predictor = list(read), Predictor(recognizer)
    random = np.random.default_rng(seed)
    for person in sorted({clip.person for clip in clips}):
        mine = [i for i, clip in enumerate(clips) if clip.person == person]
        baseline = RunningBaseline(recognizer)
        labels = np.array([clips[i].label for i in mine])
        for place, is_judged in shown(order, labels, random):
            after = []
            for window in read[mine[place]]:
                after.append(baseline(window))
                (said,) = predictor([after[-1]])
                baseline.learn(window, said.probabilities)
            if is_judged:
                moved[mine[place]] = after
    return moved


def _estimates(predictor: Predictor, windows: list[Window]) -> ClipEstimates:
    said = predictor(windows)
    probabilities = {FUSED: np.array([p.probabilities for p in said])}
    for modality in MODALITIES:
        alone = predictor([only(window, modality) for window in windows])
        probabilities[modality] = np.array([p.probabilities for p in alone])
    return ClipEstimates(probabilities, np.array([p.abstained for p in said]))


def _mean_log(probabilities: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the mean log-probability [C] of estimates [steps, C]."""
    return np.asarray(np.log(np.maximum(probabilities, 1e-12)).mean(0))


def _some(scores: dict[str, Any], keys: tuple[str, ...]) -> dict[str, Any]:
    return {key: scores[key] for key in keys}
