"""IF-MMIN: runs through train, evaluate and compare, and what is refused."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch

from normtr.errors import UsageError, UserError
from tests.support.mosi import arguments as norm_tr
from tests.support.mosi import data_section, report
from tests.support.toy_classes import Classes
from training import run_folder
from training.commands import compare, train
from training.commands import report as reporting
from training.data.mosi import MosiSentences
from training.evaluation.noise_curves import Protocol
from training.reports.evaluation_result import result
from training.systems.if_mmin import IfMmin, in_conditions
from training.systems.if_mmin_learning import IfMminFirstPhase, IfMminSecondPhase
from training.systems.phase import Phase
from training.windows import joined

pytestmark = pytest.mark.slow


PHASE = Phase(constant=1, decay=1, batch=8, clip=1.0, dropout=0.0, beta1=0.5)


def phases(epochs: int, batch: int = 32) -> dict[str, Phase]:
    phase = replace(PHASE, constant=epochs, batch=batch, lr=2e-3)
    return {"first": phase, "second": phase}


@pytest.mark.parametrize("masks", ["conditions", "rates"])
def test_classes_of_three_modalities_are_learned(tmp_path: Path, masks: Any) -> None:
    system = IfMmin(masks=masks, **phases(12))
    found = system.train(Classes(), tmp_path, 1, progress=False)
    assert found["valid"]["metrics"]["accuracy"][0] > 0.8
    assert found["valid"]["metrics"]["accuracy"][-1] < 0.6  # nothing is left to see
    assert (tmp_path / "first_phase/best.ckpt").is_file()


def test_validation_has_every_condition_once() -> None:
    valid = Classes().load("valid")
    found = in_conditions(valid).dataset
    windows = joined([valid.windows] * 6)
    *_, seen, labels = found[:]
    assert torch.equal(labels, windows.labels)
    kinds = seen.reshape(6, len(valid), 3, 6).all(3)
    assert (kinds == kinds[:, :1]).all()
    assert len({tuple(kind[0].tolist()) for kind in kinds}) == 6


def arguments(folder: Path, out: Path, *more: str) -> list[str]:
    config = folder / "if_mmin.toml"
    config.write_text(f"""{data_section(folder)}
[system]
class_path = "training.systems.if_mmin.IfMmin"
[system.init_args]
components = {{ text = 4 }}
[system.init_args.first]
constant = 1
decay = 1
batch = 8
lr = 2e-3
[system.init_args.second]
constant = 2
decay = 2
batch = 8
lr = 2e-3
""")
    return ["--config", str(config), "--out", str(out), *more]


@pytest.fixture(scope="module")
def run(folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("if_mmin") / "run"
    assert train.run(arguments(folder, out)) == 0
    return out


def test_a_config_s_run_is_evaluated_like_any_other(
    run: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    got = report(capsys, run)
    assert (got["dataset"], got["n"]) == ("mosi_words", 29)
    assert len(got["metrics"]["mae"]) == 11
    by = report(capsys, run, "--conditions")
    assert list(by["conditions"]) == ["voice", "text", "voice+text"]
    assert by["conditions"]["voice+text"]["mae"] == got["metrics"]["mae"][0]
    alone = [by["conditions"][m]["mae"] for m in ("voice", "text")]
    assert by["mean"]["mae"] == pytest.approx(sum(alone) / 2)
    # What stands there is what the network says of windows without the other modality.
    found = run_folder.read(run)
    windows = found.data.load("test").windows
    model = found.system.model(windows, found.data.outputs)
    run_folder.fill(model, found)
    silent = windows.valid.clone()
    silent[:, 0] = False
    with torch.inference_mode():
        outputs = model(windows.rows, silent)[:, 0]
    assert float((outputs - windows.labels).abs().mean()) == pytest.approx(alone[1], abs=1e-5)


def test_noise_of_several_modalities_is_each_one_s(run: Path, folder: Path) -> None:
    samples = MosiSentences(folder, steps=3).load("test")
    both = samples.under("modality:voice+text", 0.5, 1).valid
    assert torch.equal(both, samples.under("steps", 0.5, 1).valid)
    with pytest.raises(UserError, match=r"no noise 'modality:text\+voice'; .* modality:text\."):
        result(run, "test", Protocol("modality:text+voice"))


def test_a_stopped_run_goes_on_to_the_same_end(
    run: Path, folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def stop_in(stage: type[Any], epoch: int) -> None:
        whole: Callable[..., None] = stage.on_train_batch_start

        def stop(self: Any, *rest: Any) -> None:
            if self.current_epoch == epoch:
                raise KeyboardInterrupt
            whole(self, *rest)

        with monkeypatch.context() as patch:
            patch.setattr(stage, "on_train_batch_start", stop)
            with pytest.raises((KeyboardInterrupt, SystemExit)):
                train.run(arguments(folder, tmp_path))

    stop_in(IfMminFirstPhase, 1)
    stop_in(IfMminSecondPhase, 2)
    assert not (tmp_path / "model.safetensors").exists()
    assert train.run(arguments(folder, tmp_path)) == 0
    for name in ("model.safetensors", "metrics.json"):
        assert (tmp_path / name).read_bytes() == (run / name).read_bytes()


def reported(folder: Path, *runs: str) -> str:
    assert reporting.run([*runs, "--out", str(folder / "report"), "--force"]) == 0
    return (folder / "report/report.md").read_text()


def test_it_stands_beside_norm_tr_in_a_comparison(
    folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: Any
) -> None:
    monkeypatch.setenv("COLUMNS", "200")
    base, other = norm_tr(folder, tmp_path)[1], arguments(folder, tmp_path)[1]
    path = tmp_path / "compare.toml"
    path.write_text(f"""
