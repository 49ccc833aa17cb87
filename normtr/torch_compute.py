"""Runs torch's networks on arrays: on a GPU, or on the CPU where no graph exists."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import nullcontext
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from normtr.device import Compute, Gpu

Work = Callable[..., Tensor]
"""What is done with a network: it takes the network and tensors, and returns a tensor."""


def on_gpu(gpu: Gpu, network: nn.Module, work: Work, fast: bool = False) -> Compute:
    """Return `work` with a copy of the network on the GPU.

    `fast` allows half precision where that is as good. Raises RuntimeError, as what is returned
    does, when the GPU fails.
    """
    copied = gpu.copy(network.eval())

    def run(*inputs: NDArray[Any]) -> NDArray[np.float32]:
        with torch.inference_mode(), gpu.fast() if fast else nullcontext():
            return _array(work(copied, *map(gpu.send, inputs)).float().cpu())

    return run


def on_cpu(network: nn.Module, work: Work) -> Compute:
    """Return `work` with the network on the CPU."""
    network.eval()

    def run(*inputs: NDArray[Any]) -> NDArray[np.float32]:
        with torch.inference_mode():
            return _array(work(network, *map(torch.from_numpy, inputs)).float())

    return run


def _array(tensor: Tensor) -> NDArray[np.float32]:
    array: NDArray[np.float32] = tensor.numpy()
    return array
