"""A training run of any system on label-paired windows takes NORM-TR's place, live."""

from __future__ import annotations

import json
import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from normtr import checkpoint
from normtr.errors import UserError
from normtr.judge import Judge
from normtr.spec import LABELS, MODALITIES
from normtr.window import assemble
from stream.commands import live
from stream.session.session import DEMO
from tests.test_training_fusion import bank
from training import run_folder
from training.recognizer.live_run import load
from training.recognizer.paired import BANKS, LabelPaired
from training.recognizer.parts import centred, of_checkpoint
from training.systems.ensemble import Committee
from training.systems.if_mmin import IfMmin
from training.systems.linear import Linear
from training.systems.nmer import Nmer
from training.systems.noise_aware import Learning
from training.systems.norm_tr import Architecture
from training.systems.phase import Phase
from training.systems.system import Contender

SHORT = Phase(constant=1, decay=1, batch=32, clip=1.0, dropout=0.0, beta1=0.5, lr=2e-3)

QUICK = Learning(epochs=1, batch=32)
SYSTEMS = [system.system for system in (Linear, IfMmin, Nmer, Committee)]


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> LabelPaired:
    folder = tmp_path_factory.mktemp("fusion")
    for seed, name in enumerate(BANKS.values()):
        bank(seed).save(folder / name)
    return LabelPaired(folder, train=140, valid=140, test=70)


@pytest.fixture(scope="module")
def runs(data: LabelPaired, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    parts: list[Contender] = [
        Linear(data),
        IfMmin(data, first=SHORT, second=SHORT, blocks=2),
        Nmer(data, first=SHORT, second=SHORT),
        Committee(data, members=2, network=Architecture(width=16, depth=1), learning=QUICK),
    ]
    out = {}
    for part in parts:
        folder = out[part.system] = tmp_path_factory.mktemp("runs")
        run_folder.begin(folder, part, 1, resume=False)
        run_folder.write_json(folder / "metrics.json", part.train(folder, 1, progress=False))
    return out


def test_windows_are_those_of_other_people_in_each_split(data: LabelPaired) -> None:
    found = {split: data.load(split) for split in ("train", "valid", "test")}
    assert {split: len(samples) for split, samples in found.items()} == {
        "train": 140,
        "valid": 140,
        "test": 70,
    }
    for samples in found.values():
        assert list(samples.windows.rows) == list(MODALITIES)
        assert np.bincount(samples.windows.labels).tolist() == [len(samples) // 7] * 7
    again = data.load("test")
    assert torch.equal(again.windows.rows["face"], found["test"].windows.rows["face"])


@pytest.mark.parametrize("system", SYSTEMS)
def test_a_run_judges_windows_by_its_own_model(runs: dict[str, Path], system: str) -> None:
    loaded, shipped = checkpoint.load(runs[system]), checkpoint.load(checkpoint.SHIPPED)
    assert loaded.spec == shipped.spec
    assert loaded.sha256 != shipped.sha256
    run = run_folder.read(runs[system])
    model = run.part.model(run.part.data.load("test").windows)
    run_folder.fill(model, run)
    random = np.random.default_rng(0)
    steps = shipped.spec.steps
    rows: dict[str, Any] = {}
    for m, dim in shipped.spec.dims.items():
        drawn = random.normal(size=(steps, dim)).astype(np.float32)
        rows[m] = [("none", row) if n % 3 else ("dropped", None) for n, row in enumerate(drawn)]
    window = assemble(shipped.spec, 0, rows)
    (judged,) = Judge(loaded)([window])
    heads = of_checkpoint(shipped).heads
    said = {m: centred(heads[m], torch.tensor(window.rows[m])[None]) for m in MODALITIES}
    valid = torch.from_numpy(window.valid)[None]
    with torch.inference_mode():
        logits = model(said, valid).numpy()
    share = {m: np.array([window.valid[i].mean()]) for i, m in enumerate(MODALITIES)}
    expected = loaded.calibration.probabilities(logits, share)[0]
    assert judged.probabilities == pytest.approx(expected, abs=1e-5)
    assert judged.top == LABELS[int(expected.argmax())]


@pytest.mark.parametrize("system", SYSTEMS)
def test_the_demo_clip_is_judged_by_it(runs: dict[str, Path], system: str, tmp_path: Path) -> None:
    record = tmp_path / "a.jsonl"
    words = ["--source", str(DEMO), "--fast", "--seconds", "3", "--text", "off"]
    assert live.run([*words, "--checkpoint", str(runs[system]), "--record", str(record)]) == 0
    said = [json.loads(line) for line in record.read_text().splitlines()]
    models = {message["payload"]["model"] for message in said if "model" in message["payload"]}
    assert models == {checkpoint.load(runs[system]).sha256}
    affects = [m["payload"] for m in said if m["topic"] == "er.v1.affect"]
    assert len(affects) == 12
    assert all(sum(p["probabilities"]) == pytest.approx(1, abs=1e-6) for p in affects)


def test_other_runs_are_refused_in_a_sentence(
    runs: dict[str, Path], data: LabelPaired, tmp_path: Path
) -> None:
    for change, said in (
        (
            lambda run: run["part"]["init_args"].update(
                data={"class_path": "training.data.mosi.MosiWords", "init_args": {}}
            ),
            "cannot be used live",
        ),
        (lambda run: run["part"]["init_args"]["data"]["init_args"].update(steps=8), "8 steps"),
    ):
        folder = tmp_path / said.replace(" ", "")
        shutil.copytree(runs["linear"], folder)
        run = json.loads((folder / "run.json").read_text())
        change(run)
        (folder / "run.json").write_text(json.dumps(run))
        with pytest.raises(UserError, match=said):
            checkpoint.load(folder)
    lacking = tmp_path / "lacking"
    shutil.copytree(runs["linear"], lacking)
    (lacking / "metrics.json").write_text("{}")
    with pytest.raises(UserError, match="has no calibration"):
        load(lacking)
    with pytest.raises(UserError, match=r"train configs/fusion\.toml first"):
        replace(data, path=tmp_path).load("train")
