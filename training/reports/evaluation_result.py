"""Evaluates a run on one split under one protocol, and keeps the result beside the run."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any
from zipfile import BadZipFile

import numpy as np
from numpy.typing import NDArray

from normtr import checkpoint
from normtr.errors import UserError
from normtr.known_files import sha256
from training import run_folder
from training.data.extracted import Extracted, check_labels
from training.evaluation import noise_curves
from training.evaluation.chance import Chance, chance, confusion
from training.evaluation.noise_curves import Protocol
from training.samples import DataSet, Split, loaded
from training.systems.norm_tr import NormTrSystem
from training.systems.system import System


@dataclass(frozen=True)
class EvaluationResult:
    """A run's outputs on the samples of a split, under every rate and mask seed of a protocol."""

    run: Path
    data: DataSet
    system: System
    seed: int
    split: Split
    protocol: Protocol
    checkpoint_sha256: str
    ids: tuple[str, ...]
    groups: tuple[str, ...]
    """The video or person of each sample."""
    labels: NDArray[Any]
    """[n]: numbers of classes, or values."""
    outputs: NDArray[np.float32]
    """float32 [rates, mask seeds, n, C or 1]."""

    def curves(self) -> dict[str, list[float]]:
        """Return each metric at each rate, as its mean over the mask seeds."""
        return noise_curves.curves(self.data, self.outputs, self.labels)

    def chance(self) -> Chance:
        """Compare the outputs at the lowest rate and first mask seed with a constant answer."""
        return chance(self.data, self.outputs[0, 0], self.labels)

    def confusion(self) -> NDArray[np.int64]:
        """Count the answers [C, C] at the lowest rate and first mask seed; only for classes."""
        return confusion(self.outputs[0, 0], self.labels)


def result(
    run: Path, split: Split, protocol: Protocol, data: Path | None = None
) -> EvaluationResult:
    """Evaluate a run on its own data set, or on one of the same kind at `data`.

    `run` may also be a recognizer's folder; `data` is then a cache of `normtr extract`. Outputs on
    the run's own data set are kept in its folder, and not computed again for the same weights.
    Raises UserError when the run, data and protocol do not fit.
    """
    if (run / "manifest.json").is_file():
        return _recognizer_result(run, split, protocol, data)
    found = run_folder.read(run)
    digest = sha256(found.model)
    name = [split, protocol.noise, protocol.mask_stage]
    name += [protocol.erased] * (protocol.erased != "zero")
    path = found.model.parent / f"{'-'.join(name).replace(':', '-')}.npz"
    blank = EvaluationResult(
        found.model.parent,
        found.data,
        found.system,
        found.seed,
        split,
        protocol,
        digest,
        (),
        (),
        _NONE,
        _NONE,
    )
    if data is None and (kept := _kept(path, blank)):
        return kept
    source: DataSet = found.data if data is None else found.data.at(data)
    samples = loaded(source, split)
    protocol.check(list(samples.windows.rows))
    model = found.system.model(samples.windows, source.outputs)
    run_folder.fill(model, found)
    outputs = noise_curves.predictions(
        noise_curves.in_slices(model), source, split, samples, protocol
    )
    labels = samples.windows.labels.numpy()
    made = replace(
        blank, data=source, ids=samples.ids, groups=samples.groups, labels=labels, outputs=outputs
    )
    if data is None:
        _keep(path, made)
    return made


def _recognizer_result(
    folder: Path, split: Split, protocol: Protocol, data: Path | None
) -> EvaluationResult:
    """Evaluate a recognizer; it chooses among all its classes, even those that the cache lacks."""
    recognizer = checkpoint.load(folder)
    if data is None:
        raise UserError(f"{folder} is a recognizer; name a cache of `normtr extract` by --data.")
    source = Extracted(data, recognizer.spec.steps, spec=recognizer.spec)
    manifest = source.manifest
    if manifest.features.checkpoint_sha256 != recognizer.sha256:
        raise UserError(f"{data} was extracted with another recognizer than {folder}.")
    if manifest.classes is None:
        raise UserError(f"the labels of {data} are numbers, and {folder} tells classes.")
    check_labels(manifest.classes, data, recognizer.labels, folder)
    source = replace(source, labels=recognizer.labels)
    samples = loaded(source, split)
    protocol.check(list(samples.windows.rows))
    predict = noise_curves.in_slices(recognizer.norm_tr.module())
    return EvaluationResult(
        folder,
        source,
        NormTrSystem(),
        0,
        split,
        protocol,
        recognizer.sha256,
        samples.ids,
        samples.groups,
        samples.windows.labels.numpy(),
        noise_curves.predictions(predict, source, split, samples, protocol),
    )


def per_rate_result(
    run: Path, split: Split, protocol: Protocol, data: Path | None
) -> EvaluationResult:
    """Evaluate a run that has a model for each rate (`normtr train --protocol per-rate`).

    The arguments are those of `result`.
    """
    at_rates = [
        result(run / run_folder.rate_folder(rate), split, replace(protocol, rates=(rate,)), data)
        for rate in protocol.rates
    ]
    digests = "".join(one.checkpoint_sha256 for one in at_rates)
    return replace(
        at_rates[0],
        run=run,
        protocol=protocol,
        checkpoint_sha256=hashlib.sha256(digests.encode()).hexdigest(),
        outputs=np.concatenate([one.outputs for one in at_rates]),
    )


def joined(folds: Sequence[EvaluationResult]) -> EvaluationResult:
    """Join the results of a system that was trained for each fold, with all folds' samples.

    Raises UserError when two folds have the same samples.
    """
    first = folds[0]
    if len(folds) == 1:
        return first
    ids = tuple(name for fold in folds for name in fold.ids)
    if len(set(ids)) != len(ids):
        raise UserError(f"folds of {first.run} test the same samples.")
    digests = "".join(fold.checkpoint_sha256 for fold in folds)
    return replace(
        first,
        checkpoint_sha256=hashlib.sha256(digests.encode()).hexdigest(),
        ids=ids,
        groups=tuple(group for fold in folds for group in fold.groups),
        labels=np.concatenate([fold.labels for fold in folds]),
        outputs=np.concatenate([fold.outputs for fold in folds], axis=2),
    )


_NONE = np.zeros(0, np.float32)


def _keep(path: Path, result: EvaluationResult) -> None:
    run_folder.write_arrays(
        path,
        {
            "checkpoint_sha256": np.array(result.checkpoint_sha256),
            "rates": np.array(result.protocol.rates),
            "mask_seeds": np.array(result.protocol.mask_seeds),
            "ids": np.array(result.ids),
            "groups": np.array(result.groups),
            "labels": result.labels,
            "outputs": result.outputs,
        },
    )


def _kept(path: Path, blank: EvaluationResult) -> EvaluationResult | None:
    """Return the result in the file; None if it has other weights or mask seeds or lacks a rate."""
    protocol = blank.protocol
    try:
        with np.load(path, allow_pickle=False) as kept:
            if (
                str(kept["checkpoint_sha256"]) != blank.checkpoint_sha256
                or not set(protocol.rates) <= set(rates := kept["rates"].tolist())
                or tuple(kept["mask_seeds"].tolist()) != protocol.mask_seeds
            ):
                return None
            return replace(
                blank,
                ids=tuple(kept["ids"].tolist()),
                groups=tuple(kept["groups"].tolist()),
                labels=kept["labels"],
                outputs=kept["outputs"][[rates.index(rate) for rate in protocol.rates]],
            )
    except (OSError, ValueError, KeyError, EOFError, BadZipFile):
        return None
