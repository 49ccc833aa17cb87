"""A benchmark from files to tables, on a tiny folder of MOSI's shape that the test writes."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from contextlib import nullcontext
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file

from normtr.errors import UsageError, UserError
from tests.support.mosi import PROGRAM, TORCHRUN, arguments, report, started
from training import run_folder
from training.commands import evaluate, train
from training.data.mosi import MosiGiven, MosiSentences, MosiWords, smallest
from training.evaluation.noise_curves import Protocol
from training.noise import RATES
from training.reports.evaluation_result import result
from training.systems.norm_tr import NormTrSystem

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def run(folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("runs") / "run"
    assert train.run(arguments(folder, out)) == 0
    return out


# Data


def test_sentences_of_one_video_in_order_and_no_others(folder: Path) -> None:
    samples = MosiSentences(folder, steps=3).load("test")
    assert samples.ids[:3] == ("b0_1", "b0_10", "b1_1")  # b0_2 has no label
    valid = samples.windows.valid[:, 1]
    assert valid[0].tolist() == [False, False, True]
    assert valid[1].tolist() == [False, True, True]
    assert valid[2].tolist() == [False, False, True]
    rows = samples.windows.rows["text"]
    assert np.array_equal(rows[1, 1], rows[0, 2])
    assert not rows[0, :2].any()
    # b0_10 has a NaN in its audio.
    assert not samples.windows.valid[1, 0, 2]
    assert not samples.windows.rows["voice"][1, 2].any()


def test_words_have_a_row_each_and_the_voice_stands_at_all(folder: Path) -> None:
    samples = MosiWords(folder, steps=4).load("test")
    lengths = samples.windows.valid[:, 1].sum(1).tolist()
    assert set(lengths) <= {3, 4}  # THE BEST STORY OF THE YEAR is cut off
    where = samples.windows.valid.all(dim=1)
    voices = samples.windows.rows["voice"][2][where[2]]
    assert len(voices) > 1
    assert (voices == voices[0]).all()


def test_videos_of_validation_train_and_test_are_different(folder: Path) -> None:
    for data in (MosiSentences(folder), MosiWords(folder), MosiGiven(folder)):
        train, valid, test = (set(data.load(s).groups) for s in ("train", "valid", "test"))  # type: ignore[arg-type]
        assert not train & valid
        assert not (train | valid) & test
    given = MosiGiven(folder)
    assert len(set(given.load("train").groups)) == 26  # never cut validation from train_ there
    assert set(given.load("valid").groups) == smallest([f"b{i}" for i in range(10)], 6)


def test_erased_words_change_their_neighbours_rows_and_are_zero(folder: Path) -> None:
    data = MosiWords(folder, steps=6)
    whole, less = data.load("test"), data.without_words("test", 0.5, 1)
    erased = whole.windows.valid[:, 1] & ~less.windows.valid[:, 1]
    assert 0.3 < erased.sum() / whole.windows.valid[:, 1].sum() < 0.7
    assert not less.windows.rows["text"][erased].any()
    kept = less.windows.valid[:, 1]
    assert not np.allclose(less.windows.rows["text"][kept], whole.windows.rows["text"][kept])
    # The feature stage erases the same words' rows and leaves the others as they were.
    after = whole.under("modality:text", 0.5, 1)
    assert np.array_equal(after.valid[:, 1], kept)
    assert np.array_equal(less.windows.valid[:, 0], whole.windows.valid[:, 0])


def test_training_sees_samples_again_without_some_words(folder: Path, tmp_path: Path) -> None:
    """With two further rates an epoch has three times as many steps; components are of whole ones."""
    steps, bases = [], []
    for out, more in ((tmp_path / "a", []), (tmp_path / "b", ["0.5", "0.9"])):
        rates = ["--system.init_args.fewer_words", f"[{','.join(more)}]"] if more else []
        epochs = ["--system.learning.epochs", "1"]
        assert train.run(arguments(folder, out, *epochs, *rates)) == 0
        state = torch.load(out / "last.ckpt", weights_only=True)
        steps.append(state["global_step"])
        bases.append(load_file(out / "model.safetensors")["basis_text"])
    assert steps[1] == pytest.approx(3 * steps[0], abs=2)
    assert torch.equal(*bases)


def test_noise_takes_valid_steps_of_the_named_modality_only(folder: Path) -> None:
    samples = MosiSentences(folder, steps=3).load("test")
    before = samples.windows.valid
    assert np.array_equal(samples.under("steps", 0.0, 1).valid, before)
    assert not samples.under("steps", 1.0, 1).valid.any()
    text = samples.under("modality:text", 1.0, 1).valid
    assert not text[:, 1].any()
    assert np.array_equal(text[:, 0], before[:, 0])
    assert (samples.under("windows", 0.4, 1).valid <= before).all()
    # A sample's noise is its own: alone or among others, in any order.
    steps = samples.under("steps", 0.5, 3).valid
    alone = MosiSentences(folder, steps=3, modalities=("text",)).load("test")
    assert np.array_equal(alone.under("steps", 0.5, 3).valid[:, 0], steps[:, 1])


# Runs


def test_a_run_learns_and_its_table_has_every_key(
    run: Path, folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    got = report(capsys, run, "--data", folder, "--split", "test")
    assert got["n"] == 29
    assert got["rates"] == [r / 10 for r in range(11)]
    assert (got["noise"], got["mask_stage"], got["mask_seeds"]) == (
        "steps",
        "feature",
        [1, 2, 3, 4, 5],
    )
    names = {"mae", "corr", "acc7", "acc5", "acc3", "acc2_a", "acc2_b", "f1_a", "f1_b"}
    assert set(got["metrics"]) == set(got["auilc"]) == names
    assert all(len(values) == 11 for values in got["metrics"].values())
    assert (got["dataset"], got["split"], got["seed"]) == ("mosi_words", "test", 1)
    assert len(got["checkpoint_sha256"]) == 64
    assert got["metrics"]["corr"][0] > 0.7
    assert got["metrics"]["corr"][-1] == 0.0  # nothing is left to see
    assert got["metrics"]["mae"][0] < got["metrics"]["mae"][-1]


def test_the_same_seed_gives_the_same_run_also_after_an_interruption(
    run: Path, folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from training.systems.noise_aware import NoiseAware

    broken = tmp_path / "broken"
    whole = NoiseAware.on_train_batch_start

    def stop(self: NoiseAware, *rest: Any) -> None:
        if self.current_epoch == 2:
            raise KeyboardInterrupt
        whole(self, *rest)

    monkeypatch.setattr(NoiseAware, "on_train_batch_start", stop)
    with pytest.raises((KeyboardInterrupt, SystemExit)):
        train.run(arguments(folder, broken))
    assert not (broken / "model.safetensors").exists()
    assert (broken / "run.json").is_file()
    monkeypatch.undo()
    argv = arguments(folder, broken)
    argv[argv.index("--out")] = "--resume"
    assert train.run(argv) == 0
    assert (broken / "model.safetensors").read_bytes() == (run / "model.safetensors").read_bytes()
    assert (broken / "metrics.json").read_text() == (run / "metrics.json").read_text()


def test_two_processes_equal_one_with_the_same_global_batch(folder: Path, tmp_path: Path) -> None:
    """After 4 epochs of 5 steps; real processes, which talk over gloo, started by us or torchrun."""
    ways = {"one": (PROGRAM, "1"), "two": (PROGRAM, "2"), "torchrun": (TORCHRUN, "2")}
    found = {}
    for way, (program, devices) in ways.items():
        argv = arguments(folder, tmp_path / way, "--devices", devices, dropout=0.0)
        started(program, [*argv, "--system.learning.epochs", "4"])
        found[way] = load_file(tmp_path / way / "model.safetensors")
    one = found.pop("one")
    for other in found.values():
        assert one.keys() == other.keys()
        assert max(float((one[name] - other[name]).abs().max()) for name in one) < 1e-5


def test_two_processes_with_dropout_are_one_more_seed(
    run: Path, folder: Path, tmp_path: Path
) -> None:
    """What they draw differs, so they end within what other seeds give."""
    started(PROGRAM, arguments(folder, tmp_path / "two", "--devices", "2"))
    runs = [run, tmp_path / "two"]
    for seed in ("2", "3"):
        runs.append(tmp_path / seed)
        assert train.run(arguments(folder, runs[-1], "--seed", seed)) == 0
    one, two, *others = (
        json.loads((path / "metrics.json").read_text())["valid_auilc"]["mae"] for path in runs
    )
    seeds = [one, *others]
    assert one != two
    assert abs(two - np.mean(seeds)) < 3 * np.std(seeds, ddof=1)


def test_two_processes_train_a_model_for_every_rate(folder: Path, tmp_path: Path) -> None:
    argv = arguments(folder, tmp_path / "run", "--devices", "2", "--protocol", "per-rate")
    argv += ["--system.learning.epochs", "1"]
    argv += ["--json"]
    done = subprocess.run([*PROGRAM, "train", *argv], capture_output=True, text=True, timeout=200)
    assert done.returncode == 0, done.stderr
    assert len(json.loads(done.stdout)) == len(RATES)
    assert len(list((tmp_path / "run").glob("rate-*/model.safetensors"))) == len(RATES)


def test_a_result_is_kept_for_its_weights_and_protocol(
    run: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    copy = tmp_path / "copy"
    shutil.copytree(run, copy)
    protocol = Protocol(rates=(0.0, 0.5), mask_seeds=(1, 2))
    first = result(copy, "test", protocol)
    assert first.outputs.shape == (2, 2, 29, 1)
    with monkeypatch.context() as patch:
        patch.setattr(NormTrSystem, "model", None)  # nothing can be computed
        assert np.array_equal(result(copy, "test", protocol).outputs, first.outputs)
        half = Protocol(rates=(0.5,), mask_seeds=(1, 2))
        assert np.array_equal(result(copy, "test", half).outputs, first.outputs[1:])
    weights = load_file(copy / "model.safetensors")
    save_file(
        {**weights, "network.head.bias": weights["network.head.bias"] + 1},
        copy / "model.safetensors",
    )
    assert np.allclose(result(copy, "test", protocol).outputs, first.outputs + 1, atol=1e-5)


@pytest.mark.parametrize(
    ("more", "said"),
    [
        (["--noise", "wind"], "there is no noise 'wind'"),
        (["--noise", "modality:face"], "there is no noise 'modality:face'"),
        (["--rates", "0,2"], "from 0 to 1"),
        (["--rates", "0.5,0"], "must rise"),
        (["--rates", "much"], "numbers with commas"),
        (["--data", "nowhere"], "nowhere"),
        (["--mask-stage", "word", "--noise", "windows"], "--noise steps only"),
    ],
)
def test_a_wrong_question_is_one_sentence(run: Path, more: list[str], said: str) -> None:
    with pytest.raises(UserError, match=said):
        evaluate.run([str(run), "--json", *more])


def test_damaged_and_other_runs_are_refused(run: Path, folder: Path, tmp_path: Path) -> None:
    with pytest.raises(UserError, match="is no run"):
        evaluate.run([str(tmp_path)])
    with pytest.raises(UserError, match="holds a run of other settings"):
        train.run(arguments(folder, run, "--seed", "2"))
    with pytest.raises(UserError, match="holds no run to resume"):
        train.run([w if w != "--out" else "--resume" for w in arguments(folder, tmp_path / "new")])
    with pytest.raises(UsageError, match="say where the run lies"):
        train.run([*arguments(folder, run), "--resume", str(run)])
    copy = tmp_path / "copy"
    shutil.copytree(run, copy)
    (copy / "model.safetensors").write_bytes((run / "model.safetensors").read_bytes()[:-100])
    with pytest.raises(UserError, match="does not fit"):
        evaluate.run([str(copy)])
    settings = json.loads((copy / "run.json").read_text())
    settings["system"]["class_path"] = "os.system"
    (copy / "run.json").write_text(json.dumps(settings))
    with pytest.raises(UserError, match="none of our classes"):
        evaluate.run([str(copy)])


@pytest.mark.parametrize(
    ("fields", "same"), [({}, True), ({"position": 0.5}, False), ({"gone": 1}, False)]
)
def test_a_run_made_before_a_field_was_goes_on_with_its_default(
    run: Path, tmp_path: Path, fields: dict[str, float], same: bool
) -> None:
    settings = json.loads((run / "run.json").read_text())
    network = settings["system"]["init_args"]["network"]["init_args"]
    del network["position"]
    network.update(fields)
    (tmp_path / "run.json").write_text(json.dumps(settings))
    made = run_folder.read(run)
    with nullcontext() if same else pytest.raises(UserError, match="a run of other settings"):
        run_folder.begin(tmp_path, {"data": made.data, "system": made.system}, 1, resume=True)


def test_runs_of_the_first_version_and_of_a_recognizers_part_are_refused(
    run: Path, tmp_path: Path
) -> None:
    old = {"class_path": "training.systems.norm_tr.Benchmark", "init_args": {"data": {}}}
    part = {"class_path": "training.recognizer.face.FacePart", "init_args": {"epochs": 3}}
    shutil.copy(run / "model.safetensors", tmp_path)
    for made_from, said in ((old, "made by version 0.1"), (part, "is no run on a data set")):
        (tmp_path / "run.json").write_text(json.dumps({"part": made_from, "seed": 1}))
        with pytest.raises(UserError, match=said):
            evaluate.run([str(tmp_path)])
    for damaged in ({"part": 3}, {"part": {"init_args": 3}}, {"data": 3, "system": "x"}):
        (tmp_path / "run.json").write_text(json.dumps({**damaged, "seed": 1}))
        with pytest.raises(UserError, match="is no run on a data set"):
            evaluate.run([str(tmp_path)])


def test_a_truncated_data_file_is_one_sentence(folder: Path, tmp_path: Path) -> None:
    whole = (folder / "mosi_utterance.npz").read_bytes()
    (tmp_path / "mosi_utterance.npz").write_bytes(whole[: len(whole) // 2])
    with pytest.raises(UserError, match="cannot be read as CMU-MOSI"):
        MosiSentences(tmp_path).load("test")


def test_without_out_the_run_is_named_after_config_and_seed(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    argv = arguments(folder, tmp_path)[:2]
    monkeypatch.chdir(tmp_path)
    assert train.run([*argv, "--seed", "3", "--system.learning.epochs", "1"]) == 0
    assert (tmp_path / "runs/small-0.1-3/model.safetensors").is_file()


def files(folder: Path) -> dict[Path, bytes]:
    return {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def test_a_training_that_fails_leaves_no_folder_that_it_made(folder: Path, tmp_path: Path) -> None:
    argv = arguments(folder, tmp_path / "runs" / "new")
    bad = [*argv, "--data", str(tmp_path / "nowhere")]
    for more in ([], ["--protocol", "per-rate"], ["--devices", "3"]):
        with pytest.raises(UserError):
            train.run([*bad, *more])
        assert not (tmp_path / "runs").exists()
    (tmp_path / "runs" / "new").mkdir(parents=True)  # somebody else's
    (tmp_path / "runs" / "other").mkdir()
    with pytest.raises(UserError):
        train.run(bad)
    assert {path.name for path in (tmp_path / "runs").iterdir()} == {"new", "other"}


def test_nothing_that_is_there_is_trained_over(run: Path, folder: Path, tmp_path: Path) -> None:
    """Told before the data are looked at; `--force` takes a run's place, and lies beside others."""
    argv = arguments(folder, tmp_path, "--system.learning.epochs", "1")
    nowhere = ["--data", str(tmp_path / "nowhere")]
    (tmp_path / "notes.txt").write_text("mine")
    for more in ([], ["--protocol", "per-rate"]):
        with pytest.raises(UserError, match="is there already; give another name, or --force"):
            train.run([*argv, *nowhere, *more])
    file = arguments(folder, tmp_path / "notes.txt")
    with pytest.raises(UserError, match="is there already"):
        train.run(file)
    assert files(tmp_path) == {tmp_path / "notes.txt": b"mine"}
    assert train.run([*argv, "--force"]) == 0
    assert (tmp_path / "notes.txt").read_text() == "mine"
    with pytest.raises(UserError, match=r"holds a run of other settings; .* or --force"):
        train.run([*argv, "--seed", "2"])
    shutil.copytree(run, tmp_path / "copy")
    again = arguments(folder, tmp_path / "copy", "--system.learning.epochs", "1")
    assert train.run([*again, "--seed", "2", "--force"]) == 0
    assert json.loads((tmp_path / "copy" / "run.json").read_text())["seed"] == 2
    assert torch.load(tmp_path / "copy" / "last.ckpt", weights_only=True)["epoch"] == 0
    with pytest.raises(UsageError, match="leave --force out"):
        train.run(["--resume" if w == "--out" else w for w in [*again, "--force"]])


