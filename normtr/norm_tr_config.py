"""The settings from which NORM-TR is built; every checkpoint contains them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

Extractor = Literal["nrgf", "mf"]


@dataclass(frozen=True)
class NormTrConfig:
    """The sizes and the kind of a NORM-TR. In the descriptions N is `width`."""

    dims: dict[str, int]
    """The width of a row for each modality, in the order of the tokens."""
    outputs: int
    """The number of classes, or 1 for regression."""
    steps: int = 16
    width: int = 256
    depth: int = 2
    """The number of Transformer blocks. With 0, the mean of all tokens replaces them (the paper's
    table 6)."""
    heads: int = 8
    feed_forward: int = 2
    """The width of the blocks' hidden layer as a multiple of N / 2."""
    dropout: float = 0.1
    masked: bool = False
    """Whether attention and pooling skip invalid steps. If not, they see rows of zeros, as in the
    paper."""
    query: Extractor = "nrgf"
    memory: Extractor = "mf"
    """`query` names the tokens that are the query; `memory` names those that are key and value (the
    paper's tables 6 and 8 vary them)."""
    position: float = 0.02
    """The standard deviation of the position embeddings before training. At 0.02 all places look
    alike at first; 0.5 sets them apart, which helped on RAVDESS and not on MOSI."""

    def __post_init__(self) -> None:
        """Raise ValueError when no network can be built from these settings."""
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
