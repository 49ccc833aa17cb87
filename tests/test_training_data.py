"""Parsers of data sets on tiny files; crops of clips; sound augmentation."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import soundfile
import torch

from normtr.errors import UserError
from normtr.spec import LABELS, FeatureSpec
from normtr.text import TextEncoder
from normtr.voice import gate, log_mel
from training import sounds
from training.crops import Deltas, heard, live_crops, live_ends, training_crops
from training.datasets import emodb, meld, ravdess
from training.datasets.speech import Clip, samples
from training.text import bare, fit_head, utterance_means
from training.voice import AugmentedCrops, clip_scores

SPEC = FeatureSpec()
REAL = Path(__file__).parents[1] / "../shared/data"


def write_sound(path: Path, seconds: float = 0.2, rate: int = 16_000) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    t = np.arange(int(seconds * rate)) / rate
    soundfile.write(path, 0.3 * np.sin(2 * np.pi * 200 * t), rate)


def test_ravdess(tmp_path: Path) -> None:
    for name in ("03-01-05-01-02-01-17", "03-01-02-01-02-01-17", "03-01-01-01-01-01-03"):
        write_sound(tmp_path / f"Actor_{name[-2:]}" / f"{name}.flac")
    found = [(LABELS[c.label], c.speaker) for c in ravdess.load(tmp_path, calm_is_neutral=True)]
    assert found == [("neutral", "03"), ("neutral", "17"), ("angry", "17")]
    assert len(ravdess.load(tmp_path, calm_is_neutral=False)) == 2
    write_sound(tmp_path / "Actor_01" / "song.flac")
    with pytest.raises(UserError, match=r"song\.flac is not named like"):
        ravdess.load(tmp_path, calm_is_neutral=True)
    with pytest.raises(UserError, match="name the data folder"):
        ravdess.load(tmp_path / "nowhere", calm_is_neutral=True)


def test_emodb(tmp_path: Path) -> None:
    for name in ("03a01Wa", "16b10Tb", "10a02La"):
        write_sound(tmp_path / f"{name}.flac")
    found = [(LABELS[c.label], c.speaker) for c in emodb.load(tmp_path)]
    assert found == [("angry", "03"), ("sad", "16")]
    write_sound(tmp_path / "03a01Xa.flac")
    with pytest.raises(UserError, match="EmoDB"):
        emodb.load(tmp_path)


def test_meld(tmp_path: Path) -> None:
    path = tmp_path / "meld.csv"
    path.write_text(
        "Utterance,Emotion,Sentiment\nYou’ve won!,joy,positive\n"
        '" ",anger,negative\nNo.,sadness,negative\n'
    )
    found = [(u.text, LABELS[u.label], u.sentiment) for u in meld.load(path)]
    assert found == [("You've won!", "happy", "positive"), ("No.", "sad", "negative")]
    path.write_text("a,b\n1,2\n")
    with pytest.raises(UserError, match="no MELD table"):
        meld.load(path)
    with pytest.raises(UserError, match="name the data folder"):
        meld.load(tmp_path / "none.csv")


def test_samples_of_another_rate_are_refused(tmp_path: Path) -> None:
    write_sound(tmp_path / "a.flac", rate=8_000)
    with pytest.raises(UserError, match="16000 Hz mono"):
        samples(Clip(tmp_path / "a.flac", 0, "1"), 16_000)


@pytest.mark.parametrize(
    ("folder", "count"), [("ravdess_speech", 1_200), ("emodb", 339), ("transcripts_labels", 9_989)]
)
def test_real_data(folder: str, count: int) -> None:
    path = REAL / folder
    if not path.is_dir():
        pytest.skip(f"{path} IS NOT HERE: the parser is tested on tiny files only")
    found = {
        "ravdess_speech": lambda: len(ravdess.load(path, calm_is_neutral=True)),
        "emodb": lambda: len(emodb.load(path)),
        "transcripts_labels": lambda: len(meld.load(path / "meld_train_sent_emo.csv")),
    }[folder]()
    assert found == count


@pytest.fixture
def clip(tmp_path: Path) -> Clip:
    """Half a second of silence, then 1.4 s of a wavering tone."""
    random = np.random.default_rng(1)
    t = np.arange(22_400) / 16_000
    tone = 0.2 * np.sin(2 * np.pi * (220 * t + 30 * np.sin(7 * t))) + 0.01 * random.normal(
        size=22_400
    )
    soundfile.write(tmp_path / "c.flac", np.concatenate([np.zeros(8_000), tone]), 16_000)
    return Clip(tmp_path / "c.flac", 3, "1")


def test_training_crops_equal_the_live_ones(clip: Clip) -> None:
    """A slice of the clip's log-mel is the log-mel of exactly those 16,000 samples."""
    sound = samples(clip, 16_000)
    (crops,) = training_crops([clip], SPEC.voice)
    deltas = Deltas(SPEC.voice)
    for begin in crops.begins[[0, 5, -1]]:
        context = heard(sound, int(begin) * SPEC.voice.hop_samples, SPEC.voice)
        assert gate(context, SPEC.voice) == "none"
        level = torch.from_numpy(crops.frames[begin : begin + deltas.frames].T.copy())
        found = deltas(level[None])[0].numpy()
        assert np.allclose(found, log_mel(context, SPEC.voice), atol=1e-4)


