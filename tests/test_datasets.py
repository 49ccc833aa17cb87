"""Features given as pickles, read from tiny files of the same shape that the tests write."""

from __future__ import annotations

import pickle
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from normtr.errors import UserError
from training.data import arrays_only
from training.data.iemocap import IemocapGiven, IemocapSessions
from training.data.mmsa import Mmsa
from training.samples import DataSet, check_groups


def dumped(path: Path, content: Any) -> Path:
    path.write_bytes(pickle.dumps(content))
    return path


# MMSA


def mmsa_part(videos: tuple[str, ...], t: tuple[int, int, int] = (5, 5, 5)) -> dict[str, Any]:
    """Two clips a video; rows of ones and more, padded with zeros beyond 1, 2, .. steps."""
    ids = [f"{video}$_${k}" for video in videos for k in (1, 2)]
    random = np.random.default_rng(len(videos))

    def rows(steps: int, dim: int) -> np.ndarray:
        out = random.uniform(1, 2, (len(ids), steps, dim)).astype(np.float32)
        for i in range(len(ids)):
            out[i, min(i + 1, steps) :] = 0
        return out

    return {
        "raw_text": ["what they said"] * len(ids),
        "id": ids,
        "vision": rows(t[0], 3),
        "audio": rows(t[1], 2),
        "text": rows(t[2], 4),
        "regression_labels": np.linspace(-1, 1, len(ids)),
    }


def mmsa_file(folder: Path, **changes: Any) -> dict[str, dict[str, Any]]:
    data = {
        "train": mmsa_part(("a", "b", "c")),
        "valid": mmsa_part(("d",)),
        "test": mmsa_part(("e", "f")),
    }
    data["train"].update(changes)
    dumped(folder / "aligned_50.pkl", data)
    return data


def test_mmsa_clips_keep_their_rows_and_padding_is_not_valid(tmp_path: Path) -> None:
    data = mmsa_file(tmp_path)
    samples = Mmsa(tmp_path, steps=7).load("train")
    assert samples.ids == tuple(data["train"]["id"])
    assert samples.groups == ("a", "a", "b", "b", "c", "c")
    assert list(samples.windows.rows) == ["face", "voice", "text"]
    for m, key in (("face", "vision"), ("voice", "audio"), ("text", "text")):
        assert np.array_equal(samples.windows.rows[m][:, :5], data["train"][key])
        assert not samples.windows.rows[m][:, 5:].any()
    assert samples.windows.valid.sum(2).tolist() == [[min(i + 1, 5)] * 3 for i in range(6)]
    assert np.allclose(samples.windows.labels, data["train"]["regression_labels"])
    assert samples.windows.labels.numpy().dtype == np.float32


def test_mmsa_lengths_and_token_masks_bound_what_is_valid(tmp_path: Path) -> None:
    tokens = np.zeros((6, 3, 5))
    tokens[:, 1, :2] = 1
    part = mmsa_part(("a", "b", "c"))
    for key in ("vision", "text"):  # what lies beyond is not zero
        part[key][:] = 1
    mmsa_file(tmp_path, **part, vision_lengths=[1, 2, 3, 4, 5, 0], text_bert=tokens)
    valid = Mmsa(tmp_path, steps=5).load("train").windows.valid
    assert valid[:, 0].sum(1).tolist() == [1, 2, 3, 4, 5, 0]
    assert valid[:, 2].tolist() == [[True, True, False, False, False]] * 6


def test_nan_and_inf_rows_are_not_valid_and_are_zero(tmp_path: Path) -> None:
    audio = np.ones((6, 5, 2))
    audio[0, 1, 0], audio[1, 2, 1] = -np.inf, np.nan
    mmsa_file(tmp_path, audio=audio)
    for steps in (5, 4):  # as they are, and where means are taken
        windows = Mmsa(tmp_path, steps=steps, modalities=("voice",)).load("train").windows
        assert np.isfinite(windows.rows["voice"].numpy()).all()
    windows = Mmsa(tmp_path, steps=5).load("train").windows
    assert windows.valid[:2, 1].tolist() == [
        [True, False, True, True, True],
        [True, True, False, True, True],
    ]
    assert not windows.rows["voice"][0, 1].any()


