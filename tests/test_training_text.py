"""The adapter of the text model: its training on tiny tables, and what it does to the weights."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file

from normtr.adapter import EMOTIONAL, read
from normtr.errors import UserError
from normtr.models import TEXT
from normtr.spec import LABELS, TextSpec
from normtr.text import TextEncoder
from normtr.torch_bert import adapt, text_model
from training.commands import train
from training.data import dialogues, goemotions
from training.data.dialogues import Corpus
from training.recognizer.text import ByLength, emotion_shares, log_frequencies

pytestmark = pytest.mark.slow

SAID = (
    ("I love this so much", "joy", "positive"),
    ("this is terrible and I hate it", "anger", "negative"),
    ("the train leaves at nine", "neutral", "neutral"),
    ("I miss him every day", "sadness", "negative"),
)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("dialogues")
    for name in ("train", "dev"):
        lines = [f'"{text}",{emotion},{sentiment}' for text, emotion, sentiment in SAID * 4]
        text = "\n".join(["Utterance,Emotion,Sentiment", *lines])
        (path / f"meld_{name}_sent_emo.csv").write_text(text)
    labels = {"Ses01_F0": {"emo": 4}, "Ses01_M0": {"emo": 5}, "Ses01_M1": {"emo": 1}}
    (path / "iemocap_label_6way.json").write_text(json.dumps({"whole_corpus": labels}))
    rows = ["name,chinese,english", "Ses01_F0,x,Great!", "Ses01_M0,x,Come on", "Ses01_M9,x,What"]
    (path / "iemocap_transcription-engchi-polish.csv").write_text(
        "\n".join([*rows, "Ses01_M1,x, "])
    )
    comments = [("so glad", "3", "e{}"), ("sad and afraid", "5,2", "f{}"), ("odd", "6", "g{}")]
    lines = ["\t".join((t, of, name.format(i))) for i in range(20) for t, of, name in comments]
    for name in ("train", "dev"):
        (path / f"{name}.tsv").write_text("\n".join(lines) + "\n")
    return path


def test_utterances_of_both_corpora(folder: Path) -> None:
    train, valid = dialogues.load(folder, "train"), dialogues.load(folder, "valid")
    assert len(train) == 18  # one of IEMOCAP has no label, one no words
    assert len(valid) == 16
    happy = (LABELS.index("happy"),)
    love, great, come_on = train[0], train[16], train[17]
    assert love == dialogues.Utterance("I love this so much", happy, 2, "row 0", Corpus.MELD)
    assert great == dialogues.Utterance("Great!", happy, 2, "Ses01", Corpus.IEMOCAP)
    assert come_on == dialogues.Utterance("Come on", (), 0, "Ses01", Corpus.IEMOCAP)
    (folder / "broken").mkdir(exist_ok=True)
    with pytest.raises(UserError, match="there is no"):
        dialogues.load(folder / "broken", "train")


def test_comments_have_several_labels_and_a_tenth_is_held_out(folder: Path) -> None:
    held_out = sum(c.held_out for c in goemotions.load(folder / "train.tsv"))
    comments = dialogues.comments(folder / "train.tsv")
    assert 0 < held_out == 60 - len(comments)
    both = next(c for c in comments if c.text == "sad and afraid")
    assert both.emotions == tuple(sorted((LABELS.index("sad"), LABELS.index("fear"))))
    shares = emotion_shares([both, *dialogues.load(folder, "train")[-1:]])
    assert shares[0, list(both.emotions)].tolist() == [0.5, 0.5]
    assert not shares[1].any()  # it has a sentiment only
    assert log_frequencies(comments).exp().sum() == pytest.approx(1)


def test_an_epoch_has_every_text_at_most_once_and_like_lengths_together() -> None:
    lengths = np.random.default_rng(0).integers(1, 100, 1005).tolist()
    order = ByLength(lengths, [1.0] * 1005, 10, seed=1)
    first = list(order)
    assert len(first) == len(order) == 100
    assert all(len(batch) == 10 for batch in first)
    assert len({i for batch in first for i in batch}) == 1000
    spread = [np.ptp([lengths[i] for i in batch]) for batch in first]
    assert np.mean(spread) < 15  # at random: about 80
    assert list(order) == first
    order.set_epoch(1)
    assert list(order) != first
    seldom = ByLength(lengths, [1.0] * 500 + [0.2] * 505, 10, seed=1)
    drawn = [i for batch in seldom for i in batch]
    assert len(drawn) == len(set(drawn)) == 600
    assert 95 <= sum(i >= 500 for i in drawn) <= 101  # a fifth


def test_a_trained_adapter_fits_the_text_model_and_changes_its_vectors(
    folder: Path, tmp_path: Path
) -> None:
    argv = ["--part", "training.recognizer.text.TextPart", "--out", str(tmp_path / "run")]
    fields = {"data": folder, "comments": folder, "epochs": 2, "batch": 4, "lr": 5e-3, "rank": 2}
    argv += [word for key, v in fields.items() for word in (f"--part.init_args.{key}", str(v))]
    assert train.run(argv) == 0
    factors = read(tmp_path / "run/text_adapter.safetensors")
    plain, adapted = text_model(TEXT)[1], text_model(TEXT)[1]
    adapt(adapted, factors)
    name = "encoder.layer.0.attention.self.query"
    change = adapted.get_submodule(name).weight - plain.get_submodule(name).weight
    expected = torch.from_numpy(factors[f"{name}.b"] @ factors[f"{name}.a"])
    assert torch.allclose(change, expected, atol=1e-6)
    assert change.abs().max() > 0
    assert torch.equal(
        adapted.embeddings.word_embeddings.weight, plain.embeddings.word_embeddings.weight
    )
    # The two for the fusion were trained on other dialogues, each with a head of its own.
    heads = [
        load_file(tmp_path / f"run/{place}/text.safetensors")["weight"]
        for place in (".", "fold-0", "fold-1")
    ]
    assert len({tuple(head.flatten().tolist()) for head in heads}) == 3
    report = json.loads((tmp_path / "run/metrics.json").read_text())
    assert {"weighted_f1", "ece"} <= set(report) & set(report["bare"]) & set(report["misheard"])
    assert set(report["thresholds"]) == set(LABELS)
    assert report["goemotions"]["n"] == 60


def test_the_shipped_adapter_tells_good_from_bad_better_than_the_model_alone() -> None:
    good = ["i really loved it", "what a wonderful film", "that was great fun", "so happy with it"]
    bad = ["i really hated it", "what an awful film", "that was a dull waste", "so sick of it"]

    def margin(encoder: TextEncoder) -> float:
        def mean(text: str) -> np.ndarray:
            row = encoder.word_vectors(text.split()).mean(0)
            return np.asarray(row / np.linalg.norm(row))

        a, b = np.array([mean(t) for t in good]), np.array([mean(t) for t in bad])
        within = ((a @ a.T).sum() + (b @ b.T).sum() - len(a) - len(b)) / (2 * len(a) * (len(a) - 1))
        return float(within - (a @ b.T).mean())

    assert margin(TextEncoder(TextSpec(), adapter=read(EMOTIONAL))) > 3 * margin(
        TextEncoder(TextSpec())
    )


def test_an_adapter_of_another_model_or_a_broken_file_is_refused(tmp_path: Path) -> None:
    _, bert = text_model(TEXT)
    wrong = {
        "encoder.layer.0.other.a": torch.zeros(1, 4),
        "encoder.layer.0.other.b": torch.zeros(4, 1),
    }
    save_file(wrong, tmp_path / "wrong.safetensors")
    with pytest.raises(UserError, match=r"does not fit the text model"):
        adapt(bert, read(tmp_path / "wrong.safetensors"))
    (tmp_path / "cut.safetensors").write_bytes(EMOTIONAL.read_bytes()[:1000])
    with pytest.raises(UserError, match=r"cut\.safetensors cannot be read"):
        read(tmp_path / "cut.safetensors")
