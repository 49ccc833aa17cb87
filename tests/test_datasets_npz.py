"""Features given as .npz: RML, ICT-MMMO, YouTube and RAVDESS; and splits that share a person."""

from __future__ import annotations

import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from normtr.errors import UserError
from training import run_folder
from training.data.mmmo_youtube import Mmmo, Youtube
from training.data.mosi import MosiGiven, MosiSentences
from training.data.ravdess_au import RavdessAu
from training.data.rml import Rml
from training.evaluation.noise_curves import Protocol
from training.reports.evaluation_result import result
from training.samples import SPLITS, check_groups
from training.systems.noise_aware import Learning
from training.systems.norm_tr import Architecture, NormTrSystem

SHARED = Path(__file__).parents[2] / "shared/data"


# RML


def rml(folder: Path, **changes: Any) -> Rml:
    """Six clips of each of eight speakers, whose rows give the label away."""
    random = np.random.default_rng(0)
    labels = np.tile(np.arange(6), 8)
    face = random.normal(size=(48, 12, 7)).astype(np.float32)
    face[np.arange(48), :, labels] += 3
    arrays = {
        "ids": np.array([f"s{i // 6}_{i % 6}" for i in range(48)]),
        "speakers": np.repeat([f"s{i}" for i in range(8)], 6),
        "labels": labels,
        "face": face,
        "voice": random.normal(size=(48, 5, 3)).astype(np.float32),
    }
    np.savez(folder / "rml.npz", **{**arrays, **changes})
    return Rml(folder)


def test_every_rml_speaker_is_tested_in_one_fold_and_in_one_split_of_each(tmp_path: Path) -> None:
    data = rml(tmp_path)
    tested = []
    for fold in range(1, 6):
        folded = replace(data, fold=fold)
        check_groups(folded)
        samples = {split: folded.load(split) for split in SPLITS}
        assert sum(map(len, samples.values())) == 48
        assert {split: set(found.groups) for split, found in samples.items()} == folded.groups()
        assert all(
            name.startswith(group)
            for found in samples.values()
            for name, group in zip(found.ids, found.groups, strict=True)
        )
        tested += sorted(folded.groups()["test"])
    assert tested == [f"s{i}" for i in range(8)]


def test_rml_has_two_modalities_of_eight_steps(tmp_path: Path) -> None:
    windows = rml(tmp_path).load("test").windows
    assert {m: tuple(x.shape[1:]) for m, x in windows.rows.items()} == {
        "face": (8, 7),
        "voice": (8, 3),
    }
    assert windows.valid[0].sum(1).tolist() == [8, 5]  # of 12 rows, of 5
    assert rml(tmp_path).scores(np.eye(6), np.arange(6)) == {
        "accuracy": 1.0,
        "uar": 1.0,
        "weighted_f1": 1.0,
    }


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"labels": np.r_[-1, np.zeros(47, int)]}, "no label for s0_0"),
        ({"labels": np.zeros(40, int)}, "48 clips and 40 labels, s6_4 the first without"),
        ({"labels": np.full(48, 6)}, "beyond the 6 classes"),
        ({"face": np.ones((47, 8, 2))}, "s7_5 the first without"),
        ({"face": np.ones((48, 8))}, "has not the layout it should have"),
    ],
)
def test_an_rml_file_that_lacks_something_says_which_clip(
    tmp_path: Path, changes: dict[str, Any], said: str
) -> None:
    with pytest.raises(UserError, match=said):
        rml(tmp_path, **changes).load("test")


def test_there_are_no_folds_beyond_the_speakers(tmp_path: Path) -> None:
    data = rml(tmp_path)
    for wrong in ({"fold": 6}, {"fold": 0}, {"folds": 9}, {"folds": 2}):
        with pytest.raises(UserError, match="there is no fold"):
            replace(data, **wrong).load("test")
    (tmp_path / "rml.npz").write_bytes((tmp_path / "rml.npz").read_bytes()[:500])
    with pytest.raises(UserError, match=r"rml\.npz cannot be read"):
        data.load("test")


