"""`normtr compare` on a tiny folder of MOSI's shape: cells, trials, resuming."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from matplotlib.image import imread

from normtr.errors import UsageError, UserError
from tests.support.mosi import arguments
from training.commands import compare, evaluate
from training.evaluation.bootstrap import Difference
from training.evaluation.noise_curves import Protocol
from training.reports import comparison, tables
from training.reports.evaluation_result import result
from training.reports.measures import Measure

pytestmark = pytest.mark.slow


def write(folder: Path, more: str = "") -> Path:
    base = arguments(folder, folder / "unused")[1]
    path = folder / "compare.toml"
    path.write_text(f"""
base = "{base}"
seeds = "1,2"
{more}
[systems.reference]
"learning.epochs" = 1
[systems.shallow]
"learning.epochs" = 1
"network.depth" = 1
"data.steps" = 2
""")
    return path


def compared(path: Path, out: Path, capsys: pytest.CaptureFixture[str]) -> str:
    capsys.readouterr()
    argv = ["--config", str(path), "--out", str(out), "--split", "valid"]
    assert compare.run(argv) == 0
    return capsys.readouterr().out


def files(out: Path) -> dict[str, int]:
    return {str(p.relative_to(out)): p.stat().st_mtime_ns for p in out.rglob("model.safetensors")}


def test_every_system_and_seed_is_a_run_that_is_trained_once(
    folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: Any
) -> None:
    monkeypatch.setenv("COLUMNS", "300")
    path = write(folder)
    told = compared(path, tmp_path, capsys)
    assert "reference" in told
    assert str(tmp_path / "comparison.md") in told
    assert "AUILC MAE" in told
    first = files(tmp_path)
    assert set(first) == {
        f"{system}/seed-{seed}/model.safetensors"
        for system in ("reference", "shallow")
        for seed in (1, 2)
    }
    assert not list(tmp_path.rglob("*.ckpt"))  # of what is finished
    made = json.loads((tmp_path / "shallow/seed-2/run.json").read_text())
    assert made["system"]["init_args"]["network"]["init_args"]["depth"] == 1
    assert made["data"]["init_args"]["steps"] == 2
    # A cell that was lost is made again, equal, and no other.
    lost = tmp_path / "shallow/seed-1"
    before = (lost / "model.safetensors").read_bytes()
    (lost / "metrics.json").unlink()
    (lost / "model.safetensors").unlink()
    assert compared(path, tmp_path, capsys) == told
    assert (lost / "model.safetensors").read_bytes() == before
    assert {k: v for k, v in files(tmp_path).items() if "shallow/seed-1" not in k} == {
        k: v for k, v in first.items() if "shallow/seed-1" not in k
    }


def test_the_best_trial_by_validation_is_taken_for_all_seeds(
    folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = write(
        folder,
        'trials = 3\nfolds = { "data.fold" = [0, 1] }\nspace = { "learning.lr" = [1e-3, 1e-2], "network.depth" = [1, 2] }',
    )
    text = path.read_text()
    path.write_text(text[: text.index("[systems.shallow]")])
    compared(path, tmp_path, capsys)
    log = json.loads((tmp_path / "reference/trials.json").read_text())
    scores = [trial["score"] for trial in log["trials"]]
    assert len(scores) == 3
    best = log["trials"][log["best"]]
    assert best["score"] == min(scores)
    for number, trial in enumerate(log["trials"]):
        runs = [tmp_path / f"reference/trials/{number:02}-{fold}" for fold in (0, 1)]
        kept = [json.loads((run / "metrics.json").read_text()) for run in runs]
        areas = [metrics["valid_auilc"]["mae"] for metrics in kept]
        assert areas[0] != areas[1]
        assert np.mean(areas) == trial["score"]
    for seed in (1, 2):
        run = json.loads((tmp_path / f"reference/seed-{seed}/run.json").read_text())
        got = run["system"]["init_args"]
        assert got["learning"]["init_args"]["lr"] == best["learning.lr"]
        assert got["network"]["init_args"]["depth"] == best["network.depth"]


def test_a_comparison_begins_with_the_systems_of_a_file(tmp_path: Path) -> None:
    common = tmp_path / "systems.toml"
    common.write_text("""
