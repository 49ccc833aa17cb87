"""The plain rivals: fitted exactly or by a small network, judged like every other system."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from sklearn.linear_model import LogisticRegression, Ridge
from torch import Tensor, nn

from normtr.errors import UserError
from tests.support.toy_classes import Classes
from training import run_folder
from training.data.mosi import MosiSentences
from training.evaluation.noise_curves import Protocol
from training.reports.evaluation_result import result
from training.samples import Samples, those_of
from training.systems.attentive_late_fusion import AttentiveLateFusion
from training.systems.concatenation import Concatenation
from training.systems.late_fusion import LateFusion
from training.systems.linear import Linear
from training.systems.linear_layer import solve
from training.systems.pooled import Pooled, pooled_copies
from training.systems.system import FitInputs, System
from training.windows import Windows

pytestmark = pytest.mark.slow


SHORT = replace(Concatenation().length, constant=4, decay=2)
RIVALS: tuple[System, ...] = (
    Linear(),
    LateFusion(),
    LateFusion(fusion="mean"),
    AttentiveLateFusion(length=SHORT),
    Concatenation(hidden=32, length=SHORT),
)


def named(system: System) -> str:
    return f"{system.name} {getattr(system, 'fusion', '')}".strip()


@pytest.mark.parametrize("system", RIVALS, ids=named)
def test_classes_are_learned_and_gaps_are_borne(system: System, tmp_path: Path) -> None:
    curve = system.train(Classes(), tmp_path, 1, progress=False)["valid"]["metrics"]["accuracy"]
    assert curve[0] > 0.85
    assert curve[3] > 0.7
    assert curve[-1] < 0.6  # nothing is left to see


@pytest.mark.parametrize("system", RIVALS, ids=named)
def test_a_seed_gives_the_same_weights_and_what_is_missing_does_not_matter(
    system: System, tmp_path: Path
) -> None:
    weights = []
    for name in ("one", "other"):
        system.train(Classes(), tmp_path / name, 1, progress=False)
        weights.append((tmp_path / name / "model.safetensors").read_bytes())
    assert weights[0] == weights[1]
    windows = Classes().load("valid").windows
    model = system.model(windows, 3)
    run_folder.fill(
        model, run_folder.Run(Classes(), system, 1, tmp_path / "one" / "model.safetensors")
    )
    valid = windows.valid.clone()
    valid[:, 1, 2:] = False
    with torch.inference_mode():
        before = model(windows.rows, valid)
        rows = {m: x.clone() for m, x in windows.rows.items()}
        rows["voice"][:, 2:] = 1e6
        assert torch.equal(before, model(rows, valid))


@pytest.mark.parametrize("system", RIVALS, ids=named)
def test_a_number_is_told_and_evaluated_like_every_system_s(
    system: Any, folder: Path, tmp_path: Path
) -> None:
    data = MosiSentences(folder, steps=3)
    system = replace(system, components={"text": 4})
    if isinstance(system, AttentiveLateFusion | Concatenation):
        system = replace(system, length=replace(SHORT, batch=8))
    run_folder.begin(tmp_path, {"data": data, "system": system}, 1, resume=False)
    system.train(data, tmp_path, 1, progress=False)
    curves = result(tmp_path, "test", Protocol(rates=(0.0, 0.5))).curves()
    assert set(curves) >= {"mae", "corr"}
    assert all(np.isfinite(values).all() for values in curves.values())


def rows(*values: float) -> Tensor:
    """One window of one number a step: [1, T, 1]."""
    return torch.tensor(values)[None, :, None]


def test_means_are_of_what_is_there() -> None:
    pool = Pooled({"face": 1, "voice": 1})
    pool.get_buffer("mean_face").fill_(1)
    pool.get_buffer("scale_face").fill_(2)
    valid = torch.tensor([[[True, False, True], [False, False, False]]])
    (face, voice), there = pool({"face": rows(3, 99, 7), "voice": rows(5, 5, 5)}, valid)
    assert face.tolist() == [[2.0]]  # of (3 - 1) / 2 and (7 - 1) / 2
    assert voice.tolist() == [[0.0]]
    assert there.tolist() == [[True, False]]


def test_copies_are_what_the_masks_leave() -> None:
    train = Classes().load("train")
    pool = Pooled(train.windows.dims)
    size = len(train)
    inputs = FitInputs(Classes(), train, those_of(train), size, train, Path(), 1, 1, False)
    copies = pooled_copies(pool, inputs, "conditions", (0.0,), 3)
    counts = {len(x) for x in (*copies.means, copies.there, copies.labels, copies.groups)}
    assert counts == {3 * len(train)}
    assert {tuple(row) for row in copies.there.tolist()} == {
        (True, False, False),
        (False, True, False),
        (False, False, True),
        (True, True, False),
        (True, False, True),
        (False, True, True),
    }
    assert not copies.means[0][~copies.there[:, 0]].any()
    whole = pooled_copies(pool, inputs, "none", (0.0,), 1)
    assert torch.allclose(whole.means[0], train.windows.rows["face"].mean(1), atol=1e-6)


def test_a_layer_s_solution_is_the_library_s() -> None:
    random = np.random.default_rng(0)
    x = random.normal(size=(200, 3))
    number = (x @ [1.0, -2.0, 0.5] + 3).astype(np.float32)
    layer = nn.Linear(3, 1)
    solve(layer, torch.from_numpy(x), torch.from_numpy(number), 0.1)
    expected = Ridge(alpha=20.0).fit(x, number)
    assert np.allclose(layer.weight.detach().numpy(), expected.coef_, atol=1e-5)
    assert layer.bias.item() == pytest.approx(expected.intercept_, abs=1e-5)
    for classes in (2, 3):
        label = np.digitize(number, [3.0, 4.5][: classes - 1])
        layer = nn.Linear(3, classes)
        solve(layer, torch.from_numpy(x), torch.from_numpy(label), 0.1)
        model = LogisticRegression(C=1 / 40, max_iter=1000).fit(x, label)
        with torch.inference_mode():
            told = layer(torch.from_numpy(x).float()).softmax(1).numpy()
        assert np.allclose(told, model.predict_proba(x), atol=1e-4)


def test_a_class_that_training_lacks_is_never_told() -> None:
    x, label = torch.randn(60, 2), torch.arange(60) % 2
    layer = nn.Linear(2, 4)
    solve(layer, x, label, 0.01)
    with torch.inference_mode():
        assert layer(x).softmax(1)[:, 2:].max() < 1e-6


def test_the_mean_of_heads_is_of_those_whose_modality_is_there() -> None:
    windows = Classes().load("train").windows
    model = LateFusion(fusion="mean").model(windows, 3).network
    valid = torch.ones(1, 3, 6, dtype=torch.bool)
    one = {m: x[:1] for m, x in windows.rows.items()}
    with torch.inference_mode():
        said = model.said(*model.pool(one, valid))[0]
        assert torch.allclose(model(one, valid)[0], said.mean(0))
        valid[0, 1] = False
        assert torch.allclose(model(one, valid)[0], said[[0, 2]].mean(0))
        model.get_buffer("empty").copy_(torch.tensor([1.0, 2.0, 3.0]))
        assert model(one, valid & False)[0].tolist() == [1.0, 2.0, 3.0]


def test_what_cannot_be_fitted_is_one_sentence(tmp_path: Path) -> None:
    for kind in (Linear, LateFusion):
        with pytest.raises(ValueError, match="penalty lies over 0"):
            kind(penalty=0.0)
    with pytest.raises(ValueError, match="1 or more"):
        Concatenation(hidden=0)

    class Alone(Classes):
        def load(self, split: Any) -> Samples:
            samples = super().load(split)
            windows = Windows(**vars(samples.windows))
            return Samples(samples.ids, ("one",) * len(samples), windows)

    with pytest.raises(UserError, match="two videos or speakers"):
        LateFusion().train(Alone(), tmp_path, 1, progress=False)
