"""NORM-TR on windows paired by label: the whole noise-aware scheme (3.5, 3.6)."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import lightning
import torch
from safetensors.torch import load_file, save_file
from torch import nn
from torch.utils.data import DataLoader

from normtr.errors import UserError
from normtr.model import NormTr, NormTrConfig
from normtr.resnet import ResNet18
from normtr.spec import LABELS, FeatureSpec
from normtr.text import TextEncoder
from training import assess, pack, rows
from training.curve import predictor
from training.datasets import fer2013, meld, ravdess
from training.fit import fit, weights_of
from training.noise_aware import Learning, NoiseAware, standardise
from training.pairing import PairedBatches, Pairing, draw
from training.rows import Bank
from training.voice import VALID_ACTORS
from training.windows import Windows, loader


@dataclass(frozen=True)
class FusionPart:
    """Trains NORM-TR on the rows of the trained parts, calibrates it and packs a checkpoint."""

    face: Path = Path("runs/face/face.safetensors")
    voice: Path = Path("runs/voice/voice.safetensors")
    text: Path = Path("runs/text/text.safetensors")
    fer2013: Path = Path("../shared/data/fer2013/fer2013.npz")
    ravdess: Path = Path("../shared/data/ravdess_speech")
    meld: Path = Path("../shared/data/transcripts_labels")
    bank: Path = Path("runs/bank")
    """Rows computed once; a file name there holds the hash of what it was computed from."""
    pack_to: Path = Path("runs/weights")
    per_label: int = 800
    """Training pictures, and training utterances, of each label; a quarter for validation."""
    masked: bool = False
    width: int = 256
    depth: int = 2
    dropout: float = 0.1
    windows: int = 6_400
    """In an epoch."""
    learning: Learning = field(default_factory=lambda: Learning(lr=3e-4, epochs=10, batch=32))
    valid_windows: int = 2_800
    """The first half selects and calibrates, the second is reported."""
    spec: FeatureSpec = field(default_factory=FeatureSpec)

    def train(self, out: Path, seed: int) -> dict[str, Any]:
        lightning.seed_everything(seed, verbose=False)
        torch.set_num_threads(1)  # other counts add in another order: other hashes
        face = rows.network(self.face, 1, self.spec.face.width)
        voice = rows.network(self.voice, 3, self.spec.voice.width)
        if not self.text.is_file():
            raise UserError(f"{self.text} is missing; train that part first (see `make weights`).")
        training = self._bank(face, voice, "training", seed)
        valid = self._bank(face, voice, "validation", seed)
        pairing = Pairing(training, self.spec, seed)
        keys = [(0, i) for i in range(self.valid_windows)]
        windows = draw(Pairing(valid, self.spec, seed + 1), keys)
        half = self.valid_windows // 2
        chosen, reported = windows.part(slice(0, half)), windows.part(slice(half, None))
        config = NormTrConfig(
            self.spec.dims,
            len(LABELS),
            self.spec.steps,
            self.width,
            self.depth,
            dropout=self.dropout,
            masked=self.masked,
        )
        network = self._fit(out, seed, config, pairing, chosen)
        scores = predictor(network)
        gapped, gapped_reported = assess.mixed_gaps(chosen, seed), assess.mixed_gaps(reported, seed)
        calibration = assess.calibrate(scores(gapped), gapped)
        calibration = assess.with_threshold(calibration, scores(gapped), gapped)
        heads = {"face": face.head, "voice": voice.head, "text": self._text_head()}
        metrics = {
            "norm_tr": assess.under_gaps(scores, reported, seed),
            "late_fusion": assess.under_gaps(assess.late_fusion_scores(heads), reported, seed),
            "calibrated": assess.reliability(calibration, scores(gapped_reported), gapped_reported),
            "nothing_seen": assess.nothing_seen(scores, reported),
            "over_trust": {
                "training": assess.unimodal(heads, training),
                "validation": assess.unimodal(heads, valid),
            },
        }
        networks = {"face": face, "voice": voice, "text": heads["text"], "norm_tr": network}
        pack.write(self.pack_to, out.parent, self.spec, calibration, networks, config, metrics)
        return metrics

    def _fit(
        self, out: Path, seed: int, config: NormTrConfig, pairing: Pairing, chosen: Windows
    ) -> NormTr:
        """Train, and return the best epoch's network with its weights rounded to float16."""
        batches = PairedBatches(pairing, self.spec, seed)
        train = loader(batches, self.windows, self.learning.batch, seed)
        steps = self.learning.epochs * len(train)
        module = NoiseAware(NormTr(config), self.learning, steps, seed)
        standardise(
            module.network, draw(pairing, [(0, i) for i in range(min(self.windows, 1_400))])
        )
        best = fit(
            module,
            train,
            DataLoader(assess.mixed_gaps(chosen, seed).dataset(), 256),
            run=out,
            epochs=self.learning.epochs,
            monitor="accuracy",
            mode="max",
            seed=seed,
            clip=1.0,
        )
        network = NormTr(config)
        network.load_state_dict(weights_of(best, "network."))
        rows.rounded(network)
        save_file(dict(network.state_dict()), out / "norm_tr.safetensors")
        return network.eval()

    def _text_head(self) -> nn.Linear:
        head = nn.Linear(self.spec.text.dim, len(LABELS))
        head.load_state_dict(load_file(self.text))
        return head

    def _bank(self, face: ResNet18, voice: ResNet18, split: str, seed: int) -> Bank:
        """Rows of the people of one split: computed once, then read from the bank folder."""
        learning = split == "training"
        per_label = self.per_label if learning else self.per_label // 4
        sources = [rows.sha256(self.face), rows.sha256(self.voice), self.spec.sha256()]
        name = "-".join([split, *(s[:8] for s in sources), str(per_label), str(seed)])
        path = self.bank / f"{name}.npz"
        if not path.is_file():
            self.bank.mkdir(parents=True, exist_ok=True)
            part = fer2013.TRAINING if learning else fer2013.PUBLIC_TEST
            faces, labels = rows.face_rows(
                fer2013.load(self.fer2013, part), face, per_label, 4, seed
            )
            clips = ravdess.load(self.ravdess, calm_is_neutral=True)
            clips = [c for c in clips if (c.speaker not in VALID_ACTORS) == learning]
            table = "meld_train_sent_emo.csv" if learning else "meld_dev_sent_emo.csv"
            Bank(
                faces,
                labels,
                rows.voice_rows(clips, voice, self.spec, 3, seed),
                rows.text_rows(
                    meld.load(self.meld / table), TextEncoder(self.spec.text), per_label, seed
                ),
            ).save(path)
        return Bank.load(path)
