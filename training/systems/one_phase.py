"""Trains a network in one phase, by gradient steps on what the masks leave."""

from __future__ import annotations

from abc import abstractmethod
from dataclasses import dataclass, field
from typing import Any

from training.samples import Masks, SampleBatches
from training.systems.noise_aware import standardise
from training.systems.phase import Phase, PhaseModule, Regression, train_phase
from training.systems.system import FitInputs, System


@dataclass(frozen=True, kw_only=True)
class OnePhase(System):
    """A system that is trained in one phase."""

    masks: Masks = "rates"
    hidden: int
    components: dict[str, int] = field(default_factory=dict)
    """The number of principal components that a modality's rows are reduced to."""
    regression: Regression = "l1"
    """The emotion loss where the label is a number."""
    length: Phase

    def __post_init__(self) -> None:
        """Raise ValueError where no network can be built so."""
        if min(self.hidden, *self.components.values(), 1) < 1:
            raise ValueError("hidden and components are 1 or more")

    @abstractmethod
    def module(self, network: Any, seed: int) -> PhaseModule:
        """Return what trains the network."""

    def learn(self, network: Any, inputs: FitInputs) -> None:
        inputs.check_batch(self.length.batch)
        standardise(network, inputs.train.windows, together=self.components)
        batches = SampleBatches(inputs.draw, self.masks, self.rates, False, inputs.seed)
        train_phase(
            self.module(network, inputs.seed),
            batches,
            inputs.size,
            self.validation(inputs.valid),
            inputs.out,
            inputs.progress,
        )
