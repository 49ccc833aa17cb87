"""A batch over the cores of a CPU: slices that fit the cache, each by one thread.

The slices hang on the batch alone and are joined in order, so results do not depend on the
number of cores.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import cache
from typing import Any, TypeVar

import torch
from torch import Tensor

Part = TypeVar("Part")
Result = TypeVar("Result")

SLICE_STEPS = 1_200
"""Steps of all modalities in a slice: what they become still fits the cache."""


def slices(count: int, steps: int) -> list[slice]:
    """Parts of a batch of `count` windows of `steps` steps (of all modalities) each."""
    size = max(1, SLICE_STEPS // steps)
    return [slice(i, i + size) for i in range(0, count, size)]


@cache
def _pool(threads: int) -> ThreadPoolExecutor:
    return ThreadPoolExecutor(threads)


def over_cores(work: Callable[[Part], Result], parts: Sequence[Part]) -> list[Result]:
    """What `work` makes of every part, as many at a time as torch has threads."""
    threads = torch.get_num_threads()

    def alone(part: Part) -> Result:
        torch.set_num_threads(1)
        return work(part)

    try:
        if threads == 1 or len(parts) == 1:
            return [alone(part) for part in parts]
        torch.set_num_threads(1)  # MKL's number is every thread's
        return list(_pool(threads).map(alone, parts))
    finally:
        torch.set_num_threads(threads)


class _Sliced(torch.autograd.Function):
    """Each slice keeps its own graph; what they say of a parameter is added in order."""

    @staticmethod
    def forward(
        ctx: Any,
        function: Callable[..., Tensor],
        parts: list[slice],
        inputs: int,
        *tensors: Tensor,
    ) -> Tensor:
        def run(part: slice) -> tuple[list[Tensor], Tensor]:
            with torch.enable_grad():
                own = [x[part].detach().requires_grad_(x.requires_grad) for x in tensors[:inputs]]
                return own, function(*own)

        ctx.parameters, ctx.parts = tensors[inputs:], parts
        ctx.graphs = over_cores(run, parts)
        return torch.cat([out.detach() for _, out in ctx.graphs])

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor | None, ...]:
        def run(number: int) -> tuple[Tensor, ...]:
            own, out = ctx.graphs[number]
            wanted = [x for x in own if x.requires_grad]
            given = gradient[ctx.parts[number]]
            return torch.autograd.grad(out, [*wanted, *ctx.parameters], given)

        found = list(zip(*over_cores(run, range(len(ctx.parts))), strict=True))
        own = iter(found)
        first = [torch.cat(next(own)) if x.requires_grad else None for x in ctx.graphs[0][0]]
        return None, None, None, *first, *(sum(each[1:], each[0]) for each in own)


def sliced(
    function: Callable[..., Tensor], parameters: Sequence[Tensor], steps: int, *inputs: Tensor
) -> Tensor:
    """`function` of inputs [B, ...] whose output is [B, ...], slice by slice on a CPU.

    `steps`: of all modalities of a window. `parameters`: everything else that is to learn, and
    all of it has a part in the output.
    """
    parts = slices(len(inputs[0]), steps)
    if inputs[0].is_cuda or len(parts) == 1:
        return function(*inputs)
    out: Tensor = _Sliced.apply(function, parts, len(inputs), *inputs, *parameters)  # type: ignore[no-untyped-call]
    return out
