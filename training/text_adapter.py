"""A low-rank adapter of the embedded BERT, trained on emotion and sentiment of spoken utterances."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import lightning
import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.nn.utils import parametrize
from torch.utils.data import DataLoader, Sampler
from torchmetrics.classification import MulticlassF1Score

from normtr.models import text_model
from normtr.spec import LABELS, TextSpec
from training import run_folder
from training.datasets import dialogues
from training.datasets.dialogues import SENTIMENTS, UNKNOWN, Utterance
from training.fit import fit, weights_of
from training.text import bare

LAYERS = ("attention.self.query", "attention.self.value", "intermediate.dense", "output.dense")


class LowRank(nn.Module):
    """W -> W + B A; B starts at zero (Hu et al., ICLR 2022, 4.1)."""

    def __init__(self, out: int, given: int, rank: int) -> None:
        super().__init__()
        self.a = nn.Parameter(torch.randn(rank, given) / math.sqrt(given))
        self.b = nn.Parameter(torch.zeros(out, rank))

    def forward(self, weight: Tensor) -> Tensor:
        return weight + self.b @ self.a


class ByLength(Sampler[list[int]]):
    """Random batches of texts of like length, so that little is padded; (seed, epoch) decide."""

    def __init__(self, lengths: list[int], batch: int, seed: int) -> None:
        self._lengths, self._batch, self._seed, self._epoch = np.array(lengths), batch, seed, 0

    def set_epoch(self, epoch: int) -> None:
        self._epoch = epoch

    def __len__(self) -> int:
        return len(self._lengths) // self._batch

    def __iter__(self) -> Iterator[list[int]]:
        random = np.random.default_rng((self._seed, self._epoch))
        order = random.permutation(len(self._lengths))[: len(self) * self._batch]
        batches = []
        for begin in range(0, len(order), self._batch * 32):
            some = order[begin : begin + self._batch * 32]
            some = some[np.argsort(self._lengths[some], kind="stable")]
            batches += some.reshape(-1, self._batch).tolist()
        return iter([batches[i] for i in random.permutation(len(batches))])


class Adapter(lightning.LightningModule):
    """Mean of the last states -> emotion and sentiment, two linear heads; only the adapter and
    the heads are trained."""

    def __init__(self, spec: TextSpec, rank: int, lr: float, steps: int) -> None:
        super().__init__()
        self.tokenizer, self.bert = text_model(spec.model)
        self.lr, self.steps = lr, steps
        self.bert.train().requires_grad_(False)
        for layer in self.bert.encoder.layer:
            for name in LAYERS:
                linear = layer.get_submodule(name)
                low = LowRank(linear.out_features, linear.in_features, rank)
                parametrize.register_parametrization(linear, "weight", low)
        self.emotion = nn.Linear(spec.dim, len(LABELS))
        self.sentiment = nn.Linear(spec.dim, len(SENTIMENTS))
        self.f1 = MulticlassF1Score(len(LABELS), average="weighted")

    def forward(self, texts: list[str]) -> Tensor:
        """Means [n, dim] of the tokens' last states."""
        tokens = self.tokenizer(
            texts, return_tensors="pt", padding=True, truncation=True, max_length=64
        ).to(self.device)
        there = tokens["attention_mask"][..., None]
        states = self.bert(**tokens).last_hidden_state
        means: Tensor = (states * there).sum(1) / there.sum(1)
        return means

    def training_step(self, batch: tuple[list[str], Tensor, Tensor], _: int) -> Tensor:
        texts, emotions, sentiments = batch
        means = self(texts)
        loss = F.cross_entropy(self.emotion(means), emotions, ignore_index=UNKNOWN)
        loss = loss + F.cross_entropy(self.sentiment(means), sentiments, ignore_index=UNKNOWN)
        self.log("loss", loss, prog_bar=True, batch_size=len(texts))
        return loss

    def validation_step(self, batch: tuple[list[str], Tensor, Tensor], _: int) -> None:
        texts, emotions, _sentiments = batch
        self.f1.update(self.emotion(self(texts)), emotions)

    def on_validation_epoch_end(self) -> None:
        self.log("weighted_f1", self.f1.compute(), prog_bar=True)
        self.f1.reset()

    def configure_optimizers(self) -> Any:
        trained = [p for p in self.parameters() if p.requires_grad]
        optimizer = torch.optim.AdamW(trained, self.lr, weight_decay=0.01)
        warm = max(1, self.steps // 10)
        schedule = torch.optim.lr_scheduler.LambdaLR(
            optimizer,
            lambda step: min((step + 1) / warm, max(0.0, 1 - step / self.steps)),
        )
        return {
            "optimizer": optimizer,
            "lr_scheduler": {"scheduler": schedule, "interval": "step"},
        }


@dataclass(frozen=True)
class TextAdapterPart:
    """Trains on MELD's training part and IEMOCAP's transcripts; MELD's dev part validates."""

    data: Path = Path("../shared/data/transcripts_labels")
    rank: int = 8
    lr: float = 5e-4
    epochs: int = 1
    """With a second one MELD's dev part gains and CMU-MOSI loses (cross-validation of train_)."""
    batch: int = 32
    spec: TextSpec = field(default_factory=TextSpec)

    def train(self, out: Path, seed: int) -> dict[str, Any]:
        lightning.seed_everything(seed, verbose=False)
        training = dialogues.load(self.data, "train")
        # Most of it as a recogniser writes that knows no sentences.
        plain = np.random.default_rng(seed).random(len(training)) < 0.7
        training = [
            replace(u, text=bare(u.text)) if p else u for u, p in zip(training, plain, strict=True)
        ]
        valid = dialogues.load(self.data, "valid")
        order = ByLength([len(u.text) for u in training], self.batch, seed)
        module = Adapter(self.spec, self.rank, self.lr, self.epochs * len(order))
        best = fit(
            module,
            DataLoader(training, batch_sampler=order, collate_fn=_batch),  # type: ignore[arg-type]
            DataLoader(valid, 128, collate_fn=_batch),  # type: ignore[arg-type]
            run=out,
            epochs=self.epochs,
            monitor="weighted_f1",
            mode="max",
            seed=seed,
            clip=1.0,
        )
        learned = {
            name.replace(".parametrizations.weight.0", ""): value.half()
            for name, value in weights_of(best, "bert.").items()
            if ".parametrizations.weight.0." in name
        }
        run_folder.write_tensors(out / "text_adapter.safetensors", learned)
        score = torch.load(best, map_location="cpu", weights_only=True)["callbacks"]
        (kept,) = (state for key, state in score.items() if key.startswith("ModelCheckpoint"))
        return {"n": len(valid), "weighted_f1": float(kept["best_model_score"])}


def _batch(utterances: list[Utterance]) -> tuple[list[str], Tensor, Tensor]:
    return (
        [u.text for u in utterances],
        torch.tensor([u.emotion for u in utterances]),
        torch.tensor([u.sentiment for u in utterances]),
    )
