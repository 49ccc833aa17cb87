"""`normtr evaluate --part`: its metrics by hand, and each network of the shipped recognizer."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import soundfile

from normtr import cli
from normtr.spec import LABELS
from tests.support import face_files as files
from training.data import meld
from training.evaluation.part_scores import ece, scores

pytestmark = pytest.mark.slow


def test_metrics_by_hand() -> None:
    """Two of angry, one of happy, one of neutral; one angry is taken for happy."""
    angry, happy, neutral = (LABELS.index(name) for name in ("angry", "happy", "neutral"))
    probabilities = np.full((4, 7), 0.05)
    for row, label in enumerate((angry, happy, happy, neutral)):
        probabilities[row, label] = 0.7
    labels = np.array([angry, angry, happy, neutral])
    found = scores(probabilities, labels, np.ones(4, np.bool_))
    assert found["n"] == 4
    assert found["accuracy"] == 0.75
    assert found["uar"] == pytest.approx((0.5 + 1 + 1) / 3)
    assert found["weighted_f1"] == pytest.approx((2 * 2 / 3 + 2 / 3 + 1) / 4)
    assert found["per_class"]["happy"] == pytest.approx(
        {"n": 1, "precision": 0.5, "recall": 1.0, "f1": 2 / 3}
    )
    assert set(found["per_class"]) == {"angry", "happy", "neutral"}
    unheard = scores(probabilities, labels, np.array([True, True, True, False]))
    assert unheard["accuracy"] == 0.5


def test_ece_has_bins_of_equal_mass() -> None:
    """Thirty samples, two a bin: one of two right at confidence 0.5 is no error, at 0.9 it is."""
    confidence = np.array([0.5] * 20 + [0.9] * 10)
    right = np.array([True, False] * 15)
    assert ece(confidence, right) == pytest.approx((10 / 30) * 0.4)
    assert ece(np.ones(3), np.ones(3, np.bool_)) == 0.0


def evaluated(capsys: pytest.CaptureFixture[str], *argv: str) -> dict[str, object]:
    assert cli.run(["evaluate", *argv, "--json"]) == 0
    report: dict[str, object] = json.loads(capsys.readouterr().out)
    return report


def test_faces_of_a_split(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    random = np.random.default_rng(0)
    images = random.integers(0, 256, (9, 48, 48), dtype=np.uint8)
    said = files.votes(*({name: 10} for name in (files.COLUMNS[:7] * 2)[:8]), {"contempt": 10})
    path = files.ferplus(tmp_path / "faces.npz", images, said, [0, 0] + [1] * 7)
    report = evaluated(capsys, "--part", "face", "--data", str(path))
    assert report["n"] == 6  # of one no label has a majority
    assert {"accuracy", "uar", "weighted_f1", "ece", "per_class"} <= set(report)
    assert evaluated(capsys, "--part=face", "--data", str(path), "--split", "0")["n"] == 2
    colour = random.integers(0, 256, (3, 100, 100, 3), dtype=np.uint8)
    path = files.rafdb(tmp_path / "colour.npz", colour, [0, 3, 6], [1, 1, 2])
    assert evaluated(capsys, "--part=face", "--data", str(path), "--split", "2")["n"] == 1


def test_a_file_of_another_kind_is_told_what_is_wanted(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    table = tmp_path / "faces.csv"
    table.write_text("emotion,pixels\n0,70 80 82\n")
    np.savez(tmp_path / "other.npz", x=np.zeros(3))
    np.save(tmp_path / "alone.npy", np.zeros(3))
    for path in (table, tmp_path / "other.npz", tmp_path / "alone.npy"):
        assert cli.run(["evaluate", "--part", "face", "--data", str(path)]) == 1
        said = capsys.readouterr().err
        assert said.startswith(f"normtr evaluate: {path} cannot be read as pictures of faces")
        assert "`faces_jpeg`" in said
        assert "pickle" not in said
        assert said.count("\n") == 1
    assert cli.run(["evaluate", "--part", "face", "--data", str(tmp_path)]) == 1
    assert capsys.readouterr().err.endswith("cannot be read: Is a directory.\n")


def test_a_clip_of_silence_is_a_wrong_answer(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = tmp_path / "Actor_17"
    folder.mkdir()
    noise = np.random.default_rng(0).normal(0, 0.1, 32_000)
    for emotion in ("05", "06"):
        soundfile.write(folder / f"03-01-{emotion}-01-01-01-17.flac", noise, 16_000)
    heard = evaluated(capsys, "--part", "voice", "--data", str(tmp_path))
    soundfile.write(folder / "03-01-05-01-01-02-17.flac", np.zeros(16_000), 16_000)
    silent = evaluated(capsys, "--part", "voice", "--data", str(tmp_path))
    assert (heard["n"], silent["n"]) == (2, 3)
    assert silent["accuracy"] == pytest.approx(heard["accuracy"] * 2 / 3)  # type: ignore[operator]


def test_utterances_of_a_table(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    table = tmp_path / "table.csv"
    table.write_text(
        "Utterance,Emotion,Sentiment\n"
        "Oh my god this is so great!,joy,positive\nI hate you.,anger,negative\n"
    )
    assert evaluated(capsys, "--part", "text", "--data", str(table))["n"] == 2


def test_misheard_utterances_hang_on_the_seed(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    table = tmp_path / "table.csv"
    said = "this great bread is so grand that their bride goes there by a broad road"
    table.write_text(f"Utterance,Emotion,Sentiment\n{said},joy,positive\n{said},joy,positive\n")

    def loss(*options: str) -> object:
        return evaluated(capsys, "--part", "text", "--data", str(table), *options)["ece"]

    first = loss("--misheard", "true", "--seed", "1")
    assert first == loss("--misheard", "true", "--seed", "1")
    assert first != loss("--misheard", "true", "--seed", "2")
    assert first != loss()


def test_bare_utterances_have_no_case_and_no_punctuation(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    def loss(said: str, *options: str) -> object:
        table = tmp_path / "table.csv"
        table.write_text(f'Utterance,Emotion,Sentiment\n"{said}",joy,positive\n')
        return evaluated(capsys, "--part", "text", "--data", str(table), *options)["ece"]

    assert loss("Oh my GOD, this is great!", "--bare") == loss("oh my god this is great")
    assert loss("Oh my GOD, this is great!") != loss("oh my god this is great")


def test_comments_with_several_labels_and_thresholds_of_a_tenth_of_train(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Numbers 0, 1 and 3 are angry, disgust and happy."""
    alone = tmp_path / "test.tsv"
    alone.write_text("This is so great, I love it!\t3\ta\nI hate you so much!\t0,1\tb\n")
    argv = ["--part", "text", "--data", str(alone)]
    assert cli.run(["evaluate", *argv, "--json"]) == 1
    assert f"there is no {tmp_path / 'train.tsv'}" in capsys.readouterr().err
    rows = [f"I love it {n}!\t3\tl{n}\nI hate you {n}!\t0,1\th{n}\n" for n in range(60)]
    (tmp_path / "train.tsv").write_text("".join(rows))
    report = evaluated(capsys, *argv)
    assert report["n"] == 2
    assert report["macro_f1"] == report["accuracy"] == 1.0
    per_class = report["per_class"]
    assert isinstance(per_class, dict)
    assert {name: of["n"] for name, of in per_class.items()} == {
        "angry": 1,
        "disgust": 1,
        "happy": 1,
    }


