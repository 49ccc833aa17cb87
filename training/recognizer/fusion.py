"""NORM-TR on windows paired by label: the whole noise-aware scheme (3.5, 3.6), and its rivals."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import lightning
import numpy as np
import torch
from safetensors.torch import load_file
from torch import nn
from torch.utils.data import DataLoader

from normtr.model import NormTr, NormTrConfig
from normtr.spec import LABELS, FeatureSpec
from training import run_folder
from training.data import fer2013, meld, ravdess
from training.data.folder import DATA
from training.evaluation import gap_metrics, probability_calibration
from training.evaluation.noise_curves import in_slices
from training.noise import RATES
from training.parallel_cpu import one_thread
from training.recognizer import bank, late_fusion, pack, parts, read_out, simple_rivals
from training.recognizer.bank import Bank
from training.recognizer.folds import FOLDS, folds
from training.recognizer.gap_traces import Traces
from training.recognizer.late_fusion import LateFusion
from training.recognizer.pairing import Drawn, PairedBatches, Pairing, draw, gaps
from training.recognizer.parts import Parts
from training.recognizer.simple_rivals import Concatenation, Transformer
from training.recognizer.voice import VALID_ACTORS, VoicePart
from training.systems.fit import fit, weights_of
from training.systems.noise_aware import Learning, NoiseAware, UpdatePlan, standardise
from training.windows import Windows, joined, loader


@dataclass(frozen=True)
class FusionPart:
    """Trains NORM-TR on what cross-fitted parts say, calibrates it and packs a checkpoint."""

    face: Path = Path("runs/face")
    voice: Path = Path("runs/voice")
    text: Path = Path("runs/text")
    """Runs of the parts."""
    fer2013: Path = DATA / "ferplus/ferplus.npz"
    ravdess: Path = DATA / "ravdess_speech"
    meld: Path = DATA / "transcripts_labels"
    gap_trace: Path | None = None
    """Recorded by `normtr live --record-gaps`; else the shipped one. Several: one after the other."""
    pack_to: Path = Path("runs/weights")
    per_label: int = 3_000
    """Training pictures of each label, at most; of validation pictures all."""
    versions: int = 3
    """Augmented copies of a picture."""
    masked: bool = True
    width: int = 128
    depth: int = 2
    dropout: float = 0.1
    windows: int = 28_000
    """In an epoch."""
    learning: Learning = field(
        default_factory=lambda: Learning(
            d1="none", d2="none", lr=5e-4, weight_decay=1e-2, epochs=16, batch=64, ema=0.999
        )
    )
    """Without adversaries: on CMU-MOSI they did not help, and the first one harmed."""
    rival_windows: int = 56_000
    """What the rivals are taught on, several times over."""
    rival_epochs: int = 6
    valid_windows: int = 7_000
    """Half of them of either half of the validation people."""
    spec: FeatureSpec = field(default_factory=FeatureSpec)

    def train(self, out: Path, seed: int) -> dict[str, Any]:
        with one_thread():  # other counts add in another order: other hashes
            return self._train(out, seed)

    def _train(self, out: Path, seed: int) -> dict[str, Any]:
        lightning.seed_everything(seed, verbose=False)
        folders = {"face": self.face, "voice": self.voice, "text": self.text}
        unseen = kept(
            out / "training.npz",
            lambda: self._training(parts.cross_fitted(folders, self.spec), seed),
        )
        pairing = Pairing(unseen, self.spec.steps, seed, strange=True)
        traces = Traces.load(self.gap_trace)
        config = NormTrConfig(
            unseen.dims,
            len(LABELS),
            self.spec.steps,
            self.width,
            self.depth,
            dropout=self.dropout,
            masked=self.masked,
        )
        network = self._fit(out, seed, config, pairing, traces)
        late, others = self._rivals(out, config, pairing, traces, seed)

        used = parts.trained(folders, self.spec)
        halves = [self._strangers(out, used, k, seed) for k in FOLDS]
        valid = joined(halves)
        late_fusion.choose(late, [gap_metrics.lost(valid, r, seed) for r in RATES[:10]])
        calibration = probability_calibration.calibrated(in_slices(network), valid, seed)
        systems = {"NORM-TR": in_slices(network), **_fusions(late), **others}
        metrics = {
            "late_fusion": late.fusion,
            "accuracy_by_rate": {
                name: gap_metrics.by_rate(system, valid, seed) for name, system in systems.items()
            },
            "subsets": {
                name: {
                    "+".join(s): gap_metrics.accuracy(system, gap_metrics.only(valid, s))
                    for s in gap_metrics.SUBSETS
                }
                for name, system in systems.items()
            },
            "nothing_seen": gap_metrics.nothing_seen(systems["NORM-TR"], valid),
            "ece_of_other_people": probability_calibration.ece_of_others(
                in_slices(network), halves, seed
            ),
        }
        shipped = read_out.on_rows(network, used.heads)
        networks = {"face": used.face, "voice": used.voice, "text": used.text, "norm_tr": shipped}
        pack.write(
            self.pack_to, folders, self.spec, calibration, networks, used.adapter, late, metrics
        )
        return metrics

    def _training(self, networks: tuple[Parts, ...], seed: int) -> Bank:
        """What those networks say that did not see the picture, actor or dialogue."""
        faces = fer2013.load(self.fer2013, fer2013.TRAINING)
        faces = faces.part(bank.some_of_each(faces.labels, self.per_label, seed))
        clips = [c for c in ravdess.load(self.ravdess, True) if c.speaker not in VALID_ACTORS]
        rows = VoicePart(ravdess=self.ravdess).training_rows(self.voice, seed)
        said = meld.load(self.meld / "meld_train_sent_emo.csv")
        of_face = folds([str(number) for number in faces.numbers])
        of_clip, of_said = folds([c.speaker for c in clips]), folds([u.dialogue for u in said])
        return Bank(
            bank.faces(faces, networks, of_face, self.versions, seed, read=True),
            faces.labels,
            bank.voices(clips, rows.part(rows.clip < len(clips)), networks, of_clip, read=True),
            bank.texts(said, networks, of_said, self.spec, seed, read=True),
        )

    def _strangers(self, out: Path, used: Parts, fold: int, seed: int) -> Windows:
        """Windows of one half of the validation people, by the networks that are used."""
        path = out / f"validation-{fold}.npz"
        people = kept(path, lambda: self._half(used, fold, seed))
        keys = [(0, i) for i in range(self.valid_windows // len(FOLDS))]
        return draw(Pairing(people, self.spec.steps, seed + 1), keys).windows

    def _half(self, used: Parts, fold: int, seed: int) -> Bank:
        faces = fer2013.load(self.fer2013, fer2013.PUBLIC_TEST)
        clips = ravdess.load(self.ravdess, True)
        said = meld.load(self.meld / "meld_dev_sent_emo.csv")
        numbers, dialogues = [str(n) for n in faces.numbers], [u.dialogue for u in said]
        return bank.of_strangers(
            faces.part(folds(numbers) == fold),
            [c for c in clips if c.speaker in VALID_ACTORS and folds([c.speaker]) == fold],
            [u for u, of in zip(said, folds(dialogues), strict=True) if of == fold],
            used,
            self.spec,
            self.versions,
            seed,
            read=True,
        )

    @property
    def _plan(self) -> UpdatePlan:
        return self.learning.plan(self.windows // self.learning.batch)

    def _fit(
        self, out: Path, seed: int, config: NormTrConfig, pairing: Pairing, traces: Traces
    ) -> NormTr:
        """Train on windows of `pairing`; other windows of it only show how it goes."""
        batches = PairedBatches(pairing, self.spec.steps, seed, traces)
        train = loader(batches, self.windows, self.learning.batch, seed)
        plan = self._plan
        module = NoiseAware(NormTr(config), self.learning, plan.updates, seed)
        keys = [(plan.epochs, i) for i in range(1_400)]
        others = draw(pairing, keys).windows
        standardise(module.network, others)
        fit(
            module,
            train,
            DataLoader(probability_calibration.mixed_gaps(others, seed).dataset(), 256),
            run=out,
            epochs=plan.epochs,
            monitor="accuracy",
            mode="max",
            seed=seed,
            clip=1.0,
            ema=plan.ema,
        )
        network = NormTr(config)
        network.load_state_dict(weights_of(out / "last.ckpt", "network."))
        return network.eval()

    def _rivals(
        self, out: Path, config: NormTrConfig, pairing: Pairing, traces: Traces, seed: int
    ) -> tuple[LateFusion, dict[str, gap_metrics.Scores]]:
        """Taught on windows of the same pairing and gaps; kept in the run's folder."""
        keys = [(self._plan.epochs + 1, i) for i in range(self.rival_windows)]
        whole = draw(pairing, keys)
        masks = np.stack([gaps(self.spec.steps, seed, key, traces) for key in keys])
        gapped = Drawn(whole.windows.under(masks), whole.shown)
        plain = dataclasses.replace(config, dropout=0.0)
        late = LateFusion()
        rivals: dict[str, nn.Module] = {
            "late fusion": late,
            "concatenation MLP": Concatenation(gapped.windows),
            "Transformer without noise": Transformer(plain),
        }
        torch.manual_seed(seed)
        for name, rival in rivals.items():
            path = out / f"{name.replace(' ', '_')}.safetensors"
            if path.is_file():
                rival.load_state_dict(load_file(path))
            elif isinstance(rival, LateFusion):
                late_fusion.teach(rival, gapped, self.rival_epochs, seed)
            elif isinstance(rival, Transformer):
                standardise(rival.network, whole.windows)
                simple_rivals.teach(rival, whole.windows, self.rival_epochs, seed)
            else:
                simple_rivals.teach(rival, gapped.windows, self.rival_epochs, seed)
            run_folder.write_tensors(path, rival.state_dict())
            rival.eval()
        return late, {name: _scores(rivals[name]) for name in list(rivals)[1:]}


def kept(path: Path, make: Callable[[], Bank]) -> Bank:
    """Made once, then read from the file."""
    if not path.is_file():
        make().save(path)
    return Bank.load(path)


def _fusions(late: LateFusion) -> dict[str, gap_metrics.Scores]:
    return {f"late fusion: {name}": _scores(late, name) for name in late_fusion.FUSIONS}


def _scores(module: nn.Module, *options: Any) -> gap_metrics.Scores:
    def scores(windows: Windows) -> torch.Tensor:
        with torch.inference_mode():
            out: torch.Tensor = module(windows, *options)
        return out

    return scores
