"""Chooses between the CPU and a GPU without importing torch where there is no GPU."""

from __future__ import annotations

import ctypes
import importlib.util
import sys

from normtr.device import Device
from normtr.errors import UserError

LIBRARY = "nvcuda.dll" if sys.platform == "win32" else "libcuda.so.1"


def device(wanted: str) -> Device:
    """Return the device for `auto`, `cpu` or `cuda`; `auto` takes CUDA if it can be used.

    Raises UserError when `cuda` is asked for and cannot be used.
    """
    if wanted == "cpu":
        return Device()
    reason = unusable()
    if not reason:
        from normtr.cuda import Cuda

        return Device(Cuda())
    if wanted == "cuda":
        raise UserError(f"{reason}; use --device cpu.")
    return Device()


def unusable() -> str:
    """Return why CUDA cannot be used; empty if it can."""
    if not _drivers_gpus():
        return "there is no CUDA device here"
    if not all(map(importlib.util.find_spec, ("torch", "transformers"))):
        return "CUDA needs torch; type: pip install 'normtr[cuda]'"
    import torch

    return "" if torch.cuda.is_available() else "the installed torch cannot use the CUDA device"


def _drivers_gpus() -> int:
    """Return how many GPUs NVIDIA's driver knows; importing torch only to ask takes a second."""
    try:
        driver = ctypes.CDLL(LIBRARY)
    except OSError:
        return 0
    count = ctypes.c_int(0)
    if driver.cuInit(0) or driver.cuDeviceGetCount(ctypes.byref(count)):
        return 0
    return count.value
