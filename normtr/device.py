"""Where networks run: on a GPU while it has room for them and works, else on the CPU."""

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
    """What is asked of one; it raises RuntimeError where it has no room, or fails.

    torch has several kinds: OutOfMemoryError is of its own allocations, AcceleratorError of the
    driver's (a card that another program has filled has no room to begin with), and cuBLAS and
    cuDNN raise plain ones.
    """

    def copy(self, network: N) -> N:
        """The network, there."""
        ...

    def send(self, array: NDArray[Any]) -> Tensor:
        """The array, there; need not have arrived yet."""
        ...

    def fast(self) -> AbstractContextManager[Any]:
        """Within it, what bears half precision is computed so."""
        ...


class Cuda:
    """The first NVIDIA GPU. Every thread works in its default stream, so all work is in order.

    What a run gives is copied back once, which its thread waits for; nothing else is.
    """

    def copy(self, network: N) -> N:
        return copy.deepcopy(network).to("cuda")

    def send(self, array: NDArray[Any]) -> Tensor:
        # From pinned memory a copy need not be waited for.
        return torch.from_numpy(array).pin_memory().to("cuda", non_blocking=True)

    def fast(self) -> AbstractContextManager[Any]:
        # Emulated on a CPU it moved probabilities by up to 1e-4 on a clip, bfloat16 by 3e-3.
        return torch.autocast("cuda", torch.float16)


class Device:
    """The CPU, or a GPU until it fails at something; then the CPU for good.

    One is shared by all networks of a program, and by its threads.
    """

    def __init__(self, gpu: Gpu | None = None) -> None:
        self.gpu = gpu
        self.lost = ""
        """Why the GPU is not used any more."""
        self._told = ""

    def newly_lost(self) -> str:
        """Why the GPU is not used any more, the first time that it is asked for; else empty."""
        untold = "" if self._told else self.lost
        self._told = self._told or self.lost
        return untold

    def lose(self, error: RuntimeError) -> None:
        """Use the CPU from now on."""
        reason = (str(error) or type(error).__name__).splitlines()[0].rstrip(".")
        self.lost = f"{reason}; everything runs on the CPU from now on"
        self.gpu = None


class OnDevice(Generic[N]):
    """A network on the CPU, and a copy of it on the GPU if there is one; any thread may run it."""

    def __init__(self, network: N, device: Device | None = None) -> None:
        """`device`: the CPU if there is none."""
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
        """Whether the next run tries a GPU."""
        return self._device.gpu is not None and self._there is not None

    def run(
        self,
        work: Callable[..., Tensor],
        *inputs: NDArray[Any],
        there: Callable[..., Tensor] | None = None,
        fast: bool = False,
    ) -> NDArray[np.float32]:
        """What `work(network, *inputs as tensors)` gives, without gradients.

        Only for the GPU: `there` instead of `work`; `fast`: in half precision where that is as good.
        What the GPU failed at is done on the CPU.
        """
        gpu, copied = self._device.gpu, self._there
        if gpu is not None and copied is not None:
            try:
                with torch.inference_mode(), gpu.fast() if fast else nullcontext():
                    out = (there or work)(copied, *map(gpu.send, inputs))
                    return _array(out.float().cpu())
            except RuntimeError as error:
                self._device.lose(error)
        self._there = None  # it is not used again
        with torch.inference_mode():
            return _array(work(self._here, *map(torch.from_numpy, inputs)).float())


def _array(tensor: Tensor) -> NDArray[np.float32]:
    array: NDArray[np.float32] = tensor.numpy()
    return array
