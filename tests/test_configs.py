"""Every shipped config is one that `normtr train` or `normtr compare` takes."""

from __future__ import annotations

import tomllib
from pathlib import Path

import pytest

from normtr.config import parse
from normtr.errors import UsageError
from training.commands.compare import Compare, run_config
from training.commands.train import NORM_TR, Train
from training.reports.run_groups import settings
from training.systems.noise_aware import Learning
from training.systems.norm_tr import NormTrSystem

FOLDER = Path(__file__).parents[1] / "configs"
DATA, SYSTEMS, RECOGNIZER, EXPERIMENTS = (
    sorted((FOLDER / room).glob("*.toml"))
    for room in ("data", "systems", "recognizer", "experiments")
)
COMPARISONS = [path for path in EXPERIMENTS if "base" in tomllib.loads(path.read_text())]
WHOLE = [path for path in EXPERIMENTS if "data" in tomllib.loads(path.read_text())]
MOSI = FOLDER / "data" / "mosi_words.toml"


def name(path: Path) -> str:
    return f"{path.parent.name}/{path.stem}"


def accepted(*paths: Path) -> Train:
    return parse(Train, [word for path in paths for word in ("--config", str(path))], "train")


def test_every_config_lies_in_a_room_of_its_kind() -> None:
    known = {*DATA, *SYSTEMS, *RECOGNIZER, *COMPARISONS, *WHOLE}
    others = {path for path in FOLDER.rglob("*.toml") if path.parent.name != "faults"} - known
    assert [path.stem for path in others] == ["all_systems"]


@pytest.mark.parametrize("path", DATA, ids=name)
def test_a_data_set_is_trained_on_by_norm_tr_if_no_system_is_named(path: Path) -> None:
    config = accepted(path)
    assert isinstance(config.trained, NormTrSystem)
    assert config.data is not None
    assert config.shared_people == (path.stem == "sims")


@pytest.mark.parametrize("path", SYSTEMS, ids=name)
def test_a_system_is_the_same_before_and_after_another(path: Path) -> None:
    alone = accepted(MOSI, path).trained
    assert accepted(path, MOSI).trained == alone
    for other in SYSTEMS:
        if type(accepted(MOSI, other).trained) is not type(alone):
            assert accepted(MOSI, other, path).trained == alone


@pytest.mark.parametrize("path", RECOGNIZER, ids=name)
def test_a_part_of_the_recognizer_is_accepted(path: Path) -> None:
    config = accepted(path)
    assert config.part is not None
    assert callable(config.part.train)
    with pytest.raises(UsageError, match="leave the data set out"):
        accepted(MOSI, path)


@pytest.mark.parametrize("path", [*WHOLE, FOLDER / "systems" / "norm_tr.toml"], ids=name)
def test_what_a_published_run_learns_depends_on_no_default(path: Path) -> None:
    """Its epochs and its average are named; of one's own clips they follow from their number."""
    learning = getattr(accepted(MOSI, path).trained, "learning", None)
    assert isinstance(learning, Learning)
    named = learning.epochs is not None and learning.ema is not None
    assert named == (path.stem != "own_clips")


def test_nothing_to_train_on_is_one_sentence() -> None:
    with pytest.raises(UsageError, match=r"say what to train on: --config configs/data/NAME\.toml"):
        accepted(FOLDER / "systems" / "nmer.toml")


@pytest.mark.slow
@pytest.mark.parametrize("path", COMPARISONS, ids=name)
def test_every_system_and_value_of_a_comparison_is_accepted(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(FOLDER.parent)
    config = parse(Compare, ["--config", str(path)], "compare")
    base = run_config(config, {})
    fields = [config.fields(name) for name in config.entrants]
    for overrides in fields:
        assert not overrides.keys() - {"space"} or run_config(config, overrides) != base
    spaces = [({}, config.space), *((o, o.get("space", {})) for o in fields)]
    for overrides, space in spaces:
        most = max(map(len, space.values()), default=0)
        drawn = [{f: v[min(i, len(v) - 1)] for f, v in space.items()} for i in range(most)]
        runs = [run_config(config, {**overrides, **one}) for one in drawn]
        taken = [settings(run.data, run.trained) for run in runs if run.data is not None]
        for field, values in space.items():
            within = [
                {k: v for k, v in t.items() if f"{k}.".startswith(f"{field}.")} for t in taken
            ]
            assert len(set(map(repr, within))) == len(values), field


def test_a_key_the_part_does_not_know_names_the_nearest(tmp_path: Path) -> None:
    argv = [
        "--config",
        str(FOLDER / "recognizer/face.toml"),
        "--out",
        str(tmp_path),
        "--part.epoch",
        "3",
    ]
    with pytest.raises(UsageError, match=r"unknown key 'part\.epoch'; did you mean 'part\.epochs'"):
        parse(Train, argv, "train")


@pytest.mark.parametrize(
    ("option", "value", "said"),
    [
        ("network.heads", "7", "half the width 256 is no multiple of 7 heads."),
        ("network.dropout", "1.0", "dropout lies from 0 to under 1, not at 1."),
        ("network.position", "-1.0", "position is 0 or more, not -1."),
        ("network.depth", "-1", "depth is 0 or more, feed_forward 1 or more."),
        ("network.components.text", "0", "widths, outputs, steps and heads are 1 or more."),
        ("learning.batch", "0", "epochs and batch are 1 or more, lr over 0"),
        ("learning.ema", "1.0", "ema lies from 0 to under 1, not at 1."),
    ],
)
def test_a_number_that_cannot_be_is_refused_before_anything_is_computed(
    option: str, value: str, said: str, tmp_path: Path
) -> None:
    config = ["--config", str(FOLDER / "experiments/mosi_words.toml"), "--out", str(tmp_path)]
    with pytest.raises(UsageError, match=said):
        parse(Train, [*config, f"--system.{option}={value}"], "train")


@pytest.mark.parametrize(
    ("option", "said"),
    [
        ("--part.epochs", "'part' needs a class_path, which says what class it is."),
        ("--system.members", "members are 1 or more."),
        ("--system.presett", "unknown key 'system.presett'; did you mean 'system.start'?"),
    ],
)
def test_an_option_that_fits_no_class_is_one_sentence(option: str, said: str) -> None:
    argv = ["--system", NORM_TR, "--config", str(MOSI), option, "0"]
    with pytest.raises(UsageError) as caught:
        parse(Train, argv, "train")
    assert str(caught.value) == said
