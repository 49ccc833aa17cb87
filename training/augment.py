"""Augmentation of training pictures and sounds, drawn from a torch generator."""

from __future__ import annotations

import math

import torch
import torch.nn.functional as F
from torch import Generator, Tensor


def _uniform(n: int, low: float, high: float, generator: Generator) -> Tensor:
    return torch.rand(n, generator=generator) * (high - low) + low


def faces(images: Tensor, generator: Generator) -> Tensor:
    """What a webcam and a landmark detector do to a face: float [B, 1, H, W] in 0..255, same out.

    Flip, turn, shift and scale (the detector's landmarks jitter by about 3 px at 48), light
    and contrast, coarse sampling, blur, sensor noise, a covered patch.
    """
    n, _, height, width = images.shape
    turn = _uniform(n, -0.25, 0.25, generator)
    scale = _uniform(n, 0.85, 1.18, generator)
    flip = torch.where(torch.rand(n, generator=generator) < 0.5, -1.0, 1.0)
    shift = _uniform(2 * n, -0.14, 0.14, generator).view(n, 2)
    cosine, sine = torch.cos(turn) / scale, torch.sin(turn) / scale
    matrix = torch.stack(
        [
            torch.stack([cosine * flip, -sine, shift[:, 0]], 1),
            torch.stack([sine * flip, cosine, shift[:, 1]], 1),
        ],
        1,
    )
    grid = F.affine_grid(matrix, [n, 1, height, width], align_corners=False)
    x = F.grid_sample(images, grid, padding_mode="border", align_corners=False)

    gamma = _uniform(n, 0.6, 1.6, generator).view(n, 1, 1, 1)
    x = 255.0 * (x / 255.0).clamp(0, 1) ** gamma
    ramp = torch.linspace(-1, 1, width).view(1, 1, 1, width)
    x = x * (1 + _uniform(n, -0.3, 0.3, generator).view(n, 1, 1, 1) * ramp)

    coarse = torch.rand(n, generator=generator) < 0.25
    if coarse.any():
        size = int(torch.randint(20, 40, (1,), generator=generator))
        small = F.interpolate(x[coarse], size=(size, size), mode="area")
        x[coarse] = F.interpolate(small, size=(height, width), mode="bilinear")
    blurred = torch.rand(n, generator=generator) < 0.2
    if blurred.any():
        x[blurred] = F.avg_pool2d(x[blurred], 3, 1, 1, count_include_pad=False)
    x = x + torch.randn(x.shape, generator=generator) * _uniform(n, 0, 6, generator).view(
        n, 1, 1, 1
    )
    return _cover(x.clamp(0, 255), generator)


def _cover(x: Tensor, generator: Generator) -> Tensor:
    """Random erasing (Zhong et al., AAAI 2020) of up to a fifth of the area, on 4 of 10."""
    n, _, height, width = x.shape
    for i in torch.flatten(torch.nonzero(torch.rand(n, generator=generator) < 0.4)).tolist():
        u = torch.rand(5, generator=generator).tolist()
        area = (0.02 + 0.18 * u[0]) * height * width
        aspect = math.exp((2 * u[1] - 1) * math.log(2.5))
        h = min(height, max(1, round(math.sqrt(area * aspect))))
        w = min(width, max(1, round(math.sqrt(area / aspect))))
        top, left = int(u[2] * (height - h + 1)), int(u[3] * (width - w + 1))
        x[i, :, top : top + h, left : left + w] = 255.0 * u[4]
    return x
