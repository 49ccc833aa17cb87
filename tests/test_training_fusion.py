"""Pairing, rivals and a tiny fusion run from what the parts say to weights on rows."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from normtr import checkpoint, gap_trace
from normtr.errors import UserError
from normtr.model import NormTr
from normtr.norm_tr_config import NormTrConfig
from normtr.shipped import SHIPPED
from normtr.spec import LABELS, MODALITIES
from tests.support.banks import DIM, STEPS, bank
from training import run_folder
from training.recognizer import fold_heads, late_fusion
from training.recognizer.fusion import FusionPart, by_rate, trained
from training.recognizer.gap_traces import Traces
from training.recognizer.pair_clips import PairClips
from training.recognizer.pair_scores import Strangers, each_by_its_own
from training.recognizer.paired import BANKS, LabelPaired
from training.recognizer.pairing import (
    LATEST,
    NEUTRAL,
    SHORTEST,
    Pairing,
    draw,
    gaps,
)
from training.recognizer.parts import ADAPTER, of_checkpoint
from training.recognizer.row_bank import Bank
from training.recognizer.true_pairs import crowd, every_step
from training.samples import loaded, numbered
from training.systems.attentive_late_fusion import AttentiveLateFusion
from training.systems.concatenation import Concatenation
from training.systems.linear import Linear
from training.systems.noise_aware import Learning, standardise
from training.systems.norm_tr import Architecture, NormTrSystem
from training.systems.phase import Phase
from training.systems.system import System
from training.windows import Windows

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def pairing() -> Pairing:
    return Pairing(bank(1), STEPS, seed=1)


def test_windows_are_uniform_over_classes_and_express_somewhere(pairing: Pairing) -> None:
    drawn = [pairing(0, i) for i in range(700)]
    assert np.bincount([d.label for d in drawn]).tolist() == [100] * len(LABELS)
    felt = np.array([d.shown == d.label for d in drawn if d.label != NEUTRAL])
    assert felt.any(1).all()
    # 0.7 given that at least one does: 0.7 / 0.973
    assert felt.mean(0) == pytest.approx(0.72, abs=0.05)


def test_rows_are_of_the_label_or_neutral(pairing: Pairing) -> None:
    """A modality that does not express the label holds neutral rows only."""
    seen = dict.fromkeys(MODALITIES, 0)
    for i in range(200):
        drawn = pairing(0, i)
        for m, modality in enumerate(MODALITIES):
            rows = drawn.rows[modality][drawn.valid[m]]
            found = set(np.round(rows[:, 0] - 10).astype(int))
            assert found <= {NEUTRAL, int(drawn.shown[m])}
            seen[modality] += drawn.label in found and drawn.label != NEUTRAL
    assert min(seen.values()) > 50


def test_gaps_are_zero_rows(pairing: Pairing) -> None:
    for i in range(100):
        drawn = pairing(3, i)
        for m, modality in enumerate(MODALITIES):
            assert (drawn.rows[modality].any(axis=1) == drawn.valid[m]).all()
            assert np.isfinite(drawn.rows[modality]).all()


def test_a_face_is_expressed_for_a_second_and_comes_from_at_most_three_pictures() -> None:
    still = bank(2)
    still = Bank(still.faces[:, :1], still.face_labels, still.voices, still.texts)
    pairing = Pairing(still, STEPS, 1)
    for i in range(100):
        drawn = pairing(0, i)
        rows, valid = drawn.rows["face"], drawn.valid[0]
        assert len(np.unique(rows[valid], axis=0)) <= 3
        if drawn.shown[0] == drawn.label != NEUTRAL and valid.all():
            assert (np.round(rows[:, 0] - 10) == drawn.label).sum() >= SHORTEST


def test_late_words_are_missing_at_the_end(pairing: Pairing) -> None:
    last = [not pairing(0, i).valid[2, -1] for i in range(300)]
    assert np.mean(last) > LATEST / (LATEST + 1) - 0.05


def test_some_training_windows_are_of_one_person_whose_clip_ends_them() -> None:
    people = bank(1, with_pairs=True)
    pairing = Pairing(people, STEPS, 1, strange=True)
    drawn = [pairing(0, i) for i in range(700)]
    wordless = [d for d in drawn if not d.valid[2].any() and d.valid[:2].any(1).all()]
    assert 60 < sum(d.valid[0].sum() < 12 for d in wordless) < 250
    only = Pairing(people, STEPS, 1)  # to be judged by: no window is of a pair
    plain = Pairing(bank(1), STEPS, 1)
    assert all(np.array_equal(only(0, i).valid, plain(0, i).valid) for i in range(50))


def test_windows_of_pairs_end_with_each_step_and_know_who_is_left_out(banks: Path) -> None:
    of = Bank.load(banks / BANKS["train"]).pairs
    assert of is not None
    windows, clip = every_step(of, STEPS)
    assert np.bincount(clip).tolist() == [5] * 24
    assert not windows.valid[:, 2].any()
    first = windows.valid[clip == 3]
    assert first[:, 0].sum(1).tolist() == [0, 1, 2, 3, 4]  # the first picture has no face
    assert first[:, 1].sum(1).tolist() == [1, 2, 3, 3, 4]
    assert windows.rows["voice"][clip == 3][-1, -1, 0] == of.voices[3][-1][0]
    assert windows.labels[clip == 3].tolist() == [of.faces.labels[3]] * 5
    labels = [LabelPaired(banks, without=p).draw([(0, 1)]).labels for p in ("", "b one")]
    assert torch.equal(*labels)
    alone = of.part(of.people == "b one")
    assert len(alone.people) == 12
    assert np.array_equal(alone.faces[2], of.faces[2], equal_nan=True)


def test_clips_of_pairs_are_a_data_set_split_by_person(banks: Path) -> None:
    data = PairClips(banks, valid_people=("b two",), test_people=("b one",))
    assert data.classes == tuple(label for label in LABELS if label != "disgust")
    test, valid = data.load("test"), data.load("valid")
    assert set(test.groups) == {"b one"} == data.groups()["test"]
    assert len(test) == len(valid) == 12
    assert list(test.windows.rows) == ["face", "voice"]
    assert test.windows.valid.sum(2).tolist() == [[4, 4]] * 12
    named = [data.classes[label] for label in test.windows.labels]
    pairs = Bank.load(banks / BANKS["train"]).pairs
    assert pairs is not None
    assert named == [LABELS[label] for label in pairs.faces.labels[:12]]
    assert torch.equal(test.windows.rows["face"][2, -1], torch.from_numpy(pairs.faces[2][-1]))
    with pytest.raises(UserError, match="no clips of the people of 'train'"):
        data.load("train")
    (banks / "none").mkdir()
    bank(1).save(banks / "none" / BANKS["train"])
    with pytest.raises(UserError, match="has no true pairs"):
        PairClips(banks / "none").load("test")


def test_a_crowd_is_what_is_said_of_each_label() -> None:
    for of in crowd(bank(1)).values():
        assert [row[0] for row in of.mean] == pytest.approx([10 + n for n in range(len(LABELS))])
        assert of.of([0.5, 0.5, *[0.0] * 5])[0] == pytest.approx(10.5)


def test_strangers_are_judged_by_their_own_network_in_any_number_of_rounds() -> None:
    def windows(count: int) -> Windows:
        rows = {"face": torch.zeros(count, 2, 1)}
        return Windows(rows, torch.ones(count, 1, 2, dtype=torch.bool), torch.zeros(count).long())

    def says(number: float) -> Callable[[Windows], Tensor]:
        return lambda given: torch.full((len(given.labels), 2), number)

    predict = each_by_its_own([Strangers(windows(2), says(1.0)), Strangers(windows(3), says(2.0))])
    assert predict(windows(10))[:, 0].tolist() == [1, 1, 2, 2, 2] * 2


def test_a_window_depends_on_its_key_only(pairing: Pairing) -> None:
    again = Pairing(bank(1), STEPS, seed=1)
    wanted = [(0, 3), (2, 3), (0, 4)]
    forth = [pairing(*key) for key in wanted]
    back = [again(*key) for key in reversed(wanted)][::-1]
    for a, b in zip(forth, back, strict=True):
        assert np.array_equal(a.valid, b.valid)
        assert all(np.array_equal(a.rows[m], b.rows[m]) for m in MODALITIES)
    assert not np.array_equal(forth[0].rows["face"], forth[1].rows["face"])


def test_a_bank_survives_its_file(tmp_path: Path) -> None:
    before = bank(1)
    before.save(tmp_path / "bank.npz")
    after = Bank.load(tmp_path / "bank.npz")
    assert np.array_equal(before.faces, after.faces)
    assert np.array_equal(before.voices[3], after.voices[3], equal_nan=True)
    assert np.array_equal(before.texts.labels, after.texts.labels)


def test_training_gaps_are_whole_stretches_absences_and_recorded_ones() -> None:
    traces = Traces.load()
    masks = np.stack([gaps(STEPS, 1, (0, i), traces) for i in range(1_000)])
    there = masks.mean(2)
    assert 0.2 < (there == 1).all(1).mean() < 0.6
    assert (there == 0).any(1).mean() > 0.2
    partly = (there > 0) & (there < 1)
    assert partly.any(1).mean() > 0.3
    assert np.array_equal(masks[7], gaps(STEPS, 1, (0, 7), traces))


def test_recorded_traces_wrap_around_and_hold_every_modality() -> None:
    stream = np.array([[True] * 5, [False] * 5, [True, False, True, False, False]])
    found = Traces((stream,)).mask(12, np.random.default_rng(0))
    assert found.shape == (3, 12)
    assert found[0].all()
    assert not found[1].any()
    assert np.array_equal(found[:, :5], found[:, 5:10])
    assert all(len(s) == len(MODALITIES) and s.shape[1] >= 8 for s in Traces.load().streams)


def test_masks_are_drawn_from_a_recorded_gap_trace(tmp_path: Path) -> None:
    path = tmp_path / "gaps.jsonl"
    whole = dict.fromkeys(MODALITIES, "none")
    lines = [gap_trace.line(n, whole | {"voice": "muted"}) for n in range(20)]
    path.write_text("".join([*lines, gap_trace.line(0, whole)]))
    assert [s.shape for s in Traces.load(path).streams] == [(3, 20), (3, 1)]
    masks = [Traces.load(path).mask(16, np.random.default_rng(seed)) for seed in range(20)]
    assert {tuple(mask.all(1)) for mask in masks} == {(True, False, True), (True, True, True)}


CONFIG = NormTrConfig(dict.fromkeys(MODALITIES, DIM), 7, STEPS, width=32, depth=1, heads=4)


def test_standardised_rows_have_mean_0_and_deviation_1(pairing: Pairing) -> None:
    windows = draw(pairing, [(0, i) for i in range(140)])
    network = NormTr(CONFIG)
    standardise(network, windows)
    face = windows.rows["face"][windows.valid[:, 0]]
    x = (face - network.get_buffer("mean_face")) / network.get_buffer("scale_face")
    assert torch.allclose(x.mean(0), torch.zeros(x.shape[1]), atol=1e-3)
    assert torch.allclose(x.std(0), torch.ones(x.shape[1]), atol=1e-2)


def test_a_network_on_logits_is_the_same_on_the_rows_they_are_read_from() -> None:
    """Valid and missing steps alike, whatever the heads' own bias and the logits' statistics."""
    torch.manual_seed(0)
    heads = {m: nn.Linear(width, 7) for m, width in zip(MODALITIES, (32, 20, 12), strict=True)}
    rows = {m: torch.randn(9, STEPS, head.in_features) for m, head in heads.items()}
    valid = torch.rand(9, 3, STEPS) < 0.6
    valid[0] = False
    windows = Windows(rows, valid, torch.zeros(9, dtype=torch.int64))
    on_logits = late_fusion.as_logits(windows, heads)
    network = NormTr(CONFIG).eval()
    standardise(network, on_logits)
    whole = fold_heads.on_rows(network, heads)
    assert whole.config.dims == {"face": 32, "voice": 20, "text": 12}
    with torch.inference_mode():
        expected = network(on_logits.rows, valid)
        assert torch.allclose(whole(rows, valid), expected, atol=1e-4)


@pytest.fixture(scope="module")
def banks(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder in which the parts' words about three groups of people are kept already."""
    folder = tmp_path_factory.mktemp("fusion")
    for seed, name in enumerate(BANKS.values()):
        bank(seed, with_pairs=name == BANKS["train"]).save(folder / name)
    return folder


