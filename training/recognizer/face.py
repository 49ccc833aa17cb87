"""Trains the face network, an ensemble of ResNet-18s, and the two networks of cross-fitting."""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

import lightning
import numpy as np
import torch
from numpy.typing import NDArray
from safetensors.torch import load_file
from torch import Tensor
from torch.utils.data import DataLoader, TensorDataset

from normtr import face
from normtr.resnet import ResNetEnsemble, joined
from normtr.spec import LABELS, FeatureSpec
from training import run_folder
from training.data import fer2013
from training.data.folder import DATA
from training.evaluation.part_scores import scores
from training.recognizer import augment
from training.recognizer.apart import apart
from training.recognizer.class_prior import evened
from training.recognizer.classifier import Classifier, Coarse
from training.recognizer.folds import FOLDS, folds
from training.recognizer.temperature import cooled
from training.systems.fit import fit, weights_of

Targets = NDArray[np.float32]
Folds = NDArray[np.int64]
FILE = "face.safetensors"


class AugmentedFaces:
    """Collates uint8 crops into augmented, normalised batches [B, 1, H, W]."""

    def __call__(self, samples: list[tuple[Tensor, Tensor]]) -> tuple[Tensor, Tensor]:
        images = torch.stack([image for image, _ in samples])[:, None].float()
        generator = torch.Generator().manual_seed(int(torch.randint(2**62, (1,))))
        crops = augment.faces(images, generator).round().to(torch.uint8).numpy()
        return torch.from_numpy(face.normalise(crops)), torch.stack([y for _, y in samples])


def normalised(faces: fer2013.Faces) -> TensorDataset:
    return TensorDataset(
        torch.from_numpy(face.normalise(faces.images[:, None])), torch.from_numpy(faces.labels)
    )


def logits(network: ResNetEnsemble, faces: fer2013.Faces) -> Tensor:
    """Return logits [n, classes] of the rows that the live pipe would compute of the pictures."""
    with torch.inference_mode():
        loader = DataLoader(normalised(faces), 256)
        return torch.cat([network.head(network.row(x)) for x, _ in loader])


