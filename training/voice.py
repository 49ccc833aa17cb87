"""The voice network: ResNet-18 on one-second crops of RAVDESS and EmoDB."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import lightning
import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from safetensors.torch import save_file
from torch import Tensor
from torch.utils.data import DataLoader, Dataset, TensorDataset, WeightedRandomSampler

from normtr.resnet import ResNet18
from normtr.spec import LABELS, FeatureSpec
from training import sounds
from training.classifier import Classifier
from training.crops import Crops, Deltas, live_crops, training_crops
from training.datasets import emodb, ravdess
from training.datasets.speech import Clip
from training.fit import fit, weights_of

VALID_ACTORS = ("17", "18", "19", "20")
VALID_SPEAKERS = ("15", "16")


class AugmentedCrops:
    """Collates clips into augmented crops [B, 3, mels, frames] and soft labels [B, classes]."""

    def __init__(self, spec: FeatureSpec, mixup: float) -> None:
        self._spec, self._mixup = spec.voice, mixup
        self._deltas = Deltas(spec.voice)

    def __call__(self, clips: list[Crops]) -> tuple[Tensor, Tensor]:
        seed = int(torch.randint(2**62, (1,)))
        random = np.random.default_rng(seed)
        generator = torch.Generator().manual_seed(seed)
        begins = [int(random.choice(clip.begins)) for clip in clips]
        level = torch.from_numpy(
            np.stack(
                [
                    c.frames[b : b + self._deltas.frames].T
                    for c, b in zip(clips, begins, strict=True)
                ]
            )
        )
        x = self._deltas(sounds.sounds(level, self._spec, generator))
        y = F.one_hot(torch.tensor([clip.label for clip in clips]), len(LABELS)).float()
        share = torch.from_numpy(random.beta(self._mixup, self._mixup, len(clips))).float()
        share = torch.maximum(share, 1 - share)
        other = torch.randperm(len(clips), generator=generator)
        x = share.view(-1, 1, 1, 1) * x + (1 - share).view(-1, 1, 1, 1) * x[other]
        return x, share[:, None] * y + (1 - share)[:, None] * y[other]


class ClipClassifier(Classifier):
    """Validates whole clips: the mean log-probability of a clip's crops decides."""

    def __init__(self, *args: Any) -> None:
        super().__init__(*args)
        self._seen: list[tuple[Tensor, Tensor, Tensor]] = []

    def validation_step(self, batch: list[Tensor], _: int) -> None:
        x, y, clip = batch
        self._seen.append((self.average(x).float().log_softmax(1).cpu(), y.cpu(), clip.cpu()))

    def on_validation_epoch_end(self) -> None:
        logp, label, clip = (torch.cat(parts).numpy() for parts in zip(*self._seen, strict=True))
        self._seen.clear()
        scores = clip_scores(logp, label, clip)
        self.log("accuracy", scores["accuracy"], prog_bar=True)
        self.log("uar", scores["uar"], prog_bar=True)


def clip_scores(
    logp: NDArray[np.float32], label: NDArray[np.int64], clip: NDArray[np.int64]
) -> dict[str, float]:
    """Log-probabilities [crops, classes] and each crop's label and clip -> scores over clips."""
    hits = defaultdict(list)
    for number in np.unique(clip):
        mine = clip == number
        truth = int(label[mine][0])
        hits[truth].append(int(logp[mine].mean(0).argmax()) == truth)
    return {
        "clips": float(sum(map(len, hits.values()))),
        "accuracy": float(np.mean([hit for of_class in hits.values() for hit in of_class])),
        "uar": float(np.mean([np.mean(of_class) for of_class in hits.values()])),
    }


def live_dataset(clips: list[Clip], spec: FeatureSpec) -> TensorDataset:
    """The crops the live pipe would compute, each with its clip's label and number."""
    xs, labels, numbers = [], [], []
    for number, clip in enumerate(clips):
        x, _ = live_crops(clip, spec.voice, spec.step_ms)
        xs.append(torch.from_numpy(x))
        labels += [clip.label] * len(x)
        numbers += [number] * len(x)
    return TensorDataset(torch.cat(xs), torch.tensor(labels), torch.tensor(numbers))


@dataclass(frozen=True)
class VoicePart:
    """Trains the voice network; keeps the epoch with the best validation UAR."""

    ravdess: Path = Path("../shared/data/ravdess_speech")
    emodb: Path = Path("../shared/data/emodb")
    calm_is_neutral: bool = True
    """Whether RAVDESS calm is fitted as neutral or left out."""
    epochs: int = 20
    crops: int = 12_800
    """Crops an epoch, uniform over classes."""
    batch: int = 128
    lr: float = 0.05
    weight_decay: float = 1e-3
    mixup: float = 0.3
    spec: FeatureSpec = field(default_factory=FeatureSpec)

    def clips(self) -> tuple[list[Clip], list[Clip], list[Clip]]:
        """Clips to fit, RAVDESS clips to validate on, EmoDB clips to validate on."""
        acted = ravdess.load(self.ravdess, self.calm_is_neutral)
        german = emodb.load(self.emodb)
        fitted = [c for c in acted if c.speaker not in VALID_ACTORS]
        fitted += [c for c in german if c.speaker not in VALID_SPEAKERS]
        acted = [c for c in acted if c.speaker in VALID_ACTORS]
        return fitted, acted, [c for c in german if c.speaker in VALID_SPEAKERS]

    def train(self, out: Path, seed: int) -> dict[str, Any]:
        lightning.seed_everything(seed, verbose=False)
        fitted, acted, german = self.clips()
        crops: Dataset[Any] = training_crops(fitted, self.spec.voice)  # type: ignore[assignment]
        labels = np.array([clip.label for clip in crops])  # type: ignore[attr-defined]
        weights = (1.0 / np.bincount(labels, minlength=len(LABELS)))[labels]
        loader: DataLoader[Any] = DataLoader(
            crops,
            self.batch,
            sampler=WeightedRandomSampler(weights.tolist(), self.crops),
            drop_last=True,
            collate_fn=AugmentedCrops(self.spec, self.mixup),
        )
        network = ResNet18(3, self.spec.voice.width, len(LABELS)).to(
            memory_format=torch.channels_last  # type: ignore[call-overload]
        )
        module = ClipClassifier(
            network, len(LABELS), self.lr, self.weight_decay, self.epochs * len(loader)
        )
        best = fit(
            module,
            loader,
            DataLoader(live_dataset(acted, self.spec), 256),
            run=out,
            epochs=self.epochs,
            monitor="uar",
            mode="max",
            seed=seed,
            precision="bf16-mixed",
            clip=5.0,
        )
        kept = weights_of(best, "average.module.")
        save_file({k: v.contiguous() for k, v in kept.items()}, out / "voice.safetensors")
        network.load_state_dict(kept)
        not_calm = [c for c in acted if c.path.stem.split("-")[2] != "02"]
        return {
            "ravdess": self.scores(network, acted),
            "ravdess_without_calm": self.scores(network, not_calm),
            "emodb": self.scores(network, german),
        }

    def scores(self, network: ResNet18, clips: list[Clip]) -> dict[str, float]:
        network.eval()
        data = live_dataset(clips, self.spec)
        with torch.inference_mode():
            logp = [network(x).log_softmax(1) for x, _, _ in DataLoader(data, 256)]
        _, label, clip = data.tensors
        return clip_scores(torch.cat(logp).numpy(), label.numpy(), clip.numpy())
