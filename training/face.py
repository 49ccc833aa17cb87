"""The face network: ResNet-18 on FER2013."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import lightning
import numpy as np
import torch
from safetensors.torch import save_file
from torch import Tensor
from torch.utils.data import DataLoader, TensorDataset

from normtr import face
from normtr.resnet import ResNet18
from normtr.spec import LABELS, FeatureSpec
from training import augment
from training.classifier import Classifier
from training.datasets import fer2013
from training.fit import fit, weights_of


class AugmentedFaces:
    """Collates uint8 crops into augmented, normalised batches [B, 1, H, W]."""

    def __call__(self, samples: list[tuple[Tensor, Tensor]]) -> tuple[Tensor, Tensor]:
        images = torch.stack([image for image, _ in samples])[:, None].float()
        generator = torch.Generator().manual_seed(int(torch.randint(2**62, (1,))))
        crops = augment.faces(images, generator).round().to(torch.uint8).numpy()
        return torch.from_numpy(face.normalise(crops)), torch.stack([y for _, y in samples])


def dataset(faces: fer2013.Faces) -> TensorDataset:
    return TensorDataset(torch.from_numpy(faces.images), torch.from_numpy(faces.labels))


def normalised(faces: fer2013.Faces) -> TensorDataset:
    return TensorDataset(
        torch.from_numpy(face.normalise(faces.images[:, None])), torch.from_numpy(faces.labels)
    )


@dataclass(frozen=True)
class FacePart:
    """Trains the face network; keeps the epoch with the best validation accuracy."""

    data: Path = Path("../shared/data/fer2013/fer2013.npz")
    epochs: int = 20
    batch: int = 128
    lr: float = 0.1
    weight_decay: float = 5e-4
    spec: FeatureSpec = field(default_factory=FeatureSpec)

    def train(self, out: Path, seed: int) -> dict[str, Any]:
        lightning.seed_everything(seed, verbose=False)
        training = fer2013.load(self.data, fer2013.TRAINING)
        valid = fer2013.load(self.data, fer2013.PUBLIC_TEST)
        loader: DataLoader[Any] = DataLoader(
            dataset(training),
            self.batch,
            shuffle=True,
            drop_last=True,
            collate_fn=AugmentedFaces(),
        )
        network = ResNet18(1, self.spec.face.width, len(LABELS)).to(
            memory_format=torch.channels_last  # type: ignore[call-overload]
        )
        module = Classifier(
            network, len(LABELS), self.lr, self.weight_decay, self.epochs * len(loader)
        )
        best = fit(
            module,
            loader,
            DataLoader(normalised(valid), 512),
            run=out,
            epochs=self.epochs,
            monitor="accuracy",
            mode="max",
            seed=seed,
            precision="bf16-mixed",
            clip=5.0,
        )
        weights = weights_of(best, "average.module.")
        save_file({k: v.contiguous() for k, v in weights.items()}, out / "face.safetensors")
        network.load_state_dict(weights)
        network.eval()
        with torch.inference_mode():
            logits = torch.cat([network(x) for x, _ in DataLoader(normalised(valid), 512)])
        hit = logits.argmax(1).numpy() == valid.labels
        return {
            "n": len(hit),
            "accuracy": float(hit.mean()),
            "uar": float(np.mean([hit[valid.labels == c].mean() for c in np.unique(valid.labels)])),
        }
