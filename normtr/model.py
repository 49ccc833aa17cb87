"""NORM-TR, the Noise-Resistant Multimodal Transformer (IJCV 133:3020-3040, 2025).

Numbers in brackets, such as (3.3), are sections of the paper. In shapes, B is the batch, M the
modalities, T the steps, N the `width`, and H = N / 2.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import cast

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from normtr.norm_tr_config import NormTrConfig


@dataclass(frozen=True)
class Features:
    """The output of the two extractors (3.3), float [B, M, T, H] each."""

    nrgf: Tensor
    mf: Tensor


@dataclass(frozen=True)
class Tokens:
    """The extractors' output for a batch, in which equal tokens are stored only once.

    All erased steps of a modality look alike. So what depends on a single token is computed only
    for the valid steps, and for one erased step at each of the M T places.
    """

    nrgf: Tensor
    """Float [n, H]: tokens of the valid steps, followed by the erased token of each place."""
    mf: Tensor
    """Float [n, H], in the same order as `nrgf`."""
    place: Tensor
    """Int64 [n]: the place of each token in its window, counted modality by modality."""
    index: Tensor
    """Int64 [B, M, T]: the number of the token at each place of each window."""

    def under(self, masks: Tensor) -> Tokens:
        """Return versions of the windows that keep only the steps in `masks`.

        `masks` is bool [B, V, M, T]; the result has B V windows.
        """
        _, m, t = self.index.shape
        erased = torch.arange(m * t, device=self.place.device).view(m, t)
        erased = erased + len(self.place) - m * t
        return replace(self, index=torch.where(masks, self.index[:, None], erased).flatten(0, 1))

    def features(self) -> Features:
        """Return the features of every place of every window."""
        return Features(F.embedding(self.index, self.nrgf), F.embedding(self.index, self.mf))


def mlp(width: int) -> nn.Sequential:
    """Return two layers with LeakyReLU after each, N -> N / 2 (3.3)."""
    half = width // 2
    return nn.Sequential(
        nn.Linear(width, half), nn.LeakyReLU(), nn.Linear(half, half), nn.LeakyReLU()
    )


class AttentionBlock(nn.Module):
    """A Transformer block: pre-norm cross-attention and feed-forward (3.4.1)."""

    def __init__(self, width: int, heads: int, feed_forward: int) -> None:
        super().__init__()
        self.heads = heads
        self.norm_q, self.norm_kv, self.norm_ff = (nn.LayerNorm(width) for _ in range(3))
        self.q = nn.Linear(width, width)
        # A bias of the keys would change nothing, and one of the values is part of the output's.
        self.kv = nn.Linear(width, 2 * width, bias=False)
        self.out = nn.Linear(width, width)
        self.feed_forward = nn.Sequential(
            nn.Linear(width, feed_forward * width),
            nn.GELU(),
            nn.Linear(feed_forward * width, width),
        )

    def queries(self, x: Tensor) -> Tensor:
        """Return the queries [..., H] of tokens [..., H]."""
        out: Tensor = self.q(self.norm_q(x))
        return out

    def keys_values(self, memory: Tensor) -> tuple[Tensor, Tensor]:
        """Return the keys and the values [..., H] of tokens [..., H]."""
        keys, values = self.kv(self.norm_kv(memory)).chunk(2, dim=-1)
        return keys, values

    def split(self, x: Tensor) -> Tensor:
        """Split [B, S, H] into the heads' parts [B, heads, S, H / heads]."""
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
        """Return the block's output [B, S, H] for `x` [B, S, H].

        `q`, `k` and `v` [B, S, H] are its queries, keys and values. `mask` bool [B, 1, 1, S] is
        True where attention may look. `drop` holds two factors [B, S, H]: for the output of the
        attention and of the feed-forward.
        """
        # No dropout of weights: with it, attention on the CPU takes several times as long.
        y = F.scaled_dot_product_attention(self.split(q), self.split(k), self.split(v), mask)
        y = self.out(y.transpose(1, 2).flatten(2))
        x = x + y if drop is None else torch.addcmul(x, y, drop[0])
        y = self.feed_forward(self.norm_ff(x))
        return x + y if drop is None else torch.addcmul(x, y, drop[1])


class NormTr(nn.Module):
    """The network that turns raw rows and their validity into logits."""

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
        """Return NRGF and MF of rows float [B, T, N_m] per modality and valid bool [B, M, T].

        Invalid steps are zero before the projection (3.2). With `every`, their tokens are computed,
        too, though not used: then no shape depends on a value, so that nothing need wait for a GPU.
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
        """Return logits [B, outputs]: NRGF is the query, MF is key and value (3.4).

        `drop` float [B, depth, 2, M T, H] holds the dropout factors of the blocks; None means no
        dropout.
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
        """Return logits [B, outputs] for rows float [B, T, N_m] per modality and valid bool [B, M,
        T]."""
        return self.fuse(self.extract(rows, valid), valid)
