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

from normtr.models import text_model
from normtr.spec import LABELS, FeatureSpec, TextSpec
from training.datasets import meld


def bare(text: str) -> str:
    """Lower case without punctuation, as recognisers that know no sentences write."""
    return " ".join(re.sub(r"[^a-z0-9' ]+", " ", text.lower()).split())


def utterance_means(texts: list[str], spec: TextSpec, batch: int = 64) -> NDArray[np.float32]:
    """Mean of each text's token states [n, dim], of at most `max_words` words; zero for none.

    The rows of `normtr.text.TextEncoder` up to rounding and the weight of split words, but
    many texts at once.
    """
    tokenizer, bert = text_model(spec.model)
    means = np.zeros((len(texts), spec.dim), np.float32)
    words = [text.split()[: spec.max_words] for text in texts]
    order = sorted((i for i, mine in enumerate(words) if mine), key=lambda i: len(words[i]))
    parts = [order[i : i + batch] for i in range(0, len(order), batch)]
    for part in tqdm(parts, "text", mininterval=2):
        tokens = tokenizer(
            [words[i] for i in part],
            is_split_into_words=True,
            return_tensors="pt",
            padding=True,
            truncation=True,
        )
        with torch.inference_mode():
            states = bert.eval()(**tokens).last_hidden_state.numpy()
        for row, i in enumerate(part):
            inside = [place for place, word in enumerate(tokens.word_ids(row)) if word is not None]
            if inside:
                means[i] = states[row, inside].mean(0)
    return means


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
    c: float = 0.03
    """Inverse penalty of the logistic regression."""
    bare: bool = False
    """Fit each utterance in lower case and without punctuation too: helps such text (weighted
    F1 0.35 -> 0.42), harms written text (0.51 -> 0.50), and Whisper writes punctuation."""
    spec: FeatureSpec = field(default_factory=FeatureSpec)

    def train(self, out: Path, seed: int) -> dict[str, Any]:
        lightning.seed_everything(seed, verbose=False)
        training = meld.load(self.data / "meld_train_sent_emo.csv")
        valid = meld.load(self.data / "meld_dev_sent_emo.csv")
        texts = [u.text for u in training]
        y = np.array([u.label for u in training])
        if self.bare:
            texts, y = texts + [bare(text) for text in texts], np.concatenate([y, y])
        x = utterance_means(texts, self.spec.text)
        head = fit_head(x, y, self.c)
        save_file(dict(head.state_dict()), out / "text.safetensors")
        truth = torch.tensor([u.label for u in valid])
        metrics: dict[str, Any] = {"n": len(valid)}
        written = [u.text for u in valid]
        for name, texts in (
            ("weighted_f1", written),
            ("weighted_f1_bare", [bare(text) for text in written]),
        ):
            with torch.inference_mode():
                found = head(torch.from_numpy(utterance_means(texts, self.spec.text))).argmax(1)
            score = multiclass_f1_score(found, truth, len(LABELS), average="weighted")
            metrics[name] = float(score)
        return metrics
