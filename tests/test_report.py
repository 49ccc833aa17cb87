"""`normtr report`: tables against figures computed another way, on tiny runs made here."""

from __future__ import annotations

import json
import shutil
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from matplotlib.image import imread
from numpy.typing import NDArray

from normtr.errors import UsageError, UserError
from tests.support.mosi import arguments, part
from training.commands import evaluate, report, train
from training.evaluation import metrics
from training.evaluation.noise_curves import Protocol
from training.reports import figures, run_groups, tables
from training.reports.evaluation_result import EvaluationResult, result
from training.samples import Samples, Split
from training.systems.noise_aware import Learning
from training.systems.norm_tr import Architecture, NormTrSystem

pytestmark = pytest.mark.slow

FAST = ["--system.learning.epochs", "2"]
DEEP = [*FAST, "--system.network.depth", "1"]
GIVEN = """
[data]
class_path = "training.data.mosi.MosiGiven"
init_args = {{ path = "{folder}", steps = 2 }}
"""


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two systems of two seeds, a run on other data, and an unfinished one."""
    folder = tmp_path_factory.mktemp("mosi")
    parts = {"train": part(26, "a", 1), "test": part(10, "b", 2)}
    arrays = {f"{name}_{key}": x for name, arrays in parts.items() for key, x in arrays.items()}
    np.savez(folder / "mosi_utterance.npz", **arrays)
    out = folder / "runs"
    for seed in ("1", "2"):
        train.run(arguments(folder, out / f"base-{seed}", "--seed", seed, *FAST))
        train.run(arguments(folder, out / f"deep-{seed}", "--seed", seed, *DEEP))
    given = folder / "given.toml"
    given.write_text(GIVEN.format(folder=folder))
    argv = ["--config", str(given), "--out", str(out / "given"), *FAST]
    train.run([*argv, "--system.network.width", "32"])
    shutil.copytree(out / "deep-2", out / "unfinished")
    (out / "unfinished" / "model.safetensors").unlink()
    return out


@pytest.fixture(scope="module")
def made(runs: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("made") / "report"
    assert report.run([str(runs / "base-2"), str(runs), "--out", str(out)]) == 0
    return out


def rows(made: Path, section: str, title: str) -> dict[str, list[str]]:
    """First column -> the other cells of the first table under a title of a section."""
    text = (made / "report.md").read_text()
    within = text.split(f"\n## {section}\n")[1].split("\n## ")[0]
    table = within.split(f"\n### {title}\n")[1].split("\n### ")[0]
    first = next(block for block in table.split("\n\n") if block.startswith("|"))
    lines = first.splitlines()
    cells = [[cell.strip() for cell in line.strip("|").split("|")] for line in lines]
    return {first: rest for first, *rest in cells}


def evaluated(capsys: pytest.CaptureFixture[str], run: Path) -> dict[str, dict[str, list[float]]]:
    capsys.readouterr()
    assert evaluate.run([str(run), "--json"]) == 0
    found: dict[str, dict[str, list[float]]] = json.loads(capsys.readouterr().out)
    return found


def test_mean_and_deviation_over_the_seeds_are_those_of_evaluate(
    made: Path, runs: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for name, run in (("reference", "base"), ("network.depth = 1", "deep")):
        both = [evaluated(capsys, runs / f"{run}-{seed}") for seed in (1, 2)]
        mae = np.array([one["metrics"]["mae"] for one in both])
        acc7 = np.array([one["metrics"]["acc7"][0] for one in both]) * 100
        area = np.array([one["auilc"]["corr"] for one in both])
        cells = rows(made, "mosi_words", "Without noise")[name]
        gap = abs(mae[0, 0] - mae[1, 0]) / np.sqrt(2)  # the deviation of two
        assert cells[0] == f"{mae[:, 0].mean():.3f} ± {gap:.3f}"
        assert cells[2] == f"{acc7.mean():.1f} ± {acc7.std(ddof=1):.1f}"
        cells = rows(made, "mosi_words", "AUILC, rates 0 to 1")[name]
        assert cells[1] == f"{area.mean():.3f} ± {area.std(ddof=1):.3f}"
        cells = rows(made, "mosi_words", "Over noise rates")[name]
        assert cells == [f"{v:.3f}" for v in mae.mean(0)]
        corr = np.array([one["metrics"]["corr"] for one in both])
        lost = (1 - corr[:, 5] / corr[:, 0]) * 100
        cells = rows(made, "mosi_words", "Lost from rate 0 to 0.5, by mask stage")[name]
        assert cells[0] == f"{lost.mean():.1f} ± {lost.std(ddof=1):.1f}"
        assert len(cells) == 2


def test_differences_are_those_of_resampled_videos(made: Path, runs: Path) -> None:
    protocol = Protocol()
    errors = {}
    for name in ("base", "deep"):
        both = [result(runs / f"{name}-{seed}", "test", protocol) for seed in (1, 2)]
        each = [np.abs(r.outputs[..., 0] - r.labels).mean(1) for r in both]  # [rates, n]
        errors[name] = (each[0] + each[1]) / 2
    apart = (errors["deep"] - errors["base"])[0]
    videos = np.array(both[0].groups)
    names = sorted(set(videos))
    random = np.random.default_rng(5)
    drawn = []
    for _ in range(4_000):
        chosen = random.choice(names, len(names))
        drawn.append(np.concatenate([apart[videos == video] for video in chosen]).mean())
    mean, interval, verdict, area, *_ = rows(made, "mosi_words", "Differences to the reference")[
        "network.depth = 1"
    ]
    assert mean == f"{apart.mean():+.3f}"
    low, high = map(float, interval.split(" to "))
    tolerance = 0.1 * (high - low) + 0.001
    assert low == pytest.approx(np.quantile(drawn, 0.025), abs=tolerance)
    assert high == pytest.approx(np.quantile(drawn, 0.975), abs=tolerance)
    assert (verdict == "no difference shown") == (low <= 0 <= high)
    over_rates = (errors["deep"] - errors["base"]).mean(1)
    trapezoids = (over_rates[:-1] + over_rates[1:]).sum() / 2 * 0.1
    assert float(area) == pytest.approx(trapezoids, abs=6e-4)


def test_every_table_says_what_it_stands_on_and_pictures_are_there(made: Path) -> None:
    text = (made / "report.md").read_text()
    said = "*mosi_words, split test, n = 29 of 10 videos or speakers; noise steps, mask stage "
    assert text.count(said) >= 7
    assert "mask seeds 1-5, one checkpoint for all rates" in text
    pictures = {line.split("(")[1].rstrip(")") for line in text.splitlines() if line[:2] == "!["}
    kinds = ("rates", "sweeps", "similarity", "attention")
    assert {f"mosi_words-{kind}.png" for kind in kinds} < pictures
    assert pictures == {path.name for path in made.glob("*.png")}
    assert all(imread(made / name).std() > 0.01 for name in pictures)
    assert not list(made.glob("*.partial"))


def test_other_data_have_their_own_section_and_the_unfinished_run_is_named(
    made: Path, runs: Path
) -> None:
    mean = result(runs / "base-2", "test", Protocol()).labels.mean()
    assert set(rows(made, "mosi_words", "Without noise")) == {
        "system",
        "---",
        "reference",
        "network.depth = 1",
        f"chance: always {mean:.3g}",
    }
    assert "reference" in rows(made, "mosi_given", "Without noise")
    text = (made / "report.md").read_text()
    assert f"the run {runs / 'unfinished'} has not ended" in text.split("\n## Left out\n")[1]
    given = text.split("\n## mosi_given\n")[1]
    assert "no words to erase" in given
    assert "No other system" in given


def test_the_same_runs_give_the_same_report(made: Path, runs: Path, tmp_path: Path) -> None:
    argv = [str(runs / "base-2"), str(runs), "--out", str(tmp_path / "again")]
    assert report.run(argv) == 0
    assert (tmp_path / "again" / "report.md").read_text() == (made / "report.md").read_text()


def test_nothing_that_is_there_is_written_over(made: Path, tmp_path: Path) -> None:
    """Told before the runs are looked at; an empty folder holds nothing."""
    before = {path: path.read_bytes() for path in made.iterdir()}
    with pytest.raises(UserError, match="is there already; give another name, or --force"):
        report.run([str(tmp_path / "no runs"), "--out", str(made)])
    (tmp_path / "empty").mkdir()
    with pytest.raises(UserError, match="there is no run in"):
        report.run([str(tmp_path / "no runs"), "--out", str(tmp_path / "empty")])
    with pytest.raises(UserError, match="there is no run in"):
        report.run([str(tmp_path / "no runs"), "--out", str(made), "--force"])
    assert {path: path.read_bytes() for path in made.iterdir()} == before


def test_wrong_input_is_one_sentence(runs: Path, tmp_path: Path) -> None:
    out = ["--out", str(tmp_path / "out")]
    with pytest.raises(UserError, match="there is no run in"):
        report.run([str(tmp_path), *out])
    with pytest.raises(UserError, match="has not ended"):
        report.run([str(runs / "unfinished"), *out])
    with pytest.raises(UsageError, match="runs"):
        report.run(out)
    with pytest.raises(UserError, match="there is no noise"):
        report.run([str(runs / "base-1"), *out, "--noise", "wind"])
    (tmp_path / "file").write_text("")
    taken = [str(runs / "base-1"), "--out", str(tmp_path / "file")]
    with pytest.raises(UserError, match="is there already"):
        report.run(taken)
    with pytest.raises(UserError, match="there can be no folder"):
        report.run([*taken, "--force"])
    assert not (tmp_path / "out" / "report.md").exists()


# Systems


@dataclass(frozen=True)
class Toy:
    """A data set of three classes that is never read."""

    path: Path = Path("toy")
    name: str = "toy"
    outputs: int = 3
    classes: tuple[str, ...] = ("joy", "calm", "fury")

    def at(self, path: Path) -> Toy:
        return replace(self, path=path)

    def load(self, split: Split) -> Samples:
        raise AssertionError

    def without_words(self, split: Split, rate: float, seed: int) -> Samples:
        raise AssertionError

    def groups(self) -> dict[Split, set[str]]:
        raise AssertionError

    def scores(self, outputs: NDArray[Any], labels: NDArray[Any]) -> dict[str, float]:
        return metrics.emotions(labels, outputs.argmax(1))


def toy(
    system: NormTrSystem, seed: int = 1, ids: str = "abcd", folder: Path = Path("toy")
) -> EvaluationResult:
    """Right at rate 0; at rate 1 the first class is given under mask seed 1, the second under 2."""
    labels = np.array([0, 1, 2, 2])
    outputs = np.zeros((2, 2, 4, 3), np.float32)
    outputs[0, :, np.arange(4), labels] = 1
    outputs[1, 0, :, 0] = outputs[1, 1, :, 1] = 1
    protocol = Protocol(rates=(0.0, 1.0), mask_seeds=(1, 2))
    return EvaluationResult(
        Path(),
        Toy(folder),
        system,
        seed,
        "test",
        protocol,
        "",
        tuple(ids),
        tuple("vvww"),
        labels,
        outputs,
    )


def test_classes_have_accuracy_f1_and_uar() -> None:
    (section,) = run_groups.sections([toy(NormTrSystem(), seed) for seed in (1, 2)])
    assert section.reference.per_sample().tolist() == [[1, 1, 1, 1], [0.5, 0.5, 0, 0]]
    assert section.reference.curves("accuracy").tolist() == [[1, 0.25], [1, 0.25]]
    assert section.reference.areas("accuracy").tolist() == [0.625, 0.625]
    line = tables.at_rate_0(section).splitlines()
    assert line[0] == "| system | accuracy (%) | F1 (%) | UAR (%) |"
    assert line[2] == "| reference | 100.0 ± 0.0 | 100.0 ± 0.0 | 100.0 ± 0.0 |"
    # Two of four samples are fury: right in a half, F1 2/3 for that half, recall of one class.
    assert line[3] == "| chance: always fury | 50.0 | 33.3 | 33.3 |"
    answers = tables.confusions(section).splitlines()
    assert answers[0] == "| reference, % | n | joy | calm | fury |"
    assert answers[4] == "| fury | 2 | 0.0 | 0.0 | 100.0 |"
    # Drawn: twice the first video (0.75), twice the second (0.5), or both.
    line = tables.intervals(section).splitlines()
    assert line[2] == "| reference | 100.0 | 100.0 | 100.0 | 62.5 | 50.0 | 75.0 |"


def test_systems_are_named_by_what_they_change() -> None:
    base = NormTrSystem()
    others = [
        replace(base, network=Architecture(depth=4)),
        replace(base, network=Architecture(depth=0)),
        replace(base, masks="windows", learning=Learning(d1="after", d2="slices")),
        replace(base, network=Architecture(components={"text": 8})),
        replace(base, network=Architecture(16, 3, 4, masked=True)),
    ]
    (section,) = run_groups.sections([toy(system) for system in (base, *others)])
    assert [system.name for system in section.groups] == [
        "reference",
        "network.depth = 4",
        "network.depth = 0",
        "masks = windows, learning.d1 = after, learning.d2 = slices",
        "network.components.text = 8",
        "network.width = 16, network.depth = 3 and 2 more (no. 6)",
    ]
    assert section.groups[5].differences[-1] == "network.masked = true"
    assert {name: [value for value, _ in points] for name, points in section.swept().items()} == {
        "network.depth": [0, 2, 4]
    }


def test_a_panel_has_few_lines_and_every_system_one() -> None:
    base = NormTrSystem()
    others = [
        *(replace(base, network=Architecture(depth=depth)) for depth in range(3, 15)),
        *(replace(base, network=Architecture(width=width)) for width in (32, 64)),
        *(replace(base, learning=Learning(lr=lr)) for lr in (1e-3, 1e-2)),
    ]
    (section,) = run_groups.sections([toy(system) for system in (base, *others)])
    panels = figures.families(section)
    assert all(len(panel) <= figures.LINES for panel in panels)
    numbers = [system.number for panel in panels for system in panel]
    assert sorted(numbers) == list(range(2, len(others) + 2))
    for panel in panels:
        assert len({name.split(".")[0] for system in panel for name in system.changed}) == 1


def test_only_results_on_the_same_samples_share_a_section() -> None:
    base = NormTrSystem()
    found = run_groups.sections(
        [
            toy(base),
            toy(base, 2, ids="abce"),
            toy(base, 3, folder=Path("elsewhere")),
            toy(base, 4, folder=Path("toy").resolve()),
        ]
    )
    assert [section.name for section in found] == ["toy", "toy 2", "toy 3"]
    assert found[0].reference.seeds == (1, 4)


def test_a_run_given_twice_counts_once(runs: Path) -> None:
    found = run_groups.find([runs / "base-2", runs, runs / "base-2" / ".."])
    names = [path.name for path in found.runs]
    assert names == ["base-2", "base-1", "deep-1", "deep-2", "given"]
    copy = runs.parent / "copies"
    shutil.copytree(runs / "base-2", copy / "again")
    twice = run_groups.find([runs / "base-2", copy])
    assert [path.name for path in twice.runs] == ["base-2"]
    assert "settings and the seed" in twice.left_out[copy / "again"]


def test_runs_at_one_rate_are_left_to_evaluate(runs: Path) -> None:
    copy = runs.parent / "per_rate"
    shutil.copytree(runs / "base-2", copy / "rate-0.3")
    found = run_groups.find([runs / "base-1", copy])
    assert [path.name for path in found.runs] == ["base-1"]
    assert f"evaluate {copy} --protocol per-rate" in found.left_out[copy / "rate-0.3"]


def test_one_group_has_no_interval_and_says_nothing_of_nan() -> None:
    alone = replace(toy(NormTrSystem()), groups=("v",) * 4)
    (section,) = run_groups.sections([alone])
    line = tables.intervals(section).splitlines()
    assert line[2] == "| reference | 100.0 | - | - | 62.5 | - | - |"