[systems.first.space]
"learning.lr" = [1, 2]
"learning.batch" = [4]
"learning.epochs" = [6]
[systems.second]
like = "first"
masks = "none"
""")
    config = compare.Compare(
        base=str(tmp_path),
        out=tmp_path,
        systems_of=common,
        systems={
            "first": {"hidden": 3, "space": {"learning.batch": [8, 9], "network.depth": [1]}},
            "third": {"like": "second", "masks": "rates", "space": {}},
        },
    )
    assert list(config.entrants) == ["first", "second", "third"]
    space = {
        "learning.lr": [1, 2],
        "learning.batch": [8, 9],
        "learning.epochs": [6],
        "network.depth": [1],
    }
    assert config.fields("first") == {"hidden": 3, "space": space}
    assert list(config.fields("first")["space"]) == list(space)  # the draws depend on it
    assert config.fields("second") == {"hidden": 3, "space": space, "masks": "none"}
    assert config.fields("third") == {"hidden": 3, "space": {}, "masks": "rates"}


@pytest.mark.parametrize("content", ["base = 1", "systems = 3", "[systems]\na = 1", "[", None])
def test_a_file_of_systems_that_is_none_is_refused(content: str | None, tmp_path: Path) -> None:
    common = tmp_path / "systems.toml"
    if content is not None:
        common.write_text(content)
    argv = ["--base", "b", "--out", str(tmp_path), "--systems-of", str(common)]
    with pytest.raises(UsageError, match=r"systems\.toml(\'| cannot be read| may hold)"):
        compare.run(argv)


def test_a_system_has_a_space_of_its_own(
    folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = write(folder)
    own = 'seeds = "1"\ntrials = 2\nspace = { "learning.lr" = [1e-3, 1e-2] }'
    text = path.read_text().replace('seeds = "1,2"', own)
    path.write_text(text + 'space = { "learning.batch" = [4, 8] }\n')
    compared(path, tmp_path, capsys)
    logs = [
        json.loads((tmp_path / name / "trials.json").read_text())
        for name in ("reference", "shallow")
    ]
    drawn = [{key for trial in log["trials"] for key in trial} - {"score"} for log in logs]
    assert drawn == [{"learning.lr"}, {"learning.batch"}]


def test_folds_are_judged_together(
    folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = write(folder, 'across = [{ "data.fold" = 0 }, { "data.fold" = 1 }]')
    text = path.read_text().replace('seeds = "1,2"', 'seeds = "1"')
    path.write_text(text[: text.index("[systems.shallow]")])
    capsys.readouterr()
    argv = [str(path), "--out", str(tmp_path), "--split", "valid", "--json"]
    assert compare.run(argv) == 0
    records = json.loads(capsys.readouterr().out)
    runs = [tmp_path / f"reference/seed-1/fold-{k}" for k in (0, 1)]
    each = [result(run, "valid", Protocol()) for run in runs]
    assert not set(each[0].groups) & set(each[1].groups)
    errors = np.concatenate([np.abs(r.outputs[0, 0, :, 0] - r.labels) for r in each])
    told = next(r["mean"] for r in records if (r["condition"], r["metric"]) == ("rate=0", "mae"))
    assert told == pytest.approx(errors.mean(), rel=1e-5)

    path.write_text(path.read_text().replace('"data.fold" = 1', '"data.fold" = 0'))
    with pytest.raises(UserError, match=r"folds of .* test the same samples"):
        compare.run([str(path), "--out", str(tmp_path / "again"), "--split", "valid"])


def test_a_class_may_be_named_for_the_same_data(
    folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: Any
) -> None:
    monkeypatch.setenv("COLUMNS", "300")
    path = write(folder)
    rival = '[systems.rival]\nclass_path = "training.systems.linear.Linear"\npenalty = 0.5\n'
    path.write_text(path.read_text().replace('seeds = "1,2"', 'seeds = "1"') + rival)
    assert "rival" in compared(path, tmp_path, capsys)
    made = json.loads((tmp_path / "rival/seed-1/run.json").read_text())
    assert made["system"]["class_path"] == "training.systems.linear.Linear"
    assert made["system"]["init_args"]["penalty"] == 0.5
    base = json.loads((tmp_path / "reference/seed-1/run.json").read_text())
    assert made["data"] == base["data"]


def test_a_system_may_be_like_one_before_it(
    folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = write(folder)
    text = path.read_text().replace('seeds = "1,2"', 'seeds = "1"\ntrials = 2')
    rival = (
        '[systems.rival]\nclass_path = "training.systems.linear.Linear"\ncopies = 1\n'
        "space = { penalty = [0.1, 1.0] }\n"
    )
    twin = '[systems.twin]\nlike = "rival"\nmasks = "none"\n'
    path.write_text(text + rival + twin)
    compared(path, tmp_path, capsys)
    fields = {}
    for name in ("rival", "twin"):
        system = json.loads((tmp_path / name / "seed-1/run.json").read_text())["system"]
        fields[name] = system["init_args"]
        trials = json.loads((tmp_path / name / "trials.json").read_text())["trials"]
        assert {trial["penalty"] for trial in trials} <= {0.1, 1.0}
        assert system["class_path"] == "training.systems.linear.Linear"
        assert fields[name]["copies"] == 1
    assert fields["twin"]["masks"] == "none"
    assert fields["rival"]["masks"] != "none"

    for other in ("nobody", "twin"):
        path.write_text(text + twin.replace('"rival"', f'"{other}"') + rival)
        with pytest.raises(UserError, match=f"twin is like '{other}', which is no system before"):
            compared(path, tmp_path / "again", capsys)


def test_records_are_what_evaluate_says(
    folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = write(folder)
    capsys.readouterr()
    argv = [str(path), "--out", str(tmp_path), "--split", "test", "--seeds", "1,2", "--json"]
    assert compare.run(argv) == 0
    records = json.loads(capsys.readouterr().out)
    assert {tuple(record) for record in records} == {
        ("system", "dataset", "condition", "metric", "mean", "std", "n_seeds")
    }
    found = {(r["system"], r["condition"], r["metric"]): r for r in records}
    assert {system for system, *_ in found} == {"reference", "shallow"}
    told = []
    for seed in (1, 2):
        run = str(tmp_path / f"shallow/seed-{seed}")
        assert evaluate.run([run, "--json"]) == 0
        told.append(json.loads(capsys.readouterr().out))
        assert evaluate.run([run, "--json", "--conditions"]) == 0
        told[-1]["conditions"] = json.loads(capsys.readouterr().out)["conditions"]
    for condition, values in {
        "rate=0.3": [one["metrics"]["mae"][3] for one in told],
        "auilc": [one["auilc"]["mae"] for one in told],
        "there=text": [one["conditions"]["text"]["mae"] for one in told],
        "there=voice": [one["conditions"]["voice"]["mae"] for one in told],
    }.items():
        record = found["shallow", condition, "mae"]
        assert record["mean"] == pytest.approx(np.mean(values))
        assert record["std"] == pytest.approx(np.std(values, ddof=1))
        assert record["n_seeds"] == 2
    text = (tmp_path / "comparison.md").read_text()
    for title in (
        "## Area under",
        "## MAE with modalities missing",
        "## The others against reference",
    ):
        assert title in text
    assert imread(tmp_path / "comparison.png").shape[1] > 1000
    table = text.split("## MAE with modalities missing")[1].split("## ")[0]
    row = next(line for line in table.splitlines() if line.startswith("| shallow"))
    assert f"{found['shallow', 'there=voice', 'mae']['mean']:.3f} ±" in row.split("|")[2]
    costs = text.split("## Cost of one window")[1]
    told_of = [line.split("|") for line in costs.splitlines() if line.startswith("| ")]
    assert [row[1].strip() for row in told_of[2:]] == ["reference", "shallow"]
    assert all(float(row[2]) > 0 for row in told_of[2:])


def test_holm_by_hand() -> None:
    def shown(*ps: float) -> list[bool]:
        return comparison.holm([Difference(1.0, 0.5, 1.5, p) for p in ps])

    assert shown(0.04) == [True]
    assert shown(0.04, 0.03) == [False, False]  # the smaller is not under 0.05 / 2
    assert shown(0.04, 0.02) == [True, True]  # 0.02 <= 0.025, then 0.04 <= 0.05
    assert shown(0.04, 0.001, 0.03) == [False, True, False]
    assert shown(float("nan"), 0.01) == [False, True]


@pytest.mark.parametrize("lower", [True, False], ids=["less is better", "more is better"])
def test_verdicts_are_of_the_other_system(lower: bool) -> None:
    found = Difference(0.2, 0.1, 0.3, 0.001)
    measure = Measure("x", "x", 1, 2, lower)
    assert tables.told(found, measure) == [
        "+0.20",
        "+0.10 to +0.30",
        "behind" if lower else "ahead",
    ]
    assert tables.told(found, measure, False)[2] == "no difference shown"
    alone = Difference(0.2, *[float("nan")] * 3)
    assert tables.told(alone, measure, False)[1] == "one group only"


def test_systems_of_other_samples_or_settings_are_refused(
    folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = write(folder)
    text = path.read_text().replace('seeds = "1,2"', 'seeds = "1"')
    path.write_text(text + '"data.fold" = 1\n')
    with pytest.raises(UserError, match="shallow has other samples than reference"):
        compared(path, tmp_path, capsys)
    path.write_text(text.replace('"network.depth" = 1', '"network.depth" = 2'))
    with pytest.raises(UserError, match="a run of other settings"):
        compared(path, tmp_path, capsys)


def test_seeds_are_numbers(folder: Path, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="seeds are numbers with commas"):
        compare.run([str(write(folder)), "--out", str(tmp_path), "--seeds", "1;2"])


def test_an_unknown_field_is_named(folder: Path, tmp_path: Path) -> None:
    path = write(folder)
    path.write_text(path.read_text().replace("network.depth", "network.dept"))
    with pytest.raises(UserError, match="dept"):
        compare.run(["--config", str(path), "--out", str(tmp_path)])
