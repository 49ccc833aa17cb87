"""What a run folder says it was made from is the same config again."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from training.config_json import describe, restore
from training.data.mosi import MosiWords
from training.recognizer.paired import LabelPaired
from training.systems.nmer import Nmer
from training.systems.norm_tr import Architecture, NormTrSystem


@pytest.mark.parametrize(
    "config",
    [
        LabelPaired(),
        LabelPaired(Path("runs/fusion"), recognizer=Path("runs/weights")),
        MosiWords(),
        NormTrSystem(network=Architecture(components={"text": 3}), fewer_words=(0.5,)),
        Nmer(noises=("gaussian", "zero"), residual=True),
    ],
)
def test_a_config_is_the_same_again(config: Any) -> None:
    assert restore(json.loads(json.dumps(describe(config)))) == config
