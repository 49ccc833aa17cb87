"""IF-MMIN (Zuo et al., ICASSP 2023) on a data set: invariant features imagine missing modalities.

Concatenations and masks are in the order of the data's modalities. An erased step is a row of
zeros, and a missing modality one of zeros throughout, which still goes through its encoder.

`as_released` does what the authors' code does, `sound` (our default) what makes sense:

| as released | sound |
|---|---|
| cascade: the codes are of h + k H', as when the paper was written | each block's input is the last one's output + H' (their code since September 2024) |
| an encoder's maximum is taken over steps beyond the sample, too | from the first to the last step of which anything is there |
| only the voice is standardised | all modalities are |
"""

from __future__ import annotations

from dataclasses import KW_ONLY, dataclass, field
from pathlib import Path
from typing import Any

from torch.utils.data import DataLoader

from normtr.errors import UserError
from training.assess import only
from training.baselines.conditions import conditions
from training.baselines.if_mmin_learning import FirstPhase, SecondPhase, Weights
from training.baselines.if_mmin_network import (
    IfMminConfig,
    Imagining,
    Invariant,
    Preset,
    Pretrained,
)
from training.baselines.phase import Phase, Regression, train_phase
from training.components import Reduced, reduced_dims
from training.contender import Contender
from training.noise_aware import standardise
from training.samples import Masks, SampleBatches, Samples
from training.windows import Windows, joined

FIRST = Phase(constant=10, decay=10, batch=64, clip=0.5, dropout=0.3, beta1=0.9)
SECOND = Phase(constant=20, decay=20, batch=128, clip=1.0, dropout=0.5, beta1=0.5)


@dataclass(frozen=True)
class IfMmin(Contender):
    """One training run of IF-MMIN on one data set."""

    system = "IF-MMIN"
    _: KW_ONLY
    masks: Masks = "conditions"
    """Of the second phase: all of some modalities (the paper), or what NORM-TR is trained with.
    The epoch is chosen by the conditions with the first, else as NORM-TR's is."""
    preset: Preset = "sound"
    invariant: Invariant = "plain"
    """The invariant layers: the code's default, or a deeper variant of it."""
    blocks: int = 5
    """Autoencoders of the cascade."""
    components: dict[str, int] = field(default_factory=dict)
    """Principal components that a modality's rows are reduced to before."""
    regression: Regression = "mse"
    """Emotion loss where the label is a number."""
    weights: Weights = field(default_factory=Weights)
    first: Phase = FIRST
    second: Phase = SECOND

    def __post_init__(self) -> None:
        """Raises ValueError where no network can be built so."""
        if min([self.blocks, *self.components.values()]) < 1:
            raise ValueError("blocks and components are 1 or more")

    def model(self, windows: Windows) -> Reduced[Imagining]:
        """An untrained model for rows like these, of any steps. Raises UserError."""
        given = {m: x.shape[2] for m, x in windows.rows.items()}
        conditions(list(given))  # there are some
        dims = reduced_dims(given, self.components)
        config = IfMminConfig(dims, self.data.outputs, self.preset, self.invariant, self.blocks)
        return Reduced(Imagining(config, self.second.dropout), given)

    def trained(
        self, train: Samples, valid: Samples, out: Path, seed: int, devices: int, progress: bool
    ) -> Reduced[Imagining]:
        if len(train) < (most := max(self.first.batch, self.second.batch)):
            raise UserError(f"{len(train)} samples are no batch of {most}.")
        model = self.model(train.windows)
        model.fit(train.windows)
        train, valid = model.samples(train), model.samples(valid)
        teacher = self._first_phase(model.network.config, train, valid, out, seed, progress)
        self._second_phase(model.network, teacher, train, valid, out, seed, progress)
        return model.eval()

    def _first_phase(
        self,
        config: IfMminConfig,
        train: Samples,
        valid: Samples,
        out: Path,
        seed: int,
        progress: bool,
    ) -> Pretrained:
        network = Pretrained(config, self.first.dropout)
        standardise(network, train.windows, together=self.components)
        for m in config.dims:
            if self.preset == "as_released" and m != "voice":
                network.get_buffer(f"mean_{m}").zero_()
                network.get_buffer(f"scale_{m}").fill_(1)
        module = FirstPhase(network, self.weights, self.first, self.regression, seed)
        batches = SampleBatches(train, "none", self.rates, True, seed)
        validation = DataLoader(valid.windows.dataset(), 256)
        train_phase(module, batches, len(train), validation, out / "first_phase", progress)
        return network

    def _second_phase(
        self,
        network: Imagining,
        teacher: Pretrained,
        train: Samples,
        valid: Samples,
        out: Path,
        seed: int,
        progress: bool,
    ) -> None:
        """From the first phase's encoders, invariant layers and statistics of the rows."""
        taken = {k: v for k, v in teacher.state_dict().items() if not k.startswith("classifier.")}
        network.load_state_dict(taken, strict=False)
        module = SecondPhase(network, teacher, self.weights, self.second, self.regression, seed)
        batches = SampleBatches(train, self.masks, self.rates, False, seed)
        by_conditions = self.masks == "conditions"
        validation = in_conditions(valid) if by_conditions else self.validation(valid)
        train_phase(module, batches, len(train), validation, out, progress)


def in_conditions(valid: Samples) -> DataLoader[Any]:
    """Every window once in each condition."""
    windows = valid.windows
    each = [only(windows, there) for there in conditions(list(windows.rows))]
    return DataLoader(joined(each).dataset(), 256)
