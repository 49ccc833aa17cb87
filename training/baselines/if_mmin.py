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
from training.baselines.if_mmin_learning import FirstStage, SecondStage, Weights
from training.baselines.if_mmin_network import (
    IfMminConfig,
    Imagining,
    Invariant,
    Preset,
    Pretrained,
)
from training.baselines.phase import Phase, PhaseModule, Regression
from training.components import Reduced, reduced_dims
from training.contender import Contender
from training.fit import fit, weights_of
from training.noise_aware import standardise
from training.samples import Masks, SampleBatches, Samples
from training.windows import Windows, joined, loader


@dataclass(frozen=True)
class IfMmin(Contender):
    """One training run of IF-MMIN on one data set."""

    system = "IF-MMIN"
    _: KW_ONLY
    masks: Masks = "conditions"
    """Of the second stage: all of some modalities (the paper), or what NORM-TR is trained with.
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
    first: Phase = field(default_factory=lambda: Phase(10, 10, 64, 0.5, 0.3, beta1=0.9))
    second: Phase = field(default_factory=lambda: Phase(20, 20, 128, 1.0, 0.5, beta1=0.5))

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
        if devices > 1:
            raise UserError("IF-MMIN is trained by one process: --devices 1.")
        if len(train) < (most := max(self.first.batch, self.second.batch)):
            raise UserError(f"{len(train)} samples are no batch of {most}.")
        model = self.model(train.windows)
        model.fit(train.windows)
        train, valid = model.samples(train), model.samples(valid)
        network = model.network
        teacher = Pretrained(network.config, self.first.dropout)
        self._standardise(teacher, train.windows)

        first = FirstStage(teacher, self.weights, self.first, self.regression, seed)
        whole = DataLoader(valid.windows.dataset(), 256)
        self._fit(first, "none", train, whole, out / "first_stage", seed, progress)
        embedding = {
            name: tensor
            for name, tensor in teacher.state_dict().items()
            if not name.startswith("classifier.")
        }
        network.load_state_dict(embedding, strict=False)

        second = SecondStage(network, teacher, self.weights, self.second, self.regression, seed)
        judged = self._conditions(valid) if self.masks == "conditions" else self.validation(valid)
        self._fit(second, self.masks, train, judged, out, seed, progress)
        return model.eval()

    def _standardise(self, network: Pretrained, windows: Windows) -> None:
        standardise(network, windows, together=self.components)
        for m in windows.rows:
            if self.preset == "as_released" and m != "voice":
                network.get_buffer(f"mean_{m}").zero_()
                network.get_buffer(f"scale_{m}").fill_(1)

    def _fit(
        self,
        module: PhaseModule,
        masks: Masks,
        train: Samples,
        valid: DataLoader[Any],
        out: Path,
        seed: int,
        progress: bool,
    ) -> None:
        """Leave the best epoch's weights in the module's network."""
        batches = SampleBatches(train, masks, self.rates, False, seed)
        best = fit(
            module,
            loader(batches, len(train), module.phase.batch, seed),
            valid,
            run=out,
            epochs=module.phase.epochs,
            monitor=module.monitor,
            mode=module.mode,
            seed=seed,
            progress=progress,
        )
        module.network.load_state_dict(weights_of(best, "network."))

    @staticmethod
    def _conditions(valid: Samples) -> DataLoader[Any]:
        """Every window once in each condition."""
        windows = valid.windows
        each = [only(windows, there) for there in conditions(list(windows.rows))]
        return DataLoader(joined(each).dataset(), 256)
