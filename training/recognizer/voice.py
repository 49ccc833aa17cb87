"""The voice part: a network on states of Whisper's encoder, RAVDESS and EmoDB."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor, nn
from tqdm import tqdm

from normtr.spec import LABELS, FeatureSpec
from normtr.voice_network import VoiceNetwork
from training import run_folder
from training.data import emodb, ravdess
from training.data.folder import DATA
from training.data.speech import Clip
from training.evaluation.part_scores import scores
from training.recognizer.folds import FOLDS, folds
from training.recognizer.voice_rows import VoiceRows, voice_rows

VALID_ACTORS = ("17", "18", "19", "20")
VALID_SPEAKERS = ("15", "16")
BATCH = 256


def clip_probabilities(
    network: VoiceNetwork, rows: VoiceRows, clips: int
) -> tuple[NDArray[np.float32], NDArray[np.bool_]]:
    """[clips, classes] from the mean log-probability of each clip's rows, and which clips have
    any [clips]: one in which the live pipe would hear silence only has none."""
    with torch.inference_mode():
        logp = network(torch.from_numpy(rows.values.astype(np.float32))).log_softmax(1)
    of = torch.from_numpy(rows.clip)
    count = torch.bincount(of, minlength=clips)
    total: Tensor = torch.zeros(clips, len(LABELS)).index_add(0, of, logp)
    mean = total / count.clamp_min(1)[:, None]
    return mean.softmax(1).numpy(), (count > 0).numpy()


@dataclass(frozen=True)
class VoicePart:
    """Trains the network for use, and two that each leave out half of the speakers."""

    ravdess: Path = DATA / "ravdess_speech"
    emodb: Path = DATA / "emodb"
    versions: int = 4
    """The number of copies of a clip to learn from: the recorded one and augmented ones."""
    recorded: float = 3.0
    """The weight of the recorded copy against an augmented one."""
    german: float = 0.5
    """The weight of EmoDB, which has four of the seven emotions, against RAVDESS."""
    epochs: int = 30
    spec: FeatureSpec = field(default_factory=FeatureSpec)

    def learning(self) -> list[Clip]:
        """Return the clips of the training speakers, RAVDESS before EmoDB."""
        acted = ravdess.load(self.ravdess, calm_is_neutral=True)
        german = emodb.load(self.emodb)
        return [c for c in acted if c.speaker not in VALID_ACTORS] + [
            c for c in german if c.speaker not in VALID_SPEAKERS
        ]

    def training_rows(self, out: Path, seed: int) -> VoiceRows:
        """Return the rows of `learning`; they are computed once, then read from the run's folder."""
        return voice_rows(self.learning(), self.spec, self.versions, seed, out / "rows")

    def train(self, out: Path, seed: int) -> dict[str, Any]:
        learning = self.learning()
        rows = self.training_rows(out, seed)
        fold = folds([clip.speaker for clip in learning])[rows.clip]
        for k in FOLDS:
            network = self._fit(learning, rows.part(fold != k), seed)
            run_folder.write_tensors(out / f"fold-{k}" / "voice.safetensors", network.state_dict())
        network = self._fit(learning, rows, seed)
        run_folder.write_tensors(out / "voice.safetensors", network.state_dict())
        acted = ravdess.load(self.ravdess, calm_is_neutral=True)
        german = emodb.load(self.emodb)
        strangers = {
            "ravdess": [c for c in acted if c.speaker in VALID_ACTORS],
            "emodb": [c for c in german if c.speaker in VALID_SPEAKERS],
        }
        return {name: self._scores(network, clips, seed) for name, clips in strangers.items()}

    def _fit(self, clips: list[Clip], rows: VoiceRows, seed: int) -> VoiceNetwork:
        torch.manual_seed(seed)
        x = torch.from_numpy(rows.values.astype(np.float32))
        labels = np.array([clip.label for clip in clips])[rows.clip]
        german = np.array([clip.path.is_relative_to(self.emodb) for clip in clips])
        weights = np.where(german[rows.clip], self.german, 1.0)
        weights = weights * np.where(rows.version == 0, self.recorded, 1.0)
        weights /= np.bincount(labels, weights, len(LABELS))[labels]  # classes are even
        y, weight = torch.from_numpy(labels), torch.from_numpy(weights).float()
        network = VoiceNetwork(self.spec.voice, len(LABELS))
        network.get_buffer("mean").copy_(x.mean(0))
        network.get_buffer("scale").copy_(x.std(0).clamp_min(1e-6))

        def loss(numbers: NDArray[np.int64]) -> Tensor:
            seen = F.dropout(network.standardised(x[numbers]), 0.2)
            row = F.dropout(torch.relu(network.hidden(seen)), 0.5)
            each = F.cross_entropy(
                network.head(row), y[numbers], label_smoothing=0.1, reduction="none"
            )
            return (each * weight[numbers]).sum() / weight[numbers].sum()

        _minimise(loss, network, len(y), self.epochs, seed)
        return network

    def _scores(self, network: VoiceNetwork, clips: list[Clip], seed: int) -> dict[str, Any]:
        rows = voice_rows(clips, self.spec, 1, seed)
        found, judged = clip_probabilities(network, rows, len(clips))
        labels = np.array([clip.label for clip in clips])
        among = found[:, np.unique(labels)].argmax(1)  # of the classes that the data set has
        return {
            **scores(found, labels, judged),
            "accuracy_of_its_classes": float((np.unique(labels)[among] == labels).mean()),
        }


def _minimise(
    loss: Callable[[NDArray[np.int64]], Tensor], network: nn.Module, n: int, epochs: int, seed: int
) -> None:
    """Train by AdamW with a cosine over all epochs of `n` rows; `loss` takes rows' numbers."""
    random = np.random.default_rng(seed)
    parts = max(1, n // BATCH)
    order = [b for _ in range(epochs) for b in np.array_split(random.permutation(n), parts)]
    optimizer = torch.optim.AdamW(network.parameters(), 1e-3, weight_decay=1e-4)
    network.train()
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, len(order))
    for numbers in tqdm(order, "voice", mininterval=2, leave=False):
        optimizer.zero_grad()
        loss(numbers).backward()  # type: ignore[no-untyped-call]
        optimizer.step()
        schedule.step()
    network.eval()