def test_training_says_what_matters_in_a_few_lines(folder: Path, tmp_path: Path) -> None:
    argv = arguments(folder, tmp_path / "run")
    done = subprocess.run([*PROGRAM, "train", *argv], capture_output=True, timeout=200)
    out, told = done.stdout.decode(), done.stderr.decode()
    assert done.returncode == 0, told
    metrics = json.loads((tmp_path / "run" / "metrics.json").read_text())
    first, *more = out.splitlines()
    mae, n = metrics["valid"]["metrics"]["mae"][0], metrics["valid"]["n"]
    assert first.startswith(f"Validation, {n} samples, without noise: MAE {mae:.3f}, Corr ")
    assert f"MAE {metrics['valid']['chance']['metrics']['mae']:.3f}" not in first
    assert f": {metrics['valid']['chance']['metrics']['mae']:.3f})." in first
    assert more == [
        f"The run is in {tmp_path / 'run'}; all figures are in its metrics.json.",
        f"Next: normtr evaluate {tmp_path / 'run'}",
    ]
    where = "GPU" if torch.cuda.is_available() else "CPU"
    assert told.startswith(f"Training on the {where} into {tmp_path / 'run'}; ")
    assert "validation mae" in told
    assert told.count("\n") <= 3, told  # a bar is written over
    for advertised in ("Tip", "litlogger", "GPU available", "deprecated", "is not empty"):
        assert advertised not in told


