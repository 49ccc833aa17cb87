"""Trains IF-MMIN and NMER: first on complete windows, then on windows that lack something."""

from __future__ import annotations

from abc import abstractmethod
from dataclasses import dataclass, field
from typing import Any

from torch import nn
from torch.utils.data import DataLoader

from training.samples import Masks, SampleBatches, Samples
from training.systems.components import Reduced
from training.systems.encoders import Preset
from training.systems.noise_aware import standardise
from training.systems.phase import Phase, PhaseModule, Regression, train_phase
from training.systems.system import FitInputs, System
from training.windows import Windows


@dataclass(frozen=True, kw_only=True)
class TwoPhases(System):
    """A system that is trained in two phases."""

    masks: Masks = "conditions"
    """What the second phase erases: all of some modalities (the papers), or what NORM-TR is trained with.
    The epoch is chosen by the conditions with the former, else as NORM-TR's is."""
    preset: Preset = "sound"
    components: dict[str, int] = field(default_factory=dict)
    """The number of principal components that a modality's rows are reduced to."""
    regression: Regression = "mse"
    """The emotion loss where the label is a number."""
    clean: bool = False
    """Whether every sample is also seen whole in the second phase."""
    first: Phase
    second: Phase

    @abstractmethod
    def model(self, windows: Windows, outputs: int) -> Reduced[Any]:
        """Return the untrained model of the second phase."""

    @abstractmethod
    def first_phase(self, config: Any, seed: int) -> PhaseModule:
        """Return the first phase with an untrained network; `config` is the second phase's network's."""

    @abstractmethod
    def second_phase(self, network: Any, teacher: Any, seed: int) -> PhaseModule:
        """Return the second phase. `network` has what it shares with `teacher`, the first phase's."""

    @abstractmethod
    def in_conditions(self, valid: Samples) -> DataLoader[Any]:
        """Return what the second phase is validated on where the conditions are its masks."""

    def learn(self, network: Any, inputs: FitInputs) -> None:
        inputs.check_batch(max(self.first.batch, self.second.batch))
        draw, valid, seed = inputs.draw, inputs.valid, inputs.seed
        first = self.first_phase(network.config, seed)
        self._standardise(first.network, inputs.train.windows)
        batches = SampleBatches(draw, "none", self.rates, True, seed)
        complete = DataLoader(valid.windows.dataset(), 256)
        train_phase(
            first, batches, inputs.size, complete, inputs.out / "first_phase", inputs.progress
        )
        # Encoders, invariant layers and the statistics of the rows.
        known = first.network.state_dict().items()
        shared = {k: v for k, v in known if not k.startswith("classifier.")}
        network.load_state_dict(shared, strict=False)
        second = self.second_phase(network, first.network, seed)
        batches = SampleBatches(draw, self.masks, self.rates, self.clean, seed)
        by_conditions = self.masks == "conditions"
        validation = self.in_conditions(valid) if by_conditions else self.validation(valid)
        train_phase(second, batches, inputs.size, validation, inputs.out, inputs.progress)

    def _standardise(self, network: nn.Module, windows: Windows) -> None:
        standardise(network, windows, together=self.components)
        for m in windows.rows:
            if self.preset == "as_released" and m != "voice":
                network.get_buffer(f"mean_{m}").zero_()
                network.get_buffer(f"scale_{m}").fill_(1)