def test_a_comment_with_an_unknown_label_is_told(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    table = tmp_path / "test.tsv"
    table.write_text("Fine.\t4\ta\nWell.\t7\tb\n")
    assert cli.run(["evaluate", "--part", "text", "--data", str(table)]) == 1
    said = capsys.readouterr().err
    assert f"line 2 of {table} has the labels '7'; they are numbers 0 to 6." in said
    assert said.count("\n") == 1


def test_iemocaps_transcripts_with_their_labels_beside_them(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    codes = {"Ses01_F0": {"emo": 4}, "Ses01_M0": {"emo": 5}, "Ses01_M1": {"emo": 1}}
    labels = tmp_path / "iemocap_label_6way.json"
    labels.write_text(json.dumps({"whole_corpus": codes}))
    table = tmp_path / "iemocap.csv"
    rows = ["name,chinese,english", "Ses01_F0,x,Great!", "Ses01_M0,x,Come on", "Ses01_M1,x,Oh no"]
    table.write_text("\n".join(rows))
    report = evaluated(capsys, "--part", "text", "--data", str(table))
    assert report["n"] == 2  # frustrated is none of the seven emotions
    assert set(report["per_class"]) == {"happy", "sad"}  # type: ignore[call-overload]
    labels.unlink()
    assert cli.run(["evaluate", "--part", "text", "--data", str(table)]) == 1
    assert "cannot be read" in capsys.readouterr().err


@pytest.fixture
def people(tmp_path: Path) -> list[str]:
    """A few pictures, sounds and sentences of every emotion, as arguments of --part fusion."""
    random = np.random.default_rng(0)
    images = random.integers(0, 256, (21, 48, 48), dtype=np.uint8)
    said = files.votes(*({name: 10} for name in files.COLUMNS[:7] * 3))
    files.ferplus(tmp_path / "faces.npz", images, said, [1] * 21)
    folder = tmp_path / "voices/Actor_17"
    folder.mkdir(parents=True)
    for emotion in range(1, 9):
        sound = random.normal(0, 0.02 * emotion, 24_000)
        soundfile.write(folder / f"03-01-0{emotion}-01-01-01-17.flac", sound, 16_000)
    lines = [f"so I said it was {name},{name},neutral" for name in meld.EMOTIONS]
    (tmp_path / "said.csv").write_text("\n".join(["Utterance,Emotion,Sentiment", *lines]))
    argv = ["--faces", str(tmp_path / "faces.npz"), "--voice", str(tmp_path / "voices")]
    return ["--part", "fusion", *argv, "--text", str(tmp_path / "said.csv")]


def test_fusion_beside_late_fusion(people: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    report = evaluated(capsys, *people, "--n", "28", "--seed", "3")
    assert report["n"] == 28
    rates = [r / 10 for r in range(11)]
    assert report["rates"] == rates
    for key in ("accuracy", "late_fusion_accuracy", "ece", "selective_accuracy", "coverage"):
        assert len(report[f"{key}_by_rate"]) == 11  # type: ignore[arg-type]
    assert report["accuracy"] == report["accuracy_by_rate"][0]  # type: ignore[index]
    ours, late = report["accuracy_by_rate"], report["late_fusion_accuracy_by_rate"]
    lead: dict[str, float] = report["lead"]  # type: ignore[assignment]
    assert lead["mean"] == pytest.approx(np.mean(np.subtract(ours, late)))  # type: ignore[call-overload]
    assert lead["low"] < lead["mean"] < lead["high"]
    assert report["coverage_by_rate"][10] == 0.0  # type: ignore[index]  # nothing seen: abstains
    assert len(report["modality_subsets"]) == 7  # type: ignore[arg-type]
    assert evaluated(capsys, *people, "--n", "28", "--seed", "3") == report
    assert evaluated(capsys, *people, "--n", "28", "--seed", "4") != report
    assert cli.run(["evaluate", *people, "--n", "7"]) == 0
    assert "late fusion" in capsys.readouterr().out


def test_people_without_an_emotion_cannot_be_paired(
    people: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "said.csv").write_text("Utterance,Emotion,Sentiment\nno,anger,negative\n")
    assert cli.run(["evaluate", *people, "--n", "7"]) == 1
    assert "the text data have no disgust" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("argv", "said"),
    [
        (["--part", "nose", "--data", "x"], "not nose"),
        (["--part", "face"], "--part face needs --data"),
        (["--part", "fusion", "--faces", "x"], "needs --faces, --voice and --text"),
        (["--part", "face", "--data", "nowhere.npz"], "nowhere.npz"),
        (["--part", "voice", "--data", "nowhere"], "nowhere"),
        (["--part", "text", "--data", "nowhere.csv"], "nowhere.csv"),
    ],
)
def test_wrong_input_is_one_sentence(
    argv: list[str], said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert cli.run(["evaluate", *argv]) != 0
    error = capsys.readouterr().err.strip().splitlines()[-1]
    assert said in error
    assert "Traceback" not in error
