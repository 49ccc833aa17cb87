"""The layers of which the graphs are made, each as torch computes it."""

from __future__ import annotations

from typing import Any, TypeAlias

import numpy as np
from numpy.typing import ArrayLike
from openvino import opset15 as op

from normtr.engine.weights import Reader

Node: TypeAlias = Any
"""A node of a graph; OpenVINO has no types."""
BATCH_NORM_EPS = 1e-5


def constant(values: ArrayLike) -> Node:
    """Return float32 numbers as a node."""
    return op.constant(np.ascontiguousarray(values, np.float32))


def numbers(*values: int) -> Node:
    """Return int64 [len(values)], such as a shape or axes."""
    return op.constant(np.array(values, np.int64))


def linear(x: Node, take: Reader, name: str, inner: int, outer: int, bias: bool = True) -> Node:
    """Return `x` [..., inner] W^T + b, [..., outer]."""
    y = op.matmul(x, constant(take(f"{name}.weight", outer, inner)), False, True)
    return op.add(y, constant(take(f"{name}.bias", outer))) if bias else y


def layer_norm(x: Node, take: Reader, name: str, width: int, eps: float = 1e-5) -> Node:
    """Return `x` [..., width] with mean 0 and deviation 1, scaled and moved."""
    # OpenVINO's own normalisation fails where only SSE 4.1 may be used. It would take the place of
    # ReduceMean, so that the means are products.
    mean = constant(np.full((width, 1), 1.0 / width))
    centred = op.subtract(x, op.matmul(x, mean, False, False))
    variance = op.matmul(op.multiply(centred, centred), mean, False, False)
    y = op.divide(centred, op.sqrt(op.add(variance, constant(eps))))
    y = op.multiply(y, constant(take(f"{name}.weight", width)))
    return op.add(y, constant(take(f"{name}.bias", width)))


def convolution(
    x: Node, take: Reader, name: str, norm: str, channels: tuple[int, int], size: int, stride: int
) -> Node:
    """Return a convolution without bias and the BatchNorm `norm` after it, in one.

    `channels` are those of `x` [B, C_in, H, W] and of the result [B, C_out, H', W']; `size` is the
    side of the kernel, whose half pads the borders.
    """
    inner, outer = channels
    kernel = take(f"{name}.weight", outer, inner, size, size)
    gain, bias, mean, variance = (
        take(f"{norm}.{part}", outer) for part in ("weight", "bias", "running_mean", "running_var")
    )
    scale = gain / np.sqrt(variance + BATCH_NORM_EPS)
    pad = [size // 2] * 2
    y = op.convolution(
        x, constant(kernel * scale[:, None, None, None]), [stride] * 2, pad, pad, [1, 1]
    )
    return op.add(y, constant((bias - mean * scale)[:, None, None]))


def attention(q: Node, k: Node, v: Node, heads: int, width: int, mask: Node | None = None) -> Node:
    """Return softmax(q k^T / sqrt(width / heads)) v for each head, [B, S, width].

    `q`, `k` and `v` are [B, S, width]; `mask` bool [B, 1, 1, S] is True where attention may look.
    """
    inner = width // heads

    def split(x: Node) -> Node:
        parts = op.reshape(x, numbers(0, -1, heads, inner), True)
        return op.transpose(parts, numbers(0, 2, 1, 3))

    scores = op.multiply(op.matmul(split(q), split(k), False, True), constant(inner**-0.5))
    if mask is not None:
        scores = op.add(scores, op.select(mask, constant(0.0), constant(-np.inf)))
    y = op.matmul(op.softmax(scores, -1), split(v), False, False)
    return op.reshape(op.transpose(y, numbers(0, 2, 1, 3)), numbers(0, -1, width), True)
