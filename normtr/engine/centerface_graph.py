"""CenterFace (Xu et al., 2020) as a graph, read from its ONNX file."""

from __future__ import annotations

from pathlib import Path

import openvino as ov
from openvino import opset15 as op
from openvino.preprocess import PrePostProcessor

from normtr.engine.compiled import core


def centerface_graph(file: Path, width: int, height: int) -> ov.Model:
    """Return a graph for RGB pictures uint8 [1, height, width, 3]; both sides are multiples of 32.

    It makes float32 [1, 15, height / 4, width / 4]. Each cell has the score that it is the middle
    of a face, the logarithms of the box's height and width in cells, how far down and right of the
    cell its middle lies, and y and x of five landmarks in shares of the box.
    """
    network = core().read_model(file)
    network.reshape([1, 3, height, width])
    steps = PrePostProcessor(network)
    steps.input().tensor().set_element_type(ov.Type.u8).set_layout(ov.Layout("NHWC"))
    steps.input().model().set_layout(ov.Layout("NCHW"))
    network = steps.build()
    outputs = [output.node.input_value(0) for output in network.outputs]
    return ov.Model([op.concat(outputs, 1)], network.get_parameters())
