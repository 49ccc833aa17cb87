"""Numbers that are scaled and moved after training, to where validation's labels lie."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from safetensors.torch import load_file

from normtr.errors import UserError
from tests.toy_classes import Classes
from training import metrics
from training.benchmark import Architecture, Benchmark
from training.committee import Committee
from training.contender import SELECTION_RATES, SELECTION_SEED
from training.curve import Protocol, predictions, predictor
from training.noise_aware import Learning
from training.samples import Samples, Split

SMALL = Architecture(width=16, depth=1, heads=2, dropout=0.0)
QUICK = Learning(d1="none", d2="none", epochs=4, batch=16, lr=3e-3, regression="l1")


@dataclass(frozen=True)
class Numbers(Classes):
    """Everywhere but in training they lie a whole one higher."""

    name = "numbers"
    outputs = 1

    def load(self, split: Split) -> Samples:
        samples = super().load(split)
        labels = samples.windows.labels.float() - 1 + (split != "train")
        return replace(samples, windows=replace(samples.windows, labels=labels))

    def scores(self, outputs: NDArray[np.floating[Any]], labels: NDArray[Any]) -> dict[str, float]:
        return metrics.sentiment(labels, outputs[:, 0])


ONE = Benchmark(Numbers(), masks="rates", network=SMALL, learning=QUICK)
TWO = Committee(Numbers(), masks="rates", members=2, network=SMALL, learning=QUICK)


def trained(part: Benchmark | Committee, out: Path) -> Path:
    part.train(out, 1, progress=False)
    return out


def says(
    part: Benchmark | Committee, run: Path, split: Split, rates: tuple[float, ...], *seeds: int
) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Numbers [rates, seeds, n], and labels."""
    samples = part.data.load(split)
    model = part.model(samples.windows)
    model.load_state_dict(load_file(run / "model.safetensors"))
    protocol = Protocol(rates=rates, mask_seeds=seeds)
    outputs = predictions(predictor(model.eval()), part.data, split, samples, protocol)
    return outputs[..., 0], samples.windows.labels.numpy()


@pytest.mark.parametrize("part", [ONE, TWO], ids=["one", "committee"])
def test_all_is_moved_alike_and_fits_labels_that_lie_elsewhere(
    part: Benchmark | Committee, tmp_path: Path
) -> None:
    moved = replace(part, calibrated=True)
    before, labels = says(part, trained(part, tmp_path / "a"), "test", (0, 0.5, 1), 1, 2)
    after, _ = says(moved, trained(moved, tmp_path / "b"), "test", (0, 0.5, 1), 1, 2)
    scale, shift = np.polyfit(before.ravel(), after.ravel(), 1)
    assert np.allclose(scale * before + shift, after, atol=1e-4)
    errors = [np.abs(said - labels).mean((1, 2)) for said in (before, after)]
    assert (errors[1] < errors[0] - 0.1).all()


def test_the_fit_has_the_least_absolute_error_under_the_noise_of_validation(tmp_path: Path) -> None:
    part = replace(ONE, calibrated=True)
    run = trained(part, tmp_path / "run")
    said, labels = says(part, run, "valid", SELECTION_RATES, SELECTION_SEED)
    least = np.abs(said - labels).mean()
    for scale, shift in ((1.02, 0), (0.98, 0), (1, 0.02), (1, -0.02), (1.02, -0.02)):
        assert least <= np.abs(scale * said + shift - labels).mean() + 1e-6


@pytest.mark.parametrize("part", [ONE, TWO], ids=["one", "committee"])
def test_classes_are_refused(part: Benchmark | Committee, tmp_path: Path) -> None:
    classes = replace(part, data=Classes(), calibrated=True)
    with pytest.raises(UserError, match="classes has classes; calibrated = true is for numbers"):
        classes.train(tmp_path / "run", 1)
