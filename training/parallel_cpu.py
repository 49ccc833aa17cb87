"""Spreads a batch over the cores of a CPU, in slices that fit the cache, one thread for each.

The slices depend on the batch alone and are joined in order, so results do not depend on the
number of cores.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from functools import cache
from typing import Any, TypeVar

import torch
from torch import Tensor

Part = TypeVar("Part")
Result = TypeVar("Result")

SLICE_STEPS = 1_500
"""A slice has about this many steps, counted over all modalities and in one noisy version, so that
its intermediate results still fit the cache."""

CORES = torch.get_num_threads()
"""The number of threads that torch starts with, which OMP_NUM_THREADS sets."""


def slices(count: int, steps: int, least: int = 1) -> list[slice]:
    """Cut `count` samples into even slices, at least `least` of them.

    `steps` is the number of steps of one sample, counted over all modalities.
    """
    size = -(-count // max(least, -(-count * steps // SLICE_STEPS)))
    return [slice(i, i + size) for i in range(0, count, size)]


@contextmanager
def one_thread() -> Iterator[None]:
    """Let every tensor operation within this context use one thread.

    This is faster for work that is spread over the cores in slices or consists of many small
    pieces, and makes its result independent of the number of cores.
    """
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(threads)


@cache
def _pool(threads: int) -> ThreadPoolExecutor:
    return ThreadPoolExecutor(threads)


def over_cores(work: Callable[[Part], Result], parts: Sequence[Part]) -> list[Result]:
    """Return the results of `work` on every part, in order.

    Each part runs on one thread, and CORES of them run at the same time.
    """

    def alone(part: Part) -> Result:
        torch.set_num_threads(1)
        return work(part)

    with one_thread():  # MKL keeps one number of threads for the whole process
        if CORES == 1 or len(parts) == 1:
            return [work(part) for part in parts]
        return list(_pool(CORES).map(alone, parts))


class _Sliced(torch.autograd.Function):
    """Runs a function slice by slice. Each slice keeps its own graph, and the slices' gradients of
    a parameter are added in order."""

    @staticmethod
    def forward(
        ctx: Any,
        function: Callable[..., tuple[Tensor, ...]],
        parts: list[slice],
        inputs: Sequence[Tensor],
        *parameters: Tensor,
    ) -> tuple[Tensor, ...]:
        def run(part: slice) -> tuple[Tensor, ...]:
            with torch.enable_grad():
                return function(*(x[part] for x in inputs))

        ctx.set_materialize_grads(False)
        ctx.parameters, ctx.parts = parameters, parts
        ctx.outputs = over_cores(run, parts)
        return tuple(
            torch.cat([x.detach() for x in each]) for each in zip(*ctx.outputs, strict=True)
        )

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor | None) -> tuple[Tensor | None, ...]:
        def run(number: int) -> tuple[Tensor | None, ...]:
            part = ctx.parts[number]
            given = [
                (out, gradient[part])
                for out, gradient in zip(ctx.outputs[number], gradients, strict=True)
                if gradient is not None and out.requires_grad
            ]
            outs, own = zip(*given, strict=True)
            found: tuple[Tensor | None, ...] = torch.autograd.grad(
                outs, ctx.parameters, own, allow_unused=True
            )
            return found

        found = zip(*over_cores(run, range(len(ctx.parts))), strict=True)
        return None, None, None, *(None if each[0] is None else sum(each) for each in found)


def sliced(
    function: Callable[..., tuple[Tensor, ...]],
    parameters: Sequence[Tensor],
    steps: int,
    *inputs: Tensor,
) -> tuple[Tensor, ...]:
    """Return `function` of the inputs, computed slice by slice on a CPU.

    Inputs and outputs are [B, ...]. `steps` is the number of steps of one sample, counted over all
    modalities. Gradients reach the `parameters`, but not the inputs.
    """
    parts = slices(len(inputs[0]), steps, least=2)
    if inputs[0].is_cuda or len(parts) == 1:
        return function(*inputs)
    out: tuple[Tensor, ...] = _Sliced.apply(function, parts, inputs, *parameters)  # type: ignore[no-untyped-call]
    return out
