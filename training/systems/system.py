"""The protocol of all systems: trained on one data set, judged on its validation split."""

from __future__ import annotations

import dataclasses
from abc import ABC, abstractmethod
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, ClassVar

import lightning
from threadpoolctl import threadpool_limits
from torch.utils.data import ConcatDataset, DataLoader

from normtr.errors import UserError
from training import run_folder
from training.evaluation import noise_curves, probability_calibration
from training.evaluation.chance import chance
from training.evaluation.noise_curves import Protocol, in_slices
from training.noise import RATES
from training.parallel_cpu import one_thread
from training.samples import (
    DataSet,
    Draw,
    DrawnData,
    LiveData,
    Masks,
    Samples,
    check_groups,
    loaded,
    those_of,
    together,
)
from training.systems.components import Reduced
from training.systems.fit import first_process
from training.windows import Key, Windows

SELECTION_RATES = (0.0, 0.2, 0.4, 0.6, 0.8, 1.0)
SELECTION_SEED = 0
FEWER_SEED = 101
"""The first seed of erased words in training; tests erase words by others."""


@dataclass(frozen=True)
class FitInputs:
    """What a network learns from, with rows that are reduced already, and how it is trained."""

    data: DataSet
    train: Samples
    """All training samples, or some of them where the data set draws windows anew."""
    draw: Draw
    """The function that gives the training windows of keys (epoch, sample)."""
    size: int
    """The number of training windows in an epoch."""
    valid: Samples
    out: Path
    """The folder that holds what to resume."""
    seed: int
    devices: int
    progress: bool

    @property
    def groups(self) -> tuple[str, ...]:
        """The group of each window of an epoch; a window that was drawn is a group of its own."""
        if self.size == len(self.train):
            return self.train.groups
        return tuple(map(str, range(self.size)))

    def check_batch(self, size: int) -> None:
        """Raise UserError where an epoch has too few windows for one batch."""
        if self.size < size:
            raise UserError(f"{self.size} samples are no batch of {size}.")


def _reduced(model: Reduced[Any], data: DrawnData, keys: list[Key]) -> Windows:
    return model.windows(data.draw(keys))


@dataclass(frozen=True, kw_only=True)
class System(ABC):
    """Settings of a system that can be trained on any data set: what `system.class_path` names.

    Its model takes rows float [B, T, dim] per modality and valid bool [B, M, T], and gives
    outputs [B, C or 1].
    """

    name: ClassVar[str]
    """The name of the system in tables."""
    masks: Masks = "windows"
    """What training erases: windows (NORM-TR's paper), steps at the test's rates, all of some
    modalities (the rivals' papers), or nothing."""
    rates: tuple[float, ...] = RATES
    """The rates of which a mask's is drawn; where there is one only, validation has it, too."""
    fewer_words: tuple[float, ...] = ()
    """Every training sample is seen once more at each of these rates of words that are erased before
    BERT sees them, in addition to what the masks erase."""

    @abstractmethod
    def model(self, windows: Windows, outputs: int) -> Reduced[Any]:
        """Return an untrained model for rows and steps like these; `outputs`: classes, or 1.

        Raises UserError.
        """

    @abstractmethod
    def learn(self, network: Any, inputs: FitInputs) -> None:
        """Train the network, and leave the best epoch's weights in it. Raises UserError."""

    def check_devices(self, devices: int) -> None:
        """Raise UserError where so many processes cannot train the system."""
        if devices > 1:
            raise UserError(f"{self.name} is trained by one process: --devices 1.")

    def train(
        self,
        data: DataSet,
        out: Path,
        seed: int,
        *,
        devices: int = 1,
        progress: bool = True,
        shared_people: bool = False,
    ) -> dict[str, Any]:
        """Leave the model in the run folder `out`; return its validation metrics over noise.

        Of several processes the first does so, and the others return nothing. Splits that share a
        video or speaker are refused, unless `shared_people`. Raises UserError.
        """
        self.check_devices(devices)
        if not shared_people:
            check_groups(data)
        # Sums over more threads are rounded otherwise: what is learned would depend on the number
        # of cores, and on what the process did before.
        with one_thread(), threadpool_limits(1, "blas"):
            return self._train(data, out, seed, devices, progress)

    def _train(
        self, data: DataSet, out: Path, seed: int, devices: int, progress: bool
    ) -> dict[str, Any]:
        lightning.seed_everything(seed, verbose=False)
        whole, valid = loaded(data, "train"), loaded(data, "valid")
        model = self.model(whole.windows, data.outputs)
        model.fit(whole.windows)
        seen = self._seen(data, whole, model)
        draw, size = those_of(seen), len(seen)
        if isinstance(data, DrawnData) and data.windows_per_epoch:
            draw, size = partial(_reduced, model, data), data.windows_per_epoch
        valid_seen = model.samples(valid)
        inputs = FitInputs(data, seen, draw, size, valid_seen, out, seed, devices, progress)
        self.learn(model.network, inputs)
        model.eval()
        if not first_process():
            return {}
        run_folder.write_model(out, model)
        protocol = Protocol(rates=self.selection_rates, mask_seeds=(SELECTION_SEED,))
        outputs = noise_curves.predictions(in_slices(model), data, "valid", valid, protocol)
        labels = valid.windows.labels.numpy()
        curves = noise_curves.curves(data, outputs, labels)
        found = {
            "dataset": data.name,
            "seed": seed,
            "valid": {
                "n": len(valid),
                "rates": protocol.rates,
                "metrics": curves,
                "chance": dataclasses.asdict(chance(data, outputs[0, 0], labels)),
            },
            "valid_auilc": noise_curves.areas(protocol.rates, curves),
        }
        if isinstance(data, LiveData):
            found |= self._for_live(data, model, whole, valid)
        return found

    def _for_live(
        self, data: LiveData, model: Reduced[Any], whole: Samples, valid: Samples
    ) -> dict[str, Any]:
        """Return what a run needs to be used live, when its data may be gone."""
        if (classes := data.classes) is None:
            return {"labels": None}
        shares = probability_calibration.shares(whole.windows.labels, len(classes))
        found = probability_calibration.calibrated(
            in_slices(model), valid.windows, SELECTION_SEED, shares
        )
        return {
            "labels": classes,
            "rows_of": data.rows_of,
            "calibration": dataclasses.asdict(found),
        }

    def _seen(self, data: DataSet, whole: Samples, model: Reduced[Any]) -> Samples:
        """Return what the network learns from. Wide rows are reduced copy by copy, to save memory."""
        seen = model.samples(whole)
        if not self.fewer_words:
            return seen  # it may be mapped
        fewer = (
            model.samples(data.without_words("train", rate, FEWER_SEED + n))
            for n, rate in enumerate(self.fewer_words)
        )
        return together([seen, *fewer])

    @property
    def selection_rates(self) -> tuple[float, ...]:
        """The rates of the noise that validation has."""
        return self.rates if len(self.rates) == 1 else SELECTION_RATES

    def validation(self, valid: Samples) -> DataLoader[Any]:
        """Return a loader of validation windows at each of these rates, by which an epoch is chosen."""
        noisy = [valid.under("steps", rate, SELECTION_SEED) for rate in self.selection_rates]
        return DataLoader(ConcatDataset([windows.dataset() for windows in noisy]), 256)
