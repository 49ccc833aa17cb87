"""A training run of any system on a recognizer's own rows takes NORM-TR's place, live."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from normtr import checkpoint
from normtr.errors import UserError
from normtr.predictor import Predictor
from normtr.shipped import SHIPPED
from normtr.spec import LABELS, MODALITIES
from normtr.window import assemble
from stream.commands import calibrate, live
from stream.session.session import DEMO
from tests.support.banks import bank
from tests.support.caches import filled
from training import run_folder
from training.data.extracted import Extracted
from training.data.extraction.cache import Labelled
from training.recognizer.live_run import load
from training.recognizer.paired import BANKS, LabelPaired
from training.recognizer.parts import centred, of_checkpoint
from training.samples import DataSet
from training.systems.if_mmin import IfMmin
from training.systems.linear import Linear
from training.systems.nmer import Nmer
from training.systems.noise_aware import Learning
from training.systems.norm_tr import Architecture, NormTrSystem
from training.systems.phase import Phase
from training.systems.system import System
from training.windows import Windows

pytestmark = pytest.mark.slow

SHORT = Phase(constant=1, decay=1, batch=32, clip=1.0, dropout=0.0, beta1=0.5, lr=2e-3)

QUICK = Learning(epochs=1, batch=32)
SYSTEMS = [system.name for system in (Linear, IfMmin, Nmer, NormTrSystem)]


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> LabelPaired:
    folder = tmp_path_factory.mktemp("fusion")
    for seed, name in enumerate(BANKS.values()):
        bank(seed).save(folder / name)
    return LabelPaired(folder, train=140, valid=140, test=70)


@pytest.fixture(scope="module")
def runs(data: LabelPaired, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    systems: list[System] = [
        Linear(),
        IfMmin(first=SHORT, second=SHORT, blocks=2),
        Nmer(first=SHORT, second=SHORT),
        NormTrSystem(members=2, network=Architecture(width=16, depth=1), learning=QUICK),
    ]
    out = {}
    for system in systems:
        out[system.name] = trained(system, data, tmp_path_factory.mktemp("runs"))
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
    loaded, shipped = checkpoint.load(runs[system]), checkpoint.load(SHIPPED)
    assert loaded.spec == shipped.spec
    assert loaded.sha256 != shipped.sha256
    run = run_folder.read(runs[system])
    model = run.system.model(run.data.load("test").windows, 7)
    run_folder.fill(model, run)
    random = np.random.default_rng(0)
    steps = shipped.spec.steps
    rows: dict[str, Any] = {}
    for m, dim in shipped.spec.dims.items():
        drawn = random.normal(size=(steps, dim)).astype(np.float32)
        rows[m] = [("none", row) if n % 3 else ("dropped", None) for n, row in enumerate(drawn)]
    window = assemble(shipped.spec, 0, rows)
    (judged,) = Predictor(loaded)([window])
    heads = of_checkpoint(shipped).heads
    said = {m: centred(heads[m], torch.tensor(window.rows[m])[None]) for m in MODALITIES}
    valid = torch.from_numpy(window.valid)[None]
    with torch.inference_mode():
        logits = model(said, valid).numpy()
    share = {m: np.array([window.valid[i].mean()]) for i, m in enumerate(MODALITIES)}
    expected = loaded.calibration.probabilities(logits, share)[0]
    assert judged.probabilities == pytest.approx(expected, abs=1e-5)
    assert judged.top == LABELS[int(expected.argmax())]


def test_torch_has_one_thread_where_only_a_run_needs_it(runs: dict[str, Path]) -> None:
    """It is imported late then, after everything else."""
    code = (
        "import sys; from pathlib import Path\n"
        "from stream.pipeline.models import Models; from stream.pipeline.pipe_config import PipeConfig\n"
        "assert 'torch' not in sys.modules\n"
        "Models(PipeConfig(checkpoint=Path(sys.argv[1]), text='off'))\n"
        "print(sys.modules['torch'].get_num_threads())"
    )
    environment = {**os.environ, "OMP_NUM_THREADS": "2"}
    done = subprocess.run(
        [sys.executable, "-c", code, str(runs[SYSTEMS[0]])],
        env=environment,
        capture_output=True,
        text=True,
        timeout=120,
        check=True,
    )
    assert done.stdout == "1\n"


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
    folder = tmp_path / "other"
    shutil.copytree(runs["linear"], folder)
    run = json.loads((folder / "run.json").read_text())
    mosi = {"class_path": "training.data.mosi.MosiWords", "init_args": {}}
    run["data"] = mosi
    (folder / "run.json").write_text(json.dumps(run))
    with pytest.raises(UserError, match="cannot be used live"):
        checkpoint.load(folder)
    lacking = tmp_path / "lacking"
    shutil.copytree(runs["linear"], lacking)
    (lacking / "metrics.json").write_text("{}")
    with pytest.raises(UserError, match="has no calibration"):
        load(lacking)
    with pytest.raises(UserError, match=r"train configs/recognizer/fusion\.toml first"):
        replace(data, path=tmp_path).load("train")


# Clips of one's own

CLASSES = ("bored", "keen", "neutral", "puzzled")


def clips(folder: Path, name: str, labels: tuple[str | float, ...]) -> Path:
    """A cache of 8 clips a person, each of one label after the other; the rows tell nothing."""
    found = [
        Labelled(f"{split}-{i}.mp4", split, labels[i % len(labels)], f"{split}-{i // 8}")
        for split, n in (("train", 16), ("valid", 8), ("test", 8))
        for i in range(n)
    ]
    return filled(folder / name, found)


def trained(system: System, data: DataSet, folder: Path) -> Path:
    run_folder.begin(folder, {"data": data, "system": system}, 1, resume=False)
    metrics = system.train(data, folder, 1, progress=False)
    run_folder.write_json(folder / "metrics.json", metrics)
    return folder


@pytest.fixture(scope="module")
def own(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """Runs on a cache that is gone by now."""
    folder = tmp_path_factory.mktemp("own")
    data = Extracted(clips(folder, "cache", CLASSES), steps=8)
    small, quick = Architecture(width=16, depth=1), Learning(d1="none", d2="none", epochs=1)
    heard = replace(data, modalities=("voice", "face"))
    out = {
        name: trained(system, on, folder / name)
        for name, (system, on) in {
            "linear": (Linear(), data),
            "NMER": (Nmer(first=replace(SHORT, batch=8), second=replace(SHORT, batch=8)), data),
            "NORM-TR": (NormTrSystem(masks="none", network=small, learning=quick), heard),
        }.items()
    }
    shutil.rmtree(data.path)
    return out


@pytest.mark.parametrize("system", ["linear", "NMER", "NORM-TR"])
def test_a_run_on_own_clips_is_live_with_its_own_labels(
    own: dict[str, Path], system: str, tmp_path: Path
) -> None:
    record, picture = tmp_path / "a.jsonl", tmp_path / "a.png"
    words = ["--source", str(DEMO), "--fast", "--seconds", "3", "--text", "off", "--faces"]
    outputs = ["--record", str(record), "--timeline", str(picture), "--smoothing", "1"]
    run = ["--checkpoint", str(own[system]), "--neutral", "0.5"]
    assert live.run([*words, *outputs, *run]) == 0
    said = [json.loads(line) for line in record.read_text().splitlines()]
    info = next(m["payload"] for m in said if m["topic"] == "er.v1.info")
    assert tuple(info["labels"]) == CLASSES
    affects = [m["payload"] for m in said if m["topic"] == "er.v1.affect"]
    assert len(affects) == 12
    for affect in affects:
        assert tuple(affect["labels"]) == CLASSES
        assert sum(affect["probabilities"]) == pytest.approx(1, abs=1e-6)
        assert affect["top"] in CLASSES
        assert affect["smoothed"]["top"] in CLASSES
        assert affect["window"]["steps"] == 8
        assert [len(gaps) for gaps in affect["gaps"].values()] == [8] * 3
    faces = [m["payload"] for m in said if m["topic"] == "er.v1.face"]
    assert faces
    assert all(face["probabilities"] is None for face in faces)  # of seven other labels
    assert picture.stat().st_size > 10_000


def test_it_judges_as_its_model_does_calibrated_on_its_validation_part(
    own: dict[str, Path],
) -> None:
    loaded = checkpoint.load(own["NORM-TR"])
    kept = json.loads((own["NORM-TR"] / "metrics.json").read_text())
    assert loaded.labels == CLASSES
    assert loaded.calibration.prior == pytest.approx([0.25] * 4)
    assert dict(loaded.calibration.missing) == kept["calibration"]["missing"]
    assert set(loaded.calibration.missing) == {"voice", "face"}
    run = run_folder.read(own["NORM-TR"])
    spec = loaded.spec
    assert spec.steps == 8
    random = np.random.default_rng(0)
    rows: dict[str, Any] = {
        m: [
            ("none", row) if n % 3 else ("dropped", None)
            for n, row in enumerate(random.normal(size=(8, dim)).astype(np.float32))
        ]
        for m, dim in spec.dims.items()
    }
    window = assemble(spec, 0, rows)
    (judged,) = Predictor(loaded)([window])
    data = run.data
    model = run.system.model(
        Windows(
            {m: torch.tensor(window.rows[m])[None] for m in data.modalities},
            torch.zeros(1, 2, 8, dtype=torch.bool),
            torch.zeros(1, dtype=torch.int64),
        ),
        4,
    )
    run_folder.fill(model, run)
    valid = torch.from_numpy(window.valid[[1, 0]])[None]
    with torch.inference_mode():
        logits = model({m: torch.tensor(window.rows[m])[None] for m in data.modalities}, valid)
    share = {m: np.array([window.valid[i].mean()]) for i, m in enumerate(MODALITIES)}
    expected = loaded.calibration.probabilities(logits.numpy(), share)[0]
    assert judged.probabilities == pytest.approx(expected, abs=1e-5)


def test_what_cannot_be_used_live_is_refused_in_a_sentence(
    own: dict[str, Path], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    numbers = trained(Linear(), Extracted(clips(tmp_path, "cache", (0.5, 1.0))), tmp_path / "run")
    with pytest.raises(UserError, match="it tells a number, and live shows classes"):
        checkpoint.load(numbers)
    other = tmp_path / "other"
    shutil.copytree(own["linear"], other)
    metrics = json.loads((other / "metrics.json").read_text())
    (other / "metrics.json").write_text(json.dumps({**metrics, "rows_of": "0" * 64}))
    with pytest.raises(UserError, match="rows of other weights than those of"):
        checkpoint.load(other)
    metrics["calibration"]["threshold"] = float("nan")
    (other / "metrics.json").write_text(json.dumps(metrics))
    with pytest.raises(UserError, match="has no calibration"):
        checkpoint.load(other)
    played = ["--source", str(DEMO), "--fast", "--seconds", "1", "--text", "off"]
    assert live.run([*played, "--checkpoint", str(own["linear"]), "--calibrated"]) == 1
    assert "bored, keen, neutral, puzzled: it works without one" in capsys.readouterr().err
    with pytest.raises(UserError, match="a personal calibration is of the labels angry"):
        calibrate.run(["--source", str(DEMO), "--checkpoint", str(own["linear"])])
    unlike = trained(
        Linear(), Extracted(clips(tmp_path, "two", ("yes", "no"))), tmp_path / "two run"
    )
    assert live.run([*played, "--checkpoint", str(unlike), "--neutral", "0.5"]) == 1
    assert "only where a label is `neutral`; these are no, yes." in capsys.readouterr().err