def test_unaligned_clips_of_more_than_t_rows_become_means_of_equal_slices(tmp_path: Path) -> None:
    audio = np.zeros((6, 12, 2))
    audio[0, 2:11, 0] = np.arange(1, 10)  # nine rows in three slices
    audio[1, 4:6, 0] = (3, 5)  # two rows, fewer than T
    audio[2, [0, 1, 6], 0] = (2, 4, 6)  # nothing is there from 2 to 5
    mmsa_file(tmp_path, audio=audio)
    windows = Mmsa(tmp_path, steps=3).load("train").windows
    assert windows.rows["voice"][:3, :, 0].tolist() == [[2, 5, 8], [3, 5, 0], [3, 0, 6]]
    assert windows.valid[:4, 1].tolist() == [
        [True, True, True],
        [True, True, False],
        [True, False, True],
        [False, False, False],  # a clip without a voice
    ]


def test_aligned_modalities_stay_aligned_when_they_are_shortened(tmp_path: Path) -> None:
    part = mmsa_part(("a", "b", "c"))
    part["text"][:], part["audio"][:], part["vision"][:] = 1, 1, 0
    part["vision"][:, 4] = 1  # a face at the last of five words only
    mmsa_file(tmp_path, **part)
    valid = Mmsa(tmp_path, steps=2).load("train").windows.valid
    assert valid[0].tolist() == [[False, True], [True, True], [True, True]]


def test_empty_text_is_a_clip_without_text(tmp_path: Path) -> None:
    mmsa_file(tmp_path, text=np.zeros((6, 5, 4)))
    windows = Mmsa(tmp_path, steps=5).load("train").windows
    assert not windows.valid[:, 2].any()
    assert windows.valid[:, 0].any()


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"regression_labels": np.array([0, 0, np.nan, 0, 0, 0])}, r"no label for b\$_\$1"),
        ({"regression_labels": np.zeros(4)}, r"6 clips and 4 labels, c\$_\$1 the first without"),
        ({"audio": np.ones((5, 5, 2))}, r"6 clips and 5 voice rows, c\$_\$2 the first without"),
        ({"audio": np.ones((6, 5))}, "has not the layout"),
        ({"text": None}, "has not the layout"),
        ({"id": 3}, "has not the layout"),
    ],
)
def test_an_mmsa_file_that_lacks_something_says_which_clip(
    tmp_path: Path, changes: dict[str, Any], said: str
) -> None:
    mmsa_file(tmp_path, **changes)
    with pytest.raises(UserError, match=said):
        Mmsa(tmp_path).load("train")


def test_another_pickle_is_no_mmsa_file(tmp_path: Path) -> None:
    for content in ([1, 2], {"train": {}}, {"a": 1}, 5):
        dumped(tmp_path / "aligned_50.pkl", content)
        with pytest.raises(UserError, match="has not the layout"):
            Mmsa(tmp_path).load("train")


def test_a_video_in_two_splits_is_named(tmp_path: Path) -> None:
    data = mmsa_file(tmp_path)
    check_groups(Mmsa(tmp_path))
    data["test"]["id"][0] = "b$_$7"
    dumped(tmp_path / "aligned_50.pkl", data)
    with pytest.raises(UserError, match="b is in both train and test of mosi_mmsa; set shared_peo"):
        check_groups(Mmsa(tmp_path))


def test_sentiment_and_ch_sims_have_their_own_tables(tmp_path: Path) -> None:
    outputs, labels = np.array([[0.5], [-0.2]]), np.array([0.6, -0.2])
    seven = Mmsa(tmp_path, corpus="mosei").scores(outputs, labels)
    assert "acc7" in seven
    sims = Mmsa(tmp_path, corpus="sims").scores(outputs, labels)
    assert set(sims) == {"mae", "corr", "acc5", "acc3", "acc2", "f1"}


# IEMOCAP


def iemocap_part(ids: list[str], random: np.random.Generator) -> dict[str, Any]:
    n = len(ids)
    classes = np.arange(n) % 4
    return {
        "id": ids,
        "labels": np.stack([1 - np.eye(4)[classes], np.eye(4)[classes]], 2),
        "text": random.normal(size=(n, 20, 6)),
        "audio": random.normal(size=(n, 20, 5)),
        "vision": random.normal(size=(n, 20, 4)),
    }