def test_fresh_windows_are_others_in_every_epoch_and_have_gaps(banks: Path) -> None:
    data = LabelPaired(banks, windows_per_epoch=70)
    keys = [(0, i) for i in range(70)]
    first, again, later = (data.draw(k) for k in (keys, keys, [(1, i) for _, i in keys]))
    assert torch.equal(first.rows["face"], again.rows["face"])
    assert torch.equal(first.valid, again.valid)
    assert not torch.equal(first.rows["face"], later.rows["face"])
    whole = data.load("train").windows
    kept = first.valid.float().mean() / whole.valid[:70].float().mean()
    assert 0.3 < kept < 0.9
    assert torch.bincount(first.labels).tolist() == [10] * 7


def test_systems_learn_from_fresh_windows_alike_whatever_is_resumed(
    banks: Path, tmp_path: Path
) -> None:
    data = LabelPaired(banks, train=280, windows_per_epoch=280, valid=210, test=210)
    short = Phase(constant=2, decay=1, batch=28, clip=1.0, dropout=0.0, beta1=0.9, lr=3e-3)
    systems: dict[str, System] = {
        "late": AttentiveLateFusion(length=short, masks="windows"),
        "concatenation": Concatenation(length=short, hidden=32),
        "linear": Linear(copies=2),
        "NORM-TR": NormTrSystem(
            masks="windows",
            network=Architecture(width=32, depth=1, heads=4),
            learning=Learning(lr=3e-3, epochs=8, batch=28, ema=0.0),
        ),
    }
    for name, system in systems.items():
        models = [trained(system, data, tmp_path / f"{name}-{n}", 1) for n in (0, 1)]
        states = [model.state_dict() for model in models]
        assert all(torch.equal(states[0][key], states[1][key]) for key in states[0])
        assert by_rate(models[0], data, loaded(data, "test"), 1)["0.0"] > 0.5