def test_per_rate_trains_a_model_for_each_rate(
    folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    argv = arguments(folder, tmp_path / "run", "--protocol", "per-rate")
    assert train.run([*argv, "--system.learning.epochs", "1"]) == 0
    got = report(capsys, tmp_path / "run", "--protocol", "per-rate", "--rates", "0,0.5,1")
    assert got["protocol"] == "one checkpoint per rate"
    for i, rate in enumerate(("0", "0.5", "1")):
        alone = report(capsys, tmp_path / "run" / f"rate-{rate}", "--rates", rate)
        assert alone["metrics"]["mae"] == [got["metrics"]["mae"][i]]
    with pytest.raises(UserError, match=r"rate-0\.25"):
        evaluate.run([str(tmp_path / "run"), "--protocol", "per-rate", "--rates", "0,0.25"])


def test_a_full_disk_is_one_sentence_and_leaves_no_half_file(folder: Path, tmp_path: Path) -> None:
    """A real limit on what the program may write: its first checkpoint does not fit."""
    argv = arguments(folder, tmp_path / "run")
    program = (
        "import resource, sys; resource.setrlimit(resource.RLIMIT_FSIZE, (60_000, 60_000));"
        "import signal; signal.signal(signal.SIGXFSZ, signal.SIG_IGN);"
        "from normtr.cli import run; sys.exit(run(['train', *sys.argv[1:]]))"
    )
    done = subprocess.run(
        [sys.executable, "-c", program, *argv], capture_output=True, text=True, check=False
    )
    assert done.returncode == 1
    assert "Traceback" not in done.stderr
    assert "normtr train: failed ([Errno 27] File too large" in done.stderr, done.stderr
    assert not list((tmp_path / "run").glob("*.ckpt"))
    assert not list((tmp_path / "run").glob("*.safetensors"))
