"""The voice part: a network on states of Whisper's encoder, taught by several corpora."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from safetensors.torch import load_file
from torch import Tensor, nn
from tqdm import tqdm

from normtr.spec import LABELS, FeatureSpec
from normtr.voice_network import VoiceNetwork
from training import run_folder
from training.data import speech_folder
from training.data.folder import DATA
from training.data.speech import Clip
from training.evaluation.part_scores import among, scores
from training.recognizer.folds import FOLDS, dealt
from training.recognizer.temperature import cooled
from training.recognizer.voice_rows import VoiceRows, voice_rows

CORPORA = tuple(
    DATA / name for name in ("ravdess_speech", "emodb", "emodb_more", "emovo", "javanese_av")
)
VALID = ("ravdess 17", "ravdess 18", "ravdess 19", "ravdess 20", "emodb 15", "emodb 16")
"""Speakers from whom no network learns. EMOVO and the Javanese corpus have too few to spare any."""
LEFT_OUT = ("emovo", "javanese")
"""The corpora of which each speaker in turn is left out, to be judged by a network of its own."""
BATCH = 256
SMOOTHING = 0.1
NEVER = -30.0
"""The logit of a class that a corpus does not have."""


def clip_log_probabilities(
    network: VoiceNetwork, rows: VoiceRows, clips: int
) -> tuple[NDArray[np.float32], NDArray[np.bool_]]:
    """Return the mean log-probability [clips, classes] of each clip's rows, and which clips have
    any [clips]: one in which the live pipe would hear silence only has none."""
    with torch.inference_mode():
        logp = network(torch.from_numpy(rows.values.astype(np.float32))).log_softmax(1)
    of = torch.from_numpy(rows.clip)
    count = torch.bincount(of, minlength=clips)
    total: Tensor = torch.zeros(clips, len(LABELS)).index_add(0, of, logp)
    return (total / count.clamp_min(1)[:, None]).numpy(), (count > 0).numpy()


def speaker_folds(clips: Sequence[Clip]) -> NDArray[np.int64]:
    """Return the fold of each clip's speaker, int64 [n].

    The speakers of each corpus are dealt evenly, and so are those of VALID.
    """
    fold: dict[str, int] = {}
    for corpus in {clip.corpus for clip in clips}:
        people = {clip.person for clip in clips if clip.corpus == corpus}
        fold |= dealt(people - {*VALID}) | dealt(people & {*VALID})
    return np.array([fold[clip.person] for clip in clips])


@dataclass(frozen=True)
class VoicePart:
    """Trains the network for use, two that each leave out half of the speakers, and one without
    each speaker of the small corpora, who is then a stranger to be judged."""

    corpora: tuple[Path, ...] = CORPORA
    """Folders of acted speech; folders of one corpus are one."""
    versions: int = 4
    """The number of copies of a clip to learn from: the recorded one and augmented ones."""
    recorded: float = 3.0
    """The weight of the recorded copy against an augmented one."""
    evened: float = 0.5
    """A corpus of n rows weighs n to the power 1 - evened; in it, classes are even."""
    epochs: int = 30
    spec: FeatureSpec = field(default_factory=FeatureSpec)

    def clips(self) -> list[Clip]:
        """Return the clips of all corpora."""
        return [clip for folder in self.corpora for clip in speech_folder.load(folder)]

    def rows(self, out: Path, seed: int) -> VoiceRows:
        """Return the rows of `clips`; they are computed once, then read from the run's folder."""
        return voice_rows(self.clips(), self.spec, self.versions, seed, out / "rows")

    def train(self, out: Path, seed: int) -> dict[str, Any]:
        clips, rows = self.clips(), self.rows(out, seed)
        person = np.array([clip.person for clip in clips])
        corpus = np.array([clip.corpus for clip in clips])
        known = ~np.isin(person, VALID)
        fold = speaker_folds(clips)
        for k in FOLDS:
            self._write(out / f"fold-{k}", clips, rows, known & (fold != k), seed)
        network = self._write(out, clips, rows, known, seed)
        found = {
            f"{name}, strangers": _scores([(network, ~known & (corpus == name))], clips, rows)
            for name in np.unique(corpus[~known]).tolist()
        }
        for name in sorted({*LEFT_OUT} & {*corpus.tolist()}):
            alone = [
                (self._write(out / one, clips, rows, known & (person != one), seed), person == one)
                for one in np.unique(person[corpus == name]).tolist()
            ]
            found[f"{name}, one speaker left out"] = _scores(alone, clips, rows)
        for name in np.unique(corpus).tolist():
            network = self._write(out / f"no {name}", clips, rows, known & (corpus != name), seed)
            found[f"{name}, corpus left out"] = _scores([(network, corpus == name)], clips, rows)
        return found

    def _write(
        self,
        folder: Path,
        clips: Sequence[Clip],
        rows: VoiceRows,
        chosen: NDArray[np.bool_],
        seed: int,
    ) -> VoiceNetwork:
        """Train on the `chosen` clips [n] into the folder, unless that was done already."""
        path = folder / "voice.safetensors"
        if not path.is_file():
            network = self._fit(clips, rows.part(chosen[rows.clip]), seed)
            cool(network, clips, rows)
            run_folder.write_tensors(path, network.state_dict())
        network = VoiceNetwork(self.spec.voice, len(LABELS))
        network.load_state_dict(load_file(path))
        return network.eval()

    def _fit(self, clips: Sequence[Clip], rows: VoiceRows, seed: int) -> VoiceNetwork:
        torch.manual_seed(seed)
        x = torch.from_numpy(rows.values.astype(np.float32))
        labels = np.array([clip.label for clip in clips])[rows.clip]
        names, corpora = np.unique([clip.corpus for clip in clips], return_inverse=True)
        corpus = corpora[rows.clip]
        weights = np.where(rows.version == 0, self.recorded, 1.0)
        total = np.zeros((len(names), len(LABELS)))
        np.add.at(total, (corpus, labels), weights)
        has = total > 0
        size = total.sum(1, keepdims=True) ** (1 - self.evened) / has.sum(1, keepdims=True)
        weights = weights * (size / np.where(has, total, 1.0))[corpus, labels]
        known = torch.from_numpy(has[corpus])
        # No class is unlikely only because a corpus does not have it.
        targets = F.one_hot(torch.from_numpy(labels), len(LABELS)) * (1 - SMOOTHING)
        targets = targets + SMOOTHING * known / known.sum(1, keepdim=True)
        weight = torch.from_numpy(weights / weights.mean()).float()
        network = VoiceNetwork(self.spec.voice, len(LABELS))
        network.get_buffer("mean").copy_(x.mean(0))
        network.get_buffer("scale").copy_(x.std(0).clamp_min(1e-6))

        def loss(numbers: NDArray[np.int64]) -> Tensor:
            seen = F.dropout(network.standardised(x[numbers]), 0.2)
            row = F.dropout(torch.relu(network.hidden(seen)), 0.5)
            logits = network.head(row).masked_fill(~known[numbers], NEVER)
            each = -(targets[numbers] * logits.log_softmax(1)).sum(1)
            mean: Tensor = (each * weight[numbers]).mean()
            return mean

        _minimise(loss, network, len(labels), self.epochs, seed)
        return network