@pytest.fixture
def iemocap(tmp_path: Path) -> Path:
    """Sessions 1 and 2 are train there, 3 is valid, 4 and 5 are test; two speakers each."""
    random = np.random.default_rng(0)
    ids = {
        s: [
            f"Ses0{s}{w}_{d}_{w}00{k}"
            for w in "FM"
            for d in ("impro01", "script02_1b")
            for k in "12"
        ]
        for s in (1, 2, 3, 4, 5)
    }
    parts = {"train": ids[1] + ids[2], "valid": ids[3], "test": ids[4] + ids[5]}
    dumped(
        tmp_path / "iemocap_data.pkl",
        {split: iemocap_part(names, random) for split, names in parts.items()},
    )
    return tmp_path


def test_iemocap_as_it_is_distributed_keeps_its_parts(iemocap: Path) -> None:
    data = IemocapGiven(iemocap)
    assert [len(data.load(split)) for split in ("train", "valid", "test")] == [16, 8, 16]  # type: ignore[arg-type]
    samples = data.load("valid")
    assert samples.windows.labels.tolist() == [0, 1, 2, 3] * 2
    assert samples.ids[0] == "valid_0"
    assert samples.windows.valid.shape == (8, 3, 8)  # 20 rows in 8 slices
    check_groups(data)  # the file says nothing of who speaks


def test_one_session_of_iemocap_is_left_out_with_both_its_speakers(iemocap: Path) -> None:
    data: DataSet = IemocapSessions(iemocap, test_session=1, valid_session=3)
    check_groups(data)
    assert data.groups() == {
        "train": {"02F", "02M", "04F", "04M", "05F", "05M"},
        "valid": {"03F", "03M"},
        "test": {"01F", "01M"},
    }
    test = data.load("test")
    assert all(name.startswith("Ses01") for name in test.ids)
    assert test.groups == ("01F",) * 4 + ("01M",) * 4
    assert len(data.load("train")) == 24
    # A clip keeps its own rows and label.
    there = IemocapGiven(iemocap).load("train").windows
    assert np.array_equal(test.windows.rows["text"], there.rows["text"][:8])
    assert test.windows.labels.tolist() == there.labels[:8].tolist()


def test_one_session_cannot_be_tested_and_validate(iemocap: Path) -> None:
    with pytest.raises(UserError, match="05F is in both valid and test"):
        check_groups(IemocapSessions(iemocap, test_session=5, valid_session=5))
    with pytest.raises(UserError, match="no clip of test's sessions"):
        IemocapSessions(iemocap, test_session=7).load("test")


def test_iemocaps_table_has_each_class_against_the_rest(iemocap: Path) -> None:
    got = IemocapGiven(iemocap).scores(np.eye(4)[[0, 1, 2, 0]], np.array([0, 1, 2, 3]))
    assert got["accuracy"] == got["uar"] == 0.75
    assert (got["acc2_happy"], got["acc2_angry"], got["acc2_neutral"]) == (1.0, 0.75, 0.75)
    assert {f"f1_{name}" for name in ("neutral", "happy", "sad", "angry")} < set(got)


@pytest.mark.parametrize(
    ("key", "wrong", "said"),
    [
        ("labels", np.zeros((16, 8)), "has not the layout"),
        ("text", np.ones((16, 20)), "has not the layout"),
        ("text", np.ones((15, 20, 6)), "40 clips and 39 text rows"),
        ("id", ["Ses05M_impro01_F000"], "25 clips and 40 labels"),
    ],
)
def test_iemocap_parts_of_other_shapes_are_one_sentence(
    iemocap: Path, key: str, wrong: Any, said: str
) -> None:
    path = iemocap / "iemocap_data.pkl"
    data = arrays_only.load(path)
    data["test"][key] = wrong
    dumped(path, data)
    with pytest.raises(UserError, match=said):
        IemocapSessions(iemocap).load("test")


def test_an_iemocap_file_of_another_kind_is_one_sentence(iemocap: Path) -> None:
    path = iemocap / "iemocap_data.pkl"
    data = arrays_only.load(path)
    data["test"]["labels"] = np.array(data["test"]["labels"])
    data["test"]["labels"][3, 1] = (0, 1)  # angry and happy
    dumped(path, data)
    with pytest.raises(UserError, match="no label for test_3"):
        IemocapGiven(iemocap).load("test")
    data["test"]["id"][0] = "video7"
    dumped(path, data)
    with pytest.raises(UserError, match="video7 is not named like an IEMOCAP clip"):
        IemocapSessions(iemocap).load("test")
    del data["test"]["id"]
    dumped(path, data)
    with pytest.raises(UserError, match="has not the layout it should have: KeyError"):
        IemocapSessions(iemocap).load("test")
