"""NORM-TR, the Noise-Resistant Multimodal Transformer (IJCV 133:3020-3040, 2025).

M modalities, T steps, N = `width`; section numbers refer to the paper. Letters in the shape
comments: B batch, M modalities, T steps, H = N / 2.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Literal, cast

import torch
import torch.nn.functional as F
from torch import Tensor, nn

Extractor = Literal["nrgf", "mf"]


@dataclass(frozen=True)
class NormTrConfig:
    """What the network is built from; stands in every checkpoint."""

    dims: dict[str, int]
    """Width of a row per modality, in the order of the tokens."""
    outputs: int
    """Classes, or 1 for regression."""
    steps: int = 16
    width: int = 256
    depth: int = 2
    """0: no Transformer; all tokens, NRGFs and MFs, are averaged (the paper's table 6)."""
    heads: int = 8
    feed_forward: int = 2
    """Width of the blocks' hidden layer as a multiple of N / 2."""
    dropout: float = 0.1
    masked: bool = False
    """Attention and pooling skip invalid steps; False: they see zero rows, as in the paper."""
    query: Extractor = "nrgf"
    memory: Extractor = "mf"
    """Whose tokens are query, and whose are key and value (the paper's tables 6 and 8 vary it)."""
    position: float = 0.02
    """Standard deviation of the position embeddings before training: at 0.02 the places look alike
    at first, 0.5 sets them apart, which helped on RAVDESS and not on MOSI."""

    def __post_init__(self) -> None:
        """Raises ValueError where no network can be built so."""
        if min([*self.dims.values(), self.outputs, self.steps, self.width, self.heads]) < 1:
            raise ValueError("widths, outputs, steps and heads are 1 or more")
        if self.width % 2 or self.width // 2 % self.heads:
            raise ValueError(f"half the width {self.width} is no multiple of {self.heads} heads")
        if self.depth < 0 or self.feed_forward < 1:
            raise ValueError("depth is 0 or more, feed_forward 1 or more")
        if self.position < 0:
            raise ValueError(f"position is 0 or more, not {self.position:g}")
        if not 0 <= self.dropout < 1:
            raise ValueError(f"dropout lies from 0 to under 1, not at {self.dropout:g}")


@dataclass(frozen=True)
class Features:
    """Output of the two extractors (3.3), float [B, M, T, H] each."""

    nrgf: Tensor
    mf: Tensor


@dataclass(frozen=True)
class Tokens:
    """The extractors' output of a batch, every different token once.

    An erased step of a modality looks like any other, so what is computed of single tokens is
    computed of the valid steps and of an erased one at each of the M T places only.
    """

    nrgf: Tensor
    """Float [n, H]: of the valid steps, then of the erased one at each place."""
    mf: Tensor
    """As `nrgf`."""
    place: Tensor
    """Int64 [n]: where a token stands in its window, modality by modality."""
    index: Tensor
    """Int64 [B, M, T]: which token stands at each place of each window."""

    def under(self, masks: Tensor) -> Tokens:
        """Versions of the windows with only what `masks` bool [B, V, M, T] keep: [B V, M, T]."""
        _, m, t = self.index.shape
        erased = torch.arange(m * t, device=self.place.device).view(m, t)
        erased = erased + len(self.place) - m * t
        return replace(self, index=torch.where(masks, self.index[:, None], erased).flatten(0, 1))

    def features(self) -> Features:
        """Of every place of every window."""
        return Features(F.embedding(self.index, self.nrgf), F.embedding(self.index, self.mf))


def mlp(width: int) -> nn.Sequential:
    """Two layers with LeakyReLU after each: N -> N / 2 (3.3)."""
    half = width // 2
    return nn.Sequential(
        nn.Linear(width, half), nn.LeakyReLU(), nn.Linear(half, half), nn.LeakyReLU()
    )


class AttentionBlock(nn.Module):
    """Pre-norm cross-attention and feed-forward (3.4.1)."""

    def __init__(self, width: int, heads: int, feed_forward: int) -> None:
        super().__init__()
        self.heads = heads
        self.norm_q, self.norm_kv, self.norm_ff = (nn.LayerNorm(width) for _ in range(3))
        self.q = nn.Linear(width, width)
        # A key's bias would change nothing, a value's is the output's.
        self.kv = nn.Linear(width, 2 * width, bias=False)
        self.out = nn.Linear(width, width)
        self.feed_forward = nn.Sequential(
            nn.Linear(width, feed_forward * width),
            nn.GELU(),
            nn.Linear(feed_forward * width, width),
        )

    def queries(self, x: Tensor) -> Tensor:
        """[..., H] -> [..., H]."""
        out: Tensor = self.q(self.norm_q(x))
        return out

    def keys_values(self, memory: Tensor) -> tuple[Tensor, Tensor]:
        """[..., H] -> twice [..., H]."""
        keys, values = self.kv(self.norm_kv(memory)).chunk(2, dim=-1)
        return keys, values

    def split(self, x: Tensor) -> Tensor:
        """[B, S, H] -> [B, heads, S, H / heads]."""
        return x.view(*x.shape[:2], self.heads, -1).transpose(1, 2)

    def forward(
        self,
        x: Tensor,
        q: Tensor,
        k: Tensor,
        v: Tensor,
        mask: Tensor | None,
        drop: Sequence[Tensor] | None,
    ) -> Tensor:
        """x, its queries, keys and values [B, S, H]; mask bool [B, 1, 1, S] (True: may be attended).

        drop [B, S, H] twice: factors of the attention's and the feed-forward's output.
        """
        # No dropout of weights: with it, attention on the CPU takes several times as long.
        y = F.scaled_dot_product_attention(self.split(q), self.split(k), self.split(v), mask)
        y = self.out(y.transpose(1, 2).flatten(2))
        x = x + y if drop is None else torch.addcmul(x, y, drop[0])
        y = self.feed_forward(self.norm_ff(x))
        return x + y if drop is None else torch.addcmul(x, y, drop[1])


class NormTr(nn.Module):
    """Raw rows and their validity -> logits."""

    def __init__(self, config: NormTrConfig) -> None:
        super().__init__()
        self.config = config
        n, half = config.width, config.width // 2
        tokens = len(config.dims) * config.steps
        for name, dim in config.dims.items():  # statistics of the training rows
            self.register_buffer(f"mean_{name}", torch.zeros(dim))
            self.register_buffer(f"scale_{name}", torch.ones(dim))
        self.project = nn.ModuleDict({m: nn.Linear(dim, n) for m, dim in config.dims.items()})
        self.nrgf = mlp(n)
        self.mf = nn.ModuleDict({m: mlp(n) for m in config.dims})
        self.position_q = nn.Parameter(torch.randn(1, tokens, half) * config.position)
        self.position_kv = nn.Parameter(torch.randn(1, tokens, half) * config.position)
        self.blocks = nn.ModuleList(
            AttentionBlock(half, config.heads, config.feed_forward) for _ in range(config.depth)
        )
        self.norm = nn.LayerNorm(half)
        self.head = nn.Linear(half, config.outputs)

    def extract(self, rows: Mapping[str, Tensor], valid: Tensor, *, every: bool = False) -> Tokens:
        """rows float [B, T, N_m] per modality, valid bool [B, M, T] -> NRGF and MF.

        Invalid steps are zero before the projection (3.2). `every`: their tokens are computed, too,
        though not used: no shape depends on a value then, so that a GPU need not be waited for.
        """
        b, m, t = valid.shape
        projected = []
        for i, (name, project) in enumerate(self.project.items()):
            mean, scale = self.get_buffer(f"mean_{name}"), self.get_buffer(f"scale_{name}")
            steps = rows[name].flatten(0, 1) if every else rows[name][valid[:, i]]
            erased = torch.zeros_like(mean)[None]
            projected.append(project(torch.cat([(steps - mean) / scale, erased])))
        nrgf = self.nrgf(torch.cat(projected)).split([len(x) for x in projected])
        mf = [mlp(x) for mlp, x in zip(self.mf.values(), projected, strict=True)]
        there = valid.transpose(0, 1)  # the order of the tokens: [M, B, T]
        place = torch.arange(m * t, device=valid.device).view(m, 1, t)
        places = place.expand(m, b, t)
        count = sum(len(x) - 1 for x in projected)
        computed = torch.ones_like(there) if every else there
        number = computed.flatten().cumsum(0).view(m, b, t) - 1

        def tokens(of: Sequence[Tensor]) -> Tensor:
            return torch.cat([*(x[:-1] for x in of), *(x[-1:].expand(t, -1) for x in of)])

        return Tokens(
            tokens(nrgf),
            tokens(mf),
            torch.cat([places.flatten() if every else places[there], place.flatten()]),
            torch.where(there, number, count + place).transpose(0, 1),
        )

    def fuse(self, tokens: Tokens, valid: Tensor, drop: Tensor | None = None) -> Tensor:
        """NRGF as query, MF as key and value (3.4) -> logits [B, outputs].

        drop float [B, depth, 2, M T, H]: dropout's factors of the blocks; None: no dropout.
        """
        of = {"nrgf": tokens.nrgf, "mf": tokens.mf}
        start = of[self.config.query] + F.embedding(tokens.place, self.position_q[0])  # [n, H]
        memory = of[self.config.memory] + F.embedding(tokens.place, self.position_kv[0])
        index = tokens.index.flatten(1)
        mask = weight = None
        if self.config.masked:
            seen = valid.flatten(1)
            seen = seen | ~seen.any(dim=1, keepdim=True)  # nothing valid: look at the zeros
            mask = seen[:, None, None, :]
            weight = seen[..., None] / seen.sum(dim=1)[:, None, None]
        x = F.embedding(index, start if self.blocks else (start + memory) / 2)  # [B, M T, H]
        for i, block in enumerate(cast("Iterable[AttentionBlock]", self.blocks)):
            q = block.queries(x) if i else F.embedding(index, block.queries(start))
            k, v = (F.embedding(index, of) for of in block.keys_values(memory))
            x = block(x, q, k, v, mask, None if drop is None else drop[:, i].unbind(1))
        x = self.norm(x)
        pooled = x.mean(dim=1) if weight is None else (x * weight).sum(dim=1)
        logits: Tensor = self.head(pooled)
        return logits

    def forward(self, rows: Mapping[str, Tensor], valid: Tensor) -> Tensor:
        """rows float [B, T, N_m] per modality, valid bool [B, M, T] -> logits [B, outputs]."""
        return self.fuse(self.extract(rows, valid), valid)
