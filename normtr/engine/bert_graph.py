"""A BertModel (Devlin et al., NAACL 2019), as transformers names its weights, as a graph."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import openvino as ov
from openvino import opset15 as op

from normtr.engine.layers import Node, attention, layer_norm, linear, numbers
from normtr.engine.weights import Reader


@dataclass(frozen=True)
class BertConfig:
    """The sizes of a BERT, under the names that its `config.json` has for them."""

    hidden_size: int
    num_hidden_layers: int
    num_attention_heads: int
    intermediate_size: int
    max_position_embeddings: int
    vocab_size: int
    type_vocab_size: int
    layer_norm_eps: float
    hidden_act: str
    model_type: str


def bert_graph(take: Reader, config: BertConfig, layers: tuple[int, ...]) -> ov.Model:
    """Return a graph that makes states [n, len(layers) * hidden_size] of n tokens.

    Its input are the sums [1, n, hidden_size] of the tokens' embeddings; n is any number. `layers`
    are the hidden states that are joined, from 0 (before the first layer) on. Raises Unfit when the
    weights are those of another network.
    """
    width, eps = config.hidden_size, config.layer_norm_eps
    embedded = op.parameter([1, -1, width], np.float32)
    x = layer_norm(embedded, take, "embeddings.LayerNorm", width, eps)
    states = [x]
    for number in range(config.num_hidden_layers):
        name = f"encoder.layer.{number}"
        q, k, v = (
            linear(x, take, f"{name}.attention.self.{of}", width, width)
            for of in ("query", "key", "value")
        )
        y = attention(q, k, v, config.num_attention_heads, width)
        y = linear(y, take, f"{name}.attention.output.dense", width, width)
        x = layer_norm(op.add(x, y), take, f"{name}.attention.output.LayerNorm", width, eps)
        y = _fed_forward(x, take, name, config)
        x = layer_norm(op.add(x, y), take, f"{name}.output.LayerNorm", width, eps)
        states.append(x)
    joined = op.concat([states[layer] for layer in layers], 2)
    return ov.Model([op.squeeze(joined, numbers(0))], [embedded])


def _fed_forward(x: Node, take: Reader, name: str, config: BertConfig) -> Node:
    width, inner = config.hidden_size, config.intermediate_size
    y = linear(x, take, f"{name}.intermediate.dense", width, inner)
    return linear(op.gelu(y, "erf"), take, f"{name}.output.dense", inner, width)
