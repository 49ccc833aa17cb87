"""What one answer to everything reaches, and when a model is shown to do better."""

from __future__ import annotations

import numpy as np
import pytest

from tests.support.toy_classes import Classes
from training.data.mosi import MosiWords
from training.evaluation.chance import chance, confusion


def outputs(answers: list[int]) -> np.ndarray:
    return np.eye(3, dtype=np.float32)[answers]


def test_classes_by_hand() -> None:
    """Half of the labels are the first class."""
    labels = np.array([0, 0, 1, 2])
    found = chance(Classes(), outputs([0, 1, 1, 2]), labels)
    assert (found.answer, str(found)) == ("one", "always one")
    assert found.metrics == pytest.approx({"accuracy": 0.5, "uar": 1 / 3, "weighted_f1": 1 / 3})
    counts = confusion(outputs([0, 1, 1, 2]), labels)
    assert counts.tolist() == [[1, 1, 0], [0, 1, 0], [0, 0, 1]]


@pytest.mark.parametrize(("right", "beaten"), [(10, False), (13, True)])
def test_few_right_answers_more_are_not_shown(right: int, beaten: bool) -> None:
    """There are 24 samples, a third of each class: 13 or more are right by chance in 2 % of all draws, 10 in 26 %."""
    labels = np.arange(24) % 3
    given = np.where(np.arange(24) < right, labels, (labels + 1) % 3)
    found = chance(Classes(), outputs(given.tolist()), labels)
    assert found.beaten is beaten
    assert bool(found.verdict(24)) is not beaten
    if not beaten:
        assert "24 samples do not tell it from answering always one" in found.verdict(24)


def test_numbers_are_held_against_their_mean() -> None:
    random = np.random.default_rng(1)
    labels = random.normal(size=40).astype(np.float32)
    data = MosiWords()
    near = (labels + 0.3 * random.normal(size=40)).astype(np.float32)[:, None]
    far = random.normal(size=(40, 1)).astype(np.float32)
    good, bad = chance(data, near, labels), chance(data, far, labels)
    assert good.answer == pytest.approx(float(labels.mean()))
    assert good.metrics["mae"] == pytest.approx(float(np.abs(labels - labels.mean()).mean()))
    assert good.beaten
    assert not bad.beaten
    same = np.full((40, 1), labels.mean(), np.float32)
    assert not chance(data, same, labels).beaten
