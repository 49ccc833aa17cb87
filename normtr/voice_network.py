"""The network that makes a voice row from the statistics of a second's encoder states."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from normtr.spec import VoiceSpec


class VoiceNetwork(nn.Module):
    """Turns the statistics of a second's states into a row and into class logits. The row is the
    output of its only hidden layer."""

    def __init__(self, spec: VoiceSpec, classes: int) -> None:
        super().__init__()
        self.register_buffer("mean", torch.zeros(2 * spec.width))
        self.register_buffer("scale", torch.ones(2 * spec.width))
        self.hidden = nn.Linear(2 * spec.width, spec.dim)
        self.head = nn.Linear(spec.dim, classes)

    def row(self, x: Tensor) -> Tensor:
        """Return rows [B, dim] of statistics [B, 2 * width]."""
        return torch.relu(self.hidden(self.standardised(x)))

    def standardised(self, x: Tensor) -> Tensor:
        """Scale [B, 2 * width] to mean 0 and deviation 1 over the training rows."""
        return (x - self.get_buffer("mean")) / self.get_buffer("scale")

    def forward(self, x: Tensor) -> Tensor:
        """Return class logits [B, classes] of statistics [B, 2 * width]."""
        logits: Tensor = self.head(self.row(x))
        return logits
