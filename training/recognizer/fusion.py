"""The recognizer's fusion: NORM-TR on paired windows and true pairs, beside rivals, and packed."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch

from normtr.spec import MODALITIES, FeatureSpec
from training import run_folder
from training.data import face_files, meld
from training.data.files_inside import files_inside
from training.data.folder import DATA
from training.data.speech import Clip
from training.evaluation import gap_metrics, noise_curves, probability_calibration
from training.evaluation.missing_patterns import conditions
from training.evaluation.noise_curves import Protocol
from training.parallel_cpu import one_thread
from training.recognizer import (
    face_crops,
    fold_heads,
    pack,
    pair_rows,
    pair_scores,
    parts,
    row_bank,
    true_pairs,
)
from training.recognizer.apart import apart
from training.recognizer.face import FacePart
from training.recognizer.face_crops import FaceCrops
from training.recognizer.folds import FOLDS, folds
from training.recognizer.pair_scores import Strangers, each_by_its_own
from training.recognizer.paired import BANKS, LabelPaired
from training.recognizer.parts import Parts
from training.recognizer.row_bank import Bank, Pairs
from training.recognizer.voice import CORPORA, VALID, VoicePart, speaker_folds
from training.recognizer.voice_rows import VoiceRows
from training.samples import Samples, loaded
from training.systems.attentive_late_fusion import LENGTH, AttentiveLateFusion
from training.systems.components import Reduced
from training.systems.concatenation import Concatenation
from training.systems.noise_aware import Learning
from training.systems.norm_tr import Architecture, NormTrSystem
from training.systems.phase import Phase
from training.systems.system import System
from training.windows import joined

SHORT = Phase(constant=6, decay=6, batch=256, clip=1.0, dropout=0.2, beta1=LENGTH.beta1, lr=3e-3)
"""How long rivals learn; an epoch has many windows."""
PAIRED = ("ravdess", "emovo")
"""The corpora of voices in label-paired windows: those that have all seven labels."""
NORM_TR, LATE_FUSION = "NORM-TR", "late fusion"


@dataclass(frozen=True)
class FusionPart:
    """Trains NORM-TR on what cross-fitted parts say, calibrates it and packs a checkpoint."""

    face: Path = Path("runs/face")
    voice: Path = Path("runs/voice")
    text: Path = Path("runs/text")
    """Runs of the parts."""
    pictures: tuple[Path, ...] = FacePart.data
    voices: tuple[Path, ...] = CORPORA
    pairs: Path | None = DATA / "javanese_av/clips"
    """Videos of people who are among the `voices` and each have a voice network that has not heard
    them; None: windows are only paired by label."""
    meld: Path = DATA / "transcripts_labels"
    gap_trace: Path | None = None
    """Gaps that `normtr live --record-gaps` wrote, one stream after the other; None: the shipped
    ones."""
    pack_to: Path = Path("runs/weights")
    per_label: int = 3_000
    """Training pictures of each label, at most; of validation pictures all."""
    versions: int = 3
    """Augmented copies of a picture."""
    windows: int = 28_000
    """Training windows of an epoch."""
    valid_windows: int = 3_500
    """Windows of either half of the validation people: one half chooses the epoch, and figures are
    of the other."""
    network: Architecture = field(default_factory=lambda: Architecture(width=128, masked=True))
    learning: Learning = field(
        default_factory=lambda: Learning(
            d1="none", d2="none", lr=5e-4, weight_decay=1e-2, epochs=16, batch=64, ema=0.999
        )
    )
    """Without adversaries: on CMU-MOSI they did not help, and the first one harmed."""
    left_out_epochs: int = 6
    """How long those learn that leave a person out; they are many."""
    rivals: Phase = SHORT
    spec: FeatureSpec = FacePart.spec

    def systems(self) -> dict[str, System]:
        """Return NORM-TR and its rivals, by the names that tables call them."""
        return {
            NORM_TR: NormTrSystem(masks="windows", network=self.network, learning=self.learning),
            LATE_FUSION: AttentiveLateFusion(masks="windows", length=self.rivals),
            "concatenation": Concatenation(masks="windows", length=self.rivals),
            "NORM-TR without masks": NormTrSystem(
                masks="none", network=self.network, learning=self.learning
            ),
        }

    def train(self, out: Path, seed: int) -> dict[str, Any]:
        folders = {"face": self.face, "voice": self.voice, "text": self.text}
        with one_thread():  # over more threads sums would be rounded otherwise
            used = self._write_banks(out, folders, seed)
        data = LabelPaired(
            out,
            steps=self.spec.steps,
            train=1_400,
            windows_per_epoch=self.windows,
            gap_trace=self.gap_trace,
            valid=self.valid_windows,
            test=self.valid_windows,
            seed=seed,
        )
        bank = Bank.load(out / BANKS["train"])
        taught = self._taught(data, bank.pairs, out)
        apart(partial(_teach, seed), list(taught.values()))
        models = {name: _teach_or_read(taught[name], seed) for name in self.systems()}
        halves = [loaded(data, split).windows for split in ("valid", "test")]
        network = models[NORM_TR].network
        predict = noise_curves.in_slices(models[NORM_TR])
        strangers = [Strangers(joined(halves), predict)]
        if bank.pairs is not None:
            for person in _people(bank.pairs):
                model = _teach_or_read(taught[person], seed)
                mine = bank.pairs.part(bank.pairs.people == person)
                windows, _ = true_pairs.every_step(mine, self.spec.steps)
                strangers.append(Strangers(windows, noise_curves.in_slices(model)))
        calibration = probability_calibration.calibrated(
            each_by_its_own(strangers), joined([s.windows for s in strangers]), seed
        )
        test = loaded(data, "test")
        metrics = {
            "accuracy_by_rate": {
                name: by_rate(model, data, test, seed) for name, model in models.items()
            },
            "subsets": {name: by_subset(model, test) for name, model in models.items()},
            "nothing_seen": gap_metrics.nothing_seen(predict, test.windows),
            "ece_of_other_people": probability_calibration.ece_of_others(predict, halves, seed),
        }
        shipped = fold_heads.on_rows(network, used.heads)
        networks = {"face": used.face, "voice": used.voice, "text": used.text, "norm_tr": shipped}
        late = models[LATE_FUSION].network
        if bank.pairs is not None:
            metrics["true_pairs"] = pair_scores.report(bank.pairs, strangers[1:], calibration, seed)
        of = true_pairs.crowd(bank)
        pack.write(
            self.pack_to, folders, self.spec, calibration, of, networks, used.adapter, late, metrics
        )
        return metrics

    def _taught(self, data: LabelPaired, pairs: Pairs | None, out: Path) -> dict[str, Taught]:
        """Return all that is trained: NORM-TR, its rivals, and for each person of the pairs a
        NORM-TR that learns nothing of them."""
        found = {
            name: Taught(system, data, out / name.replace(" ", "_"))
            for name, system in self.systems().items()
        }
        shorter = replace(self.learning, epochs=self.left_out_epochs)
        system = NormTrSystem(masks="windows", network=self.network, learning=shorter)
        for person in _people(pairs):
            without = replace(data, without=person)
            found[person] = Taught(system, without, out / f"without {person}")
        return found

    def _write_banks(self, out: Path, folders: dict[str, Path], seed: int) -> Parts:
        """Keep what the parts say of training people and of both halves of the others.

        Return the parts that are used.
        """
        kept(
            out / BANKS["train"],
            lambda: self._training(parts.cross_fitted(folders, self.spec), seed),
        )
        used = parts.trained(folders, self.spec)
        kept(out / BANKS["valid"], lambda: self._half(used, FOLDS[0], seed))
        kept(out / BANKS["test"], lambda: self._half(used, FOLDS[1], seed))
        return used

    def _training(self, networks: tuple[Parts, ...], seed: int) -> Bank:
        """Return what those networks say that did not see the picture, actor or dialogue."""
        faces = self._faces(face_files.TRAINING)
        faces = faces.part(row_bank.some_of_each(faces.labels, self.per_label, seed))
        part = VoicePart(self.voices, spec=self.spec)
        clips = part.clips()
        known = np.array([clip.corpus in PAIRED and clip.person not in VALID for clip in clips])
        rows = part.rows(self.voice, seed)
        said = meld.load(self.meld / "meld_train_sent_emo.csv")
        of_face = folds(list(faces.names))
        of_clip, of_said = speaker_folds(clips), folds([u.dialogue for u in said])
        return Bank(
            row_bank.faces(faces, networks, of_face, self.versions, seed, read=True),
            faces.labels,
            row_bank.voices(clips, rows.part(known[rows.clip]), networks, of_clip, read=True),
            row_bank.texts(said, networks, of_said, self.spec, seed, read=True),
            self._pairs(clips, rows),
        )

    def _pairs(self, clips: Sequence[Clip], rows: VoiceRows) -> Pairs | None:
        """Return what is said of the people of the pairs by networks that do not know them."""
        if self.pairs is None:
            return None
        videos = set(files_inside(self.pairs, (".mp4",)))
        chosen = np.array([clip.path in videos for clip in clips])
        numbers = np.flatnonzero(chosen)
        mine = rows.part(chosen[rows.clip])
        mine = replace(mine, clip=np.searchsorted(numbers, mine.clip))
        clips = [clips[i] for i in numbers.tolist()]
        people = {clip.person for clip in clips}
        return pair_rows.pairs(
            clips,
            parts.face(self.face, self.spec),
            {person: parts.voice(self.voice / person, self.spec) for person in sorted(people)},
            mine,
            self.spec,
        )

    def _half(self, used: Parts, fold: int, seed: int) -> Bank:
        """Return what the networks that are used say of one half of the validation people."""
        faces = self._faces(face_files.VALIDATION)
        clips = VoicePart(self.voices, spec=self.spec).clips()
        mine = speaker_folds(clips) == fold
        said = meld.load(self.meld / "meld_dev_sent_emo.csv")
        dialogues = [u.dialogue for u in said]
        return row_bank.of_strangers(
            faces.part(folds(list(faces.names)) == fold),
            [
                c
                for c, of in zip(clips, mine, strict=True)
                if of and c.person in VALID and c.corpus in PAIRED
            ],
            [u for u, of in zip(said, folds(dialogues), strict=True) if of == fold],
            used,
            self.spec,
            self.versions,
            seed,
            read=True,
        )

    def _faces(self, split: int) -> FaceCrops:
        """Return the crops of all sets that have a label."""
        part = FacePart(self.pictures, spec=self.spec)
        return face_crops.joined(
            [part.crops(self.face, path, split) for path in self.pictures]
        ).labelled


def kept(path: Path, make: Callable[[], Bank]) -> None:
    """Make the bank, unless it is there already."""
    if not path.is_file():
        make().save(path)


@dataclass(frozen=True)
class Taught:
    """A system, what it learns from, and the folder of its run."""

    system: System
    data: LabelPaired
    folder: Path


def _teach(seed: int, of: Taught) -> bool:
    _teach_or_read(of, seed)
    return True


def _teach_or_read(of: Taught, seed: int) -> Reduced[Any]:
    return trained(of.system, of.data, of.folder, seed)


def _people(pairs: Pairs | None) -> list[str]:
    return [] if pairs is None else [str(person) for person in np.unique(pairs.people)]


def trained(system: System, data: LabelPaired, folder: Path, seed: int) -> Reduced[Any]:
    """Train the system into a run folder, unless it is there already, and return its model."""
    run_folder.begin(folder, {"data": data, "system": system}, seed, resume=False)
    path = folder / "metrics.json"
    if not path.is_file():
        run_folder.write_json(path, system.train(data, folder, seed))
    model = system.model(loaded(data, "valid").windows, data.outputs)
    run_folder.fill(model, run_folder.read(folder))
    return model


def by_rate(
    model: torch.nn.Module, data: LabelPaired, samples: Samples, seed: int
) -> dict[str, float]:
    """Return the accuracy where every modality loses one stretch of each rate's share."""
    protocol = Protocol("windows", mask_seeds=(seed,))
    predict = noise_curves.in_slices(model)
    outputs = noise_curves.predictions(predict, data, "test", samples, protocol)
    labels = samples.windows.labels.numpy()
    accuracy = noise_curves.curves(data, outputs, labels)["accuracy"]
    return {f"{rate:.1f}": value for rate, value in zip(protocol.rates, accuracy, strict=True)}


def by_subset(model: torch.nn.Module, samples: Samples) -> dict[str, float]:
    """Return the accuracy with each choice of modalities, and with all."""
    predict = noise_curves.in_slices(model)
    labels = samples.windows.labels
    found = {}
    for there in (*conditions(MODALITIES), MODALITIES):
        outputs = predict(samples.only(there))
        found["+".join(there)] = float((outputs.argmax(1) == labels).float().mean())
    return found
