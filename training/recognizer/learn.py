"""A training loop for networks so small that a run takes a minute."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from tqdm import tqdm


def learn(
    module: nn.Module,
    loss: Callable[[NDArray[np.int64]], Tensor],
    n: int,
    epochs: int,
    seed: int,
    *,
    lr: float = 3e-3,
    batch: int = 256,
) -> None:
    """AdamW with a cosine over `epochs` of `n` windows; `loss` of some windows' numbers."""
    random = np.random.default_rng(seed)
    parts = max(1, n // batch)
    order = [b for _ in range(epochs) for b in np.array_split(random.permutation(n), parts)]
    optimizer = torch.optim.AdamW(module.parameters(), lr, weight_decay=1e-4)
    module.train()
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, len(order))
    for numbers in tqdm(order, type(module).__name__, mininterval=2, leave=False):
        optimizer.zero_grad()
        loss(numbers).backward()  # type: ignore[no-untyped-call]
        optimizer.step()
        schedule.step()
    module.eval()
