"""Every shipped config is one that `normtr train` or `normtr compare` takes."""

from __future__ import annotations

import tomllib
from pathlib import Path

import pytest

from normtr.config import parse
from normtr.errors import UsageError
from training.commands.compare import Compare, system
from training.commands.train import Train
from training.reports.run_groups import settings
from training.systems.noise_aware import Learning

FOLDER = Path(__file__).parents[1] / "configs"
ALL = sorted(FOLDER.glob("*.toml"))
COMPARISONS = [
    path for path in ALL if {"base", "systems"} <= tomllib.loads(path.read_text()).keys()
]
CONFIGS = [path for path in ALL if path not in COMPARISONS and path.stem != "contenders"]


def test_there_are_configs() -> None:
    assert CONFIGS
    assert COMPARISONS


@pytest.mark.parametrize("path", CONFIGS, ids=lambda path: path.stem)
def test_a_shipped_config_is_accepted(path: Path, tmp_path: Path) -> None:
    config = parse(Train, ["--config", str(path), "--out", str(tmp_path)], "train")
    assert callable(config.part.train)
    assert config.out == tmp_path


@pytest.mark.parametrize("path", CONFIGS, ids=lambda path: path.stem)
def test_what_a_benchmark_learns_depends_on_no_default(path: Path) -> None:
    """Its epochs and its average are named; of one's own clips they follow from their number."""
    learning = getattr(parse(Train, ["--config", str(path)], "train").part, "learning", None)
    if isinstance(learning, Learning):
        named = learning.epochs is not None and learning.ema is not None
        assert named == (path.stem != "extracted")


@pytest.mark.slow
@pytest.mark.parametrize("path", COMPARISONS, ids=lambda path: path.stem)
def test_every_system_and_value_of_a_comparison_is_accepted(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(path.parents[1])
    config = parse(Compare, ["--config", str(path)], "compare")
    base = system(config, {})
    fields = [config.fields(name) for name in config.entrants]
    for overrides in fields:
        assert not overrides.keys() - {"space"} or system(config, overrides) != base
    spaces = [({}, config.space), *((o, o.get("space", {})) for o in fields)]
    for overrides, space in spaces:
        most = max(map(len, space.values()), default=0)
        drawn = [{f: v[min(i, len(v) - 1)] for f, v in space.items()} for i in range(most)]
        taken = [settings(system(config, {**overrides, **one})) for one in drawn]
        for field, values in space.items():
            within = [
                {k: v for k, v in t.items() if f"{k}.".startswith(f"{field}.")} for t in taken
            ]
            assert len(set(map(repr, within))) == len(values), field


def test_a_key_the_part_does_not_know_names_the_nearest(tmp_path: Path) -> None:
    argv = ["--config", str(FOLDER / "face.toml"), "--out", str(tmp_path), "--part.epoch", "3"]
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
    config = ["--config", str(FOLDER / "mosi_words.toml"), "--out", str(tmp_path)]
    with pytest.raises(UsageError, match=said):
        parse(Train, [*config, f"--part.init_args.{option}={value}"], "train")
