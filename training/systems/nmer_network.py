"""NMER's networks: the encoders of both phases, and the conditional VAE with its KL divergence.

Modalities are in the order of the data. Shapes are named by letters: B batch, M modalities,
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
"""The width of z."""
LAYERS, HEADS, FEED_FORWARD = 5, 8, 128
"""The sizes of the VAE's Transformer."""
HIDDEN = 128
"""The width of the hidden layers in the VAE's decoder and the second phase's classifier."""
TEST_DRAW = 0
"""The seed from which `as_released` draws z under test, so that results can be repeated."""


@dataclass(frozen=True)
class NmerConfig:
    """The settings from which the networks are built."""

    dims: dict[str, int]
    """The width of a row by modality, in the order of the modalities."""
    outputs: int
    """The number of classes, or 1 for regression."""
    preset: Preset = "sound"
    residual: bool = False
    """Whether the VAE's output is added to s, as in an early version of the authors' code."""
    dropout: float = 0.1

    @property
    def released(self) -> bool:
        return self.preset == "as_released"


class _Views(nn.Module):
    """The common part of both phases: two encoders for each modality, and the invariant layers."""

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
        """Standardise rows [B, T, N_m]; those that are not `valid`, bool [B, M, T], become zero."""
        return {
            m: (rows[m] - self.get_buffer(f"mean_{m}"))
            / self.get_buffer(f"scale_{m}")
            * valid[:, i, :, None]
            for i, m in enumerate(self.config.dims)
        }

    def views(self, x: Rows, valid: Tensor) -> tuple[Tensor, Tensor]:
        """Return features s [B, M W], specific to the modalities, and c [B, M, W], invariant.

        x are scaled rows [B, T, N_m] by modality.
        """
        counted = torch.ones_like(valid[:, 0]) if self.config.released else span(valid)
        s, c = [], []
        for m, rows in x.items():
            s.append(self.specific[m](rows, counted))
            c.append(self.common(self.invariant[m](rows, counted)))
        return torch.cat(s, 1), torch.stack(c, 1)


class NmerPretrained(_Views):
    """The network of the first phase: it classifies s and c of complete data."""

    def __init__(self, config: NmerConfig) -> None:
        super().__init__(config)
        self.classifier = classifier(2 * len(config.dims) * WIDTH, config.outputs, config.dropout)
        initialise(self)

    def forward(self, rows: Rows, valid: Tensor) -> tuple[Tensor, Tensor]:
        """Return outputs [B, C or 1] and c [B, M, W] for rows [B, T, N_m], valid [B, M, T]."""
        s, c = self.views(self.scaled(rows, valid), valid)
        return self.classifier(torch.cat([s, c.flatten(1)], 1)), c


class Joint(NamedTuple):
    """What the second phase's network computes of a batch."""

    outputs: Tensor
    """[B, C or 1]."""
    c: Tensor
    """The invariant features [B, M, W]."""
    r: Tensor
    """The joint representation [B, M W]."""
    mean: Tensor
    """The mean of z [B, LATENT]."""
    log_variance: Tensor
    """The logarithm of z's variance [B, LATENT]."""


def alone(layer: nn.TransformerEncoderLayer, x: Tensor) -> Tensor:
    """Return what the post-norm layer gives for sequences of one step, [B, width] like x.

    A single step attends to itself with weight 1, so queries and keys, almost half of the work, are
    left out. To drop the weight of a head is to drop its value.
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
    """Encodes s and c as z, and decodes z and c to r, which shall be s of clean data."""

    def __init__(self, half: int, dropout: float, *, released: bool) -> None:
        """`half` is the width of s, and of c; `released` builds it as in the authors' code."""
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
        """Return r [B, M W] for s and c [B, M W].

        Also return the mean of z and the logarithm of its variance, [B, LATENT] each.
        """
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
    """The network of the second phase: it judges windows by their joint representation."""

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
        """Judge scaled rows [B, T, N_m], corrupted or not; `valid` is bool [B, M, T]."""
        s, c = self.views(x, valid)
        r, mean, log_variance = self.vae(s, c.flatten(1))
        r = r + s if self.config.residual else r
        return Joint(self.classifier(r), c, r, mean, log_variance)

    def forward(self, rows: Rows, valid: Tensor) -> Tensor:
        """Return outputs [B, C or 1] for rows float [B, T, N_m] by modality, valid [B, M, T]."""
        return self.joint(self.scaled(rows, valid), valid).outputs


def kl(mean: Tensor, log_variance: Tensor) -> Tensor:
    """Return the KL divergence of N(mean, variance) from N(0, 1); all are [B, LATENT].

    The formula is that of Kingma & Welling (ICLR 2014, appendix B).
    """
    return -0.5 * (1 + log_variance - mean.square() - log_variance.exp())