# ICT-MMMO, YouTube


def opinions(folder: Path, name: str, y: np.ndarray) -> None:
    random = np.random.default_rng(0)
    video, audio = random.normal(size=(len(y), 20, 3)), random.normal(size=(len(y), 20, 2))
    video[0, :5] = 0
    audio[1] = 0
    arrays = {"audio": audio, "video": video, "y": y}
    np.savez(
        folder / f"{name}.npz",
        **{f"{split}_{key}": x.astype(np.float32) for split in SPLITS for key, x in arrays.items()},  # type: ignore[arg-type]
    )


def test_mmmos_ratings_are_centred_on_their_neutral(tmp_path: Path) -> None:
    opinions(tmp_path, "mmmo", np.array([1, 3, 4.5]))
    samples = Mmmo(tmp_path).load("train")
    assert samples.windows.labels.tolist() == [-2.0, 0.0, 1.5]
    assert samples.ids == ("train_0", "train_1", "train_2")
    assert samples.windows.valid.sum(2).tolist() == [[15, 20], [20, 0], [20, 20]]
    got = Mmmo(tmp_path).scores(np.array([[-1.0], [0.2], [1.0]]), samples.windows.labels.numpy())
    assert got["acc2_a"] == got["acc2_b"] == 1.0
    assert got["mae"] == pytest.approx((1 + 0.2 + 0.5) / 3)


def test_youtubes_one_hot_rows_are_classes(tmp_path: Path) -> None:
    opinions(tmp_path, "youtube", np.eye(3)[[2, 0, 1]])
    data = Youtube(tmp_path)
    assert data.load("test").windows.labels.tolist() == [2, 0, 1]
    assert data.scores(np.eye(3), np.array([0, 1, 0]))["accuracy"] == pytest.approx(2 / 3)
    opinions(tmp_path, "youtube", np.array([[1, 0, 0], [0, 0, 0]]))
    with pytest.raises(UserError, match="no label for test_1"):
        data.load("test")


def test_a_missing_rating_or_file_is_one_sentence(tmp_path: Path) -> None:
    opinions(tmp_path, "mmmo", np.array([1, 2, np.nan]))
    with pytest.raises(UserError, match="no label for valid_2"):
        Mmmo(tmp_path).load("valid")
    with pytest.raises(UserError, match=r"youtube\.npz cannot be read"):
        Youtube(tmp_path).load("valid")
    with pytest.raises(UserError, match="no words to erase"):
        Mmmo(tmp_path).without_words("valid", 0.5, 1)


# RAVDESS


def ravdess(folder: Path, **changes: Any) -> RavdessAu:
    """One clip of each of 20 actors; a track of 11 frames, the last three of them padding."""
    track = -np.arange(1.0, 12)[None].repeat(20, 0)
    track[:, 8:] = 0
    arrays = {
        "ids": np.array([f"01-01-02-01-01-01-{actor:02}" for actor in range(1, 21)]),
        "au": np.arange(20.0)[:, None].repeat(3, 1),
        "audio_track": track,
        "emotion": (np.arange(20) % 8 + 1).astype(np.int8),
        "actor": np.arange(1, 21).astype(np.int8),
    }
    np.savez(folder / "ravdess_au_mfcc.npz", **{**arrays, **changes})
    return RavdessAu(folder, steps=4)


def test_ravdess_steps_are_blocks_of_frames_with_the_clips_action_units(tmp_path: Path) -> None:
    samples = ravdess(tmp_path).load("valid")
    assert samples.groups == ("13", "14", "15", "16")
    windows = samples.windows
    # Blocks of three frames; the third has one frame of padding, the fourth is all padding.
    assert windows.rows["voice"][0, :2].tolist() == [[-1, -2, -3], [-4, -5, -6]]
    assert windows.valid[0].tolist() == [[True, True, False, False]] * 2
    assert windows.rows["face"][1, :2].tolist() == [[13.0] * 3] * 2
    assert windows.labels.tolist() == [4, 5, 6, 7]


