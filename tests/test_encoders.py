"""The encoders of IF-MMIN and NMER: a sample's numbers do not depend on its batch."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from training.systems.encoders import GROUP, Encoder, LstmEncoder, TextCnnEncoder

STEPS, DIM = 12, 6


def drawn(spans: list[tuple[int, int]]) -> tuple[torch.Tensor, torch.Tensor]:
    """Rows with zeros outside of the spans, and where these are."""
    torch.manual_seed(len(spans))
    steps = torch.arange(STEPS)
    counted = torch.stack([(steps >= a) & (steps <= b) for a, b in spans])
    return torch.randn(len(spans), STEPS, DIM) * counted[..., None], counted


@pytest.mark.parametrize("kind", [LstmEncoder, TextCnnEncoder])
@settings(max_examples=20, deadline=None)
@given(
    spans=st.lists(
        st.tuples(st.integers(0, STEPS - 1), st.integers(0, STEPS - 1)).map(sorted).map(tuple),
        min_size=GROUP + 1,
        max_size=3 * GROUP,
    )
)
def test_samples_are_encoded_in_a_batch_as_alone(
    kind: type[Encoder], spans: list[tuple[int, int]]
) -> None:
    x, counted = drawn(spans)
    torch.manual_seed(0)
    encoder = kind(DIM).eval()
    together = encoder(x, counted)
    alone = torch.cat([encoder(x[i : i + 1], counted[i : i + 1]) for i in range(len(x))])
    assert torch.allclose(together, alone, atol=1e-5)
    gradients = [
        torch.autograd.grad(out.square().sum(), list(encoder.parameters()))
        for out in (together, alone)
    ]
    for a, b in zip(*gradients, strict=True):
        assert torch.allclose(a, b, rtol=1e-4, atol=1e-4)