@pytest.fixture(scope="module")
def fused(banks: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, dict[str, Any]]:
    """A fusion of the shipped parts, trained for a moment on banks that are there, and packed."""
    folder = tmp_path_factory.mktemp("parts")
    shipped = checkpoint.load(SHIPPED)
    of = of_checkpoint(shipped)
    networks = {"face": of.face, "voice": of.voice, "text": of.text}
    for name, network in networks.items():
        run_folder.write_tensors(folder / name / f"{name}.safetensors", network.state_dict())
    adapter = {name: torch.from_numpy(x) for name, x in shipped.adapter.items()}
    run_folder.write_tensors(folder / "text" / ADAPTER, adapter)
    part = FusionPart(
        face=folder / "face",
        voice=folder / "voice",
        text=folder / "text",
        pack_to=folder / "weights",
        spec=shipped.spec,
        windows=280,
        valid_windows=210,
        network=Architecture(width=32, depth=1, heads=4, masked=True),
        learning=Learning(lr=3e-3, epochs=8, batch=28, ema=0.0),
        left_out_epochs=8,
        rivals=Phase(constant=2, decay=1, batch=28, clip=1.0, dropout=0.0, beta1=0.9, lr=3e-3),
    )
    out = folder / "fusion"
    shutil.copytree(banks, out)
    return folder / "weights", part.train(out, 1)


