"""The face network: ResNet-18 on FER2013, and the two that cross-fitting needs."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import lightning
import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.utils.data import DataLoader, TensorDataset

from normtr import face
from normtr.resnet import ResNet18
from normtr.spec import LABELS, FeatureSpec
from training import augment, run_folder
from training.classifier import Classifier
from training.datasets import fer2013
from training.fit import fit, weights_of
from training.folds import FOLDS, folds
from training.part_scores import scores
from training.temperature import cooled

Targets = NDArray[np.float32]


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


def logits(network: ResNet18, faces: fer2013.Faces) -> Tensor:
    """[n, classes] of the rows that the live pipe would compute of the pictures."""
    with torch.inference_mode():
        loader = DataLoader(normalised(faces), 256)
        return torch.cat([network.head(network.row(x)) for x, _ in loader])


@dataclass(frozen=True)
class FacePart:
    """Trains a network without each of two folds, and then the one for use on everything.

    That one begins where the first fold's ended. Its targets are the labels, softened by what the
    network that never saw a picture says of it: raters often disagree about FER2013's (Barsoum
    et al., ICMI 2016). Keeps the epoch with the best validation accuracy.
    """

    data: Path = Path("../shared/data/fer2013/fer2013.npz")
    epochs: int = 30
    fold_epochs: int = 20
    softened: float = 0.4
    """Share of the other fold's network in a target."""
    batch: int = 128
    lr: float = 0.1
    weight_decay: float = 5e-4
    spec: FeatureSpec = field(default_factory=FeatureSpec)

    def train(self, out: Path, seed: int) -> dict[str, Any]:
        training = fer2013.load(self.data, fer2013.TRAINING)
        valid = fer2013.load(self.data, fer2013.PUBLIC_TEST)
        labels = np.eye(len(LABELS), dtype=np.float32)[training.labels]
        fold = folds([str(number) for number in training.numbers])
        networks = []
        unseen = np.zeros_like(labels)
        metrics: dict[str, Any] = {}
        for k in FOLDS:
            kept = training.part(fold != k)
            targets, run = labels[fold != k], out / f"fold-{k}"
            networks.append(self._fit(run, kept, targets, valid, self.fold_epochs, seed))
            others = training.part(fold == k)
            unseen[fold == k] = logits(networks[k], others).softmax(1).numpy()
            metrics[f"fold-{k}"] = self._scores(networks[k], valid)
        targets = (1 - self.softened) * labels + self.softened * unseen
        network = self._fit(out, training, targets, valid, self.epochs, seed, networks[0])
        return {**self._scores(network, valid), **metrics}

    def _fit(
        self,
        out: Path,
        training: fer2013.Faces,
        targets: Targets,
        valid: fer2013.Faces,
        epochs: int,
        seed: int,
        start: ResNet18 | None = None,
    ) -> ResNet18:
        """Train into `out`, or read what was trained there; from the weights of `start`."""
        lightning.seed_everything(seed, verbose=False)
        network = ResNet18(self.spec.face.width, len(LABELS))
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
        best = fit(
            Classifier(network, len(LABELS), self.lr, self.weight_decay, steps),
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
        half = valid.part(calibrating(valid))
        cooled(network.head, logits(network, half), torch.from_numpy(half.labels))
        run_folder.write_tensors(out / "face.safetensors", network.state_dict())
        return network

    def _scores(self, network: ResNet18, valid: fer2013.Faces) -> dict[str, Any]:
        """`reported`: of the pictures that the temperature was not fitted on."""
        rest = valid.part(~calibrating(valid))
        found = {"": valid, "reported": rest}
        out: dict[str, Any] = {}
        for name, faces in found.items():
            p = logits(network, faces).softmax(1).numpy()
            of = scores(p, faces.labels, np.ones(len(p), np.bool_))
            out |= {name: of} if name else of
        return out


def calibrating(faces: fer2013.Faces) -> NDArray[np.bool_]:
    """The half of validation pictures on which temperatures are fitted."""
    return np.asarray(folds([str(number) for number in faces.numbers]) == 0)
