"""NMER: runs through train, evaluate and compare, and what is refused."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from normtr.config import parse
from normtr.errors import UsageError, UserError
from tests.support.mosi import arguments, data_section
from tests.support.toy_classes import Classes
from training.commands import compare, evaluate, train
from training.systems.nmer import Nmer
from training.systems.nmer_network import Preset
from training.systems.nmer_phases import NmerSecondPhase
from training.systems.phase import Phase, PhaseModule

pytestmark = pytest.mark.slow


SMALL = Phase(constant=1, decay=1, batch=8, clip=1.0, dropout=0.1, beta1=0.9, lr=1e-3)


def config(folder: Path, *, system: str = "training.systems.nmer.Nmer") -> Path:
    path = folder / "nmer.toml"
    phase = "constant = 15, decay = 5, batch = 8, lr = 2e-3"  # fewer epochs learn by luck only
    path.write_text(f"""{data_section(folder)}
[system]
class_path = "{system}"
[system.init_args]
regression = "l1"
components = {{ text = 4 }}
first = {{ {phase} }}
second = {{ {phase} }}
""")
    return path


@pytest.fixture(scope="module")
def trained(folder: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, NmerSecondPhase]:
    """A run, and the module of its second phase as training left it."""
    out = tmp_path_factory.mktemp("runs") / "nmer"
    modules: list[NmerSecondPhase] = []
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(NmerSecondPhase, "on_fit_end", lambda self: modules.append(self))
        assert train.run(["--config", str(config(folder)), "--out", str(out)]) == 0
    (module,) = modules
    return out, module


@pytest.fixture(scope="module")
def run(trained: tuple[Path, NmerSecondPhase]) -> Path:
    return trained[0]


def test_the_teacher_is_the_first_phase_s_best_epoch_to_the_end(
    trained: tuple[Path, NmerSecondPhase],
) -> None:
    run, module = trained
    first = torch.load(run / "first_phase" / "best.ckpt", weights_only=True)["state_dict"]
    for name, value in module.teacher.state_dict().items():
        assert torch.equal(first[f"network.{name}"], value)


def report(capsys: pytest.CaptureFixture[str], *argv: object) -> dict[str, Any]:
    capsys.readouterr()
    assert evaluate.run([*map(str, argv), "--json"]) == 0
    found: dict[str, Any] = json.loads(capsys.readouterr().out)
    return found


def test_a_run_learns_and_is_evaluated_as_every_system_is(
    run: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    got = report(capsys, run)
    assert len(got["rates"]) == 11
    assert got["metrics"]["corr"][0] > 0.5
    assert got["metrics"]["corr"][-1] == 0.0  # nothing is left to see
    for there in ("text", "voice"):
        missing = report(capsys, run, "--noise", f"modality:{there}", "--rates", "0,1")
        assert missing["metrics"]["mae"][0] == got["metrics"]["mae"][0]
        assert missing["metrics"]["mae"][1] != got["metrics"]["mae"][1]
    gone = report(capsys, run, "--conditions")
    noisy = report(capsys, run, "--conditions", "--erased", "gaussian:20")
    assert set(gone["conditions"]) == {"voice", "text", "voice+text"}
    assert noisy["conditions"]["voice+text"] == gone["conditions"]["voice+text"]
    assert noisy["conditions"]["voice"] != gone["conditions"]["voice"]
    assert report(capsys, run, "--conditions", "--erased", "gaussian:20") == noisy
    assert report(capsys, run, "--conditions") == gone  # kept apart
    for name in ("best", "last"):
        kept = torch.load(run / f"{name}.ckpt", weights_only=True)["state_dict"]
        assert {key.split(".")[0] for key in kept} == {"network"}  # the first phase's stays there


def test_what_ran_before_in_the_process_changes_no_weight(
    run: Path, folder: Path, tmp_path: Path
) -> None:
    """Tests of the live pipe leave one thread to each library, and random numbers drawn."""
    threads = torch.get_num_threads()
    for before, name in ((1, "one"), (3, "three")):
        torch.set_num_threads(before)
        torch.rand(before), np.random.rand(before)  # noqa: NPY002
        assert train.run(["--config", str(config(folder)), "--out", str(tmp_path / name)]) == 0
        assert torch.get_num_threads() == before
        for kept in ("first_phase/best.ckpt", "best.ckpt"):
            here, there = (
                torch.load(folder / kept, weights_only=True)["state_dict"]
                for folder in (run, tmp_path / name)
            )
            assert all(torch.equal(here[key], there[key]) for key in here)
        assert (tmp_path / name / "model.safetensors").read_bytes() == (
            run / "model.safetensors"
        ).read_bytes()
    torch.set_num_threads(threads)


@pytest.mark.parametrize("stopped", ["NmerFirstPhase", "NmerSecondPhase"])
def test_an_interrupted_run_goes_on_to_the_same_weights(
    run: Path, folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, stopped: str
) -> None:
    whole = PhaseModule.on_train_batch_start

    def stop(self: PhaseModule, *rest: Any) -> None:
        if type(self).__name__ == stopped and self.current_epoch == 2:
            raise KeyboardInterrupt
        whole(self, *rest)

    argv = ["--config", str(config(folder)), "--out", str(tmp_path / "run")]
    with monkeypatch.context() as patch:
        patch.setattr(PhaseModule, "on_train_batch_start", stop)
        with pytest.raises((KeyboardInterrupt, SystemExit)):
            train.run(argv)
    assert not (tmp_path / "run" / "model.safetensors").exists()
    assert train.run(argv) == 0
    for name in ("model.safetensors", "metrics.json"):
        assert (tmp_path / "run" / name).read_bytes() == (run / name).read_bytes()


def test_it_stands_beside_norm_tr_in_a_comparison(
    folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: Any
) -> None:
    monkeypatch.setenv("COLUMNS", "300")
    path = tmp_path / "compare.toml"
    short = '"first.constant" = 1\n"first.decay" = 0\n"second.constant" = 1\n"second.decay" = 0\n'
    path.write_text(f"""