def test_a_fusion_is_a_checkpoint_with_figures_of_all_systems(
    fused: tuple[Path, dict[str, Any]],
) -> None:
    weights, metrics = fused
    names = {"NORM-TR", "late fusion", "concatenation", "NORM-TR without masks"}
    assert set(metrics["accuracy_by_rate"]) == set(metrics["subsets"]) == names
    for by in metrics["accuracy_by_rate"].values():
        assert by["0.0"] > 0.5 > by["1.0"]
    assert len(metrics["subsets"]["NORM-TR"]) == 7
    assert metrics["nothing_seen"]["highest"] < 0.5
    # What is said of each of the two people is said by a network without them.
    pairs = metrics["true_pairs"]
    assert pairs["fused"]["n"] == pairs["face"]["n"] == 24
    assert "disgust" not in pairs["fused"]["per_class"]
    assert min(pairs[name]["uar"] for name in ("fused", "face", "voice")) > 0.5
    assert set(pairs["ece_by_rate"]) == set(metrics["ece_of_other_people"])
    made = checkpoint.load(weights)
    assert set(made.crowd) == {"face", "voice"}
    assert made.norm_tr.config.dims == made.spec.dims
    recorded = json.loads((weights / "recorded.json").read_text())
    assert recorded["metrics"]["fusion"] == metrics
    assert "late_fusion.safetensors" in recorded["sha256"]


