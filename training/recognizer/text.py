"""Trains the text part on speech and comments: a low-rank adapter of the embedded BERT and a head."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

import lightning
import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from safetensors.torch import load_file
from torch import Tensor, nn
from torch.nn.utils import parametrize
from torch.utils.data import DataLoader, Sampler
from torchmetrics.classification import MulticlassF1Score

from normtr.adapter import read
from normtr.engine.weights import Weights
from normtr.spec import LABELS, TextSpec
from normtr.torch_bert import text_model
from training import run_folder
from training.data import dialogues, goemotions
from training.data.dialogues import SENTIMENTS, UNKNOWN, Corpus, Utterance
from training.data.folder import DATA
from training.evaluation import several_labels
from training.evaluation.part_scores import scores
from training.recognizer.apart import apart
from training.recognizer.asr_noise import AsrNoise, bare_said
from training.recognizer.folds import FOLDS, folds
from training.recognizer.temperature import cooled
from training.recognizer.text_rows import Said, owners, word_vectors
from training.systems.fit import fit, weights_of

LAYERS = ("attention.self.query", "attention.self.value", "intermediate.dense", "output.dense")
ADAPTER, HEAD = "text_adapter.safetensors", "text.safetensors"
Batch = tuple[list[Said], Tensor, Tensor, Tensor]
"""What was said, the shares of its emotions float32 [n, C], which are zero where none is known, the
log-frequencies of the emotions in its corpus float32 [n, C], and its sentiments int64 [n]."""
WHOLE = len(FOLDS)
"""The number of a fold without samples, so that training without it is on everything."""
LOW_RANK = ".parametrizations.weight.0"


class LowRank(nn.Module):
    """Changes weights W to W + B A, where B begins at zero (Hu et al., ICLR 2022, section 4.1)."""

    def __init__(self, out: int, given: int, rank: int) -> None:
        super().__init__()
        self.a = nn.Parameter(torch.randn(rank, given) / math.sqrt(given))
        self.b = nn.Parameter(torch.zeros(out, rank))

    def forward(self, weight: Tensor) -> Tensor:
        return weight + self.b @ self.a


class ByLength(Sampler[list[int]]):
    """Draws random batches of texts of similar length, so that little is padded.

    They depend on (seed, epoch) only.
    """

    def __init__(self, lengths: list[int], shares: list[float], batch: int, seed: int) -> None:
        """`shares` says for each text what share of those like it is in an epoch."""
        self._lengths, self._shares = np.array(lengths), np.array(shares)
        self._batch, self._seed, self._epoch = batch, seed, 0

    def set_epoch(self, epoch: int) -> None:
        self._epoch = epoch

    def __len__(self) -> int:
        return round(float(self._shares.sum())) // self._batch

    def __iter__(self) -> Iterator[list[int]]:
        random = np.random.default_rng((self._seed, self._epoch))
        chosen = []
        for share in np.unique(self._shares):
            of = np.flatnonzero(self._shares == share)
            chosen.append(random.permutation(of)[: round(share * len(of))])
        order = random.permutation(np.concatenate(chosen))[: len(self) * self._batch]
        batches = []
        for begin in range(0, len(order), self._batch * 32):
            some = order[begin : begin + self._batch * 32]
            some = some[np.argsort(self._lengths[some], kind="stable")]
            batches += some.reshape(-1, self._batch).tolist()
        return iter([batches[i] for i in random.permutation(len(batches))])


class Adapter(lightning.LightningModule):
    """Tells emotion and sentiment by two linear heads from the mean of the words' last states.

    Only the adapter and the heads are trained. How frequent an emotion is in a corpus is added to
    its logit, so that the head learns nothing of it (Menon et al., ICLR 2021).
    """

    def __init__(self, spec: TextSpec, rank: int, lr: float, steps: int, expected: Tensor) -> None:
        """`expected` [C] is added to the logits of texts that validate."""
        super().__init__()
        self.register_buffer("expected", expected)
        self.spec = spec
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

    def forward(self, said: list[Said]) -> Tensor:
        """Return the mean [n, dim] over the words of each text.

        The vector of a word is the mean of its tokens' last states.
        """
        parted = [one.words(self.spec) for one in said]
        tokens = self.tokenizer(
            [words for words, _ in parted],
            is_split_into_words=True,
            return_tensors="pt",
            padding=True,
            truncation=True,
        )
        of = [owners(tokens.word_ids(i), first) for i, (_, first) in enumerate(parted)]
        shares = torch.from_numpy(np.stack([_shares(owner) for owner in of])).to(self.device)
        states = self.bert(**tokens.to(self.device)).last_hidden_state
        means: Tensor = (states * shares[..., None]).sum(1)
        return means

    def training_step(self, batch: Batch, _: int) -> Tensor:
        said, shares, frequencies, sentiments = batch
        means = self(said).float()
        logits: Tensor = self.emotion(means) + frequencies
        each = -(shares * logits.log_softmax(1)).sum(1)
        loss: Tensor = each.sum() / shares.sum().clamp_min(1)
        if (sentiments != UNKNOWN).any():
            known = F.cross_entropy(
                self.sentiment(means), sentiments, ignore_index=UNKNOWN, reduction="sum"
            )
            loss = loss + known / len(said)
        self.log("loss", loss, prog_bar=True, batch_size=len(said))
        return loss

    def validation_step(self, batch: Batch, _: int) -> None:
        said, shares, _frequencies, _sentiments = batch
        logits = self.emotion(self(said).float()) + self.get_buffer("expected")
        self.f1.update(logits, shares.argmax(1))

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


def _shares(owner: NDArray[np.int64]) -> NDArray[np.float32]:
    """Return the share of each token, float32 [tokens], in the mean over words.

    `owner` [tokens] is the number of the word that a token belongs to, or -1. A word is the mean
    over its tokens.
    """
    counts = np.bincount(owner[owner >= 0], minlength=1)
    of = np.where(owner >= 0, counts[np.maximum(owner, 0)], np.inf)
    return np.asarray(1 / (of * max(1, np.count_nonzero(counts))), np.float32)


Frequencies = Mapping[Corpus, Tensor]
"""The log-frequencies of the emotions in a corpus, float32 [C]."""


class RecognisedSpeech:
    """Collates utterances, some of them as a speech recogniser writes them."""

    def __init__(
        self,
        frequencies: Frequencies,
        asr_noise: AsrNoise,
        plain: float,
        misheard: float,
        after: float,
    ) -> None:
        """`plain` is the share of utterances that are bare, and `misheard` that of those that are
        bare and misheard. The share `after` comes after the last words (any number) of what was
        said before.
        """
        self._frequencies = frequencies
        self._hearing, self._plain, self._misheard = asr_noise, plain, misheard
        self._after = after

    def __call__(self, utterances: list[Utterance]) -> Batch:
        random = np.random.default_rng(int(torch.randint(2**62, (1,))))
        said = []
        for u in utterances:
            before = ""
            if random.random() < self._after:
                count = int(random.integers(1, TextSpec().max_words + 1))
                before = " ".join(u.before.split()[-count:])
            chance, one = random.random(), Said(u.text, before)
            if chance < self._misheard:
                one = self._hearing.said(one, random)
            elif chance < self._misheard + self._plain:
                one = bare_said(one)
            said.append(one)
        return _batch(said, utterances, self._frequencies)


def as_written(frequencies: Frequencies, after: bool, utterances: list[Utterance]) -> Batch:
    """Collate utterances as written: with `after`, after all that was said before, or alone."""
    said = [Said(u.text, u.before if after else "") for u in utterances]
    return _batch(said, utterances, frequencies)


def _batch(said: list[Said], utterances: list[Utterance], frequencies: Frequencies) -> Batch:
    return (
        said,
        torch.from_numpy(emotion_shares(utterances)),
        torch.stack([frequencies[u.corpus] for u in utterances]),
        torch.tensor([u.sentiment for u in utterances]),
    )


def emotion_shares(utterances: Sequence[Utterance]) -> NDArray[np.float32]:
    """Return the share of each emotion in each text, float32 [n, C].

    The emotions of a text share it equally. Where none is known the shares are zero.
    """
    shares = np.zeros((len(utterances), len(LABELS)), np.float32)
    for row, u in zip(shares, utterances, strict=True):
        row[list(u.emotions)] = 1 / max(1, len(u.emotions))
    return shares


def log_frequencies(utterances: Sequence[Utterance]) -> Tensor:
    """Return the log of each emotion's share of the texts, float32 [C]; each counts once more."""
    counts = emotion_shares(utterances).sum(0) + 1
    return torch.from_numpy(np.log(counts / counts.sum()))


