"""Every shipped config is one that `normtr train` takes."""

from __future__ import annotations

from pathlib import Path

import pytest

from normtr.config import parse
from normtr.errors import UsageError
from training.train import Train

CONFIGS = sorted((Path(__file__).parents[1] / "configs").glob("*.toml"))


def test_there_are_configs() -> None:
    assert CONFIGS


@pytest.mark.parametrize("path", CONFIGS, ids=lambda path: path.stem)
def test_a_shipped_config_is_accepted(path: Path, tmp_path: Path) -> None:
    config = parse(Train, ["--config", str(path), "--out", str(tmp_path)], "train")
    assert callable(config.part.train)
    assert config.out == tmp_path


def test_a_key_the_part_does_not_know_names_the_nearest(tmp_path: Path) -> None:
    argv = ["--config", str(CONFIGS[0]), "--out", str(tmp_path), "--part.epoch", "3"]
    with pytest.raises(UsageError, match="unknown key 'epoch'; did you mean 'epochs'"):
        parse(Train, argv, "train")