def test_ravdess_pairs_by_label_but_tests_true_pairs(tmp_path: Path) -> None:
    labels = np.repeat([1, 2], 10).astype(np.int8)
    true = ravdess(tmp_path, emotion=labels)
    shuffled = replace(true, paired="label")
    for split in SPLITS:
        units = [data.load(split).windows.rows["face"][:, 0, 0] for data in (true, shuffled)]
        sounds = [data.load(split).windows.rows["voice"] for data in (true, shuffled)]
        assert sounds[0].equal(sounds[1])
        assert units[0].equal(units[1]) == (split == "test")
        of = true.load(split).windows.labels
        kinds = [[set(x[of == c].tolist()) for c in (0, 1)] for x in units]
        assert kinds[0] == kinds[1]


def test_ravdess_actors_are_of_one_split(tmp_path: Path) -> None:
    data = ravdess(tmp_path)
    check_groups(data)
    assert data.groups()["train"] == {str(actor) for actor in range(1, 13)}
    assert [len(data.load(split)) for split in SPLITS] == [12, 4, 4]
    with pytest.raises(UserError, match="16 is in both valid and test of ravdess_au"):
        check_groups(replace(data, test_actors=(16, 17)))
    with pytest.raises(UserError, match="no clip of test's actors"):
        replace(data, test_actors=(24,)).load("test")
    with pytest.raises(UserError, match="no label for 01-01-02-01-01-01-02"):
        ravdess(tmp_path, emotion=np.r_[1, 0, np.ones(18)].astype(np.int8)).load("train")


# Every data set


def test_a_shared_person_ends_training_unless_asked_for(tmp_path: Path) -> None:
    data = replace(ravdess(tmp_path), test_actors=(16, 17))
    learning = Learning(epochs=1, batch=4)
    system = NormTrSystem(network=Architecture(width=32, depth=1), learning=learning)
    with pytest.raises(UserError, match="16 is in both valid and test of ravdess_au; set shared_p"):
        system.train(data, tmp_path / "refused", 1)
    assert not (tmp_path / "refused").exists()
    out = tmp_path / "run"
    run_folder.begin(out, {"data": data, "system": system}, 1, resume=False)
    system.train(data, out, 1, shared_people=True)
    # The table is the data set's own.
    found = result(out, "test", Protocol(rates=(0.0, 1.0), mask_seeds=(1,)))
    assert (found.data, found.system) == (data, system)
    assert found.groups == ("16", "17")
    assert set(found.curves()) == {"accuracy", "uar", "weighted_f1"}


def test_the_folder_of_data_is_the_one_that_is_named(tmp_path: Path) -> None:
    code = "from training.data.mosi import MosiWords; print(MosiWords().path)"
    for named, expected in ((str(tmp_path), tmp_path), ("", Path("../shared/data"))):
        environment = {**os.environ, "NORMTR_DATA": named}
        done = subprocess.run(
            [sys.executable, "-c", code],
            env=environment,
            capture_output=True,
            text=True,
            check=True,
        )
        assert done.stdout.strip() == str(expected / "mosi_utterance")


@pytest.mark.skipif(not SHARED.is_dir(), reason="../shared/data is not there")
def test_the_shared_data_load_with_their_known_sizes() -> None:
    opinions = SHARED / "mmmo_youtube_steps"
    sizes = {
        Mmmo(opinions): (220, 40, 80),
        Youtube(opinions): (173, 36, 60),
        RavdessAu(SHARED / "ravdess_au"): (720, 240, 240),
    }
    for data, expected in sizes.items():
        assert tuple(len(data.load(split)) for split in SPLITS) == expected
        check_groups(data)
    for mosi in (MosiSentences(SHARED / "mosi_utterance"), MosiGiven(SHARED / "mosi_utterance")):
        check_groups(mosi)
