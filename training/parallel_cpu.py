"""A batch over the cores of a CPU: slices that fit the cache, each by one thread.

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
"""Steps of all modalities in a slice, in one version: what they become still fits the cache."""


CORES = torch.get_num_threads()
"""As torch finds them when it starts, so OMP_NUM_THREADS counts."""


def slices(count: int, steps: int, least: int = 1) -> list[slice]:
    """Even parts, `least` or more, of `count` samples of `steps` steps (of all modalities) each."""
    size = -(-count // max(least, -(-count * steps // SLICE_STEPS)))
    return [slice(i, i + size) for i in range(0, count, size)]


@contextmanager
def one_thread() -> Iterator[None]:
    """Within it a tensor operation takes one thread.

    Work that is spread over the cores in slices, or comes in many small pieces, is faster so, and
    what it gives does not depend on the number of cores.
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
    """What `work` makes of every part; each part by one thread, as many at a time as CORES."""

    def alone(part: Part) -> Result:
        torch.set_num_threads(1)
        return work(part)

    with one_thread():  # MKL's number is every thread's
        if CORES == 1 or len(parts) == 1:
            return [work(part) for part in parts]
        return list(_pool(CORES).map(alone, parts))


class _Sliced(torch.autograd.Function):
    """Each slice keeps its own graph; what they say of a parameter is added in order."""

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
    """`function` of inputs [B, ...] whose outputs are [B, ...], slice by slice on a CPU.

    `steps`: of all modalities of a sample. Gradients reach the `parameters`, not the inputs.
    """
    parts = slices(len(inputs[0]), steps, least=2)
    if inputs[0].is_cuda or len(parts) == 1:
        return function(*inputs)
    out: tuple[Tensor, ...] = _Sliced.apply(function, parts, inputs, *parameters)  # type: ignore[no-untyped-call]
    return out
