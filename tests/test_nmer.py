"""NMER: sizes and losses as specified, and both presets."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor, nn

from training.evaluation.noise_scheduler import Scheduler
from training.systems.encoders import LstmEncoder, TextCnnEncoder, invariant
from training.systems.nmer import FIRST, SECOND
from training.systems.nmer_network import NmerConfig, NmerNetwork, NmerPretrained, Preset, Vae, kl
from training.systems.nmer_phases import NmerSecondPhase, Teaching
from training.systems.phase import Phase

pytestmark = pytest.mark.slow


PAPER = {"voice": 130, "text": 1024, "face": 342}
DIMS = {"voice": 3, "text": 5}
SMALL = Phase(constant=1, decay=1, batch=8, clip=1.0, dropout=0.1, beta1=0.9, lr=1e-3)


def count(module: nn.Module) -> int:
    return sum(p.numel() for p in module.parameters())


def small(preset: Preset = "sound", **more: Any) -> NmerNetwork:
    torch.manual_seed(0)
    return NmerNetwork(NmerConfig(DIMS, 1, preset, **more)).eval()


@pytest.fixture(scope="module")
def network() -> NmerNetwork:
    return small()


def drawn(n: int = 6, steps: int = 7, seed: int = 1) -> tuple[dict[str, Tensor], Tensor]:
    """Rows, all valid."""
    random = torch.Generator().manual_seed(seed)
    rows = {m: torch.randn(n, steps, dim, generator=random) for m, dim in DIMS.items()}
    return rows, torch.ones(n, len(DIMS), steps, dtype=torch.bool)


# Sizes


def test_parameters_are_the_papers() -> None:
    config = NmerConfig(PAPER, 4)
    network, first = NmerNetwork(config), NmerPretrained(config)
    assert count(LstmEncoder(130)) == 133_120
    assert count(LstmEncoder(342)) == 241_664
    assert count(TextCnnEncoder(1024)) == 1_622_528
    assert count(network.specific) == count(network.invariant) == 1_997_312
    assert count(invariant()) == count(network.common) == 33_024
    assert count(network.vae.encoder) == 12_814_720
    assert count(network.vae.mean) + count(network.vae.log_variance) == 98_432
    assert count(network.vae.decoder) == 107_008
    assert count(network.classifier) == 66_820
    assert count(network) == 17_114_628
    assert count(first.classifier) == 115_460
    assert count(first) == 2 * 1_997_312 + 33_024 + 115_460


@pytest.mark.parametrize("modalities", [("voice", "text"), ("face", "voice", "text")])
@pytest.mark.parametrize("outputs", [1, 5])
def test_widths_and_lengths_come_from_the_data(modalities: tuple[str, ...], outputs: int) -> None:
    dims = {m: 2 + i for i, m in enumerate(modalities)}
    network = NmerNetwork(NmerConfig(dims, outputs)).eval()
    for steps in (1, 4, 9):  # shorter than the text encoder's kernels, too
        rows = {m: torch.randn(3, steps, dim) for m, dim in dims.items()}
        out = network(rows, torch.ones(3, len(dims), steps, dtype=torch.bool))
        assert out.shape == (3, outputs)


# Losses


def test_kl_is_the_hand_computed_one() -> None:
    zero = torch.zeros(2, 3)
    assert not kl(zero, zero).any()
    assert kl(torch.ones(1, 1), torch.zeros(1, 1)).item() == pytest.approx(0.5)
    assert kl(zero[:1, :1], torch.full((1, 1), math.log(2))).item() == pytest.approx(
        (2 - 1 - math.log(2)) / 2
    )


def second(preset: Preset, network: NmerNetwork | None = None) -> NmerSecondPhase:
    network = network or small(preset)
    torch.manual_seed(5)
    first = NmerPretrained(network.config)
    scheduler = Scheduler(("gaussian",), 100, released=preset == "as_released")
    return NmerSecondPhase(network, Teaching(first, scheduler, True), SMALL, "mse", 1)


@pytest.mark.parametrize(("preset", "share"), [("sound", 2 / 384), ("as_released", 128)])
def test_kl_is_as_heavy_as_the_preset_says(preset: Preset, share: float) -> None:
    """The released one sums over the latent: it is 128 * 192 times the sound one."""
    divergence = torch.full((128, 64), 0.5)
    weighed = second(preset).weighed(divergence, 384)
    assert float(weighed) == pytest.approx(32 * share)


def test_losses_are_what_the_spec_sums() -> None:
    module = second("sound").eval()
    rows, valid = drawn()
    labels = torch.arange(6.0)
    x = module.network.scaled(rows, valid)
    s, c = torch.randn(6, 2 * 128), torch.randn(6, 2, 128)
    losses = module.losses(x, valid, s, c, labels)
    joint = module.network.joint(x, valid)
    squares = {
        "emotion": (joint.outputs[:, 0] - labels).detach().numpy(),
        "invariant": (joint.c - c).detach().numpy(),
        "reconstruction": (joint.r - s).detach().numpy(),
    }
    for name, differences in squares.items():
        assert losses[name].item() == pytest.approx(float(np.square(differences).mean()), rel=1e-4)
    mean, log = joint.mean.detach().numpy(), joint.log_variance.detach().numpy()
    expected = -0.5 * (1 + log - mean**2 - np.exp(log)).sum(1).mean() * 2 / 256
    assert losses["kl"].item() == pytest.approx(float(expected), rel=1e-4)
    total = sum(loss.item() for loss in losses.values())
    assert module.told(losses).item() == pytest.approx(total, rel=1e-5)


def test_the_teacher_is_frozen_and_learns_nothing() -> None:
    module = second("sound").train()
    assert not module.teacher.training
    rows, valid = drawn()
    before = {k: v.clone() for k, v in module.teacher.state_dict().items()}
    optimizer = module.configure_optimizers()["optimizer"]
    batch = (
        rows,
        valid,
        torch.zeros(6),
        torch.ones(1, *valid.shape, dtype=torch.bool),
        valid[..., 0],
    )
    module.training_step(batch, 0).backward()
    optimizer.step()
    assert all(torch.equal(v, before[k]) for k, v in module.teacher.state_dict().items())
    assert all(p.grad is not None for p in module.network.parameters())


def test_the_rate_falls_as_the_spec_says() -> None:
    phase = Phase(constant=20, decay=20, batch=128, clip=1.0, dropout=0.5, beta1=0.5)
    factors = [phase.factor(epoch) for epoch in range(phase.epochs)]
    assert factors[:20] == [1.0] * 20
    assert factors[20] == pytest.approx(20 / 21)
    assert factors[-1] == pytest.approx(1 / 21)
    assert (FIRST.epochs, SECOND.epochs) == (20, 80)


def test_gradients_are_clipped_module_by_module() -> None:
    module = second("sound")
    for p in module.network.parameters():
        p.grad = torch.ones_like(p)
    module.network.common[0].bias.grad.zero_()  # type: ignore[union-attr, operator]
    module.configure_gradient_clipping()
    network = module.network
    for part in (*network.specific.values(), *network.invariant.values(), network.vae):
        norm = torch.stack([p.grad.norm() for p in part.parameters() if p.grad is not None]).norm()
        assert float(norm) == pytest.approx(1, abs=1e-3)


# Presets


@torch.no_grad()
def test_only_as_released_do_samples_depend_on_their_batch() -> None:
    rows, valid = drawn()
    other = {m: torch.cat([x[:1], 3 * x[1:]]) for m, x in rows.items()}
    first = {m: x[:1] for m, x in rows.items()}
    sound, released = small("sound"), small("as_released")
    together = sound(rows, valid)
    assert torch.allclose(sound(other, valid)[0], together[0], atol=1e-5)
    assert torch.allclose(sound(first, valid[:1])[0], together[0], atol=1e-5)
    assert not torch.allclose(released(other, valid)[0], released(rows, valid)[0], atol=1e-3)
    assert torch.equal(released(rows, valid), released(rows, valid))


@pytest.mark.parametrize("training", [False, True])
@torch.no_grad()
def test_a_step_alone_is_attended_to_as_the_library_does(training: bool) -> None:
    """Under dropout, too: of a head alone, since there is one weight."""
    torch.manual_seed(0)
    vae = Vae(8, 0.5, released=False).train(training)
    s, c = torch.randn(40, 8), torch.randn(40, 8)
    torch.manual_seed(1)
    x = vae.encoder(torch.cat([s, c], 1)[:, None])[:, 0]
    torch.manual_seed(1)
    _, mean, log_variance = vae(s, c)
    torch.testing.assert_close(mean, vae.mean(x))
    torch.testing.assert_close(log_variance, vae.log_variance(x))


@torch.no_grad()
def test_z_is_its_mean_under_test_and_drawn_in_training() -> None:
    s, c = torch.randn(2, 5, 256)
    for released in (False, True):
        vae = Vae(256, 0.0, released=released).eval()
        r, mean, _ = vae(s, c)
        of_mean = vae.decoder(torch.cat([mean, c], 1))
        assert torch.allclose(r, of_mean) != released
        assert not torch.equal(vae.train()(s, c)[0], vae(s, c)[0])
        assert bool(((r > 0) & (r < 1)).all()) == released


def test_a_residual_adds_the_specific_features() -> None:
    rows, valid = drawn()
    plain, residual = small(), small(residual=True)
    x = plain.scaled(rows, valid)
    s, _ = plain.views(x, valid)
    assert torch.allclose(residual.joint(x, valid).r - plain.joint(x, valid).r, s, atol=1e-5)


@settings(deadline=None, max_examples=15)
@given(steps=st.integers(5, 8), padding=st.integers(0, 5), seed=st.integers(0, 99))
def test_steps_that_are_not_valid_at_the_end_change_nothing(
    network: NmerNetwork, steps: int, padding: int, seed: int
) -> None:
    rows, valid = drawn(3, steps, seed)
    longer = {m: F.pad(x, (0, 0, 0, padding), value=9.0) for m, x in rows.items()}
    with torch.no_grad():
        found = network(longer, F.pad(valid, (0, padding)))
        assert torch.allclose(found, network(rows, valid), atol=1e-4)


@torch.no_grad()
def test_where_nothing_is_there_the_answer_is_one_for_all() -> None:
    rows, valid = drawn()
    for preset in ("sound", "as_released"):
        network = small(preset)  # type: ignore[arg-type]
        out = network(rows, torch.zeros_like(valid))
        assert out.isfinite().all()
    assert torch.allclose(small()(rows, torch.zeros_like(valid)).std(), torch.zeros(()), atol=1e-5)


@pytest.mark.parametrize(("preset", "same"), [("sound", True), ("as_released", False)])
def test_noise_of_validation_is_the_same_in_every_epoch(preset: Preset, same: bool) -> None:
    module = second(preset).eval()
    rows, valid = drawn()
    found = []
    for seed in (1, 2):
        torch.manual_seed(seed)
        with torch.no_grad():
            module.validation_step([*rows.values(), valid, torch.zeros(6)], 0)
        found.append(float(module.metric.compute()))
        module.metric.reset()
    assert (found[0] == found[1]) == same