base = "{base}"
seeds = "1"
jobs = 1
[systems.NORM-TR]
"learning.epochs" = 1
[systems.IF-MMIN]
config = "{other}"
"second.decay" = 0
""")
    capsys.readouterr()
    assert compare.run(["--config", str(path), "--out", str(tmp_path / "out")]) == 0
    told = capsys.readouterr().out
    assert "NORM-TR" in told
    assert "IF-MMIN" in told
    system = json.loads((tmp_path / "out/IF-MMIN/seed-1/run.json").read_text())["system"]
    assert system["class_path"] == "training.systems.if_mmin.IfMmin"
    assert system["init_args"]["second"]["init_args"]["decay"] == 0
    ours, theirs = (str(tmp_path / "out" / name) for name in ("NORM-TR", "IF-MMIN"))
    found = [reported(tmp_path, *runs) for runs in ((ours, theirs), (theirs, ours), (theirs,))]
    assert "IF-MMIN (no. 2)" in found[0]
    assert "NORM-TR (no. 2)" in found[1]
    assert ["### Linear probes" in text for text in found] == [True, True, False]
    path.write_text(path.read_text().replace(other, "nowhere.toml"))
    with pytest.raises(UserError, match=r"no config file 'nowhere.toml'"):
        compare.run(["--config", str(path), "--out", str(tmp_path / "out")])


# Bad input


@pytest.mark.parametrize(
    ("more", "said"),
    [
        (["--system.init_args.first.batch=99"], "42 samples are no batch of 99"),
        (["--devices", "2"], "trained by one process"),
        (["--system.init_args.blocks=0"], "blocks and components are 1 or more"),
        (["--system.init_args.weights.imagination=-1"], "weights of losses are 0 or more"),
        (["--system.init_args.presett=sound"], "did you mean"),
        (["--system.init_args.components.text=9999"], "so no 9999 components"),
    ],
)
def test_what_cannot_be_trained_is_one_sentence(
    folder: Path, tmp_path: Path, more: list[str], said: str
) -> None:
    with pytest.raises((UsageError, UserError), match=said):
        train.run(arguments(folder, tmp_path / "run", *more))
    assert not (tmp_path / "run/model.safetensors").exists()


def test_one_modality_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="the data need two or more"):
        IfMmin(**phases(1)).train(Classes(("text",)), tmp_path, 1, progress=False)


def test_a_checkpoint_of_one_system_is_not_taken_for_another(run: Path, tmp_path: Path) -> None:
    settings = json.loads((run / "run.json").read_text())
    (tmp_path / "run.json").write_text(json.dumps(settings))
    (tmp_path / "model.safetensors").write_bytes((run / "model.safetensors").read_bytes())
    settings["system"]["class_path"] = "training.systems.norm_tr.NormTrSystem"
    (tmp_path / "run.json").write_text(json.dumps(settings))
    with pytest.raises(UserError, match="the run's settings cannot be read"):
        result(tmp_path, "test", Protocol())
    settings["system"]["init_args"] = {}
    (tmp_path / "run.json").write_text(json.dumps(settings))
    with pytest.raises(UserError, match="does not fit these data and settings"):
        result(tmp_path, "test", Protocol())
