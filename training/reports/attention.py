"""Computes the attention weights of the last block (NORM-TR, fig. 8) again from its inputs."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from normtr.model import AttentionBlock, NormTr
from training.parallel_cpu import slices
from training.systems.components import Reduced
from training.windows import Windows

Weights = NDArray[np.float32]


def weights(model: Reduced[NormTr], windows: Windows) -> Weights:
    """Return the weights [window, query token, attended token], float32 [n, S, S] with S = M T.

    They are means over the heads. The network needs at least one block.
    """
    found: list[Tensor] = []
    n, m, t = windows.valid.shape

    def look(block: Any, given: tuple[Any, ...]) -> None:
        _x, q, k, _v, mask, _drop = given
        found.append(of_block(block, q, k, mask).mean(1))

    hook = model.network.blocks[-1].register_forward_pre_hook(look)
    try:
        with torch.inference_mode():
            for part in map(windows.part, slices(n, m * t)):
                model(part.rows, part.valid)
    finally:
        hook.remove()
    return torch.cat(found).numpy()


def of_block(block: AttentionBlock, q: Tensor, k: Tensor, mask: Tensor | None) -> Tensor:
    """Return softmax(Q K' / sqrt(d)) [B, heads, S, S] for the arguments of a block.

    `mask` is False where a token must not be attended to; None means nowhere.
    """
    queries, keys = block.split(q), block.split(k)
    scores = queries @ keys.transpose(-2, -1) / queries.shape[-1] ** 0.5
    if mask is not None:
        scores = scores.masked_fill(~mask, float("-inf"))
    return torch.softmax(scores, -1)


def on_erased(clean: Weights, noisy: Weights, erased: NDArray[np.bool_]) -> tuple[float, float]:
    """Return the mean attention that erased steps get without noise, and with it.

    1 is an even share; both are NaN if nothing is erased. `clean` and `noisy` are [n, S, S], and
    `erased` is bool [n, S].
    """
    before, after = (
        float(w.mean(1)[erased].mean() * w.shape[2]) if erased.any() else float("nan")
        for w in (clean, noisy)
    )
    return before, after
