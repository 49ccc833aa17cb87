"""Compiles a graph for the CPU with OpenVINO and runs it."""

from __future__ import annotations

from functools import cache
from typing import Any

import numpy as np
import openvino as ov
from numpy.typing import NDArray

SETTINGS: dict[str, Any] = {
    # Processors that know bfloat16 would round to it, and say something else than others.
    "INFERENCE_PRECISION_HINT": "f32",
    "INFERENCE_NUM_THREADS": 1,
    "NUM_STREAMS": 1,
    "ENABLE_CPU_PINNING": False,
}


class Compiled:
    """A network that runs on the thread that calls it. Threads that call one take turns."""

    def __init__(self, graph: ov.Model) -> None:
        self._model = core().compile_model(graph, "CPU", SETTINGS)

    def __call__(self, *inputs: NDArray[Any]) -> NDArray[np.float32]:
        """Return the graph's only output for its inputs, in their order."""
        # A new request costs microseconds, and threads must not share one.
        given = [np.ascontiguousarray(x) for x in inputs]
        found = self._model.create_infer_request().infer(given, share_inputs=True)
        out: NDArray[np.float32] = found[0]
        return out


@cache
def core() -> ov.Core:
    """Return the OpenVINO of this process."""
    return ov.Core()
