"""The text path: how well frozen BERT rows tell the emotion of a MELD utterance."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import lightning
import numpy as np
import torch
from numpy.typing import NDArray
from safetensors.torch import save_file
from torch import nn
from torchmetrics.functional.classification import multiclass_f1_score
from tqdm import tqdm

from normtr.spec import LABELS, FeatureSpec
from normtr.text import TextEncoder
from training.datasets import meld
from training.datasets.meld import Utterance


def bare(text: str) -> str:
    """Lower case without punctuation, as recognisers that know no sentences write."""
    return " ".join(re.sub(r"[^a-z0-9' ]+", " ", text.lower()).split())


def word_vectors(
    utterances: list[Utterance], encoder: TextEncoder, plain: bool
) -> list[NDArray[np.float16]]:
    """Per utterance its words' vectors [words, dim], at most `max_words`; `plain`: bare text."""
    vectors = []
    for utterance in tqdm(utterances, "text rows", mininterval=2):
        words = (bare(utterance.text) if plain else utterance.text).split()
        words = words[: encoder.spec.max_words]
        vectors.append(encoder.word_vectors(words).astype(np.float16))
    return vectors


def means(vectors: list[NDArray[np.float16]]) -> NDArray[np.float32]:
    """Mean word vector of each utterance [n, dim]; zero where it has no word."""
    return np.stack(
        [
            v.mean(0, dtype=np.float32) if len(v) else np.zeros(v.shape[1], np.float32)
            for v in vectors
        ]
    )


def fit_head(x: NDArray[np.float32], y: NDArray[np.int64], c: float) -> nn.Linear:
    """Multinomial logistic regression on standardised x (inverse penalty `c`) as one layer."""
    from sklearn.linear_model import LogisticRegression

    mean, scale = x.mean(0), x.std(0) + 1e-6
    model = LogisticRegression(C=c, max_iter=400).fit((x - mean) / scale, y)
    head = nn.Linear(x.shape[1], len(LABELS))
    weight = np.zeros((len(LABELS), x.shape[1]))
    bias = np.full(len(LABELS), -30.0)  # a class that never occurred
    weight[model.classes_] = model.coef_ / scale
    bias[model.classes_] = model.intercept_ - weight[model.classes_] @ mean
    with torch.no_grad():
        head.weight.copy_(torch.from_numpy(weight))
        head.bias.copy_(torch.from_numpy(bias))
    return head


@dataclass(frozen=True)
class TextPart:
    """Fits a light head on utterance means of frozen word vectors."""

    data: Path = Path("../shared/data/transcripts_labels")
    c: float = 0.01
    spec: FeatureSpec = field(default_factory=FeatureSpec)

    def train(self, out: Path, seed: int) -> dict[str, Any]:
        lightning.seed_everything(seed, verbose=False)
        encoder = TextEncoder(self.spec.text)
        training = meld.load(self.data / "meld_train_sent_emo.csv")
        valid = meld.load(self.data / "meld_dev_sent_emo.csv")
        y = np.array([u.label for u in training] * 2)
        x = np.concatenate([means(word_vectors(training, encoder, p)) for p in (False, True)])
        head = fit_head(x, y, self.c)
        save_file(dict(head.state_dict()), out / "text.safetensors")
        truth = torch.tensor([u.label for u in valid])
        metrics: dict[str, Any] = {"n": len(valid)}
        for name, plain in (("weighted_f1", False), ("weighted_f1_bare", True)):
            with torch.inference_mode():
                found = head(torch.from_numpy(means(word_vectors(valid, encoder, plain)))).argmax(1)
            score = multiclass_f1_score(found, truth, len(LABELS), average="weighted")
            metrics[name] = float(score)
        return metrics
