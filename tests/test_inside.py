"""What a report looks at inside a network: attention, likeness of features, linear probes."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from normtr.model import Features, NormTr
from normtr.norm_tr_config import NormTrConfig
from training.reports.attention import of_block, on_erased, weights
from training.reports.features import features, some
from training.reports.probe import known, probe
from training.reports.similarity import ACROSS, APART, WITH_MF, cosines
from training.samples import Samples
from training.systems.components import Reduced
from training.windows import Windows

pytestmark = pytest.mark.slow

DIMS = {"voice": 5, "text": 4}


def samples(n: int, seed: int, steps: int = 4) -> Samples:
    random = torch.Generator().manual_seed(seed)
    rows = {m: torch.randn(n, steps, dim, generator=random) for m, dim in DIMS.items()}
    valid = torch.rand(n, 2, steps, generator=random) < 0.8
    names = tuple(f"{seed}-{i}" for i in range(n))
    return Samples(names, names, Windows(rows, valid, torch.zeros(n)))


def network(masked: bool = False, steps: int = 4) -> Reduced[NormTr]:
    torch.manual_seed(0)
    config = NormTrConfig(DIMS, 1, steps=steps, width=32, heads=4, masked=masked)
    return Reduced(NormTr(config), DIMS).eval()


@pytest.mark.parametrize("masked", [False, True])
def test_the_weights_are_those_that_the_block_attends_with(masked: bool) -> None:
    model, windows = network(masked), samples(6, 1).windows
    block = model.network.blocks[-1]
    given: list[tuple[Any, ...]] = []
    mixed: list[Tensor] = []
    hooks = [
        block.register_forward_pre_hook(lambda _, args: given.append(args)),
        block.out.register_forward_pre_hook(lambda _, args: mixed.append(args[0])),
    ]
    with torch.inference_mode():
        model(windows.rows, windows.valid)
        _, q, k, v, mask, _ = given[0]
        found = of_block(block, q, k, mask)
        values = v.view(6, 8, 4, 4).transpose(1, 2)
        expected = (found @ values).transpose(1, 2).reshape(6, 8, 16)
    for hook in hooks:
        hook.remove()
    assert torch.allclose(mixed[0], expected, atol=1e-5)
    mean = weights(model, windows)
    assert np.allclose(mean, found.mean(1).numpy(), atol=1e-6)
    assert np.allclose(mean.sum(2), 1, atol=1e-5)
    unseen = ~windows.valid.flatten(1).numpy()
    assert (mean.transpose(0, 2, 1)[unseen].max() < 1e-9) == masked


def test_attention_on_erased_steps_by_hand() -> None:
    # Two tokens, the second erased; an even share is one half.
    clean = np.array([[[0.5, 0.5], [0.3, 0.7]]], np.float32)
    noisy = np.array([[[0.9, 0.1], [0.8, 0.2]]], np.float32)
    before, after = on_erased(clean, noisy, np.array([[False, True]]))
    assert before == pytest.approx(0.6 / 0.5)
    assert after == pytest.approx(0.15 / 0.5)


def test_cosines_by_hand() -> None:
    e, f = torch.tensor([1.0, 0.0]), torch.tensor([0.0, 2.0])
    # Two samples, two modalities, one step.
    nrgf = torch.stack([torch.stack([e, f]), torch.stack([3 * e, -e])])[:, :, None]
    mf = torch.stack([torch.stack([e, e]), torch.stack([e, e])])[:, :, None]
    found = cosines(Features(nrgf, mf), torch.ones(2, 2, 1, dtype=torch.bool))
    assert sorted(found[ACROSS].tolist()) == pytest.approx([-1, 0])
    assert sorted(found[WITH_MF].tolist()) == pytest.approx([-1, 0, 1, 1])
    assert set(np.round(found.get(APART, np.zeros(0)), 6).tolist()) <= {1.0, 0.0}
    only = torch.tensor([[[True], [False]], [[True], [False]]])
    assert ACROSS not in cosines(Features(nrgf, mf), only)
    assert cosines(Features(nrgf, mf), only)[WITH_MF].tolist() == pytest.approx([1, 1])


def test_features_in_slices_are_those_of_the_network() -> None:
    model, all_ = network(), samples(700, 2).windows
    found = features(model, all_)
    with torch.inference_mode():
        whole = model.network.extract(all_.rows, all_.valid).features()
    assert torch.allclose(found.nrgf, whole.nrgf, atol=1e-5)
    assert torch.allclose(found.mf, whole.mf, atol=1e-5)


def test_some_samples_stay_with_their_names() -> None:
    all_ = samples(50, 3)
    few = some(all_, 7)
    assert len(few) == len(set(few.ids)) == 7
    for i, name in enumerate(few.ids):
        there = all_.ids.index(name)
        assert torch.equal(few.windows.rows["text"][i], all_.windows.rows["text"][there])
    assert some(all_, 50) is all_


def test_a_probe_reads_what_is_there_and_nothing_else() -> None:
    random = np.random.default_rng(0)
    y = random.integers(0, 2, 600)
    told = (random.normal(size=(600, 3)) + 4 * y[:, None]).astype(np.float32)
    hidden = random.normal(size=(600, 3)).astype(np.float32)
    half = slice(300), slice(300, 600)
    clear = probe((told[half[0]], y[half[0]]), (told[half[1]], y[half[1]]))
    assert clear is not None
    assert clear.accuracy > 0.98
    assert clear.chance == np.bincount(y[300:]).max() / 300
    dark = probe((hidden[half[0]], y[half[0]]), (hidden[half[1]], y[half[1]]))
    assert dark is not None
    assert abs(dark.accuracy - 0.5) < 0.1
    assert probe((told, np.zeros(600, np.int64)), (told, y)) is None


def test_what_a_network_gives_away() -> None:
    """Rows of the two modalities lie apart, so untrained MFs tell them; a blind NRGF cannot."""
    model = network(steps=8)
    train, test = (samples(120, seed, steps=8) for seed in (4, 5))
    for one in (train, test):
        one.windows.rows["voice"].add_(3)
    found = known(model, train, test)
    assert found["mf"].modality is not None
    assert found["mf"].modality.accuracy > 0.95
    assert found["mf"].noise is not None
    assert found["mf"].noise.chance == 0.5
    assert found["mf"].noise.accuracy > 0.6
    for parameter in model.network.nrgf.parameters():
        parameter.data.zero_()
    blind = known(model, train, test)["nrgf"]
    assert blind.modality is not None
    assert blind.modality.accuracy <= blind.modality.chance
    assert blind.noise is not None
    assert blind.noise.accuracy == 0.5
