"""Parsers of data sets on tiny files; rows of clips; augmentation; folds."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import soundfile
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import nn

from normtr.adapter import EMOTIONAL, read
from normtr.errors import UserError
from normtr.spec import LABELS, FeatureSpec
from normtr.text import TextEncoder
from normtr.voice import States
from normtr.voice_network import VoiceNetwork
from tests.support.clips import write as write_clip
from training.data import emodb, emovo, face_files, javanese, meld, ravdess, speech_folder
from training.data.speech import Clip, samples
from training.recognizer import audio_augmentation, augment
from training.recognizer.asr_noise import CONFUSED, DROPPED, AsrNoise, bare
from training.recognizer.folds import FOLDS, folds
from training.recognizer.temperature import cooled
from training.recognizer.text import utterance_means
from training.recognizer.text_rows import Said
from training.recognizer.voice import clip_log_probabilities, speaker_folds
from training.recognizer.voice_rows import VoiceRows, voice_rows

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


def test_emovo(tmp_path: Path) -> None:
    for name in ("gio-f1-b1", "tri-m2-n5", "pau-m2-d1"):
        write_sound(tmp_path / f"{name}.ogg")
    found = [(LABELS[c.label], c.person) for c in speech_folder.load(tmp_path)]
    assert found == [("happy", "emovo f1"), ("fear", "emovo m2"), ("sad", "emovo m2")]
    write_sound(tmp_path / "joy-m2-d1.ogg")
    with pytest.raises(UserError, match="EMOVO"):
        emovo.load(tmp_path)


def test_javanese_voices_are_sounds_and_the_sound_of_clips(tmp_path: Path) -> None:
    write_sound(tmp_path / "voice/02-04-06_03.ogg", seconds=0.5)
    (tmp_path / "clips").mkdir()
    write_clip(tmp_path / "clips/01-01-04_01.mp4", seconds=0.5, rate=44_100)
    clips = speech_folder.load(tmp_path)
    assert [(LABELS[c.label], c.person) for c in clips] == [
        ("surprise", "javanese 01"),
        ("angry", "javanese 02"),
    ]
    assert [len(samples(c, 16_000)) for c in clips] == [pytest.approx(8_000, abs=1_100)] * 2
    write_clip(tmp_path / "clips/01-01-05_01.mp4", sound=False)
    with pytest.raises(UserError, match=r"01-01-05_01\.mp4 has no sound"):
        samples(speech_folder.load(tmp_path)[1], 16_000)
    write_sound(tmp_path / "voice/zz.ogg")
    with pytest.raises(UserError, match=r"zz\.ogg is not named like a Javanese clip"):
        javanese.load(tmp_path)


def test_a_folder_of_speech_is_known_by_its_names(tmp_path: Path) -> None:
    write_sound(tmp_path / "a/03a01Wa.flac")
    write_sound(tmp_path / "b/Actor_03/03-01-02-01-02-01-03.flac")
    write_sound(tmp_path / "c/interview.flac")
    (tmp_path / "d").mkdir()
    assert speech_folder.load(tmp_path / "a")[0].person == "emodb 03"
    calm = speech_folder.load(tmp_path / "b")[0]
    assert (LABELS[calm.label], calm.person) == ("neutral", "ravdess 03")
    write_sound(tmp_path / "f/dis-f1-b1.ogg")
    write_sound(tmp_path / "f/more/03a01Wa.flac")
    with pytest.raises(UserError, match=r"03a01Wa\.flac is not named like dis-f1-b1\.ogg"):
        speech_folder.load(tmp_path / "f")
    (tmp_path / "g").mkdir()
    (tmp_path / "g/Actor_03").symlink_to(tmp_path / "b/Actor_03")
    assert len(speech_folder.load(tmp_path / "g")) == 1
    for folder, why in (("c", "tells no emotion"), ("d", "has no sound"), ("e", "no folder")):
        with pytest.raises(UserError, match=why):
            speech_folder.load(tmp_path / folder)


def test_speakers_of_a_small_corpus_are_dealt_evenly() -> None:
    people = [f"0{i}" for i in range(1, 8)]
    clips = [Clip(Path(p), 0, p, "javanese") for p in people for _ in range(3)]
    clips += [Clip(Path(p), 0, p, "ravdess") for p in ("17", "18", "19", "20")]
    found = speaker_folds(clips)
    assert np.bincount(found[:21]).tolist() == [12, 9]
    assert np.bincount(found[21:]).tolist() == [2, 2]
    assert all(len({*found[i : i + 3]}) == 1 for i in range(0, 21, 3))


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


def test_an_utterance_of_meld_stands_after_those_of_its_dialogue(tmp_path: Path) -> None:
    path = tmp_path / "meld.csv"
    rows = ["Hi!,0", "Hello there.,0", "Bye,1", "Now,0"]
    header = "Emotion,Sentiment,Utterance,Dialogue_ID"
    path.write_text("\n".join([header, *(f"joy,positive,{row}" for row in rows)]))
    assert [u.before for u in meld.load(path)] == ["", "Hi!", "", "Hi! Hello there."]


def test_samples_of_another_rate_are_refused(tmp_path: Path) -> None:
    write_sound(tmp_path / "a.flac", rate=8_000)
    with pytest.raises(UserError, match="16000 Hz mono"):
        samples(Clip(tmp_path / "a.flac", 0, "1", "x"), 16_000)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("folder", "count"),
    [
        ("ravdess_speech", 1_200),
        ("emodb", 339),
        ("emodb_more", 115),
        ("emovo", 392),
        ("javanese_av", 840),
        ("transcripts_labels", 9_989),
        ("ferplus", 27_330),
        ("rafdb", 11_019),
    ],
)
def test_real_data(folder: str, count: int) -> None:
    path = REAL / folder
    if not path.is_dir():
        pytest.skip(f"{path} IS NOT HERE: the parser is tested on tiny files only")
    found = {
        "ravdess_speech": lambda: len(ravdess.load(path, calm_is_neutral=True)),
        **dict.fromkeys(
            ("emodb", "emodb_more", "emovo", "javanese_av"), lambda: len(speech_folder.load(path))
        ),
        "ferplus": lambda: len(face_files.load(path / "ferplus.npz", 0).labels),
        "rafdb": lambda: len(face_files.load(path / "rafdb.npz", 0).labels),
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
    return Clip(tmp_path / "c.flac", 3, "1", "x")


@pytest.mark.slow
def test_rows_of_a_clip_are_those_of_the_live_grid(clip: Clip, tmp_path: Path) -> None:
    """A stream that is silent before and after the clip; steps that the gate closes have none."""
    found = voice_rows([clip], SPEC, 2, seed=1, cache=tmp_path)
    recorded = found.part(found.version == 0)
    assert recorded.step.tolist() == list(range(2, 8))  # two silent steps, then sound to 1.9 s
    sound = samples(clip, 16_000)
    fifth = np.pad(sound, (16_000, 0))[20_000 : 20_000 + 16_000]  # ends at 1.25 s
    live = States(SPEC.voice)(fifth)
    assert np.array_equal(recorded.values[2], live.astype(np.float16))
    assert set(found.version) == {0, 1}
    again = voice_rows([clip], SPEC, 2, seed=1, cache=tmp_path)
    anew = voice_rows([clip], SPEC, 2, seed=1)
    for name, values in vars(found).items():
        assert np.array_equal(values, getattr(again, name))
        assert np.array_equal(values, getattr(anew, name))


def test_a_clip_is_judged_by_the_mean_of_its_rows() -> None:
    """Clip 0 by the mean although one row speaks against it; clip 1 has no row."""
    network = VoiceNetwork(SPEC.voice, 7)
    with torch.no_grad():
        for parameter in network.parameters():
            parameter.zero_()
        network.hidden.weight[0, 0] = network.hidden.weight[1, 1] = 1.0
        network.head.weight[2, 0] = network.head.weight[4, 1] = 1.0
    values = np.zeros((3, 2 * SPEC.voice.width), np.float16)
    values[0, 0], values[1, 0], values[2, 1] = 3.0, 2.0, 4.0
    zeros = np.zeros(3, np.int64)
    found, judged = clip_log_probabilities(
        network, VoiceRows(values, zeros, zeros, np.arange(3)), 2
    )
    assert found[0].argmax() == 2
    assert judged.tolist() == [True, False]
    assert np.ptp(found[1]) == 0


def test_sound_elsewhere_is_seeded_and_stays_in_range(clip: Clip) -> None:
    sound = samples(clip, 16_000)
    for seed in range(40):
        one, two = (
            audio_augmentation.elsewhere(
                sound, sound[::-1].copy(), 16_000, np.random.default_rng(seed)
            )
            for _ in range(2)
        )
        assert np.array_equal(one, two)
        assert one.dtype == np.float32
        assert np.isfinite(one).all()
        assert np.abs(one).max() <= 1.0
        assert 0.9 <= len(one) / len(sound) <= 1.12
    assert not np.array_equal(one, sound)


def test_faces_seen_by_a_webcam_are_seeded_and_grey_levels() -> None:
    images = torch.rand(64, 1, 48, 48, generator=torch.Generator().manual_seed(0)) * 255
    one, two = (augment.faces(images, torch.Generator().manual_seed(3)) for _ in range(2))
    assert torch.equal(one, two)
    assert one.shape == images.shape
    assert 0 <= one.min() <= one.max() <= 255
    assert not torch.equal(one, images)


def test_bare_text() -> None:
    assert bare("Oh -- you've WON, Joey!") == "oh you've won joey"


def test_misheard_words_sound_alike_and_some_are_missing() -> None:
    texts = ["there goes the bread", "the broad road", "a bride read there"] * 2
    asr_noise, random = AsrNoise(texts), np.random.default_rng(0)
    text = " ".join(["bread"] * 400)
    heard = asr_noise(text, random).split()
    assert len(heard) / 400 == pytest.approx(1 - DROPPED, abs=0.05)
    assert set(heard) == {"bread", "bride", "broad"}
    assert np.mean([word != "bread" for word in heard]) == pytest.approx(CONFUSED, abs=0.05)
    assert all(asr_noise("Oh!", random) == "oh" for _ in range(50))  # never nothing


def test_misheard_words_stand_in_case_and_punctuation() -> None:
    asr_noise, random = AsrNoise(["bread bride"] * 2), np.random.default_rng(0)
    heard = {asr_noise('"Bread," -- he', random, written=True) for _ in range(300)}
    assert {'"Bread," -- he', '"Bride," -- he', "-- he", '"Bread," --'} <= heard
    assert "" not in heard


@given(st.lists(st.text(min_size=1), min_size=1, max_size=30))
def test_a_fold_hangs_on_the_group_alone(groups: list[str]) -> None:
    found = folds(groups)
    assert set(found.tolist()) <= set(FOLDS)
    assert folds(groups[::-1])[::-1].tolist() == found.tolist()


def test_both_folds_are_about_half() -> None:
    assert folds([str(i) for i in range(2_000)]).mean() == pytest.approx(0.5, abs=0.05)


def test_a_head_that_is_too_sure_is_cooled() -> None:
    """Logits three times too large for how often they are right."""
    generator = torch.Generator().manual_seed(0)
    true = torch.randn(4_000, 7, generator=generator)
    labels = torch.multinomial(true.softmax(1), 1, generator=generator)[:, 0]
    head = nn.Linear(7, 7)
    with torch.no_grad():
        head.weight.copy_(3 * torch.eye(7))
        head.bias.zero_()
        assert cooled(head, head(true), labels) == pytest.approx(3.0, rel=0.1)
        assert torch.allclose(head(true), true, rtol=0.1, atol=0.1)


@pytest.mark.slow
def test_utterance_means_equal_the_live_rows() -> None:
    """Batched and padded, they are the mean of the live rows of its words after those before it."""
    said = [
        Said("we are all here"),
        Said("no", "is anybody at home"),
        Said(""),
        Said("they went home early today with the dachshund", "where are they " * 20),
        Said("well " * 40, "so"),
    ]
    adapter = read(EMOTIONAL)
    found = utterance_means(said, SPEC.text, adapter)
    encoder = TextEncoder(SPEC.text, adapter=adapter)
    assert not found[2].any()
    for (text, before), mean in zip(said, found, strict=True):
        own = text.split()[:32]
        if own:
            words = [*before.split()[-32:], *own][-32:]  # as live: the last 32
            assert np.allclose(encoder.word_vectors(words)[-len(own) :].mean(0), mean, atol=1e-4)