def _probabilities(
    said: Sequence[Said], spec: TextSpec, adapter: Weights, head: nn.Linear
) -> NDArray[np.float32]:
    with torch.inference_mode():
        means = torch.from_numpy(utterance_means(said, spec, adapter))
        return np.asarray(head(means).softmax(1).numpy())


def utterance_means(said: Sequence[Said], spec: TextSpec, adapter: Weights) -> NDArray[np.float32]:
    """Return the mean of each text's word vectors [n, dim]; zero if it has none."""
    vectors = word_vectors(said, spec, adapter)
    return np.stack([v.mean(0) if len(v) else np.zeros(spec.dim, np.float32) for v in vectors])


@dataclass(frozen=True)
class TextPart:
    """Train the text part on MELD's training part, IEMOCAP's transcripts and GoEmotions' comments.

    MELD's dev part validates. The adapter for use is trained on everything, and each of two more
    leaves out half of the dialogues and comments.
    """

    data: Path = DATA / "transcripts_labels"
    """Folder of the tables of MELD and IEMOCAP."""
    comments: Path | None = DATA / "goemotions"
    """Folder of `train.tsv` and `dev.tsv` of GoEmotions; None: without comments."""
    rank: int = 24
    """Rank of the adapter."""
    lr: float = 5e-4
    epochs: int = 5
    fold_epochs: int = 3
    drawn: float = 0.2
    """Share of the comments that are drawn for an epoch."""
    batch: int = 32
    ema: float = 0.99
    """Decay per step of the moving average of the weights, which is kept; 0 means none."""
    plain: float = 0.3
    """Share of the utterances that are in lower case and without punctuation."""
    misheard: float = 0.35
    """Share of the utterances that are misheard as well."""
    evened: float = 0.5
    """Exponent with which the emotions' frequencies in speech are taken out of the head."""
    after: float = 0.75
    """Share of the utterances that come after the last words of what was said before."""
    cross_fit: bool = True
    """Whether the two adapters for the fusion's training are trained, too."""
    spec: TextSpec = field(default_factory=TextSpec)

    def train(self, out: Path, seed: int) -> dict[str, Any]:
        apart(partial(self._run, out, seed), [WHOLE, *(FOLDS if self.cross_fit else ())])
        adapter, head = read(out / ADAPTER), nn.Linear(self.spec.dim, len(LABELS))
        head.load_state_dict(load_file(out / HEAD))
        training, valid = self._training(), dialogues.load(self.data, "valid")
        asr_noise, random = AsrNoise(u.text for u in training), np.random.default_rng(seed)
        written = [Said(u.text, u.before) for u in valid]
        heard = {
            "": written,
            "alone": [Said(u.text) for u in valid],
            "bare": [bare_said(s) for s in written],
            "misheard": [asr_noise.said(s, random) for s in written],
        }
        metrics: dict[str, Any] = {}
        truth = emotion_shares(valid).argmax(1)
        for name, said in heard.items():
            p = _probabilities(said, self.spec, adapter, head)
            found = scores(p, truth, np.ones(len(p), np.bool_))
            metrics |= {name: found} if name else found
        if self.comments is not None:
            chosen, dev = (
                [c for c in goemotions.load(self.comments / table) if c.held_out or whole]
                for table, whole in (("train.tsv", False), ("dev.tsv", True))
            )
            probabilities = [
                _probabilities([Said(c.text) for c in some], self.spec, adapter, head)
                for some in (chosen, dev)
            ]
            least = several_labels.thresholds(probabilities[0], goemotions.holds(chosen))
            metrics["thresholds"] = least
            metrics["goemotions"] = several_labels.scores(
                probabilities[1], goemotions.holds(dev), least
            )
        return metrics

    def _training(self) -> list[Utterance]:
        spoken = dialogues.load(self.data, "train")
        if self.comments is None:
            return spoken
        return spoken + dialogues.comments(self.comments / "train.tsv")

    def _run(self, out: Path, seed: int, without: int) -> bool:
        """Train without the fold `without`; with WHOLE, on everything."""
        training, valid = self._training(), dialogues.load(self.data, "valid")
        fold = folds([u.dialogue for u in training])
        kept = [u for u, mine in zip(training, fold, strict=True) if mine != without]
        whole = without == WHOLE
        folder, epochs = (
            (out, self.epochs) if whole else (out / f"fold-{without}", self.fold_epochs)
        )
        self._fit(folder, kept, valid, epochs, seed)
        return True

    def _fit(
        self,
        out: Path,
        training: list[Utterance],
        valid: list[Utterance],
        epochs: int,
        seed: int,
    ) -> None:
        """Train an adapter and a head into `out`."""
        lightning.seed_everything(seed, verbose=False)
        shares = [self.drawn if u.corpus == Corpus.GOEMOTIONS else 1.0 for u in training]
        order = ByLength([len(u.text) for u in training], shares, self.batch, seed)
        of = {c: log_frequencies([u for u in training if u.corpus == c]) for c in Corpus}
        spoken = log_frequencies([u for u in training if u.corpus != Corpus.GOEMOTIONS])
        expected = (1 - self.evened) * spoken
        heard = RecognisedSpeech(
            of, AsrNoise(u.text for u in training), self.plain, self.misheard, self.after
        )
        written = partial(as_written, of, self.after > 0)
        best = fit(
            Adapter(self.spec, self.rank, self.lr, epochs * len(order), expected),
            DataLoader(training, batch_sampler=order, collate_fn=heard),  # type: ignore[arg-type]
            DataLoader(valid, 128, collate_fn=written),  # type: ignore[arg-type]
            run=out,
            epochs=epochs,
            monitor="weighted_f1",
            mode="max",
            seed=seed,
            precision="bf16-mixed",
            clip=1.0,
            ema=self.ema,
        )
        adapter = {
            name.replace(LOW_RANK, ""): value.half().float().numpy()
            for name, value in weights_of(best, "bert.").items()
            if f"{LOW_RANK}." in name
        }
        head = nn.Linear(self.spec.dim, len(LABELS))
        head.load_state_dict(weights_of(best, "emotion."))
        with torch.no_grad():
            head.bias.add_(expected)
        fold = folds([u.dialogue for u in valid])
        half = [u for u, mine in zip(valid, fold, strict=True) if mine == 0]
        if half:
            with torch.no_grad():
                said = [Said(u.text, u.before) for u in half]
                means = utterance_means(said, self.spec, adapter)
                logits = head(torch.from_numpy(means))
            cooled(head, logits, torch.from_numpy(emotion_shares(half).argmax(1)))
        halves = {name: torch.from_numpy(x).half() for name, x in adapter.items()}
        run_folder.write_tensors(out / ADAPTER, halves)
        run_folder.write_tensors(out / HEAD, head.state_dict())
