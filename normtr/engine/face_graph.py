"""The ensemble of ResNets that makes face rows (`normtr.resnet`) as a graph."""

from __future__ import annotations

import numpy as np
import openvino as ov
from openvino import opset15 as op

from normtr.engine import layers
from normtr.engine.layers import Node, convolution, numbers
from normtr.engine.weights import Reader, Weights
from normtr.spec import FaceSpec


def face_graph(weights: Weights, spec: FaceSpec, classes: int) -> ov.Model:
    """Return a graph that makes rows [1, dim] of a crop float32 [1, 1, crop_px, crop_px].

    If `spec.mirrored`, it is the mean over the crop and its mirror image. Raises Unfit when the weights are those of
    another network.
    """
    take = Reader(weights)
    crop = op.parameter([1, 1, spec.crop_px, spec.crop_px], np.float32)
    seen = crop
    if spec.mirrored:
        backwards = op.gather(crop, numbers(*reversed(range(spec.crop_px))), numbers(3))
        seen = op.concat([crop, backwards], 0)
    rows = [_resnet18(seen, take, f"members.{n}", spec.width) for n in range(spec.members)]
    row = op.reduce_mean(op.concat(rows, 1), numbers(0), True)
    layers.linear(row, take, "head", spec.dim, classes)  # only to be checked: nobody reads it here
    take.end()
    return ov.Model([row], [crop])


def _resnet18(x: Node, take: Reader, name: str, width: int) -> Node:
    """Return rows [B, 8 * width] of crops [B, 1, H, W]."""
    x = op.relu(convolution(x, take, f"{name}.stem.0", f"{name}.stem.1", (1, width), 3, 2))
    before = width
    for stage in range(4):
        after = width * 2**stage
        for half in range(2):
            stride = 2 if stage and not half else 1
            x = _block(x, take, f"{name}.stages.{2 * stage + half}", (before, after), stride)
            before = after
    return op.reduce_mean(x, numbers(2, 3), False)


def _block(x: Node, take: Reader, name: str, channels: tuple[int, int], stride: int) -> Node:
    _, after = channels
    y = op.relu(convolution(x, take, f"{name}.conv1", f"{name}.bn1", channels, 3, stride))
    y = convolution(y, take, f"{name}.conv2", f"{name}.bn2", (after, after), 3, 1)
    if stride > 1 or channels[0] != after:
        x = convolution(x, take, f"{name}.shortcut.0", f"{name}.shortcut.1", channels, 1, stride)
    return op.relu(op.add(y, x))
