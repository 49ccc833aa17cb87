"""Calibration under gaps: fitted on some windows, right on others."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from normtr.calibration import with_neutral
from normtr.config import parse
from normtr.errors import UsageError
from normtr.spec import LABELS, MODALITIES
from stream.pipeline.pipe_config import PipeConfig
from training import noise
from training.evaluation import gap_metrics, probability_calibration
from training.recognizer.pairing import NEUTRAL
from training.windows import Windows

N, STEPS = 1_400, 16


def made(seed: int) -> Windows:
    """Windows whose face rows are the logits that their labels were drawn by."""
    torch.manual_seed(seed)
    true = torch.randn(N, len(LABELS)) * 2
    labels = torch.distributions.Categorical(logits=true).sample()
    rows = {m: true[:, None].expand(-1, STEPS, -1) for m in MODALITIES}
    return Windows(rows, torch.rand(N, len(MODALITIES), STEPS) < 0.8, labels)


@pytest.fixture(scope="module")
def windows() -> Windows:
    return made(0)


def test_calibration_undoes_a_wrong_temperature(windows: Windows) -> None:
    """Logits three times too large: the fitted temperature is near 3, the NLL is lower."""
    true, labels = windows.rows["face"][:, 0], windows.labels
    calibration = probability_calibration.with_threshold(
        probability_calibration.temperatures(3 * true, windows), 3 * true, windows
    )
    p = probability_calibration.probabilities(calibration, 3 * true, windows.valid)
    nothing = np.zeros(1_400, np.bool_)
    truth = labels.numpy()
    found = gap_metrics.reliability(p, truth, nothing, calibration.threshold)
    raw = gap_metrics.reliability((3 * true).softmax(1).double().numpy(), truth, nothing, 0.0)
    ideal = gap_metrics.reliability(true.softmax(1).double().numpy(), truth, nothing, 0.0)
    assert found.nll == pytest.approx(ideal.nll, rel=0.01)
    assert found.nll < raw.nll
    assert found.brier < raw.brier
    assert found.ece < 0.06 < raw.ece
    assert found.selective_accuracy is not None
    assert found.selective_accuracy >= probability_calibration.CONFIDENT
    assert found.accuracy_of_the_surest > found.accuracy == raw.accuracy
    risk = gap_metrics.risk_coverage(p, truth)["risk"]
    assert risk[-1] == pytest.approx(1 - found.accuracy)
    assert risk[0] < risk[-1]
    unseen = gap_metrics.reliability(p, truth, ~nothing, calibration.threshold)
    assert (unseen.coverage, unseen.selective_accuracy) == (0.0, None)
    # The batch form is the shipped form.
    share = dict(zip(MODALITIES, windows.valid[5].double().mean(1).tolist(), strict=True))
    shipped = calibration.probabilities((3 * true)[5].numpy(), share)
    assert np.allclose(p[5], shipped, atol=1e-9)
    everyday = calibration.probabilities((3 * true)[5].numpy(), share, with_neutral(0.6, LABELS))
    odds = everyday / shipped
    assert odds[NEUTRAL] / odds[0] == pytest.approx(0.6 / (0.4 / 6))


@pytest.mark.slow
def test_each_half_is_judged_under_the_calibration_of_the_other() -> None:
    """One half's labels are drawn by chance, so that what it teaches is wrong for the other."""
    sure, chance = made(1), made(2)
    random = torch.randint(len(LABELS), (N,))
    chance = Windows(chance.rows, chance.valid, random)
    alike = probability_calibration.ece_of_others(first_step, [sure, made(3)], seed=1)
    unlike = probability_calibration.ece_of_others(first_step, [sure, chance], seed=1)
    assert set(alike) == {f"{rate:.1f}" for rate in noise.RATES}
    assert max(alike.values()) < 0.05
    assert min(unlike.values()) > 0.1


def first_step(windows: Windows) -> torch.Tensor:
    return windows.rows["face"][:, 0]


@pytest.mark.parametrize("share", [0.0, 1.0, -0.2])
def test_a_share_of_neutral_windows_lies_between_0_and_1(share: float) -> None:
    with pytest.raises(UsageError, match=r"neutral lies between 0 and 1, not at .*\.$"):
        parse(PipeConfig, ["--neutral", str(share)], "live")
