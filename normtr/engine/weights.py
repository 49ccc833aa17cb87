"""The weights of a network by name, and a reader that checks their names and shapes."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from safetensors import SafetensorError
from safetensors.numpy import load, load_file

Array = NDArray[np.float32]
Weights = Mapping[str, Array]
"""The tensors of a network, float32, by the names that its torch module gives them."""
COUNTER = "num_batches_tracked"
"""What torch's BatchNorm counts in training; nothing that is computed depends on it."""


class Unfit(ValueError):
    """The weights are not those of the network: a name or a shape is another."""


class Reader:
    """Hands out the tensors of a network, each with the shape that it must have."""

    def __init__(self, weights: Weights) -> None:
        self._weights = weights
        self._left = {name for name in weights if not name.endswith(COUNTER)}

    def __call__(self, name: str, *shape: int) -> Array:
        """Return a tensor. Raises Unfit when it is missing or has another shape."""
        found = self._weights.get(name)
        if found is None or found.shape != shape:
            raise Unfit(f"{name} is missing or has another shape than {shape}")
        self._left.discard(name)
        return found

    def end(self) -> None:
        """Raise Unfit when there are tensors that nobody asked for."""
        if self._left:
            raise Unfit(f"there is no place for {min(self._left)}")


def of_bytes(data: bytes) -> dict[str, Array]:
    """Return the tensors of a safetensors file, as float32 where they are floating.

    Raises ValueError when it is none.
    """
    try:
        return {name: _float32(tensor) for name, tensor in load(data).items()}
    except (SafetensorError, KeyError, ValueError) as error:
        raise ValueError(str(error)) from None


def of_file(path: Path) -> dict[str, Array]:
    """Return the tensors of a safetensors file, as float32 where they are floating.

    Raises OSError when it cannot be opened, and ValueError when it is no safetensors file.
    """
    try:
        return {name: _float32(tensor) for name, tensor in load_file(path).items()}
    except (SafetensorError, KeyError) as error:
        raise ValueError(str(error)) from None


def _float32(tensor: NDArray[Any]) -> NDArray[Any]:
    return tensor.astype(np.float32, copy=False) if tensor.dtype.kind == "f" else tensor
