"""NMER's networks: both phases' encoders, the conditional VAE, its losses.

M modalities in the order of the data; letters in the shape comments: B batch, M modalities,
T steps, W = 128.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import NamedTuple, cast

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from training.systems.encoders import (
    WIDTH,
    Preset,
    classifier,
    encoders,
    initialise,
    invariant,
    span,
)

Rows = Mapping[str, Tensor]

LATENT = 64
LAYERS, HEADS, FEED_FORWARD = 5, 8, 128
"""Of the VAE's Transformer."""
HIDDEN = 128
"""Of the VAE's decoder and the second phase's classifier."""
TEST_DRAW = 0
"""Seed of what `as_released` draws under test, so that a result can be had again."""


@dataclass(frozen=True)
class NmerConfig:
    """What the network is built from."""

    dims: dict[str, int]
    """Width of a row per modality, in their order."""
    outputs: int
    """Classes, or 1 for regression."""
    preset: Preset = "sound"
    residual: bool = False
    """Whether the VAE gives what is to be added to s (an early version of the authors')."""
    dropout: float = 0.1

    @property
    def released(self) -> bool:
        return self.preset == "as_released"


class _Views(nn.Module):
    """What both phases have: six encoders (of three modalities) and the invariant layers."""

    def __init__(self, config: NmerConfig) -> None:
        super().__init__()
        self.config = config
        for name, dim in config.dims.items():  # statistics of the training rows
            self.register_buffer(f"mean_{name}", torch.zeros(dim))
            self.register_buffer(f"scale_{name}", torch.ones(dim))
        self.specific = encoders(config.dims)
        self.invariant = encoders(config.dims)
        self.common = invariant()

    def scaled(self, rows: Rows, valid: Tensor) -> dict[str, Tensor]:
        """rows [B, T, N_m], valid bool [B, M, T] -> standardised rows, 0 where not valid."""
        return {
            m: (rows[m] - self.get_buffer(f"mean_{m}"))
            / self.get_buffer(f"scale_{m}")
            * valid[:, i, :, None]
            for i, m in enumerate(self.config.dims)
        }

    def views(self, x: Rows, valid: Tensor) -> tuple[Tensor, Tensor]:
        """Scaled rows -> s [B, M W] specific of modalities, c [B, M, W] invariant to them."""
        counted = torch.ones_like(valid[:, 0]) if self.config.released else span(valid)
        s, c = [], []
        for m, rows in x.items():
            s.append(self.specific[m](rows, counted))
            c.append(self.common(self.invariant[m](rows, counted)))
        return torch.cat(s, 1), torch.stack(c, 1)


class NmerPretrained(_Views):
    """The first phase: classifies s and c of complete data."""

    def __init__(self, config: NmerConfig) -> None:
        super().__init__(config)
        self.classifier = classifier(2 * len(config.dims) * WIDTH, config.outputs, config.dropout)
        initialise(self)

    def forward(self, rows: Rows, valid: Tensor) -> tuple[Tensor, Tensor]:
        """-> outputs [B, C or 1] and c [B, M, W]."""
        s, c = self.views(self.scaled(rows, valid), valid)
        return self.classifier(torch.cat([s, c.flatten(1)], 1)), c


class Joint(NamedTuple):
    """What the second phase makes of a batch; r is the joint representation."""

    outputs: Tensor
    c: Tensor
    r: Tensor
    mean: Tensor
    log_variance: Tensor


