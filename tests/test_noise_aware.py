"""The training step: what it computes once equals what it stands for; its schedule and losses."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch

from normtr.model import NormTr
from normtr.norm_tr_config import NormTrConfig
from training.systems.noise_aware import Learning, NoiseAware, UpdatePlan, dropout, standardise
from training.windows import Batch, Windows

DIMS = {"voice": 5, "text": 7}
B, M, T = 6, 2, 4


def module(learning: Learning, outputs: int = 3, dropout: float = 0.0) -> NoiseAware:
    torch.manual_seed(0)
    config = NormTrConfig(DIMS, outputs, T, width=32, depth=1, heads=4, dropout=dropout)
    made = NoiseAware(NormTr(config), learning, steps=100, seed=1)
    made.log = lambda *_, **__: None  # type: ignore[method-assign]
    return made


def batch(versions: int, labels: torch.Tensor) -> Batch:
    generator = torch.Generator().manual_seed(1)
    rows = {m: torch.randn(B, T, dim, generator=generator) for m, dim in DIMS.items()}
    there = torch.rand(B, M, T, generator=generator) < 0.8
    masks = torch.rand(versions, B, M, T, generator=generator) < 0.6
    noisy = (there & ~masks[min(1, versions - 1)]).any(2)
    return rows, there, labels, masks, noisy


def test_noisy_versions_are_what_the_extractors_make_of_erased_rows() -> None:
    made = module(Learning())
    rows, there, _, masks, _ = batch(3, torch.zeros(B).long())
    got = made.network.extract(rows, there).under(masks.transpose(0, 1)).features()
    whole = {m: x.repeat_interleave(3, 0) for m, x in rows.items()}
    seen = (there[None] & masks).transpose(0, 1).flatten(0, 1)
    expected = made.network.extract(whole, seen).features()
    assert torch.allclose(got.nrgf, expected.nrgf, atol=1e-6)
    assert torch.allclose(got.mf, expected.mf, atol=1e-6)


@pytest.mark.parametrize(
    ("learning", "versions"),
    [
        (Learning(), 2),
        (Learning(d1="before", d2="samples", ramped=True), 3),
        (Learning(d1="none", d2="none"), 1),
    ],
    ids=["paper", "samples", "plain"],
)
@pytest.mark.parametrize("outputs", [3, 1], ids=["classes", "numbers"])
def test_a_step_learns(learning: Learning, versions: int, outputs: int) -> None:
    """Every way of learning lowers the emotion loss on one batch."""
    made = module(replace(learning, lr=1e-2), outputs)
    labels = torch.arange(B) % 3 if outputs == 3 else torch.linspace(-3, 3, B)
    one = batch(versions, labels)
    optimizer = torch.optim.AdamW(made.parameters(), 1e-2)

    @torch.no_grad()
    def emotion() -> float:
        seen = (one[1][None] & one[3]).transpose(0, 1)
        tokens = made.network.extract(one[0], one[1]).under(seen)
        outputs = made.network.fuse(tokens, seen.flatten(0, 1))
        return float(made.emotion_loss(outputs, labels.repeat_interleave(versions)))

    before = emotion()
    for _ in range(60):
        optimizer.zero_grad()
        made.training_step(one, 0).backward()  # type: ignore[no-untyped-call]
        optimizer.step()
    assert emotion() < 0.7 * before


def test_weights_that_shall_stay_stay_near_those_of_the_beginning() -> None:
    one = batch(2, torch.arange(B) % 3)

    def moved(stay: float) -> float:
        made = module(Learning(stay=stay))
        optimizer = torch.optim.SGD(made.parameters(), 1e-2)
        begun = [p.detach().clone() for p in made.network.parameters()]
        for _ in range(60):
            optimizer.zero_grad()
            made.training_step(one, 0).backward()  # type: ignore[no-untyped-call]
            optimizer.step()
        now = made.network.parameters()
        return sum(float((p.detach() - q).square().sum()) for p, q in zip(now, begun, strict=True))

    free, held, bound = (moved(stay) for stay in (0.0, 1.0, 30.0))
    assert free > 1.2 * held > 2 * bound > 0
    assert "begun" not in module(Learning()).state_dict()
    with pytest.raises(ValueError, match="stay is not under 0"):
        Learning(stay=-1.0)


def test_regression_loss_is_the_configs() -> None:
    outputs, labels = torch.tensor([[1.0], [3.0]]), torch.tensor([0.0, 0.0])
    squared = module(Learning(regression="mse"), outputs=1)
    absolute = module(Learning(regression="l1"), outputs=1)
    assert squared.emotion_loss(outputs, labels).item() == 5.0
    assert absolute.emotion_loss(outputs, labels).item() == 2.0


@pytest.mark.parametrize(
    ("learning", "batches", "plan"),
    [
        (Learning(), 1, UpdatePlan(100, 100, 0.9)),  # 24 clips
        (Learning(), 7, UpdatePlan(20, 140, 1 - 1 / 14)),
        (Learning(), 1_000, UpdatePlan(20, 20_000, 0.9995)),
        (Learning(epochs=2), 1, UpdatePlan(2, 2, 0.0)),
        (Learning(epochs=12, ema=0.995), 1, UpdatePlan(12, 12, 0.995)),
        (Learning(ema=0.0), 1, UpdatePlan(100, 100, 0.0)),
    ],
)
def test_epochs_and_average_follow_the_updates_unless_named(
    learning: Learning, batches: int, plan: UpdatePlan
) -> None:
    made = learning.plan(batches)
    assert (made.epochs, made.updates) == (plan.epochs, plan.updates)
    assert made.ema == pytest.approx(plan.ema)


def test_a_modality_that_was_never_there_spoils_nothing() -> None:
    rows, there, labels, *_ = batch(1, torch.zeros(B, dtype=torch.int64))
    there[:, 1] = False
    network = module(Learning()).network
    standardise(network, Windows(rows, there, labels))
    assert network(rows, there).isfinite().all()
    assert network(rows, torch.ones_like(there)).isfinite().all()


def test_reversal_is_constant_or_grows_from_zero() -> None:
    assert module(Learning(reversal=0.3)).strength() == 0.3
    assert module(Learning(reversal=0.3, ramped=True)).strength() == 0.0  # at step 0


def test_dropout_leaves_out_its_share_and_keeps_the_mean() -> None:
    cpu, seeds = torch.device("cpu"), torch.tensor([5, 6, 2**61])
    factors = dropout(seeds, (100, 333), 0.2, cpu)
    assert set(factors.unique().tolist()) == {0.0, 1.25}
    assert (factors == 0).float().mean().item() == pytest.approx(0.2, abs=0.005)
    assert (factors.mean(1) - 1).abs().max() < 0.3  # no column is always kept
    assert torch.equal(dropout(seeds[1:2], (100, 333), 0.2, cpu)[0], factors[1])
    assert not torch.equal(factors[0], factors[1])
    assert torch.equal(dropout(seeds[:1], (5, 3), 0.0, cpu), torch.ones(1, 5, 3))
