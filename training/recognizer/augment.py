"""Augments training pictures, by draws from a torch generator."""

from __future__ import annotations

import math

import cv2
import torch
import torch.nn.functional as F
from torch import Generator, Tensor


def _uniform(n: int, low: float, high: float, generator: Generator) -> Tensor:
    return torch.rand(n, generator=generator) * (high - low) + low


def faces(images: Tensor, generator: Generator) -> Tensor:
    """Change faces, float [B, 1, H, W] in 0..255, as a webcam and a landmark detector would.

    All are turned, shifted, scaled (landmarks jitter by about 2 px at 48) and perhaps flipped. Some
    have other light, the resolution of a face of 20 to 40 px, blur, sensor noise, JPEG, or a
    covered patch. Colour does not change, because crops are grey.
    """
    n, _, height, width = images.shape

    def some(share: float) -> Tensor:
        return torch.rand(n, generator=generator) < share

    def on_some(share: float, low: float, high: float, otherwise: float) -> Tensor:
        drawn = _uniform(n, low, high, generator)
        return torch.where(some(share), drawn, torch.tensor(otherwise)).view(n, 1, 1, 1)

    x = _moved(images, generator)
    x = 255.0 * (x / 255.0).clamp(0, 1) ** on_some(0.5, 0.6, 1.6, 1.0)
    ramp = torch.linspace(-1, 1, width).view(1, 1, 1, width)
    x = x * (1 + on_some(0.4, -0.35, 0.35, 0.0) * ramp)
    small = some(0.15)
    if small.any():
        size = int(torch.randint(20, 40, (1,), generator=generator))
        coarse = F.interpolate(x[small], size=(size, size), mode="area")
        x[small] = F.interpolate(coarse, size=(height, width), mode="bilinear")
    blurred = some(0.15)
    if blurred.any():
        x[blurred] = F.avg_pool2d(x[blurred], 3, 1, 1, count_include_pad=False)
    x = x + torch.randn(x.shape, generator=generator) * on_some(0.3, 0.0, 8.0, 0.0)
    x = x.clamp(0, 255)
    for i in torch.flatten(torch.nonzero(some(0.15))).tolist():
        x[i, 0] = _jpeg(x[i, 0], int(torch.randint(20, 80, (1,), generator=generator)))
    return _cover(x, generator)


def _moved(images: Tensor, generator: Generator) -> Tensor:
    n, _, height, width = images.shape
    turn = _uniform(n, -0.2, 0.2, generator)
    scale = _uniform(n, 0.88, 1.15, generator)
    flip = torch.where(torch.rand(n, generator=generator) < 0.5, -1.0, 1.0)
    shift = _uniform(2 * n, -0.1, 0.1, generator).view(n, 2)
    cosine, sine = torch.cos(turn) / scale, torch.sin(turn) / scale
    matrix = torch.stack(
        [
            torch.stack([cosine * flip, -sine, shift[:, 0]], 1),
            torch.stack([sine * flip, cosine, shift[:, 1]], 1),
        ],
        1,
    )
    grid = F.affine_grid(matrix, [n, 1, height, width], align_corners=False)
    return F.grid_sample(images, grid, padding_mode="border", align_corners=False)


def _jpeg(image: Tensor, quality: int) -> Tensor:
    """Compress and decode a picture, float [H, W] in 0..255."""
    _, data = cv2.imencode(
        ".jpg", image.round().to(torch.uint8).numpy(), [cv2.IMWRITE_JPEG_QUALITY, quality]
    )
    return torch.from_numpy(cv2.imdecode(data, cv2.IMREAD_GRAYSCALE)).to(image.dtype)


def _cover(x: Tensor, generator: Generator) -> Tensor:
    """Cover up to a sixth of the area in 3 of 10 (random erasing, Zhong et al., AAAI 2020)."""
    n, _, height, width = x.shape
    for i in torch.flatten(torch.nonzero(torch.rand(n, generator=generator) < 0.3)).tolist():
        u = torch.rand(5, generator=generator).tolist()
        area = (0.02 + 0.15 * u[0]) * height * width
        aspect = math.exp((2 * u[1] - 1) * math.log(2.5))
        h = min(height, max(1, round(math.sqrt(area * aspect))))
        w = min(width, max(1, round(math.sqrt(area / aspect))))
        top, left = int(u[2] * (height - h + 1)), int(u[3] * (width - w + 1))
        x[i, :, top : top + h, left : left + w] = 255.0 * u[4]
    return x
