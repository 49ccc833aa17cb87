"""Slices over the cores: the same values and gradients as one piece, however many cores."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
import torch
from torch import Tensor, nn

from normtr.model import NormTr
from normtr.norm_tr_config import NormTrConfig
from training import parallel_cpu
from training.evaluation.noise_curves import in_slices
from training.systems.noise_aware import Learning, NoiseAware
from training.windows import Batch, Windows

DIMS = {"voice": 5, "text": 7}
B, M, T = 7, 2, 4


@pytest.fixture(autouse=True)
def small_slices(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Two samples in two versions each, the last one alone."""
    monkeypatch.setattr(parallel_cpu, "SLICE_STEPS", 2 * M * T)
    threads = torch.get_num_threads()
    yield
    torch.set_num_threads(threads)


def batch() -> Batch:
    generator = torch.Generator().manual_seed(1)
    rows = {m: torch.randn(B, T, dim, generator=generator) for m, dim in DIMS.items()}
    there = torch.rand(B, M, T, generator=generator) < 0.8
    masks = torch.rand(2, B, M, T, generator=generator) < 0.6
    return rows, there, torch.arange(B) % 3, masks, (there & ~masks[1]).any(2)


def network(dropout: float = 0.0) -> NormTr:
    torch.manual_seed(0)
    return NormTr(NormTrConfig(DIMS, 3, T, width=32, depth=2, heads=4, dropout=dropout))


def gradients() -> dict[str, Tensor]:
    module = NoiseAware(network(dropout=0.5), Learning(), steps=10, seed=1)
    module.log = lambda *_, **__: None  # type: ignore[method-assign]
    torch.manual_seed(3)
    module.training_step(batch(), 0).backward()  # type: ignore[no-untyped-call]
    return {name: p.grad for name, p in module.named_parameters() if p.grad is not None}


def test_a_training_step_in_slices_has_the_gradients_of_the_whole(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    apart = gradients()
    monkeypatch.setattr(parallel_cpu, "SLICE_STEPS", 10_000)
    whole = gradients()
    assert apart.keys() == whole.keys()
    for name, gradient in whole.items():
        assert torch.allclose(apart[name], gradient, atol=1e-6), name


def test_the_number_of_cores_changes_no_bit(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(parallel_cpu, "CORES", 1)
    one = gradients()
    monkeypatch.setattr(parallel_cpu, "CORES", 3)
    three = gradients()
    assert all(torch.equal(one[name], three[name]) for name in one)
    predict = in_slices(network().eval())
    rows, valid, labels, *_ = batch()
    windows = Windows(rows, valid, labels)
    outputs = predict(windows)
    monkeypatch.setattr(parallel_cpu, "CORES", 1)
    assert torch.equal(predict(windows), outputs)
    assert outputs.shape == (B, 3)


def test_a_parameter_that_has_no_part_gets_no_gradient_and_an_error_passes_through() -> None:
    linear, other = nn.Linear(3, 2), nn.Linear(1, 1)
    x = torch.randn(9, 3)
    learning = [*linear.parameters(), *other.parameters()]
    out, unused = parallel_cpu.sliced(lambda x: (linear(x), 2 * linear(x)), learning, 8, x)
    assert torch.allclose(out, linear(x))
    assert torch.allclose(unused, 2 * out)
    out.sum().backward()  # type: ignore[no-untyped-call]
    assert linear.weight.grad is not None
    assert torch.allclose(linear.weight.grad, x.sum(0).expand(2, 3), atol=1e-5)
    assert other.weight.grad is None
    torch.set_num_threads(2)
    with pytest.raises(ValueError, match="no such slice"):
        parallel_cpu.over_cores(_refuse, [1, 2])
    assert torch.get_num_threads() == 2


def _refuse(_: int) -> None:
    raise ValueError("no such slice")
