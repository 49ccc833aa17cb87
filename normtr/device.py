"""Networks run on a GPU as long as it has room for them and works, and on the CPU otherwise."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager
from typing import TYPE_CHECKING, Any, Protocol, TypeVar

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    from torch import Tensor, nn

    N = TypeVar("N", bound=nn.Module)

Compute = Callable[..., NDArray[np.float32]]
"""A network that is ready to run: it takes arrays and returns an array."""


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


class OnDevice:
    """A network on the CPU, and the same on the GPU if there is one."""

    def __init__(
        self, device: Device | None, here: Compute, there: Callable[[Gpu], Compute]
    ) -> None:
        """`here` runs on the CPU; `there` copies the network to a GPU. No device means the CPU."""
        self._here = here
        self._there: Compute | None = None
        self._device = device or Device()
        if self._device.gpu is not None:
            try:
                self._there = there(self._device.gpu)
            except RuntimeError as error:
                self._device.lose(error)

    @property
    def on_gpu(self) -> bool:
        """Whether the next run tries the GPU."""
        return self._device.gpu is not None and self._there is not None

    def __call__(self, *inputs: NDArray[Any]) -> NDArray[np.float32]:
        """Return the network's output. When the GPU fails, the CPU does the work."""
        there = self._there
        if self._device.gpu is not None and there is not None:
            try:
                return there(*inputs)
            except RuntimeError as error:
                self._device.lose(error)
        self._there = None  # a lost GPU is not used again
        return self._here(*inputs)
