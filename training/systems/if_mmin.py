"""IF-MMIN (Zuo et al., ICASSP 2023) on a data set: invariant features imagine missing modalities.

Concatenations and masks are in the order of the data's modalities. An erased step is a row of
zeros. A missing modality has only rows of zeros, which still go through its encoder.

`as_released` does what the authors' code does, and `sound` (our default) does what makes sense:

| as released | sound |
|---|---|
| block k encodes h + k H', as when the paper was written | block k encodes the output of the block before it plus H' (their code since September 2024) |
| an encoder takes its maximum also over steps beyond the sample | only from the first to the last step at which anything is there |
| only the voice is standardised | all modalities are standardised |
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from torch.utils.data import DataLoader

from training.evaluation.missing_patterns import conditions
from training.samples import Samples
from training.systems.components import Reduced, reduced_dims
from training.systems.if_mmin_learning import IfMminFirstPhase, IfMminSecondPhase, Weights
from training.systems.if_mmin_network import (
    IfMminConfig,
    IfMminPretrained,
    Imagining,
    Invariant,
)
from training.systems.phase import Phase
from training.systems.two_phases import TwoPhases
from training.windows import Windows, joined

FIRST = Phase(constant=10, decay=10, batch=64, clip=0.5, dropout=0.3, beta1=0.9)
SECOND = Phase(constant=20, decay=20, batch=128, clip=1.0, dropout=0.5, beta1=0.5)


@dataclass(frozen=True, kw_only=True)
class IfMmin(TwoPhases):
    """IF-MMIN and how it is trained."""

    name = "IF-MMIN"
    invariant: Invariant = "plain"
    """The invariant layers: the authors' default, or a deeper variant of it."""
    blocks: int = 5
    """Number of autoencoders in the cascade."""
    weights: Weights = field(default_factory=Weights)
    first: Phase = FIRST
    second: Phase = SECOND

    def __post_init__(self) -> None:
        """Raise ValueError when no network can be built from these settings."""
        if min([self.blocks, *self.components.values()]) < 1:
            raise ValueError("blocks and components are 1 or more")

    def model(self, windows: Windows, outputs: int) -> Reduced[Imagining]:
        """Return an untrained model for rows like these, with any number of steps.

        Raises UserError when there are too few modalities, or rows too narrow for the components.
        """
        conditions(list(windows.rows))  # only for its UserError
        dims = reduced_dims(windows.dims, self.components)
        config = IfMminConfig(dims, outputs, self.preset, self.invariant, self.blocks)
        return Reduced(Imagining(config, self.second.dropout), windows.dims)

    def first_phase(self, config: IfMminConfig, seed: int) -> IfMminFirstPhase:
        network = IfMminPretrained(config, self.first.dropout)
        return IfMminFirstPhase(network, self.weights, self.first, self.regression, seed)

    def second_phase(
        self, network: Imagining, teacher: IfMminPretrained, seed: int
    ) -> IfMminSecondPhase:
        return IfMminSecondPhase(network, teacher, self.weights, self.second, self.regression, seed)

    def in_conditions(self, valid: Samples) -> DataLoader[Any]:
        return in_conditions(valid)


def in_conditions(valid: Samples) -> DataLoader[Any]:
    """Return every window once in each condition."""
    each = [valid.only(there) for there in conditions(list(valid.windows.rows))]
    return DataLoader(joined(each).dataset(), 256)
