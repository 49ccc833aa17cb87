"""Trains the face network, a ResNet-18, and the two networks of cross-fitting."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import lightning
import numpy as np
import torch
from numpy.typing import NDArray
from safetensors.torch import load_file
from torch import Tensor
from torch.utils.data import DataLoader, TensorDataset, WeightedRandomSampler

from normtr import face
from normtr.resnet import ResNetEnsemble
from normtr.spec import LABELS, FaceSpec, FeatureSpec
from training import run_folder
from training.data import face_files
from training.data.folder import DATA
from training.evaluation.part_scores import scores
from training.recognizer import augment
from training.recognizer.apart import apart
from training.recognizer.classifier import Classifier, Coarse
from training.recognizer.face_crops import FaceCrops, cropped, joined
from training.recognizer.folds import FOLDS, folds
from training.recognizer.temperature import cooled
from training.systems.fit import fit, weights_of

FILE = "face.safetensors"
SPEC = FeatureSpec(face=FaceSpec(crop_px=64, width=32, members=1, mirrored=False))
WHOLE = len(FOLDS)
"""The number of a fold without pictures, so that training without it is on everything."""


class AugmentedFaces:
    """Collates uint8 crops into augmented, normalised batches [B, 1, H, W]."""

    def __call__(self, samples: list[tuple[Tensor, Tensor]]) -> tuple[Tensor, Tensor]:
        images = torch.stack([image for image, _ in samples])[:, None].float()
        generator = torch.Generator().manual_seed(int(torch.randint(2**62, (1,))))
        crops = augment.faces(images, generator).round().to(torch.uint8).numpy()
        return torch.from_numpy(face.normalise(crops)), torch.stack([y for _, y in samples])


def logits(network: ResNetEnsemble, crops: NDArray[np.uint8]) -> Tensor:
    """Return logits [n, classes] of crops uint8 [n, H, W], from the rows of the live pipe."""
    with torch.inference_mode():
        x = torch.from_numpy(face.normalise(crops[:, None]))
        return torch.cat([network.head(network.row(part)) for part in torch.split(x, 256)])


@dataclass(frozen=True)
class FacePart:
    """Train the face network on RAF-DB and FERPlus, and without either of two folds of pictures.

    The targets are the shares of the raters' votes. A set's rare class is drawn more often, and the
    epoch with the best accuracy on the validation pictures of all sets is kept.
    """

    data: tuple[Path, ...] = (DATA / "rafdb/rafdb.npz", DATA / "ferplus/ferplus.npz")
    epochs: int = 40
    fold_epochs: int = 8
    pictures: int = 24_000
    """Pictures of an epoch, drawn with replacement."""
    balance: float = 0.5
    """A class of a set that has n pictures is drawn in proportion to n to the power 1 - balance."""
    coarse: float = 0.5
    """Share of the first epochs that see pictures of coarse_px, which take half as long."""
    coarse_px: int = 42
    batch: int = 128
    lr: float = 0.1
    weight_decay: float = 5e-4
    spec: FeatureSpec = SPEC

    def train(self, out: Path, seed: int) -> dict[str, Any]:
        for path in self.data:
            self.crops(out, path, face_files.TRAINING)
            self.crops(out, path, face_files.VALIDATION)
        apart(partial(self._fit, out, seed), (WHOLE, *FOLDS))
        return {
            name: {path.stem: _scores(network, self._valid(out, [path])) for path in self.data}
            for name, network in (
                (folder.name if folder != out else "whole", self._read(folder))
                for folder in (_folder(out, k) for k in (WHOLE, *FOLDS))
            )
        }

    def crops(self, out: Path, data: Path, split: int) -> FaceCrops:
        """Return the crops of one split; they are made once, then read from the run's folder."""
        path = out / f"crops-{data.stem}-{split}.npz"
        return cropped(face_files.load(data, split), self.spec.face, path)

    def _fit(self, out: Path, seed: int, k: int) -> bool:
        """Train a network without fold `k`. A training that was interrupted goes on."""
        sets = [self.crops(out, path, face_files.TRAINING) for path in self.data]
        learnt = [s.part(folds(list(s.names)) != k) for s in sets]
        known = self._valid(out, self.data)
        epochs = self.epochs if k == WHOLE else self.fold_epochs
        lightning.seed_everything(seed + k, verbose=False)
        network = ResNetEnsemble(self.spec.face, len(LABELS))
        network.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
        loader: DataLoader[Any] = DataLoader(
            TensorDataset(
                torch.from_numpy(np.concatenate([s.images for s in learnt])),
                torch.from_numpy(np.concatenate([s.shares for s in learnt])),
            ),
            self.batch,
            sampler=WeightedRandomSampler(_weights(learnt, self.balance), self.pictures),
            drop_last=True,
            collate_fn=AugmentedFaces(),
        )
        coarse = Coarse(round(self.coarse * epochs), self.coarse_px)
        steps = epochs * len(loader)
        best = fit(
            Classifier(network, len(LABELS), self.lr, self.weight_decay, steps, coarse),
            loader,
            DataLoader(
                TensorDataset(
                    torch.from_numpy(face.normalise(known.images[:, None])),
                    torch.from_numpy(known.labels),
                ),
                512,
            ),
            run=_folder(out, k),
            epochs=epochs,
            monitor="accuracy",
            mode="max",
            seed=seed + k,
            precision="bf16-mixed",
            clip=5.0,
        )
        network.load_state_dict(weights_of(best, "average.module."))
        network.eval()
        half = known.part(calibrating(known))
        cooled(network.head, logits(network, half.images), torch.from_numpy(half.labels))
        run_folder.write_tensors(_folder(out, k) / FILE, network.state_dict())
        return True

    def _valid(self, out: Path, data: Sequence[Path]) -> FaceCrops:
        """Return the validation pictures that have a label."""
        return joined([self.crops(out, path, face_files.VALIDATION) for path in data]).labelled

    def _read(self, folder: Path) -> ResNetEnsemble:
        network = ResNetEnsemble(self.spec.face, len(LABELS))
        network.load_state_dict(load_file(folder / FILE))
        return network.eval()


def _folder(out: Path, k: int) -> Path:
    return out if k == WHOLE else out / f"fold-{k}"


def _weights(sets: Sequence[FaceCrops], balance: float) -> list[float]:
    """Return how often each picture is drawn, relative to the others."""
    weights: list[float] = []
    for crops in sets:
        said = crops.shares.argmax(1)
        weights += (np.bincount(said, minlength=len(LABELS))[said] ** -balance).tolist()
    return weights


def _scores(network: ResNetEnsemble, valid: FaceCrops) -> dict[str, Any]:
    """Return the metrics on all validation pictures.

    `reported` holds those on the pictures on which the temperature was not fitted.
    """
    out: dict[str, Any] = {}
    for name, crops in {"": valid, "reported": valid.part(~calibrating(valid))}.items():
        p = logits(network, crops.images).softmax(1).numpy()
        of = scores(p, crops.labels, np.ones(len(p), np.bool_))
        out |= {name: of} if name else of
    return out


def calibrating(crops: FaceCrops) -> NDArray[np.bool_]:
    """Return which pictures are in the half on which temperatures are fitted, bool [n]."""
    return np.asarray(folds(list(crops.names)) == 0)
