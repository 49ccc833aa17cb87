"""The adversarial losses: signs, shapes and values worked out by hand."""

from __future__ import annotations

import math

import pytest
import torch
from torch import Tensor

from normtr.model import Features
from training.systems.losses import ModalityDiscriminator, NoiseDiscriminator, reverse

B, M, T, H = 4, 3, 5, 8


def features(nrgf: Tensor | None = None) -> Features:
    generator = torch.Generator().manual_seed(0)
    mf = torch.randn(B, M, T, H, generator=generator)
    other = torch.randn(B, M, T, H, generator=generator)
    return Features(other if nrgf is None else nrgf, mf)


def test_reverse_keeps_the_value_and_turns_the_gradient() -> None:
    x = torch.tensor([1.0, -2.0], requires_grad=True)
    y = reverse(x, 0.5)
    assert torch.equal(y, x)
    (y * torch.tensor([3.0, 4.0])).sum().backward()
    assert x.grad is not None
    assert x.grad.tolist() == [-1.5, -2.0]


@pytest.mark.parametrize("d1", ["after", "before"])
def test_d1_is_log_m_where_it_knows_nothing(d1: str) -> None:
    discriminator = ModalityDiscriminator(M, H, d1)  # type: ignore[arg-type]
    torch.nn.init.zeros_(discriminator.linear.weight)
    torch.nn.init.zeros_(discriminator.linear.bias)
    assert discriminator(features()).loss.mean().item() == pytest.approx(math.log(M), rel=1e-6)


def test_d1_by_hand() -> None:
    """One token a modality; extra MLPs pass positive values, the linear layer is 2 * identity."""
    discriminator = ModalityDiscriminator(3, 3, "after")
    with torch.no_grad():
        for mlp in discriminator.extra:
            mlp[0].weight.copy_(torch.eye(3))
            mlp[0].bias.zero_()
        discriminator.linear.weight.copy_(2 * torch.eye(3))
        discriminator.linear.bias.zero_()
    mf = torch.eye(3)[None, :, None, :]  # each modality's token points at its own class
    nrgf = torch.zeros(1, 3, 1, 3)
    nrgf[..., 0] = 1.0  # every token says modality 0
    result = discriminator(Features(nrgf, mf))
    right = math.log(math.exp(2) + 2) - 2
    wrong = math.log(math.exp(2) + 2)
    assert result.loss.mean().item() == pytest.approx(
        0.5 * (right + (right + 2 * wrong) / 3), rel=1e-6
    )
    assert result.accuracy.mean().item() == pytest.approx(1 / 3)


@pytest.mark.parametrize(("d1", "extra_sign"), [("after", -1.0), ("before", 1.0)])
def test_d1_reverses_before_or_after_the_extra_mlps(d1: str, extra_sign: float) -> None:
    """The NRGF always sees the reversed gradient; the extra MLPs only where it is `after` them."""
    torch.manual_seed(0)
    discriminator = ModalityDiscriminator(M, H, d1)  # type: ignore[arg-type]
    nrgf = torch.randn(B, M, T, H, requires_grad=True)
    mf = torch.randn(B, M, T, H, requires_grad=True)
    discriminator(Features(nrgf, mf)).loss.mean().backward()
    found = (nrgf.grad, discriminator.extra[0][0].weight.grad)
    nrgf.grad = None
    discriminator.zero_grad()
    tokens = torch.stack([mlp(nrgf[:, i]) for i, mlp in enumerate(discriminator.extra)], 1)
    label = torch.arange(M)[None, :, None].expand(B, M, T).flatten()
    loss = 0.5 * torch.nn.functional.cross_entropy(
        discriminator.linear(tokens).flatten(0, 2), label
    )
    loss.backward()
    assert found[0] is not None
    assert found[1] is not None
    assert torch.allclose(found[0], -nrgf.grad, atol=1e-7)
    assert torch.allclose(found[1], extra_sign * discriminator.extra[0][0].weight.grad, atol=1e-7)
    assert mf.grad is None


def test_d1_none_costs_nothing() -> None:
    assert ModalityDiscriminator(M, H, "none")(features()).loss.mean().item() == 0.0


def test_d2_by_hand_and_reversed() -> None:
    discriminator = NoiseDiscriminator(2, H, "slices")
    with torch.no_grad():
        discriminator.linear.weight.fill_(1.0 / H)
        discriminator.linear.bias.zero_()
    nrgf = torch.full((1, 2, T, H), 0.0)
    nrgf[0, 1, :, :] = 3.0
    nrgf.requires_grad_()
    result = discriminator(nrgf, torch.tensor([[False, True]]))
    expected = 0.5 * (math.log(2.0) + math.log(1 + math.exp(-3.0)))
    assert result.loss.mean().item() == pytest.approx(expected, rel=1e-6)
    assert result.accuracy.mean().item() == 1.0
    result.loss.mean().backward()
    assert nrgf.grad is not None
    # Plain descent would push the noisy slice up (negative gradient); reversed it is positive.
    assert (nrgf.grad[0, 1] > 0).all()
    assert (nrgf.grad[0, 0] < 0).all()


def test_d2_of_samples_says_which_modality_or_none() -> None:
    discriminator = NoiseDiscriminator(2, 1, "samples")
    with torch.no_grad():
        discriminator.linear.weight.copy_(torch.tensor([[4.0, 0.0], [0.0, 4.0], [0.0, 0.0]]))
        discriminator.linear.bias.zero_()
    # Means (1, 0), (0, 1), (0, 0) of two steps: modality 0, modality 1, and no decision.
    means = torch.tensor([[1.0, 0.0], [0.0, 1.0], [0.0, 0.0]])
    nrgf = means[:, :, None, None].repeat(1, 1, 2, 1).requires_grad_()
    noisy = torch.tensor([[True, False], [False, True], [False, False]])
    result = discriminator(nrgf, noisy, strength=0.5)
    sure = math.log(math.exp(4) + 2) - 4
    assert result.loss.mean().item() == pytest.approx((2 * sure + math.log(3)) / 3, rel=1e-5)
    result.loss.mean().backward()
    assert nrgf.grad is not None
    assert nrgf.grad[0, 0, 0, 0] > 0  # reversed: away from what gives the modality away
    assert nrgf.grad[0, 0, 0, 0].item() == pytest.approx(
        0.5 * (1 - math.exp(-sure)) * 4 / 3 / 2, rel=1e-4
    )


def test_d2_none_costs_nothing() -> None:
    nrgf = torch.ones(1, 2, T, H)
    noisy = torch.ones(1, 2, dtype=torch.bool)
    assert NoiseDiscriminator(2, H, "none")(nrgf, noisy).loss.mean().item() == 0.0