def test_live_crops_are_the_steps_that_pass_the_gate(clip: Clip) -> None:
    mels, steps = live_crops(clip, SPEC.voice, SPEC.step_ms)
    assert list(live_ends(30_400, SPEC.voice, 250))[:2] == [4_000, 8_000]
    assert steps.tolist() == list(range(2, 8))  # two silent steps, then sound to 1.9 s
    sound = samples(clip, 16_000)
    assert np.allclose(mels[0], log_mel(heard(sound, 12_000, SPEC.voice), SPEC.voice), atol=1e-4)


def test_sound_augmentation_is_seeded_and_stays_in_range(clip: Clip) -> None:
    (crops,) = training_crops([clip], SPEC.voice)
    level = torch.from_numpy(np.stack([crops.frames[b : b + 97].T for b in crops.begins[:6]]))
    one, two = (
        sounds.sounds(level, SPEC.voice, torch.Generator().manual_seed(3)) for _ in range(2)
    )
    assert one.shape == level.shape
    assert torch.equal(one, two)
    assert torch.isfinite(one).all()
    assert not torch.equal(one, level)
    floor = (10 * np.log10(SPEC.voice.power_floor) - SPEC.voice.mean_db) / SPEC.voice.scale_db
    assert one.min() >= floor - 1e-5


def test_collated_labels_are_distributions(clip: Clip) -> None:
    crops = training_crops([clip], SPEC.voice) * 8
    x, y = AugmentedCrops(SPEC, mixup=0.3)(crops)
    assert x.shape == (8, 3, 64, 97)
    assert torch.allclose(y.sum(1), torch.ones(8))


def test_clip_scores_by_hand() -> None:
    """Clip 0 (class 1) is right by the mean although one crop is wrong; clip 1 (class 0) is not."""
    logp = np.log(np.array([[0.1, 0.9], [0.6, 0.4], [0.2, 0.8]], np.float32))
    scores = clip_scores(logp, np.array([1, 1, 0]), np.array([0, 0, 1]))
    assert scores == {"clips": 2.0, "accuracy": 0.5, "uar": 0.5}


def test_bare_text() -> None:
    assert bare("Oh -- you've WON, Joey!") == "oh you've won joey"


def test_utterance_means_equal_the_live_rows() -> None:
    """Batched and padded, they are the mean of the live word rows where no word is split."""
    texts = ["we are all here", "no", "", "they went home early today with the dog"]
    found = utterance_means(texts, SPEC.text, batch=2)
    encoder = TextEncoder(SPEC.text)
    assert not found[2].any()
    for text, mean in zip(texts, found, strict=True):
        if text:
            assert np.allclose(encoder.word_vectors(text.split()).mean(0), mean, atol=1e-4)


def test_a_head_tells_separable_classes_and_never_an_unseen_one() -> None:
    random = np.random.default_rng(0)
    y = np.repeat([0, 2, 5], 40)
    x = (random.normal(size=(120, 4)) + 4.0 * y[:, None] + 7.0).astype(np.float32)
    head = fit_head(x, y, c=1.0)
    with torch.inference_mode():
        found = head(torch.from_numpy(x)).argmax(1).numpy()
    assert (found == y).mean() > 0.95
    assert set(found) <= {0, 2, 5}
