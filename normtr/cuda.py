"""The first NVIDIA GPU, by torch."""

from __future__ import annotations

import copy
from contextlib import AbstractContextManager
from typing import Any, TypeVar

import torch
from numpy.typing import NDArray
from torch import Tensor, nn

N = TypeVar("N", bound=nn.Module)


class Cuda:
    """The first NVIDIA GPU. Every thread uses its default stream, so all work runs in order.

    Threads wait only once in a run: for its result, which is copied back to the CPU.
    """

    def copy(self, network: N) -> N:
        return copy.deepcopy(network).to("cuda")

    def send(self, array: NDArray[Any]) -> Tensor:
        # A copy from pinned memory runs on without being waited for.
        return torch.from_numpy(array).pin_memory().to("cuda", non_blocking=True)

    def fast(self) -> AbstractContextManager[Any]:
        # On a clip float16 moved probabilities by up to 1e-4 (emulated on a CPU), bfloat16 by 3e-3.
        return torch.autocast("cuda", torch.float16)
