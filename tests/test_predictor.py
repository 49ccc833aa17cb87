"""What the recognizer says of a window: probabilities, prior, abstention, attribution."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

from normtr.calibration import Calibration, with_neutral
from normtr.cause import Cause
from normtr.checkpoint import Checkpoint
from normtr.fusion import NormTrWeights
from normtr.model import NormTr
from normtr.norm_tr_config import NormTrConfig
from normtr.predictor import Predictor
from normtr.resnet import ResNetEnsemble
from normtr.spec import LABELS, MODALITIES, FaceSpec, FeatureSpec, VoiceSpec
from normtr.torch_networks import weights_of
from normtr.voice_network import VoiceNetwork
from normtr.window import Window, assemble

SPEC = FeatureSpec(face=FaceSpec(width=4), voice=VoiceSpec(width=4, dim=8))
UNIFORM = (1 / 7,) * 7


def recognizer(threshold: float = 0.0) -> Checkpoint:
    torch.manual_seed(0)
    config = NormTrConfig(SPEC.dims, len(LABELS), width=32, depth=1, heads=4, masked=True)
    return Checkpoint(
        SPEC,
        LABELS,
        Calibration(-2.0, {"face": 0.2, "voice": 0.1, "text": 0.0}, threshold, UNIFORM),
        weights_of(ResNetEnsemble(FaceSpec(width=4), 7)),
        weights_of(VoiceNetwork(SPEC.voice, 7)),
        weights_of(nn.Linear(SPEC.text.dim, 7)),
        {},
        NormTrWeights(config, weights_of(NormTr(config))),
        "f" * 64,
    )


def window(valid: dict[str, int], seed: int = 0) -> Window:
    """`valid`: how many first steps of a modality are there."""
    random = np.random.default_rng(seed)
    columns = {}
    for m, dim in SPEC.dims.items():
        rows = random.normal(size=(SPEC.steps, dim)).astype(np.float32)
        columns[m] = [
            (Cause.NONE, rows[t]) if t < valid.get(m, 0) else ("error", None)
            for t in range(SPEC.steps)
        ]
    return assemble(SPEC, 0, columns)


counts = st.fixed_dictionaries({m: st.integers(0, SPEC.steps) for m in MODALITIES})


@settings(deadline=None, max_examples=40)
@given(counts, st.integers(0, 100))
def test_shares_are_of_what_was_there_and_add_up(valid: dict[str, int], seed: int) -> None:
    judged = Predictor(recognizer())([window(valid, seed)])[0]
    assert sum(judged.probabilities) == pytest.approx(1)
    assert judged.top == LABELS[int(np.argmax(judged.probabilities))]
    assert set(judged.share) == set(MODALITIES)
    assert all(0 <= share <= 1 for share in judged.share.values())
    assert sum(judged.share.values()) == pytest.approx(1) or not any(judged.share.values())
    assert all(judged.share[m] == 0 for m in MODALITIES if not valid[m])


def test_what_decides_alone_has_the_whole_share() -> None:
    judged = Predictor(recognizer())([window({"voice": 9})])[0]
    assert judged.share["voice"] in (0.0, 1.0)


def test_leaving_a_modality_out_is_judging_the_window_without_it() -> None:
    predictor = Predictor(recognizer())
    whole, valid = predictor([window({"face": 16, "voice": 12})])[0], {"face": 16, "voice": 12}
    best = LABELS.index(whole.top)

    def odds(p: float) -> float:
        return float(np.log(p / (1 - p)))

    loss = {}
    for gone in valid:
        rest = predictor([window({m: n for m, n in valid.items() if m != gone})])[0]
        # The same rows: they are drawn before they are taken away.
        loss[gone] = max(0.0, odds(whole.confidence) - odds(rest.probabilities[best]))
    total = sum(loss.values())
    assert total > 0
    for m, lost in loss.items():
        assert whole.share[m] == pytest.approx(lost / total, abs=1e-4)


def test_nothing_seen_always_abstains_and_so_does_too_little_confidence() -> None:
    nothing = Predictor(recognizer())([window({})])[0]
    assert nothing.abstained
    assert not any(nothing.share.values())
    seen = window({"face": 16})
    assert not Predictor(recognizer(0.0))([seen])[0].abstained
    assert Predictor(recognizer(1.0))([seen])[0].abstained


def test_a_prior_of_neutral_moves_every_window_towards_it() -> None:
    some = window({"face": 16, "text": 5})
    plain, calm = (
        Predictor(recognizer())([some])[0],
        Predictor(recognizer(), neutral=0.6)([some])[0],
    )
    neutral = LABELS.index("neutral")
    assert calm.probabilities[neutral] > plain.probabilities[neutral]
    prior = with_neutral(0.6, LABELS)
    expected = np.array(plain.probabilities) * np.array(prior) / np.array(UNIFORM)
    assert np.allclose(calm.probabilities, expected / expected.sum(), atol=1e-6)
    same = Predictor(recognizer(), neutral=1 / 7)([some])[0]
    assert np.allclose(same.probabilities, plain.probabilities)
    with pytest.raises(dataclasses.FrozenInstanceError):
        plain.top = "happy"  # type: ignore[misc]
