"""The plainest network: all steps of all modalities side by side go through two layers."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import torch
from torch import Tensor, nn

from training.samples import Masks, SampleBatches
from training.systems.components import Reduced, reduced_dims
from training.systems.noise_aware import standardise
from training.systems.phase import Phase, PhaseModule, Regression, train_phase
from training.systems.system import FitInputs, System
from training.windows import Batch, Windows

LENGTH = Phase(constant=8, decay=8, batch=32, clip=1.0, dropout=0.2, beta1=0.9, lr=1e-3)


@dataclass(frozen=True)
class ConcatenationConfig:
    """The sizes of the network: widths of rows, classes or 1, steps, hidden numbers."""

    dims: dict[str, int]
    outputs: int
    steps: int
    hidden: int


class ConcatenationNetwork(nn.Module):
    """Reads standardised rows, 0 where they are missing, and which steps are there."""

    def __init__(self, config: ConcatenationConfig, dropout: float) -> None:
        super().__init__()
        self.config = config
        for m, dim in config.dims.items():
            self.register_buffer(f"mean_{m}", torch.zeros(dim))
            self.register_buffer(f"scale_{m}", torch.ones(dim))
        self.layers = nn.Sequential(
            nn.Linear((sum(config.dims.values()) + len(config.dims)) * config.steps, config.hidden),
            nn.ReLU(),
            nn.Dropout(dropout),
            nn.Linear(config.hidden, config.hidden),
            nn.ReLU(),
            nn.Dropout(dropout),
            nn.Linear(config.hidden, config.outputs),
        )

    def forward(self, rows: Mapping[str, Tensor], valid: Tensor) -> Tensor:
        """rows float [B, T, dim] per modality, valid bool [B, M, T] -> outputs [B, C or 1]."""
        seen = [valid.to(torch.float32).flatten(1)]
        for i, (m, x) in enumerate(rows.items()):
            x = (x - self.get_buffer(f"mean_{m}")) / self.get_buffer(f"scale_{m}")
            seen.append((x * valid[:, i, :, None]).flatten(1))
        out: Tensor = self.layers(torch.cat(seen, 1))
        return out


class ConcatenationLearning(PhaseModule):
    """Learns by the emotion loss of every version that the masks leave."""

    network: ConcatenationNetwork

    def training_step(self, batch: Batch, _: int) -> Tensor:
        rows, valid, labels, masks, _noisy = batch
        losses = [self.emotion_loss(self.network(rows, valid & mask), labels) for mask in masks]
        return self.told({"emotion": torch.stack(losses).mean()})


@dataclass(frozen=True, kw_only=True)
class Concatenation(System):
    """The concatenation of all rows, learned by gradient steps."""

    name = "concatenation"
    masks: Masks = "rates"
    hidden: int = 256
    components: dict[str, int] = field(default_factory=dict)
    """The number of principal components that a modality's rows are reduced to."""
    regression: Regression = "l1"
    """The emotion loss where the label is a number."""
    length: Phase = LENGTH

    def __post_init__(self) -> None:
        """Raise ValueError where no network can be built so."""
        if min(self.hidden, *self.components.values(), 1) < 1:
            raise ValueError("hidden and components are 1 or more")

    def model(self, windows: Windows, outputs: int) -> Reduced[ConcatenationNetwork]:
        dims = reduced_dims(windows.dims, self.components)
        steps = windows.valid.shape[2]
        config = ConcatenationConfig(dims, outputs, steps, self.hidden)
        return Reduced(ConcatenationNetwork(config, self.length.dropout), windows.dims)

    def learn(self, network: ConcatenationNetwork, inputs: FitInputs) -> None:
        inputs.check_batch(self.length.batch)
        seed = inputs.seed
        standardise(network, inputs.train.windows, together=self.components)
        module = ConcatenationLearning(
            network, network.config.outputs, self.length, self.regression, seed
        )
        batches = SampleBatches(inputs.draw, self.masks, self.rates, False, seed)
        validation = self.validation(inputs.valid)
        train_phase(module, batches, inputs.size, validation, inputs.out, inputs.progress)