def test_a_late_fusion_ignores_what_is_missing_and_survives_its_file(
    banks: Path, fused: tuple[Path, dict[str, Any]], tmp_path: Path
) -> None:
    windows = loaded(LabelPaired(banks, test=70), "test").under("windows", 0.5, 1)
    rival = late_fusion.read(fused[0])
    junk = {
        m: torch.where(windows.valid[:, i, :, None], x, torch.full_like(x, 99.0))
        for i, (m, x) in enumerate(windows.rows.items())
    }
    with torch.inference_mode():
        said = rival(windows.rows, windows.valid)
        assert torch.allclose(rival(junk, windows.valid), said, atol=1e-5)
        assert (said.argmax(1) == windows.labels).float().mean() > 0.5
        nothing = rival(windows.rows, windows.valid & False)
    assert nothing.softmax(1).max() < 0.2  # all classes were as frequent
    late_fusion.write(tmp_path, rival)
    again = late_fusion.read(tmp_path)
    assert torch.equal(again(windows.rows, windows.valid), said)
    with pytest.raises(UserError, match=r"has no late_fusion\.safetensors"):
        late_fusion.read(banks)


def test_gaps_of_the_test_take_away_what_they_say(pairing: Pairing) -> None:
    windows = draw(pairing, [(0, i) for i in range(14)])
    samples = numbered(windows)
    assert not samples.under("windows", 1.0, 1).valid.any()
    assert torch.equal(samples.under("windows", 0.0, 1).valid, windows.valid)
    assert not samples.only(("voice",)).valid[:, [0, 2]].any()
    assert torch.equal(samples.only(("voice",)).valid[:, 1], windows.valid[:, 1])
    # In pieces they are the same gaps.
    later = numbered(windows.part(slice(7, None)), 7)
    whole = samples.under("windows", 0.5, 1).valid[7:]
    assert torch.equal(later.under("windows", 0.5, 1).valid, whole)


def test_a_recorded_stream_is_drawn_as_often_as_it_is_long() -> None:
    short, long = np.ones((3, 10), np.bool_), np.zeros((3, 90), np.bool_)
    random = np.random.default_rng(0)
    drawn = [Traces((short, long)).mask(STEPS, random) for _ in range(2_000)]
    assert {mask.shape for mask in drawn} == {(3, STEPS)}
    assert np.mean(drawn) == pytest.approx(0.1, abs=0.03)
