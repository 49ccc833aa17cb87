"""Late fusion of heads that learn which steps matter: the rival to match on paired windows.

Windows paired by label are independent given their label, so the product of what the heads say is
close to the best that can be done with them.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from training.systems.components import Reduced, reduced_dims
from training.systems.late_fusion import prior
from training.systems.one_phase import OnePhase
from training.systems.phase import Phase, PhaseModule
from training.systems.system import FitInputs
from training.windows import Batch, Windows

LENGTH = Phase(constant=8, decay=8, batch=32, clip=1.0, dropout=0.0, beta1=0.9, lr=1e-3)
NEVER = -1e9
"""The weight of a step that is missing, before softmax."""


@dataclass(frozen=True)
class AttentiveConfig:
    """The sizes of the network: widths of rows, classes or 1, hidden numbers of a head."""

    dims: dict[str, int]
    outputs: int
    hidden: int


class AttentiveHead(nn.Module):
    """Pools a modality's rows over time by learned weights, and reads the outputs from that."""

    def __init__(self, dim: int, outputs: int, hidden: int) -> None:
        super().__init__()
        self.attend = nn.Sequential(nn.Linear(dim, hidden), nn.ReLU(), nn.Linear(hidden, 2))
        self.read = nn.Sequential(
            nn.Linear(3 * dim + 1, hidden), nn.ReLU(), nn.Linear(hidden, outputs)
        )

    def forward(self, rows: Tensor, valid: Tensor) -> Tensor:
        """rows float [B, T, dim], valid bool [B, T] with a valid step each -> [B, C or 1]."""
        weight = self.attend(rows).masked_fill(~valid[..., None], NEVER).softmax(1)
        pooled = (weight.transpose(1, 2) @ rows).flatten(1)  # [B, 2 dim]
        most = rows.masked_fill(~valid[..., None], NEVER).amax(1)
        seen = valid.float().mean(1, keepdim=True)
        out: Tensor = self.read(torch.cat([pooled, most, seen], 1))
        return out


class AttentiveLateNetwork(nn.Module):
    """Puts together what the heads of those modalities say that are there.

    For classes it adds their log-probabilities, which is a product over a uniform prior; numbers
    are averaged.
    """

    def __init__(self, config: AttentiveConfig) -> None:
        super().__init__()
        self.config = config
        for m, dim in config.dims.items():
            self.register_buffer(f"mean_{m}", torch.zeros(dim))
            self.register_buffer(f"scale_{m}", torch.ones(dim))
        self.heads = nn.ModuleDict(
            {m: AttentiveHead(dim, config.outputs, config.hidden) for m, dim in config.dims.items()}
        )
        self.register_buffer("empty", torch.zeros(config.outputs))
        """What is said where nothing is there."""

    def said(self, rows: Mapping[str, Tensor], valid: Tensor) -> Tensor:
        """Return [B, M, C]: what each head says (of classes log-probabilities), or 0 if missing."""
        there = valid.any(2)
        out = torch.zeros(*there.shape, self.config.outputs)
        for i, (m, x) in enumerate(rows.items()):
            if (mine := there[:, i]).any():
                x = (x[mine] - self.get_buffer(f"mean_{m}")) / self.get_buffer(f"scale_{m}")
                found = self.heads[m](x, valid[mine, i])
                out[mine, i] = found.log_softmax(1) if self.config.outputs > 1 else found
        return out

    def forward(self, rows: Mapping[str, Tensor], valid: Tensor) -> Tensor:
        """rows float [B, T, dim] per modality, valid bool [B, M, T] -> outputs [B, C or 1]."""
        there = valid.any(2)
        out = self.said(rows, valid).sum(1)
        if self.config.outputs == 1:
            out = out / there.sum(1, keepdim=True).clamp_min(1)
        return torch.where(there.any(1, keepdim=True), out, self.get_buffer("empty"))


class AttentiveLearning(PhaseModule):
    """Learns by the emotion loss of every head, on every version that the masks leave."""

    network: AttentiveLateNetwork

    def training_step(self, batch: Batch, _: int) -> Tensor:
        rows, valid, labels, masks, _noisy = batch
        said, there, truth = [], [], []
        for mask in masks:
            said.append(self.network.said(rows, valid & mask))
            there.append((valid & mask).any(2))
            truth.append(labels[:, None].expand(-1, valid.shape[1]))
        some = torch.cat(there)
        loss = self.emotion_loss(torch.cat(said)[some], torch.cat(truth)[some])
        return self.told({"emotion": loss})


@dataclass(frozen=True, kw_only=True)
class AttentiveLateFusion(OnePhase):
    """Late fusion of heads that pool over time by learned weights."""

    name = "late fusion, attentive"
    hidden: int = 32
    length: Phase = LENGTH

    def model(self, windows: Windows, outputs: int) -> Reduced[AttentiveLateNetwork]:
        config = AttentiveConfig(reduced_dims(windows.dims, self.components), outputs, self.hidden)
        return Reduced(AttentiveLateNetwork(config), windows.dims)

    def module(self, network: AttentiveLateNetwork, seed: int) -> AttentiveLearning:
        outputs = network.config.outputs
        return AttentiveLearning(network, outputs, self.length, self.regression, seed)

    def learn(self, network: AttentiveLateNetwork, inputs: FitInputs) -> None:
        labels = inputs.train.windows.labels
        network.get_buffer("empty").copy_(prior(labels, network.config.outputs))
        super().learn(network, inputs)