def alone(layer: nn.TransformerEncoderLayer, x: Tensor) -> Tensor:
    """What the layer (post-norm) gives for sequences of one step, x [B, W] -> [B, W].

    A step alone attends to itself with weight 1, so queries and keys, almost half of the work,
    are left out; a dropped weight (of one head) is its value dropped.
    """
    attention = layer.self_attn
    assert attention.in_proj_weight is not None
    assert attention.in_proj_bias is not None
    value = F.linear(x, attention.in_proj_weight.chunk(3)[2], attention.in_proj_bias.chunk(3)[2])
    weight = F.dropout(
        x.new_ones(len(x), attention.num_heads, 1), attention.dropout, layer.training
    )
    value = (weight * value.view(len(x), attention.num_heads, -1)).flatten(1)
    x = layer.norm1(x + layer.dropout1(attention.out_proj(value)))
    hidden = layer.dropout(layer.activation(layer.linear1(x)))
    out: Tensor = layer.norm2(x + layer.dropout2(layer.linear2(hidden)))
    return out


class Vae(nn.Module):
    """s and c -> z; z and c -> r, which the second phase wants to be s of clean data."""

    def __init__(self, half: int, dropout: float, *, released: bool) -> None:
        """`half`: width of s, and of c."""
        super().__init__()
        self.released = released
        layer = nn.TransformerEncoderLayer(2 * half, HEADS, FEED_FORWARD, dropout, batch_first=True)
        self.encoder = nn.TransformerEncoder(layer, LAYERS, enable_nested_tensor=False)
        self.mean, self.log_variance = (nn.Linear(2 * half, LATENT) for _ in range(2))
        self.decoder = nn.Sequential(
            nn.Linear(LATENT + half, HIDDEN),
            nn.LeakyReLU(),
            nn.Linear(HIDDEN, half),
            nn.Sigmoid() if released else nn.Identity(),
        )

    def forward(self, s: Tensor, c: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """s, c [B, M W] -> r [B, M W]; mean and logarithm of the variance of z [B, LATENT]."""
        x = torch.cat([s, c], 1)
        if self.released:
            x = self.encoder(x[None])[0]
        else:
            for layer in self.encoder.layers:
                x = alone(cast(nn.TransformerEncoderLayer, layer), x)
        mean, log_variance = self.mean(x), self.log_variance(x)
        z = mean
        if self.training or self.released:
            z = mean + self._noise(mean) * (log_variance / 2).exp()
        return self.decoder(torch.cat([z, c], 1)), mean, log_variance

    def _noise(self, like: Tensor) -> Tensor:
        if self.training:
            return torch.randn_like(like)
        fixed = torch.Generator(like.device).manual_seed(TEST_DRAW)
        return torch.randn(like.shape, generator=fixed, device=like.device)


class NmerNetwork(_Views):
    """Raw rows and their validity -> outputs."""

    def __init__(self, config: NmerConfig) -> None:
        super().__init__(config)
        half = len(config.dims) * WIDTH
        self.vae = Vae(half, config.dropout, released=config.released)
        layers: list[nn.Module] = []
        for width in (half, HIDDEN):
            layers += [nn.Linear(width, HIDDEN), nn.ReLU(), nn.BatchNorm1d(HIDDEN)]
            layers += [nn.Dropout(config.dropout)]
        self.classifier = nn.Sequential(*layers, nn.Linear(HIDDEN, config.outputs))
        initialise(self)

    def joint(self, x: Rows, valid: Tensor) -> Joint:
        """Scaled rows [B, T, N_m], corrupted or not, and valid bool [B, M, T]."""
        s, c = self.views(x, valid)
        r, mean, log_variance = self.vae(s, c.flatten(1))
        r = r + s if self.config.residual else r
        return Joint(self.classifier(r), c, r, mean, log_variance)

    def forward(self, rows: Rows, valid: Tensor) -> Tensor:
        """rows float [B, T, N_m] per modality, valid bool [B, M, T] -> outputs [B, C or 1]."""
        return self.joint(self.scaled(rows, valid), valid).outputs


def kl(mean: Tensor, log_variance: Tensor) -> Tensor:
    """Divergence of N(mean, variance) from N(0, 1), [B, LATENT] each -> [B, LATENT]."""
    return -0.5 * (1 + log_variance - mean.square() - log_variance.exp())
