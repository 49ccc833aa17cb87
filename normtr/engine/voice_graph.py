"""The voice network (`normtr.voice_network`) as a graph."""

from __future__ import annotations

import numpy as np
import openvino as ov
from openvino import opset15 as op

from normtr.engine.layers import constant, linear
from normtr.engine.weights import Reader, Weights
from normtr.spec import VoiceSpec


def voice_graph(weights: Weights, spec: VoiceSpec, classes: int) -> ov.Model:
    """Return a graph that makes a row [1, dim] of statistics float32 [1, 2 * width].

    Raises Unfit when the weights are those of another network.
    """
    take, width = Reader(weights), 2 * spec.width
    statistics = op.parameter([1, width], np.float32)
    x = op.subtract(statistics, constant(take("mean", width)))
    x = op.divide(x, constant(take("scale", width)))
    row = op.relu(linear(x, take, "hidden", width, spec.dim))
    linear(row, take, "head", spec.dim, classes)  # only to be checked: nobody reads it here
    take.end()
    return ov.Model([row], [statistics])
