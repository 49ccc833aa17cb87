"""Networks run on a GPU as long as it has room for them and works, and on the CPU otherwise."""

from __future__ import annotations

import copy
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from typing import Any, Generic, Protocol, TypeVar

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

N = TypeVar("N", bound=nn.Module)


class Gpu(Protocol):
    """What a GPU must be able to do; a method raises RuntimeError when the GPU fails.

    torch raises several kinds of it: OutOfMemoryError for its own allocations, AcceleratorError for
    the driver's (another program may have filled the card), and plain ones from cuBLAS and cuDNN.
    """

    def copy(self, network: N) -> N:
        """Return a copy of the network on the GPU."""
        ...

    def send(self, array: NDArray[Any]) -> Tensor:
        """Return the array as a tensor on the GPU; it may still be on its way."""
        ...

    def fast(self) -> AbstractContextManager[Any]:
        """Return a context in which operations that tolerate half precision use it."""
        ...


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


class Device:
    """The CPU, or a GPU until it fails for the first time; after that it is the CPU for good.

    All networks and threads of a program share one Device.
    """

    def __init__(self, gpu: Gpu | None = None) -> None:
        self.gpu = gpu
        self.lost = ""
        """The reason why the GPU is not used any more; empty while it is used."""
        self._told = ""

    def newly_lost(self) -> str:
        """Return why the GPU was lost, once; return '' before that and afterwards."""
        untold = "" if self._told else self.lost
        self._told = self._told or self.lost
        return untold

    def lose(self, error: RuntimeError) -> None:
        """Use the CPU from now on."""
        reason = (str(error) or type(error).__name__).splitlines()[0].rstrip(".")
        self.lost = f"{reason}; everything runs on the CPU from now on"
        self.gpu = None


class OnDevice(Generic[N]):
    """A network on the CPU, and its copy on the GPU if there is one. Any thread may run it."""

    def __init__(self, network: N, device: Device | None = None) -> None:
        """Copy the network to the device; None means the CPU."""
        self._here: N = network.eval()
        self._there: N | None = None
        self._device = device or Device()
        if self._device.gpu is not None:
            try:
                self._there = self._device.gpu.copy(self._here)
            except RuntimeError as error:
                self._device.lose(error)

    @property
    def on_gpu(self) -> bool:
        """Whether the next run tries the GPU."""
        return self._device.gpu is not None and self._there is not None

    def run(
        self,
        work: Callable[..., Tensor],
        *inputs: NDArray[Any],
        there: Callable[..., Tensor] | None = None,
        fast: bool = False,
    ) -> NDArray[np.float32]:
        """Return the result of `work(network, *inputs as tensors)`, computed without gradients.

        On the GPU, `there` replaces `work` if it is given, and `fast` allows half precision where
        that is as good. When the GPU fails, the CPU does the work.
        """
        gpu, copied = self._device.gpu, self._there
        if gpu is not None and copied is not None:
            try:
                with torch.inference_mode(), gpu.fast() if fast else nullcontext():
                    out = (there or work)(copied, *map(gpu.send, inputs))
                    return _array(out.float().cpu())
            except RuntimeError as error:
                self._device.lose(error)
        self._there = None  # a lost GPU is not used again
        with torch.inference_mode():
            return _array(work(self._here, *map(torch.from_numpy, inputs)).float())


def _array(tensor: Tensor) -> NDArray[np.float32]:
    array: NDArray[np.float32] = tensor.numpy()
    return array