def cool(network: VoiceNetwork, clips: Sequence[Clip], rows: VoiceRows) -> None:
    """Give the head the temperature that fits the people of VALID, if there are any of them.

    Each row counts, and the classes that a corpus does not have are no answers there.
    """
    clip_labels = np.array([clip.label for clip in clips])
    corpora = np.array([clip.corpus for clip in clips])
    valid = np.isin([clip.person for clip in clips], VALID)
    mine = rows.part(valid[rows.clip] & (rows.version == 0))
    if not len(mine.clip):
        return
    never = np.zeros((len(clips), len(LABELS)), np.bool_)
    for corpus in set(corpora[valid].tolist()):
        absent = set(range(len(LABELS))) - set(clip_labels[corpora == corpus].tolist())
        never[np.ix_(corpora == corpus, sorted(absent))] = True
    with torch.inference_mode():
        logits = network(torch.from_numpy(mine.values.astype(np.float32)))
        logits = logits.masked_fill(torch.from_numpy(never[mine.clip]), NEVER)
    cooled(network.head, logits, torch.from_numpy(clip_labels[mine.clip]))


def _scores(
    judges: Sequence[tuple[VoiceNetwork, NDArray[np.bool_]]],
    clips: Sequence[Clip],
    rows: VoiceRows,
) -> dict[str, Any]:
    """Score networks on clips as recorded, each on the clips [n] that are named beside it."""
    said = np.zeros((len(clips), len(LABELS)), np.float32)
    judged, asked = np.zeros(len(clips), np.bool_), np.zeros(len(clips), np.bool_)
    recorded = rows.part(rows.version == 0)
    for network, chosen in judges:
        found, heard = clip_log_probabilities(network, recorded, len(clips))
        said[chosen], judged[chosen], asked[chosen] = found[chosen], heard[chosen], True
    labels = np.array([clip.label for clip in clips])[asked]
    return scores(among(said[asked], labels), labels, judged[asked])


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
