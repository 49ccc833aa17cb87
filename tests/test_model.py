"""NORM-TR: its size, its shapes, and that what was not seen does not count."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from normtr.model import NormTr
from normtr.norm_tr_config import NormTrConfig
from normtr.spec import FeatureSpec

DIMS = {"face": 24, "voice": 16, "text": 20}


def network(dims: dict[str, int] = DIMS, **options: object) -> NormTr:
    torch.manual_seed(0)
    given_options: dict[str, object] = {"outputs": 7, "steps": 6, "width": 32, "heads": 4}
    return NormTr(NormTrConfig(dims=dims, **(given_options | options))).eval()  # type: ignore[arg-type]


def rows_for(net: NormTr, batch: int = 2, seed: int = 1) -> dict[str, Tensor]:
    random = torch.Generator().manual_seed(seed)
    shape = (batch, net.config.steps)
    return {m: torch.randn(*shape, dim, generator=random) for m, dim in net.config.dims.items()}


def all_valid(net: NormTr, batch: int = 2) -> Tensor:
    return torch.ones(batch, len(net.config.dims), net.config.steps, dtype=torch.bool)


def test_the_default_network_has_the_parameters_its_layers_add_up_to() -> None:
    spec = FeatureSpec()
    n, half, tokens, classes = 256, 128, 3 * 16, 7
    project = sum(dim * n + n for dim in FeatureSpec().dims.values())
    extractor = (n * half + half) + (half * half + half)
    attention = 3 * 2 * half + 2 * (half * half + half) + 2 * half * half
    feed_forward = (half * 2 * half + 2 * half) + (2 * half * half + half)
    head = 2 * half + half * classes + classes
    expected = project + 4 * extractor + 2 * tokens * half + 2 * (attention + feed_forward) + head
    net = NormTr(NormTrConfig(dims=spec.dims, outputs=classes))
    assert sum(p.numel() for p in net.parameters()) == expected == 837_255


@pytest.mark.parametrize("steps", [8, 16, 50])
@pytest.mark.parametrize("masked", [False, True])
def test_any_number_of_steps_gives_one_logit_a_class(steps: int, masked: bool) -> None:
    net = network(steps=steps, masked=masked)
    features = net.extract(rows_for(net), all_valid(net)).features()
    assert features.nrgf.shape == features.mf.shape == (2, 3, steps, 16)
    logits = net(rows_for(net), all_valid(net))
    assert logits.shape == (2, 7)
    assert logits.isfinite().all()


def test_two_modalities_and_regression_are_the_same_code() -> None:
    net = network({"voice": 16, "text": 20}, outputs=1, masked=True)
    assert net(rows_for(net), all_valid(net)).shape == (2, 1)


@pytest.mark.parametrize("masked", [False, True])
@settings(max_examples=25)
@given(hidden=st.lists(st.booleans(), min_size=18, max_size=18), seed=st.integers(0, 99))
def test_what_stands_in_invalid_steps_does_not_count(
    masked: bool, hidden: list[bool], seed: int
) -> None:
    net = network(masked=masked)
    valid = ~torch.tensor(hidden).view(1, 3, 6)
    rows, others = rows_for(net, 1), rows_for(net, 1, seed + 2)
    changed = {
        m: torch.where(valid[:, i, :, None], rows[m], 100 * others[m]) for i, m in enumerate(DIMS)
    }
    logits = net(rows, valid)
    assert torch.equal(logits, net(changed, valid))
    assert logits.isfinite().all()


def test_larger_positions_tell_more_of_the_order_of_steps_before_training() -> None:
    """Their reversal beside other steps; at 0 it changes nothing."""
    share = []
    for position in (0.0, 0.02, 0.5):
        net = network(position=position)
        rows, valid = rows_for(net, 64), all_valid(net, 64)
        backwards = {m: x.flip(1) for m, x in rows.items()}
        with torch.no_grad():
            of_order = net(rows, valid) - net(backwards, valid)
            of_steps = net(rows, valid) - net(rows_for(net, 64, seed=2), valid)
        share.append(float(of_order.norm() / of_steps.norm()))
    assert share[0] < 1e-5
    assert 3 * share[1] < share[2]


@pytest.mark.parametrize("masked", [False, True])
def test_only_a_masked_network_leaves_out_the_very_places_of_invalid_steps(masked: bool) -> None:
    net = network(masked=masked)
    valid = all_valid(net)
    valid[:, 1, 2:5] = False
    before = net(rows_for(net), valid)
    with torch.no_grad():  # other positions, where nothing is
        for position in (net.position_q, net.position_kv):
            position[:, ~valid[0].flatten()] += 1.0
    assert torch.equal(net(rows_for(net), valid), before) == masked


@pytest.mark.parametrize("masked", [False, True])
def test_nothing_valid_gives_the_same_finite_logits_whatever_the_rows(masked: bool) -> None:
    net = network(masked=masked)
    nothing = ~all_valid(net)
    logits = net(rows_for(net), nothing)
    assert logits.isfinite().all()
    assert torch.equal(logits, net(rows_for(net, seed=5), nothing))


def test_with_everything_valid_the_mask_changes_nothing() -> None:
    masked, plain = network(masked=True), network(masked=False)
    rows, valid = rows_for(plain), all_valid(plain)
    assert torch.allclose(masked(rows, valid), plain(rows, valid), atol=1e-5)


def test_the_same_input_gives_the_same_bits_and_the_batch_hardly_counts() -> None:
    net = network(masked=True)
    rows, valid = rows_for(net, 4), all_valid(net, 4)
    logits = net(rows, valid)
    assert torch.equal(logits, net(rows, valid))
    alone = net({m: x[2:3] for m, x in rows.items()}, valid[2:3])
    assert torch.allclose(alone[0], logits[2], atol=1e-5)


def test_rows_are_standardised_by_the_statistics_the_network_carries() -> None:
    net = network()
    rows, valid = rows_for(net), all_valid(net)
    before = net(rows, valid)
    for m in DIMS:
        net.get_buffer(f"mean_{m}").fill_(3.0)
        net.get_buffer(f"scale_{m}").fill_(2.0)
    assert torch.allclose(net({m: 2 * x + 3 for m, x in rows.items()}, valid), before, atol=1e-5)
