"""NORM-TR on a benchmark: train by noise-aware learning, keep the best epoch as a run folder."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import lightning
import torch
from torch.utils.data import ConcatDataset, DataLoader

from normtr.errors import UserError
from normtr.model import Extractor, NormTr, NormTrConfig
from training import curve, run_folder
from training.components import Reduced
from training.curve import Protocol, predictor
from training.fit import fit, weights_of
from training.noise import RATES
from training.noise_aware import Learning, NoiseAware, standardise
from training.samples import DataSet, Masks, SampleBatches, Samples, check_groups, loaded
from training.windows import Windows, loader

SELECTION_RATES = (0.0, 0.2, 0.4, 0.6, 0.8, 1.0)
SELECTION_SEED = 0


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
        )


@dataclass(frozen=True)
class Benchmark:
    """One training run of NORM-TR on one data set."""

    data: DataSet
    network: Architecture = field(default_factory=Architecture)
    learning: Learning = field(default_factory=Learning)
    masks: Masks = "windows"
    """Erased in training: windows (the paper), steps at the test's rates, or nothing."""
    rates: tuple[float, ...] = RATES
    """Of which a mask's rate is drawn; where it is one, validation has it, too."""
    shared_people: bool = False
    """Whether splits may share a video or speaker; otherwise that is refused."""

    def train(
        self, out: Path, seed: int, devices: int = 1, progress: bool = True
    ) -> dict[str, Any]:
        lightning.seed_everything(seed, verbose=False)
        if self.learning.batch % devices:
            raise UserError(f"{devices} processes cannot share batches of {self.learning.batch}.")
        if self.masks == "none" and (self.learning.d1, self.learning.d2) != ("none", "none"):
            raise UserError("without masks there is nothing for D1 and D2; set both to none.")
        if not self.shared_people:
            check_groups(self.data)
        train, valid = loaded(self.data, "train"), loaded(self.data, "valid")
        model = self.model(train.windows)
        model.fit(train.windows)
        reduced = _reduced(model, train)
        standardise(model.network, reduced.windows, together=self.network.components)
        self._fit(model, reduced, _reduced(model, valid), out, seed, devices, progress)
        run_folder.write_model(out, model)
        protocol = Protocol(rates=self._selection_rates(), mask_seeds=(SELECTION_SEED,))
        outputs = curve.predictions(predictor(model), self.data, "valid", valid, protocol)
        curves = curve.curves(self.data, outputs, valid.windows.labels.numpy())
        return {
            "dataset": self.data.name,
            "seed": seed,
            "valid": {"rates": protocol.rates, "metrics": curves},
            "valid_auilc": curve.areas(protocol.rates, curves),
        }

    def model(self, windows: Windows) -> Reduced:
        """An untrained model for rows and steps like these. Raises UserError."""
        given = {m: x.shape[2] for m, x in windows.rows.items()}
        for m, count in self.network.components.items():
            if m in given and count > given[m]:
                raise UserError(f"rows of {m} have {given[m]} numbers, so no {count} components.")
        dims = {m: self.network.components.get(m, dim) for m, dim in given.items()}
        config = self.network.config(dims, self.data.outputs, windows.valid.shape[2])
        return Reduced(NormTr(config), given)

    def _selection_rates(self) -> tuple[float, ...]:
        return self.rates if len(self.rates) == 1 else SELECTION_RATES

    def _fit(
        self,
        model: Reduced,
        train: Samples,
        valid: Samples,
        out: Path,
        seed: int,
        devices: int,
        progress: bool,
    ) -> None:
        """Leave the best epoch's weights in the model."""
        batches = SampleBatches(train, self.masks, self.rates, self.learning.d2 == "samples", seed)
        batch = self.learning.batch
        training = loader(batches, len(train), batch // devices, seed)
        steps = self.learning.epochs * (len(train) // batch)
        module = NoiseAware(model.network, self.learning, steps, seed)
        noisy = [valid.under("steps", rate, SELECTION_SEED) for rate in self._selection_rates()]
        best = fit(
            module,
            training,
            DataLoader(ConcatDataset([windows.dataset() for windows in noisy]), 256),
            run=out,
            epochs=self.learning.epochs,
            monitor="accuracy" if module.classes else "mae",
            mode="max" if module.classes else "min",
            seed=seed,
            clip=1.0,
            ema=self.learning.ema,
            precision=_precision(),
            devices=devices,
            progress=progress,
        )
        model.network.load_state_dict(weights_of(best, "network."))
        model.eval()


def _precision() -> str:
    """bfloat16 where a GPU computes in it, as far as that is safe."""
    fit = torch.cuda.is_available() and torch.cuda.is_bf16_supported()
    return "bf16-mixed" if fit else "32-true"


def _reduced(model: Reduced, samples: Samples) -> Samples:
    """What the network itself sees, computed once."""
    windows = samples.windows
    reduced = Windows(model.reduce(windows.rows), windows.valid, windows.labels)
    return Samples(samples.ids, samples.groups, reduced)
