"""IF-MMIN: sizes and losses of its specification."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch
from torch import Tensor, nn

from training.systems.discrepancy import cmd
from training.systems.encoders import WIDTH
from training.systems.if_mmin_learning import IfMminFirstPhase, IfMminSecondPhase, Weights
from training.systems.if_mmin_network import (
    IfMminConfig,
    IfMminPretrained,
    Imagination,
    Imagining,
    Preset,
    deep_invariant,
    span,
)
from training.systems.phase import Phase

pytestmark = pytest.mark.slow


PAPER = IfMminConfig({"voice": 130, "face": 342, "text": 1024}, outputs=4)
SMALL = IfMminConfig({"face": 3, "voice": 2, "text": 4}, outputs=4)
PHASE = Phase(constant=1, decay=1, batch=8, clip=1.0, dropout=0.0, beta1=0.5)


def size(module: nn.Module) -> int:
    return sum(p.numel() for p in module.parameters())


def drawn(config: IfMminConfig, b: int = 3, t: int = 7) -> tuple[dict[str, Tensor], Tensor]:
    """Rows and validity of a batch of whole windows."""
    torch.manual_seed(0)
    rows = {m: torch.randn(b, t, dim) for m, dim in config.dims.items()}
    return rows, torch.ones(b, len(rows), t, dtype=torch.bool)


# The networks


def test_sizes_are_those_of_the_paper_s_code() -> None:
    first, second = IfMminPretrained(PAPER), Imagining(PAPER)
    assert {m: size(encoder) for m, encoder in second.encoders.items()} == {
        "voice": 133_120,
        "face": 241_664,
        "text": 1_622_528,
    }
    assert size(second.invariant) == 33_024
    assert size(deep_invariant(0.5)) == 66_048
    assert size(second.imagination) == 1_694_400
    assert (size(first.classifier), size(second.classifier)) == (115_460, 58_116)
    assert (size(first), size(second)) == (2_145_796, 3_782_852)


@pytest.mark.parametrize("preset", ["sound", "as_released"])
@pytest.mark.parametrize("dims", [{"face": 3, "voice": 2}, SMALL.dims])
@pytest.mark.parametrize("steps", [1, 4, 9])
def test_two_or_three_modalities_of_any_length(
    dims: dict[str, int], preset: Preset, steps: int
) -> None:
    config = replace(SMALL, dims=dims, outputs=1, preset=preset, blocks=3)
    rows, valid = drawn(config, t=steps)
    network = Imagining(config).eval()
    assert network(rows, valid).shape == (3, 1)
    assert network(rows, torch.zeros_like(valid)).isfinite().all()
    imagined = network.imagined(network.embedded(rows, valid))[1]
    assert imagined.shape == (3, len(dims) * WIDTH)


def test_the_cascade_s_two_forms() -> None:
    torch.manual_seed(1)
    h, common = torch.randn(2, 6), torch.randn(2, 6)

    sound = Imagination(6, 2, "sound")
    (e1, e2), (d1, d2) = sound.encoders, sound.decoders
    z1 = e1(h + common)
    z2 = e2(d1(z1) + common)
    imagined, codes = sound(h, common)
    assert torch.allclose(codes, torch.cat([z1, z2], 1))
    assert torch.allclose(imagined, sound.transition(d2(z2)))

    released = Imagination(6, 2, "as_released")
    (e1, e2), (_, d2) = released.encoders, released.decoders
    z1, z2 = e1(h + common), e2(h + 2 * common)
    imagined, codes = released(h, common)
    assert torch.allclose(codes, torch.cat([z1, z2], 1), atol=1e-6)
    assert torch.allclose(imagined, released.transition(h + 2 * common + d2(z2)), atol=1e-6)


def test_a_span_reaches_from_the_first_to_the_last_valid_step_of_any_modality() -> None:
    valid = torch.tensor([[[0, 0, 0, 0, 0, 0], [0, 1, 0, 0, 1, 0]], [[0] * 6, [0] * 6]]).bool()
    assert span(valid).int().tolist() == [[0, 1, 1, 1, 1, 0], [1] * 6]


@pytest.mark.parametrize(("preset", "same"), [("sound", True), ("as_released", False)])
def test_steps_after_the_last_valid_one_count_only_as_released(preset: Preset, same: bool) -> None:
    network = Imagining(replace(SMALL, preset=preset)).eval()
    rows, valid = drawn(SMALL)
    longer = {m: torch.cat([x, torch.ones(3, 5, x.shape[2])], 1) for m, x in rows.items()}
    there = torch.cat([valid, torch.zeros(3, 3, 5, dtype=torch.bool)], 2)
    embedded, padded = network.embedded(rows, valid), network.embedded(longer, there)
    assert torch.allclose(embedded.specific, padded.specific, atol=1e-6) == same


@pytest.mark.parametrize("preset", ["sound", "as_released"])
def test_a_window_is_judged_alike_alone_and_among_others(preset: Preset) -> None:
    network = Imagining(replace(SMALL, preset=preset)).eval().double()
    rows, valid = drawn(SMALL)
    rows = {m: x.double() for m, x in rows.items()}
    valid[1, 0, 3:] = False
    alone = network({m: x[1:2] for m, x in rows.items()}, valid[1:2])
    assert torch.allclose(network(rows, valid)[1:2], alone, atol=1e-9)


def test_what_is_not_valid_does_not_matter() -> None:
    network = Imagining(SMALL).eval()
    rows, valid = drawn(SMALL)
    valid[:, 1] = False
    before = network(rows, valid)
    assert torch.equal(network({**rows, "voice": 100 * rows["voice"]}, valid), before)
    assert not torch.equal(network({**rows, "face": 100 * rows["face"]}, valid), before)


# The losses


def test_the_first_phase_s_losses() -> None:
    network = IfMminPretrained(SMALL).eval()
    rows, valid = drawn(SMALL)
    labels = torch.tensor([0, 3, 1])
    module = IfMminFirstPhase(network, Weights(discrepancy=2), PHASE, "mse", 1)
    losses = module.losses(rows, valid, labels)
    logits = network(rows, valid)
    right = logits.log_softmax(1)[torch.arange(3), labels]
    assert torch.allclose(losses["emotion"], -right.mean())
    each = network.embedded(rows, valid).invariant
    pairs = [cmd(each[:, i], each[:, j]) for i, j in ((0, 1), (0, 2), (1, 2))]
    assert torch.allclose(losses["discrepancy"], 2 * sum(pairs) / 3)  # type: ignore[arg-type]


def second_phase(weights: Weights) -> IfMminSecondPhase:
    """Its student embeds as the teacher does, and imagines 0.5 everywhere."""
    torch.manual_seed(2)
    teacher, network = IfMminPretrained(SMALL), Imagining(SMALL)
    shared = {k: v for k, v in teacher.state_dict().items() if not k.startswith("classifier")}
    network.load_state_dict(shared, strict=False)
    last = network.imagination.transition[-1]
    assert isinstance(last, nn.Linear)
    nn.init.zeros_(last.weight)
    nn.init.constant_(last.bias, 0.5)
    return IfMminSecondPhase(network, teacher, weights, PHASE, "mse", 1).eval()


def test_the_second_phase_s_losses() -> None:
    module = second_phase(Weights())
    teacher = module.teacher
    rows, valid = drawn(SMALL)
    labels = torch.tensor([2, 2, 0])
    mask = torch.ones_like(valid)
    mask[:, 1] = False  # no voice
    losses = module.losses(rows, valid, mask, labels)

    # The voice as the teacher hears it, and for the others what it makes of zeros.
    hidden = teacher.embedded({m: x * (m == "voice") for m, x in rows.items()}, valid).specific
    assert losses["imagination"].item() == pytest.approx(float((0.5 - hidden).square().mean()))
    # Of what is there the student's invariant features are the teacher's; a third is not there.
    voice = teacher.embedded({**rows, "voice": 0 * rows["voice"]}, valid).invariant[:, 1]
    apart = (voice - teacher.embedded(rows, valid).invariant[:, 1]).square().mean() / 3
    assert losses["invariance"].item() == pytest.approx(100 * float(apart), rel=1e-4)
    logits = module.network(rows, valid & mask)
    right = logits.log_softmax(1)[torch.arange(3), labels]
    assert torch.allclose(losses["emotion"], -right.mean())


def test_with_everything_there_nothing_varies_and_zeros_are_imagined() -> None:
    module = second_phase(Weights(imagination=3))
    rows, valid = drawn(SMALL)
    losses = module.losses(rows, valid, torch.ones_like(valid), torch.tensor([0, 1, 2]))
    zeros = module.teacher.embedded({m: 0 * x for m, x in rows.items()}, valid).specific
    # Student and teacher are one network here, but a batch's rows may be rounded otherwise.
    assert losses["invariance"].item() == pytest.approx(0, abs=1e-9)
    assert losses["imagination"].item() == pytest.approx(3 * (0.5 - zeros).square().mean().item())


def test_the_teacher_neither_learns_nor_drops_out() -> None:
    module = second_phase(Weights()).train()
    assert module.network.training
    assert not module.teacher.training
    rows, valid = drawn(SMALL)
    mask = torch.ones_like(valid)
    mask[:, 0] = False
    losses = module.losses(rows, valid, mask, torch.tensor([0, 1, 2]))
    sum(losses.values()).backward()  # type: ignore[union-attr, no-untyped-call]
    assert all(p.grad is None for p in module.teacher.parameters())
    learning = [name for name, p in module.network.named_parameters() if p.grad is not None]
    assert len(learning) == len(list(module.network.parameters()))


def test_the_rate_falls_after_its_constant_epochs() -> None:
    factors = [Phase(20, 20, 128, 1.0, 0.5, beta1=0.5).factor(epoch) for epoch in range(40)]
    assert factors[:20] == [1] * 20
    assert factors[20] == pytest.approx(20 / 21)
    assert factors[39] == pytest.approx(1 / 21)
