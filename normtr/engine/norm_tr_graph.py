"""NORM-TR (`normtr.model`, where the formulas have their sections) as a graph for one window.

It answers for several versions of the window at once, which keep other steps. What depends on a
single step is computed once for all of them. An erased step looks the same in every window, so
what depends on it is a constant, which OpenVINO computes while it compiles.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np
import openvino as ov
from openvino import opset15 as op

from normtr.engine.layers import Node, attention, constant, layer_norm, linear, numbers
from normtr.engine.weights import Reader, Weights
from normtr.norm_tr_config import NormTrConfig

LEAK = 0.01
"""The slope of LeakyReLU below zero; torch's default."""


def norm_tr_graph(weights: Weights, config: NormTrConfig, versions: int) -> ov.Model:
    """Return a graph that makes logits [versions, outputs] of a window.

    Its inputs are valid bool [versions, M, T], then rows float32 [T, N_m] per modality. Raises
    Unfit when the weights are those of another network.
    """
    take = Reader(weights)
    half, steps = config.width // 2, config.steps
    places = len(config.dims) * steps
    valid = op.parameter([versions, len(config.dims), steps], np.bool_)
    rows = {m: op.parameter([steps, dim], np.float32) for m, dim in config.dims.items()}
    own = {m: _standardised(x, take, m, config.dims[m]) for m, x in rows.items()}
    nothing = {m: constant(np.zeros((steps, dim))) for m, dim in config.dims.items()}
    of_own, of_erased = (_features(x, take, config) for x in (own, nothing))

    def tokens(name: str, position: str) -> _Tokens:
        place = constant(take(position, 1, places, half))
        return _Tokens(op.add(of_own[name], place), op.add(of_erased[name], place))

    start, memory = tokens(config.query, "position_q"), tokens(config.memory, "position_kv")
    kept = op.reshape(valid, numbers(versions, places, 1), False)
    seen = op.reshape(valid, numbers(versions, places), False)
    # Where nothing is valid, attention looks at the zeros.
    seen = op.logical_or(seen, op.logical_not(op.reduce_logical_or(seen, numbers(1), True)))
    mask = op.reshape(seen, numbers(versions, 1, 1, places), False) if config.masked else None
    x = start.under(kept)
    if not config.depth:
        x = op.multiply(op.add(x, memory.under(kept)), constant(0.5))
    for number in range(config.depth):
        block = _Block(take, f"blocks.{number}", half)
        q = block.queries(x) if number else start.each(block.queries).under(kept)
        k, v = op.split(memory.each(block.keys_values).under(kept), op.constant(2), 2).outputs()
        y = attention(q, k, v, config.heads, half, mask)
        x = op.add(x, linear(y, take, f"{block.name}.out", half, half))
        x = op.add(x, block.fed_forward(x, config.feed_forward * half))
    x = layer_norm(x, take, "norm", half)
    pooled = _mean(x, seen) if config.masked else op.reduce_mean(x, numbers(1), False)
    logits = linear(pooled, take, "head", half, config.outputs)
    take.end()
    return ov.Model([logits], [valid, *rows.values()])


@dataclass(frozen=True)
class _Tokens:
    """What is computed for each step alone, [1, M T, W]: from its row, and as if it were erased."""

    own: Node
    erased: Node

    def each(self, work: Callable[[Node], Node]) -> _Tokens:
        return _Tokens(work(self.own), work(self.erased))

    def under(self, kept: Node) -> Node:
        """Return [versions, M T, W] of the steps in `kept`, bool [versions, M T, 1]."""
        return op.select(kept, self.own, self.erased)


@dataclass(frozen=True)
class _Block:
    """A Transformer block without its attention."""

    take: Reader
    name: str
    width: int

    def queries(self, x: Node) -> Node:
        x = layer_norm(x, self.take, f"{self.name}.norm_q", self.width)
        return linear(x, self.take, f"{self.name}.q", self.width, self.width)

    def keys_values(self, memory: Node) -> Node:
        x = layer_norm(memory, self.take, f"{self.name}.norm_kv", self.width)
        return linear(x, self.take, f"{self.name}.kv", self.width, 2 * self.width, bias=False)

    def fed_forward(self, x: Node, inner: int) -> Node:
        x = layer_norm(x, self.take, f"{self.name}.norm_ff", self.width)
        x = op.gelu(linear(x, self.take, f"{self.name}.feed_forward.0", self.width, inner), "erf")
        return linear(x, self.take, f"{self.name}.feed_forward.2", inner, self.width)


def _standardised(rows: Node, take: Reader, modality: str, dim: int) -> Node:
    mean, scale = (constant(take(f"{of}_{modality}", dim)) for of in ("mean", "scale"))
    return op.divide(op.subtract(rows, mean), scale)


def _features(rows: Mapping[str, Node], take: Reader, config: NormTrConfig) -> dict[str, Node]:
    """Return NRGF and MF, [1, M T, H] each, of standardised rows [T, N_m] by modality."""
    width = config.width
    projected = {m: linear(x, take, f"project.{m}", config.dims[m], width) for m, x in rows.items()}
    found = {
        "nrgf": [_mlp(x, take, "nrgf", width) for x in projected.values()],
        "mf": [_mlp(x, take, f"mf.{m}", width) for m, x in projected.items()],
    }
    return {name: op.unsqueeze(op.concat(of, 0), numbers(0)) for name, of in found.items()}


def _mlp(x: Node, take: Reader, name: str, width: int) -> Node:
    half = width // 2
    x = op.prelu(linear(x, take, f"{name}.0", width, half), constant([LEAK]))
    return op.prelu(linear(x, take, f"{name}.2", half, half), constant([LEAK]))


def _mean(x: Node, seen: Node) -> Node:
    """Return the mean [B, H] of the tokens [B, S, H] that are in `seen`, bool [B, S]."""
    weight = op.convert(op.unsqueeze(seen, numbers(2)), "f32")
    total = op.reduce_sum(op.multiply(x, weight), numbers(1), False)
    return op.divide(total, op.reduce_sum(weight, numbers(1), False))