base = "{arguments(folder, tmp_path)[1]}"
seeds = "1"
jobs = 1
[systems."NORM-TR"]
"learning.epochs" = 1
[systems.NMER]
config = "{config(folder)}"
{short}
[systems."NMER, our masks"]
config = "{config(folder)}"
masks = "rates"
noises = ["gaussian", "zero"]
{short}
""")
    capsys.readouterr()
    assert compare.run(["--config", str(path), "--out", str(tmp_path / "out")]) == 0
    told = capsys.readouterr().out
    assert all(name in told for name in ("NORM-TR", "NMER, our masks"))
    settings = json.loads((tmp_path / "out/NMER, our masks/seed-1/run.json").read_text())
    given = settings["system"]["init_args"]
    assert (given["masks"], given["noises"]) == ("rates", ["gaussian", "zero"])
    assert given["second"]["init_args"]["constant"] == 1
    assert given["second"]["init_args"]["batch"] == 8


@pytest.mark.parametrize("preset", ["sound", "as_released"])
def test_classes_of_three_modalities_are_learned(preset: Preset, tmp_path: Path) -> None:
    system = Nmer(preset=preset, first=SMALL, second=SMALL, clean=True, noise_steps=20)
    got = system.train(Classes(), tmp_path, 1, progress=False)
    assert got["valid"]["metrics"]["accuracy"][0] > 0.7
    assert {"emotion", "invariant", "reconstruction", "kl", "kl_per_dimension"} <= set(
        (tmp_path / "metrics.csv").read_text().splitlines()[0].split(",")
    )


@pytest.mark.parametrize(
    ("changed", "data", "said"),
    [
        ({}, Classes(("voice",)), "two or more"),
        ({"second": replace(SMALL, batch=97)}, Classes(), "96 samples are no batch of 97"),
        ({"components": {"face": 5}}, Classes(), "rows of face have 4 numbers"),
    ],
)
def test_what_cannot_be_trained_is_one_sentence(
    changed: dict[str, Any], data: Classes, said: str, tmp_path: Path
) -> None:
    system = replace(Nmer(first=SMALL, second=SMALL), **changed)
    with pytest.raises(UserError, match=said):
        system.train(data, tmp_path, 1, progress=False)
    with pytest.raises(UserError, match="one process"):
        Nmer(first=SMALL, second=SMALL).train(Classes(), tmp_path, 1, devices=2, progress=False)


@pytest.mark.parametrize(
    ("option", "value", "said"),
    [
        ("preset", "released", "preset"),
        ("noises", '["loud"]', "noises"),
        ("noise_steps", "0", "noise_steps"),
        ("second.batch", "1", "batch is 2 or more"),
        ("second.lr", "0", "lr and clip lie over 0"),
    ],
)
def test_a_setting_that_cannot_be_is_refused_before_anything_is_computed(
    option: str, value: str, said: str, tmp_path: Path
) -> None:
    configs = Path(__file__).parents[1] / "configs"
    named = [configs / "data" / "mosi_words.toml", configs / "systems" / "nmer.toml"]
    argv = [word for path in named for word in ("--config", str(path))]
    argv += ["--out", str(tmp_path), f"--system.{option}={value}"]
    with pytest.raises(UsageError, match=said):
        parse(train.Train, argv, "train")


def test_a_run_of_another_system_does_not_fit(run: Path, tmp_path: Path) -> None:
    """Settings that name NORM-TR beside NMER's weights."""
    settings = json.loads((run / "run.json").read_text())
    settings["system"] = {
        "class_path": "training.systems.norm_tr.NormTrSystem",
        "init_args": {},
    }
    (tmp_path / "run.json").write_text(json.dumps(settings))
    (tmp_path / "model.safetensors").write_bytes((run / "model.safetensors").read_bytes())
    with pytest.raises(UserError, match="does not fit"):
        evaluate.run([str(tmp_path)])
