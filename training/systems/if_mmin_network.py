"""The two networks of IF-MMIN (Zuo et al., ICASSP 2023): one is pre-trained, the other imagines.

Shapes are named by letters: B batch, M modalities, T steps, S = 128 M.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

import torch
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

Invariant = Literal["plain", "deep"]
HIDDEN = (256, 128, 64)
"""The widths of an autoencoder's layers; the last one is that of its code."""


@dataclass(frozen=True)
class IfMminConfig:
    """The settings from which the networks are built."""

    dims: dict[str, int]
    """The width of a row by modality, in the order of all concatenations."""
    outputs: int
    """The number of classes, or 1 for regression."""
    preset: Preset = "sound"
    """With as_released, steps beyond the sample count in the encoders' maximum, and no decoder's
    output is fed forward in the cascade, as before September 2024."""
    invariant: Invariant = "plain"
    blocks: int = 5
    """The number of autoencoders in the cascade."""

    def __post_init__(self) -> None:
        """Raise ValueError when no network can be built from these settings."""
        if min([*self.dims.values(), self.outputs, self.blocks]) < 1:
            raise ValueError("widths, outputs and blocks are 1 or more")
        if len(self.dims) < 2:
            raise ValueError("IF-MMIN needs two modalities or more")


@dataclass(frozen=True)
class Embedded:
    """The specific and the invariant features of every modality, float [B, M, 128] each."""

    specific: Tensor
    invariant: Tensor


def deep_invariant(dropout: float) -> nn.Sequential:
    """Make the deeper invariant layers that the authors used in the run of one of their figures."""
    hidden = [
        layer
        for _ in range(3)
        for layer in (nn.Linear(WIDTH, WIDTH), nn.Sigmoid(), nn.Dropout(dropout))
    ]
    return nn.Sequential(*hidden, nn.Linear(WIDTH, WIDTH))


class Embedding(nn.Module):
    """The common part of both networks: encoders, invariant layers and statistics of the rows."""

    def __init__(self, config: IfMminConfig, dropout: float) -> None:
        super().__init__()
        self.config = config
        for name, dim in config.dims.items():
            self.register_buffer(f"mean_{name}", torch.zeros(dim))
            self.register_buffer(f"scale_{name}", torch.ones(dim))
        self.encoders = encoders(config.dims)
        deep = config.invariant == "deep"
        self.invariant = deep_invariant(dropout) if deep else invariant()

    def embedded(self, rows: Mapping[str, Tensor], valid: Tensor) -> Embedded:
        """Embed rows float [B, T, N_m] by modality; `valid` is bool [B, M, T].

        A step that is not valid is a row of zeros. Even if a modality is missing throughout, zeros
        go through its encoder.
        """
        sound = self.config.preset == "sound"
        counted = span(valid) if sound else torch.ones_like(valid[:, 0])
        found = []
        for i, (m, encoder) in enumerate(self.encoders.items()):
            mean, scale = self.get_buffer(f"mean_{m}"), self.get_buffer(f"scale_{m}")
            x = (rows[m] - mean) / scale
            found.append(encoder(x.masked_fill(~valid[:, i, :, None], 0), counted))
        specific = torch.stack(found, 1)
        return Embedded(specific, self.invariant(specific))


class IfMminPretrained(Embedding):
    """The network of the first phase: it judges complete windows by all their features."""

    def __init__(self, config: IfMminConfig, dropout: float = 0.3) -> None:
        super().__init__(config, dropout)
        self.classifier = classifier(2 * WIDTH * len(config.dims), config.outputs, dropout)
        initialise(self)

    def judged(self, embedded: Embedded) -> Tensor:
        """Return outputs [B, C or 1]."""
        both = torch.cat([embedded.specific, embedded.invariant], 1)
        out: Tensor = self.classifier(both.flatten(1))
        return out

    def forward(self, rows: Mapping[str, Tensor], valid: Tensor) -> Tensor:
        """Return outputs [B, C or 1]; the inputs are those of `embedded`."""
        return self.judged(self.embedded(rows, valid))


def autoencoder(width: int) -> tuple[nn.Sequential, nn.Sequential]:
    """Make an encoder [B, width] -> [B, 64] and a decoder back."""
    a, b, code = HIDDEN
    encoder = nn.Sequential(
        nn.Linear(width, a), nn.LeakyReLU(), nn.Linear(a, b), nn.LeakyReLU(), nn.Linear(b, code)
    )
    decoder = nn.Sequential(
        nn.Linear(code, b), nn.ReLU(), nn.Linear(b, a), nn.ReLU(), nn.Linear(a, width)
    )
    return encoder, decoder


class Imagination(nn.Module):
    """IF-IM: a cascade of autoencoders; the invariant features are added to the input of each."""

    def __init__(self, width: int, blocks: int, preset: Preset) -> None:
        super().__init__()
        pairs = [autoencoder(width) for _ in range(blocks)]
        self.preset = preset
        self.encoders = nn.ModuleList(encoder for encoder, _ in pairs)
        self.decoders = nn.ModuleList(decoder for _, decoder in pairs)
        self.transition = nn.Sequential(nn.Linear(width, width), nn.ReLU(), nn.Linear(width, width))

    def forward(self, specific: Tensor, invariant: Tensor) -> tuple[Tensor, Tensor]:
        """Return the imagined features [B, S] and all codes [B, 64 blocks]; inputs are [B, S]."""
        heard = decoded = specific
        codes = []
        for encoder, decoder in zip(self.encoders, self.decoders, strict=True):
            heard = (decoded if self.preset == "sound" else heard) + invariant
            codes.append(encoder(heard))
            decoded = decoder(codes[-1])
        last = decoded if self.preset == "sound" else heard + decoded
        return self.transition(last), torch.cat(codes, 1)


class Imagining(Embedding):
    """The network of the second phase: it judges windows by what it imagines of missing input."""

    def __init__(self, config: IfMminConfig, dropout: float = 0.5) -> None:
        super().__init__(config, dropout)
        width = WIDTH * len(config.dims)
        self.imagination = Imagination(width, config.blocks, config.preset)
        self.classifier = classifier(HIDDEN[-1] * config.blocks, config.outputs, dropout)
        initialise(self)

    def imagined(self, embedded: Embedded) -> tuple[Tensor, Tensor]:
        """Return outputs [B, C or 1] and imagined features [B, S]."""
        imagined, codes = self.imagination(
            embedded.specific.flatten(1), embedded.invariant.flatten(1)
        )
        return self.classifier(codes), imagined

    def forward(self, rows: Mapping[str, Tensor], valid: Tensor) -> Tensor:
        """Return outputs [B, C or 1]; the inputs are those of `embedded`."""
        return self.imagined(self.embedded(rows, valid))[0]
