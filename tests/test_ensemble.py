"""NORM-TRs that answer together: the members, what they say, their run as the commands use it."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file
from torch import Tensor, nn

from normtr.errors import UserError
from tests.support.mosi import PROGRAM, TORCHRUN, data_section, started
from tests.support.toy_classes import Classes
from training.commands import evaluate, train
from training.evaluation.noise_curves import in_slices
from training.samples import loaded
from training.systems.ensemble import Ensemble
from training.systems.noise_aware import Learning
from training.systems.norm_tr import Architecture, NormTrSystem

pytestmark = pytest.mark.slow


SMALL = Architecture(width=16, depth=1, heads=2)
QUICK = Learning(d1="none", d2="none", epochs=2, batch=32, lr=3e-3)


TWO = NormTrSystem(masks="rates", members=2, network=SMALL, learning=QUICK)


class Says(nn.Module):
    def __init__(self, *outputs: float) -> None:
        super().__init__()
        self.outputs = torch.tensor([outputs])

    def forward(self, rows: Any, valid: Any) -> Tensor:
        return self.outputs


def test_numbers_are_averaged_and_of_classes_the_probabilities() -> None:
    nothing = torch.zeros(1, 1, 1, dtype=torch.bool)
    assert Ensemble([Says(1.0), Says(-2.0)])({}, nothing).tolist() == [[-0.5]]
    said = Ensemble([Says(0.0, 0.0), Says(torch.tensor(9.0).log().item(), 0.0)])({}, nothing)
    assert said.exp().tolist() == [pytest.approx([(0.5 + 0.9) / 2, (0.5 + 0.1) / 2])]


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("runs") / "run"
    TWO.train(Classes(), out, 3, progress=False)
    return out


def test_its_members_differ_and_its_answer_is_theirs(run: Path) -> None:
    test = loaded(Classes(), "test")
    model = TWO.model(test.windows, 3)
    model.load_state_dict(load_file(run / "model.safetensors"))
    model.eval()
    one, other = (member(test.windows.rows, test.windows.valid) for member in model.network.members)
    assert not torch.allclose(one, other, atol=0.01)
    together = (one.softmax(1) + other.softmax(1)) / 2
    assert torch.allclose(in_slices(model)(test.windows).exp(), together, atol=1e-6)


def test_a_stopped_run_goes_on_to_the_same_weights(run: Path, tmp_path: Path) -> None:
    stopped = tmp_path / "stopped"
    shutil.copytree(run, stopped)
    for lost in (stopped / "model.safetensors", stopped / "member-2"):
        shutil.rmtree(lost) if lost.is_dir() else lost.unlink()
    before = (stopped / "member-1" / "last.ckpt").stat().st_mtime_ns
    TWO.train(Classes(), stopped, 3, progress=False)
    assert (stopped / "member-1" / "last.ckpt").stat().st_mtime_ns == before
    whole, resumed = (load_file(path / "model.safetensors") for path in (run, stopped))
    assert all(torch.equal(whole[name], resumed[name]) for name in whole)


def config(folder: Path, members: int = 3, d2: str = "none") -> list[str]:
    path = folder / f"ensemble-{members}-{d2}.toml"
    path.write_text(f"""{data_section(folder)}
[system]
class_path = "training.systems.norm_tr.NormTrSystem"
[system.init_args]
members = {members}
masks = "none"
[system.init_args.network]
width = 16
dropout = 0.0
components = {{ text = 4 }}
[system.init_args.learning]
epochs = 1
d1 = "none"
d2 = "{d2}"
""")
    return ["--config", str(path)]


def test_from_a_config_to_figures(
    folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "run"
    assert train.run([*config(folder), "--out", str(out)]) == 0
    assert {path.name for path in out.glob("member-*")} == {"member-1", "member-2", "member-3"}
    capsys.readouterr()
    assert evaluate.run([str(out), "--rates", "0,0.5", "--json"]) == 0
    assert len(json.loads(capsys.readouterr().out)["metrics"]["mae"]) == 2


def test_two_processes_train_every_member(folder: Path, tmp_path: Path) -> None:
    found = []
    for devices, program in (("1", PROGRAM), ("2", PROGRAM), ("2", TORCHRUN)):
        out = tmp_path / f"run-{len(found)}"
        started(program, [*config(folder, 2), "--out", str(out), "--devices", devices])
        found.append(load_file(out / "model.safetensors"))
    one, *others = found
    with pytest.raises(UserError, match="3 processes cannot share batches of 16"):
        train.run([*config(folder, 2), "--out", str(tmp_path / "three"), "--devices", "3"])
    for other in others:
        assert all(torch.allclose(one[name], other[name], atol=1e-5) for name in one)


@pytest.mark.parametrize(
    ("members", "d2", "why"),
    [
        (0, "none", "members are 1 or more"),
        (2, "slices", "D1 and D2 learn nothing from masks = none"),
    ],
)
def test_what_is_no_ensemble_is_refused(
    folder: Path, tmp_path: Path, members: int, d2: str, why: str
) -> None:
    with pytest.raises(UserError, match=why):
        train.run([*config(folder, members, d2), "--out", str(tmp_path / "run")])
