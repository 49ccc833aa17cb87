"""The shipped recognizer: what it is, that it still says the same, and how it is calibrated."""

from __future__ import annotations

import itertools
import json
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

import stream
from normtr import checkpoint
from normtr.checkpoint import Checkpoint
from normtr.predictor import Predictor
from normtr.shipped import SHIPPED
from normtr.spec import LABELS, MODALITIES, FeatureSpec
from tests.support import clips
from tests.support.regression import KEPT, outputs, window
from training.recognizer import late_fusion

pytestmark = pytest.mark.slow

MIB = 2**20


@pytest.fixture(scope="module")
def shipped() -> Checkpoint:
    return checkpoint.load(SHIPPED)


def test_it_loads_and_its_shapes_are_the_specs(shipped: Checkpoint) -> None:
    assert shipped.spec == FeatureSpec()
    assert (
        shipped.spec.sha256() == json.loads((SHIPPED / "manifest.json").read_text())["spec_sha256"]
    )
    assert shipped.norm_tr.config.dims == shipped.spec.dims
    assert shipped.face["head.weight"].shape[1] == shipped.spec.face.dim
    assert shipped.voice["head.weight"].shape[1] == shipped.spec.voice.dim
    assert shipped.text["weight"].shape[1] == shipped.spec.text.dim
    assert shipped.adapter
    assert tuple(late_fusion.read(SHIPPED).heads) == MODALITIES


def test_its_files_are_small_and_the_recorded_ones() -> None:
    files = list(SHIPPED.glob("*.safetensors"))
    sizes = [path.stat().st_size for path in files]
    assert max(sizes) <= 15 * MIB
    assert sum(sizes) <= 36 * MIB
    recorded = json.loads((SHIPPED / "recorded.json").read_text())
    assert set(recorded["sha256"]) == {path.name for path in files} | {"manifest.json"}
    assert {"face", "voice", "text", "fusion"} == set(recorded["metrics"])


def test_twenty_fixed_inputs_are_judged_as_ever(shipped: Checkpoint) -> None:
    kept = json.loads(KEPT.read_text())
    assert kept["checkpoint"] == shipped.sha256, "run python -m tests.support.regression"
    found = outputs(shipped)
    assert len(found) == len(kept["outputs"]) == 20
    assert np.abs(np.array(found) - np.array(kept["outputs"])).max() < 1e-3


def test_calibration_keeps_the_order_and_trusts_less_with_less_to_see(shipped: Checkpoint) -> None:
    calibration = shipped.calibration
    assert calibration.prior == pytest.approx((1 / len(LABELS),) * len(LABELS))
    logits = np.linspace(2, -2, len(LABELS)).astype(np.float32)
    tops = []
    for share in (1.0, 0.75, 0.5, 0.25, 0.0):
        p = calibration.probabilities(logits, {"face": share, "voice": share, "text": share})
        assert (np.diff(p) < 0).all()
        tops.append(p[0])
    assert all(np.isfinite(tops))


def test_nothing_seen_abstains(shipped: Checkpoint) -> None:
    empty = window(11, shipped.spec)
    assert not empty.valid.any()
    assert Predictor(shipped)([empty])[0].abstained


def test_a_still_face_in_silence_does_not_flicker(tmp_path: Path) -> None:
    """Twenty seconds of one portrait under a webcam's noise: at most one change of the label."""
    random = np.random.default_rng(0)

    def noisy(size: tuple[int, int], at_s: float) -> NDArray[np.uint8]:
        grain = random.normal(0, 3, (size[1], size[0], 3))
        return np.clip(clips.face(size, at_s) + grain, 0, 255).astype(np.uint8)

    path = clips.write(
        tmp_path / "still.mkv", seconds=20, size=(320, 240), fps=10, draw=noisy, sound=False
    )
    config = stream.SourceConfig(source=str(path), fast=True, text="off")
    tops = [estimate.prediction.top for estimate in stream.estimates(config)]
    assert len(tops) >= 79
    assert sum(a != b for a, b in itertools.pairwise(tops)) <= 1


def test_the_model_card_names_what_was_packed() -> None:
    card = (Path(SHIPPED) / "MODEL_CARD.md").read_text()
    for said in ("Art. 5(1)(f)", "Art. 50(3)", "CC BY-NC-SA", "recorded.json"):
        assert said in card
