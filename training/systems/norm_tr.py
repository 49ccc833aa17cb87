"""NORM-TR on a benchmark: train by noise-aware learning, keep the best epoch as a run folder."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal

import torch

from normtr.errors import UserError
from normtr.model import Extractor, NormTr, NormTrConfig
from training.samples import SampleBatches
from training.systems.components import Reduced, reduced_dims
from training.systems.fit import fit, weights_of
from training.systems.noise_aware import Learning, NoiseAware, standardise
from training.systems.system import FitInputs, System
from training.systems.take_over import take_over
from training.windows import Windows, loader


@dataclass(frozen=True)
class Architecture:
    """Of NORM-TR; what the data decide is not here."""

    width: int = 256
    depth: int = 2
    heads: int = 8
    feed_forward: int = 2
    dropout: float = 0.1
    masked: bool = False
    """Attention and pooling skip invalid steps; otherwise they see zero rows (the paper)."""
    query: Extractor = "nrgf"
    memory: Extractor = "mf"
    """Whose tokens are query, and whose are key and value."""
    position: float = 0.02
    """Standard deviation of the position embeddings before training."""
    components: dict[str, int] = field(default_factory=dict)
    """Principal components that a modality's rows are reduced to before."""

    def __post_init__(self) -> None:
        """Raises ValueError where no network can be built so."""
        self.config({"row": 1, **self.components}, outputs=1, steps=1)

    def config(self, dims: dict[str, int], outputs: int, steps: int) -> NormTrConfig:
        """Of the network for rows of such widths."""
        return NormTrConfig(
            dims,
            outputs,
            steps,
            self.width,
            self.depth,
            self.heads,
            self.feed_forward,
            self.dropout,
            self.masked,
            self.query,
            self.memory,
            self.position,
        )


@dataclass(frozen=True)
class NormTrSystem(System):
    """One training run of NORM-TR on one data set."""

    system = "NORM-TR"
    network: Architecture = field(default_factory=Architecture)
    learning: Learning = field(default_factory=Learning)
    start: Literal["fresh", "recognizer"] = "fresh"
    """recognizer: the network begins as that of the recognizer whose rows the data are, and must
    have its sizes; few clips are then enough to learn something."""

    def __post_init__(self) -> None:
        """Raises ValueError where the adversaries have nothing to learn."""
        adversaries = (self.learning.d1, self.learning.d2) != ("none", "none")
        if self.masks in ("none", "conditions") and adversaries:
            raise ValueError(f"D1 and D2 learn nothing from masks = {self.masks}; set both to none")

    def check_devices(self, devices: int) -> None:
        if self.learning.batch % devices:
            raise UserError(f"{devices} processes cannot share batches of {self.learning.batch}.")

    def model(self, windows: Windows) -> Reduced[NormTr]:
        """An untrained model for rows and steps like these. Raises UserError."""
        return Reduced(NormTr(self.config(windows)), windows.dims)

    def config(self, windows: Windows) -> NormTrConfig:
        """Of a network for rows and steps like these, once they are reduced. Raises UserError."""
        dims = reduced_dims(windows.dims, self.network.components)
        return self.network.config(dims, self.data.outputs, windows.valid.shape[2])

    def learn(self, network: NormTr, inputs: FitInputs) -> None:
        train, seed, devices = inputs.train, inputs.seed, inputs.devices
        if self.start == "fresh":
            standardise(network, train.windows, together=self.network.components)
        else:
            take_over(network, self.data)
        batches = SampleBatches(train, self.masks, self.rates, self.learning.d2 == "samples", seed)
        batch = min(self.learning.batch, len(train) // devices * devices)
        if not batch:
            raise UserError(f"{devices} processes cannot share {len(train)} samples.")
        plan = self.learning.plan(len(train) // batch)
        training = loader(batches, len(train), batch // devices, seed)
        module = NoiseAware(network, self.learning, plan.updates, seed)
        best = fit(
            module,
            training,
            self.validation(inputs.valid),
            run=inputs.out,
            epochs=plan.epochs,
            monitor="accuracy" if module.classes else "mae",
            mode="max" if module.classes else "min",
            seed=seed,
            clip=1.0,
            ema=plan.ema,
            precision=_precision(),
            devices=devices,
            progress=inputs.progress,
        )
        network.load_state_dict(weights_of(best, "network."))


def _precision() -> str:
    """bfloat16 where a GPU computes in it, as far as that is safe."""
    fit = torch.cuda.is_available() and torch.cuda.is_bf16_supported()
    return "bf16-mixed" if fit else "32-true"
