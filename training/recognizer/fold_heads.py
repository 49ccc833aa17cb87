"""Turns a fusion of the parts' logits into one of their rows; heads and projections are linear.

Rows of cross-fitted networks lie in spaces of their own, their logits in one. So the fusion is
trained on centred logits, and what reads them out becomes part of its projection (3.2): the
network that is used takes rows, and gives the same outputs.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping

import torch
from torch import nn

from normtr.model import NormTr


def on_rows(network: NormTr, heads: Mapping[str, nn.Linear]) -> NormTr:
    """`network` takes centred logits; the result takes the rows that `heads` read.

    P ((C (H x + h) - m) / s) + p, with C the centring: of x - mu, where C (H mu + h) = m, so that
    a row that is missing, zero after the mean is taken away, stays one.
    """
    dims = {m: head.in_features for m, head in heads.items()}
    with torch.random.fork_rng():
        out = NormTr(dataclasses.replace(network.config, dims=dims))
    mine = {k: v for k, v in network.state_dict().items() if not _of_rows(k)}
    out.load_state_dict(mine, strict=False)
    with torch.no_grad():
        for m, head in heads.items():
            weight, bias = head.weight.double(), head.bias.double()
            weight, bias = weight - weight.mean(0), bias - bias.mean()
            mean, scale = (network.get_buffer(f"{k}_{m}").double() for k in ("mean", "scale"))
            middle = torch.linalg.lstsq(weight, (mean - bias)[:, None], driver="gelsd").solution
            project, target = network.project[m], out.project[m]
            assert isinstance(project, nn.Linear)
            assert isinstance(target, nn.Linear)
            out.get_buffer(f"mean_{m}").copy_(middle[:, 0])
            target.weight.copy_((project.weight.double() / scale) @ weight)
            target.bias.copy_(project.bias)
    return out.eval()


def _of_rows(name: str) -> bool:
    return name.startswith(("mean_", "scale_")) or (
        name.startswith("project.") and name.endswith(".weight")
    )
