"""Test noise that leaves erased rows noisy: which rows, how noisy, and drawn from what."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch

from normtr.errors import UserError
from training.evaluation.diffusion_noise import diffused, statistics
from training.evaluation.noise_curves import Protocol
from training.samples import Samples, windows

N, T = 40, 6


@pytest.fixture(scope="module")
def samples() -> Samples:
    random = np.random.default_rng(0)
    rows = {m: 5 + 3 * random.normal(size=(N, T, 200)) for m in ("voice", "text")}
    valid = {m: random.random((N, T)) < 0.9 for m in rows}
    ids = tuple(f"s{i}" for i in range(N))
    return Samples(ids, ids, windows(rows, valid, np.zeros(N, np.int64)))


def test_lost_rows_are_noisy_and_all_others_as_they_were(samples: Samples) -> None:
    left = samples.under("modality:text", 0.5, 1)
    unit = statistics(samples.windows)
    found = diffused(samples, left, "gaussian:100", unit, 1)
    valid = samples.windows.valid
    assert torch.equal(found.valid, valid)  # nobody is told
    assert torch.equal(found.rows["voice"], samples.windows.rows["voice"])
    lost = valid[:, 1] & ~left.valid[:, 1]
    assert torch.equal(found.rows["text"][~lost], samples.windows.rows["text"][~lost])
    noisy, before = found.rows["text"][lost], samples.windows.rows["text"][lost]
    assert not torch.isclose(noisy, before).all(1).any()
    # In the units of the rows: noise keeps their mean and deviation.
    assert float(noisy.mean()) == pytest.approx(5, abs=0.3)
    assert float(noisy.std()) == pytest.approx(3, abs=0.3)


def test_the_steps_of_the_schedule_say_how_noisy(samples: Samples) -> None:
    unit = statistics(samples.windows)
    left = samples.under("steps", 1.0, 1)
    there = samples.windows.valid[:, 1]
    before = samples.windows.rows["text"][there]
    likeness = []
    for steps in (1, 20, 100):
        noisy = diffused(samples, left, f"gaussian:{steps}", unit, 1).rows["text"][there]
        both = torch.stack([(before - 5).flatten(), (noisy - 5).flatten()])
        likeness.append(float(torch.corrcoef(both)[0, 1]))
    assert likeness[0] == pytest.approx(0.99**0.5, abs=0.01)
    assert likeness[0] > likeness[1] > likeness[2] > 0.1


def test_a_samples_noise_hangs_on_seed_and_names_only(samples: Samples) -> None:
    unit = statistics(samples.windows)

    def noisy(of: Samples, seed: int) -> torch.Tensor:
        made = diffused(of, of.under("steps", 1.0, seed), "impulse:100", unit, seed)
        return made.rows["text"]

    back = np.arange(N)[::-1].copy()
    turned = Samples(samples.ids[::-1], samples.groups[::-1], samples.windows.part(back))
    assert torch.equal(noisy(turned, 1).flip(0), noisy(samples, 1))
    assert not torch.equal(noisy(samples, 2), noisy(samples, 1))


@pytest.mark.parametrize("erased", ["loud", "gaussian", "gaussian:0", "impulse:x", "zero:3"])
def test_noise_that_there_is_not_is_refused(erased: str) -> None:
    with pytest.raises(UserError, match="gaussian:STEPS or impulse:STEPS, not"):
        Protocol(erased=erased).check(["text"])


def test_words_cannot_be_noisy() -> None:
    protocol = Protocol(mask_stage="word", erased="gaussian:100")
    with pytest.raises(UserError, match="are gone"):
        protocol.check(["text"])
    replace(protocol, erased="zero").check(["text"])