@dataclass(frozen=True)
class FacePart:
    """Train the face network on FER2013.

    Two networks are trained without one of two folds each. Both then go on with all pictures and
    become the ensemble. Their targets are then the labels, softened by the probabilities of the
    network that had not seen the picture, because raters often disagree about FER2013's pictures
    (Barsoum et al., ICMI 2016). The epoch with the best validation accuracy is kept.
    """

    data: Path = DATA / "ferplus/ferplus.npz"
    """fer2013.npz, or one with FERPlus's votes."""
    epochs: int = 70
    """Epochs on all pictures."""
    fold_epochs: int = 32
    """Epochs of the networks without a fold."""
    coarse: float = 0.55
    """Share of the first epochs that see pictures of coarse_px, which take half as long."""
    coarse_px: int = 32
    softened: float = 0.25
    """Share of the other fold's network in a target."""
    batch: int = 128
    lr: float = 0.1
    weight_decay: float = 5e-4
    evened: float = 0.6
    """Exponent with which the classes' frequencies are taken out of the heads."""
    spec: FeatureSpec = field(default_factory=FeatureSpec)

    def train(self, out: Path, seed: int) -> dict[str, Any]:
        apart(partial(self._fold, out, seed), FOLDS)
        networks = [self._read(out / f"fold-{k}") for k in FOLDS]
        apart(partial(self._member, out, seed), FOLDS)
        valid = fer2013.load(self.data, fer2013.PUBLIC_TEST)
        ensemble = joined([self._read(out / f"member-{k}") for k in FOLDS]).eval()
        _cool(ensemble, valid)
        evened(ensemble.head, self._training()[0].labels, self.evened)
        run_folder.write_tensors(out / FILE, ensemble.state_dict())
        of_folds = {f"fold-{k}": _scores(networks[k], valid) for k in FOLDS}
        return {**_scores(ensemble, valid), **of_folds}

    def _fold(self, out: Path, seed: int, k: int) -> bool:
        """Train without fold `k`."""
        training, fold = self._training()
        kept = training.part(fold != k)
        network = self._fit(out / f"fold-{k}", kept, _one_hot(kept), self.fold_epochs, seed + k)
        evened(network.head, training.labels, self.evened)
        run_folder.write_tensors(out / f"fold-{k}" / FILE, network.state_dict())
        return True

    def _member(self, out: Path, seed: int, k: int) -> bool:
        """Train the network of fold `k` further, on all pictures."""
        training, fold = self._training()
        start = [self._read(out / f"fold-{i}") for i in FOLDS]
        for network in start:
            evened(network.head, training.labels, -self.evened)
        targets = _one_hot(training)
        for i in FOLDS:
            said = logits(start[i], training.part(fold == i)).softmax(1).numpy()
            targets[fold == i] += self.softened * (said - targets[fold == i])
        run = out / f"member-{k}"
        network = self._fit(run, training, targets, self.epochs, seed + k, start[k])
        run_folder.write_tensors(run / FILE, network.state_dict())
        return True

    def _training(self) -> tuple[fer2013.Faces, Folds]:
        training = fer2013.load(self.data, fer2013.TRAINING)
        return training, folds([str(number) for number in training.numbers])

    def _read(self, run: Path) -> ResNetEnsemble:
        network = ResNetEnsemble(self.spec.face.width, 1, len(LABELS))
        network.load_state_dict(load_file(run / FILE))
        return network.eval()

    def _fit(
        self,
        out: Path,
        training: fer2013.Faces,
        targets: Targets,
        epochs: int,
        seed: int,
        start: ResNetEnsemble | None = None,
    ) -> ResNetEnsemble:
        """Train a network into `out`; it begins with the weights of `start`, if given.

        A training that was interrupted there goes on.
        """
        valid = fer2013.load(self.data, fer2013.PUBLIC_TEST)
        lightning.seed_everything(seed, verbose=False)
        network = ResNetEnsemble(self.spec.face.width, 1, len(LABELS))
        if start is not None:
            network.load_state_dict(start.state_dict())
        network.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
        loader: DataLoader[Any] = DataLoader(
            TensorDataset(torch.from_numpy(training.images), torch.from_numpy(targets)),
            self.batch,
            shuffle=True,
            drop_last=True,
            collate_fn=AugmentedFaces(),
        )
        steps = epochs * len(loader)
        coarse = Coarse(round(self.coarse * epochs), self.coarse_px)
        best = fit(
            Classifier(network, len(LABELS), self.lr, self.weight_decay, steps, coarse),
            loader,
            DataLoader(normalised(valid), 512),
            run=out,
            epochs=epochs,
            monitor="accuracy",
            mode="max",
            seed=seed,
            precision="bf16-mixed",
            clip=5.0,
        )
        network.load_state_dict(weights_of(best, "average.module."))
        network.eval()
        _cool(network, valid)
        return network


def _scores(network: ResNetEnsemble, valid: fer2013.Faces) -> dict[str, Any]:
    """Return the metrics on all validation pictures.

    `reported` holds those on the pictures on which the temperature was not fitted.
    """
    rest = valid.part(~calibrating(valid))
    found = {"": valid, "reported": rest}
    out: dict[str, Any] = {}
    for name, faces in found.items():
        p = logits(network, faces).softmax(1).numpy()
        of = scores(p, faces.labels, np.ones(len(p), np.bool_))
        out |= {name: of} if name else of
    return out


def _one_hot(faces: fer2013.Faces) -> Targets:
    return np.eye(len(LABELS), dtype=np.float32)[faces.labels]


def _cool(network: ResNetEnsemble, valid: fer2013.Faces) -> None:
    half = valid.part(calibrating(valid))
    cooled(network.head, logits(network, half), torch.from_numpy(half.labels))


def calibrating(faces: fer2013.Faces) -> NDArray[np.bool_]:
    """Return which pictures are in the half on which temperatures are fitted, bool [n]."""
    return np.asarray(folds([str(number) for number in faces.numbers]) == 0)
