"""NORM-TR of a recognizer on label-paired windows of given people, beside the best late fusion."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from tqdm import tqdm

from normtr.calibration import with_neutral
from normtr.checkpoint import Checkpoint
from normtr.errors import UserError
from normtr.spec import LABELS, MODALITIES
from training.data import face_files, meld, ravdess
from training.evaluation import gap_metrics, probability_calibration
from training.evaluation.missing_patterns import conditions
from training.evaluation.noise_curves import in_slices
from training.evaluation.part_scores import scores
from training.noise import RATES
from training.recognizer import late_fusion, parts, row_bank
from training.recognizer.face_crops import cropped
from training.recognizer.pairing import Pairing, draw
from training.recognizer.true_pairs import NEUTRAL
from training.samples import Samples, numbered
from training.windows import Windows

VERSIONS = 4
"""Each picture has this many augmented copies."""
TOGETHER = 700
"""So many windows are in memory at a time."""
EVERYDAY = 0.6
"""The share of neutral windows in the second prior that is reported."""
WHOLE = "0.0"
"""The rate at which nothing is lost."""


@dataclass(frozen=True)
class Fused:
    """The files of people: pictures and their split, a folder of RAVDESS actors, a MELD table."""

    faces: Path
    split: int
    voice: Path
    text: Path


def fused(
    recognizer: Checkpoint, folder: Path, sources: Fused, seed: int, n: int
) -> dict[str, Any]:
    """Return the report of `normtr evaluate --part fusion`. Raises UserError for unusable data."""
    if n < 1:
        raise UserError("--n is 1 or more.")
    rival = in_slices(late_fusion.read(folder))
    people = row_bank.of_strangers(
        cropped(face_files.load(sources.faces, sources.split), recognizer.spec.face).labelled,
        ravdess.load(sources.voice, calm_is_neutral=True),
        meld.load(sources.text),
        parts.of_checkpoint(recognizer),
        recognizer.spec,
        VERSIONS,
        seed,
        read=False,
    )
    _check(people)
    pairing = Pairing(people, recognizer.spec.steps, seed)
    heads = parts.of_checkpoint(recognizer).heads
    network, calibration = in_slices(recognizer.norm_tr.module()), recognizer.calibration
    everyday = with_neutral(EVERYDAY, LABELS)
    found: dict[str, list[NDArray[Any]]] = defaultdict(list)
    for begin in tqdm(range(0, n, TOGETHER), "windows", unit=f" x {TOGETHER}"):
        keys = [(0, i) for i in range(begin, min(begin + TOGETHER, n))]
        # Gaps are keyed by the window's number, however many are in memory.
        samples = numbered(draw(pairing, keys), begin)
        found["labels"].append(samples.windows.labels.numpy())
        read = late_fusion.as_logits(samples.windows, heads)
        for name, version in _versions(samples, seed):
            logits, valid = network(version), version.valid
            found[name].append(probability_calibration.probabilities(calibration, logits, valid))
            if name == WHOLE:
                found["told"].append(
                    probability_calibration.probabilities(calibration, logits, valid, everyday)
                )
            found[f"nothing {name}"].append(~version.valid.any(2).any(1).numpy())
            late = rival(Windows(read.rows, valid, read.labels))
            found[f"late {name}"].append(late.argmax(1).numpy())
    whole = {name: np.concatenate(pieces) for name, pieces in found.items()}
    return _report(whole, calibration.threshold)


def _check(people: row_bank.Bank) -> None:
    of = (people.face_labels, people.voices.labels, people.texts.labels)
    for modality, labels in zip(MODALITIES, of, strict=True):
        if lacking := set(range(len(LABELS))) - set(labels.tolist()):
            names = ", ".join(LABELS[i] for i in sorted(lacking))
            raise UserError(f"windows cannot be paired: the {modality} data have no {names}.")


def _versions(samples: Samples, seed: int) -> Iterator[tuple[str, Windows]]:
    """Yield the windows at every rate of lost steps and with every choice of modalities."""
    for rate in RATES:
        yield f"{rate:.1f}", samples.under("windows", rate, seed)
    for there in conditions(MODALITIES):
        yield "+".join(there), samples.only(there)


def _report(found: dict[str, NDArray[Any]], tau: float) -> dict[str, Any]:
    labels = found["labels"]
    rates = [f"{rate:.1f}" for rate in RATES]
    of = {r: gap_metrics.reliability(found[r], labels, found[f"nothing {r}"], tau) for r in rates}
    subsets = ["+".join(there) for there in conditions(MODALITIES)]
    everything = found[WHOLE]
    leads = [_lead(found[r], found[f"late {r}"], labels) for r in rates]

    def right(name: str) -> float:
        return float((found[name].argmax(1) == labels).mean())

    def late(name: str) -> float:
        return float((found[f"late {name}"] == labels).mean())

    return {
        **scores(everything, labels, np.ones(len(labels), np.bool_)),
        "rates": list(RATES),
        "accuracy_by_rate": [of[r].accuracy for r in rates],
        "late_fusion_accuracy_by_rate": [late(r) for r in rates],
        "lead_by_rate": [_mean(lead) for lead in leads],
        "lead": _mean(np.mean(leads, axis=0)),
        "ece_by_rate": [of[r].ece for r in rates],
        "nll_by_rate": [of[r].nll for r in rates],
        "brier_by_rate": [of[r].brier for r in rates],
        "coverage_by_rate": [of[r].coverage for r in rates],
        "selective_accuracy_by_rate": [of[r].selective_accuracy for r in rates],
        "accuracy_of_the_surest_by_rate": [of[r].accuracy_of_the_surest for r in rates],
        "modality_subsets": {s: right(s) for s in subsets} | {"face+voice+text": right(WHOLE)},
        "late_fusion_subsets": {s: late(s) for s in subsets} | {"face+voice+text": late(WHOLE)},
        "risk_coverage": gap_metrics.risk_coverage(everything, labels),
        "everyday": _everyday(found["told"], everything, labels),
        "threshold": tau,
    }


def _lead(
    ours: NDArray[np.float64], late: NDArray[np.int64], labels: NDArray[np.int64]
) -> NDArray[np.float64]:
    """Return [n]: 1 where only NORM-TR is right, -1 where only the late fusion is, else 0."""
    return np.asarray((ours.argmax(1) == labels).astype(float) - (late == labels))


def _mean(lead: NDArray[np.float64]) -> dict[str, float]:
    """Return the mean lead over windows [n], with its 95 % interval."""
    error = 1.96 * float(lead.std()) / len(lead) ** 0.5
    mean = float(lead.mean())
    return {"mean": mean, "low": mean - error, "high": mean + error}


def _everyday(
    told: NDArray[np.float64], not_told: NDArray[np.float64], labels: NDArray[np.int64]
) -> dict[str, float]:
    """Return scores where EVERYDAY of all windows are neutral, with and without being told so."""
    share = np.where(labels == NEUTRAL, EVERYDAY, (1 - EVERYDAY) / (len(LABELS) - 1))
    random = np.random.default_rng(0)
    chosen = random.choice(len(labels), len(labels), p=share / share.sum())
    out: dict[str, float] = {"neutral": EVERYDAY}
    for name, p in (("told", told), ("not_told", not_told)):
        found = gap_metrics.reliability(
            p[chosen], labels[chosen], np.zeros(len(labels), np.bool_), tau=0.0
        )
        out |= {f"accuracy_{name}": found.accuracy, f"ece_{name}": found.ece}
    return out
