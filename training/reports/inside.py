"""Looks into the trained networks of a report's section: probes, similarity and attention."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from threadpoolctl import threadpool_limits
from tqdm import tqdm

from training.reports import attention, inner_figures
from training.reports.evaluation_result import EvaluationResult
from training.reports.features import features, some, trained
from training.reports.inner_figures import Attended
from training.reports.probe import Known, known
from training.reports.run_groups import RunGroup, Section
from training.reports.similarity import cosines
from training.samples import Samples, Split, loaded

SAMPLES = 1_000
"""At most this many samples of a split are used, chosen by seed 0."""
RATE, MASK_SEED = 0.3, 1
"""The attention figure shows noise `steps` of this rate and seed."""
LEARNING = ("learning.d1", "learning.d2", "learning.reversal", "learning.ramped", "masks")
"""The settings of noise-aware learning."""


def samples(result: EvaluationResult, split: Split) -> Samples:
    return some(loaded(result.data, split), SAMPLES)


def probes(section: Section) -> dict[int, list[dict[str, Known]]]:
    """Return what can be read from the features of each run, by the number of the system."""
    out: dict[int, list[dict[str, Known]]] = {}
    splits: tuple[Split, ...] = ("train", section.reference.results[0].split)
    with threadpool_limits(1):  # beside a busy neighbour, BLAS threads wait for each other
        for group in tqdm(section.groups, "probes"):
            for result in group.results:
                train, test = (samples(result, split) for split in splits)
                found = known(trained(result.run, test), train, test)
                out.setdefault(group.number, []).append(found)
    return out


def densities(path: Path, section: Section) -> None:
    """Draw the similarities of the reference and of the systems with other noise-aware learning.

    The cosines of all seeds are taken together.
    """
    shown = {}
    for group in tqdm(section.groups, "similarities"):
        if group is section.reference or any(name in group.changed for name in LEARNING):
            shown[group.name] = _cosines(group)
    inner_figures.densities(path, shown)


def _cosines(group: RunGroup) -> dict[str, NDArray[np.float32]]:
    seeds = []
    for result in group.results:
        test = samples(result, result.split)
        found = features(trained(result.run, test), test.windows)
        seeds.append(cosines(found, test.windows.valid))
    return {kind: np.concatenate([seed[kind] for seed in seeds]) for kind in seeds[0]}


def attended(path: Path, section: Section) -> str | None:
    """Draw the attention on one sample of the reference's first run.

    Return a sentence on all samples, or None if the network has no attention.
    """
    group = section.reference
    if not group.network.depth:
        return None
    shares = []
    for result in group.results:
        test = samples(result, result.split)
        noisy = test.under("steps", RATE, MASK_SEED)
        erased = (test.windows.valid & ~noisy.valid).flatten(1).numpy()
        model = trained(result.run, test)
        before, after = (attention.weights(model, w) for w in (test.windows, noisy))
        shares.append(attention.on_erased(before, after, erased))
        if result is group.results[0]:
            network = group.network
            one = _chosen(test)
            drawn = Attended(
                list(test.windows.rows),
                before[one],
                after[one],
                erased[one],
                network.query.upper(),
                network.memory.upper(),
            )
            inner_figures.attention(path, drawn)
            name = test.ids[one]
    clean, with_noise = np.mean(shares, axis=0)
    return (
        f"Sample {name}, seed {group.seeds[0]}, noise steps at rate {RATE:g}, mask seed "
        f"{MASK_SEED}. Over {len(test)} samples and all training seeds, the steps that this noise "
        f"erases get {clean:.2f} of their even share of attention without it and "
        f"{with_noise:.2f} with it."
    )


def _chosen(test: Samples) -> int:
    """Choose one of the samples with the most valid steps at random (seed 0)."""
    count = test.windows.valid.sum((1, 2)).numpy()
    return int(np.random.default_rng(0).choice(np.flatnonzero(count == count.max())))
