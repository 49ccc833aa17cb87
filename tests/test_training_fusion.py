"""Pairing, rivals and a tiny fusion run from what the parts say to weights on rows."""

from __future__ import annotations

from pathlib import Path

import lightning
import numpy as np
import pytest
import torch
from torch import nn

from normtr import gap_trace
from normtr.model import NormTr, NormTrConfig
from normtr.spec import LABELS, MODALITIES
from tests.support.banks import DIM, STEPS, bank
from training.evaluation import gap_metrics
from training.recognizer import late_fusion, read_out, simple_rivals
from training.recognizer.bank import Bank
from training.recognizer.gap_traces import Traces
from training.recognizer.late_fusion import LateFusion, mixture
from training.recognizer.pairing import (
    LATEST,
    NEUTRAL,
    SHORTEST,
    Drawn,
    PairedBatches,
    Pairing,
    draw,
    gaps,
)
from training.systems.fit import fit, weights_of
from training.systems.noise_aware import Learning, NoiseAware, standardise
from training.windows import Windows, loader

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


def trained(run: Path, epochs: int, of: int, valid: Windows) -> dict[str, torch.Tensor]:
    """Weights after `epochs` of a run planned for `of`."""
    pairing = Pairing(bank(1), STEPS, seed=1)
    lightning.seed_everything(1, verbose=False)
    train = loader(PairedBatches(pairing, STEPS, 1, Traces.load()), 56, 28, seed=1)
    module = NoiseAware(NormTr(CONFIG), Learning(lr=1e-3), of * len(train), seed=1)
    standardise(module.network, draw(pairing, [(0, i) for i in range(56)]).windows)
    fit(
        module,
        train,
        torch.utils.data.DataLoader(valid.dataset(), 64),
        run=run,
        epochs=epochs,
        monitor="accuracy",
        mode="max",
        seed=1,
        clip=1.0,
    )
    return weights_of(run / "last.ckpt", "")


def test_an_interrupted_run_ends_with_the_same_weights(tmp_path: Path) -> None:
    valid = draw(Pairing(bank(2), STEPS, 2), [(0, i) for i in range(28)]).windows
    whole = trained(tmp_path / "whole", 3, 3, valid)
    trained(tmp_path / "broken", 1, 3, valid)
    resumed = trained(tmp_path / "broken", 3, 3, valid)
    assert whole.keys() == resumed.keys()
    assert all(torch.equal(whole[name], resumed[name]) for name in whole)


def test_standardised_rows_have_mean_0_and_deviation_1(pairing: Pairing) -> None:
    windows = draw(pairing, [(0, i) for i in range(140)]).windows
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
    whole = read_out.on_rows(network, heads)
    assert whole.config.dims == {"face": 32, "voice": 20, "text": 12}
    with torch.inference_mode():
        expected = network(on_logits.rows, valid)
        assert torch.allclose(whole(rows, valid), expected, atol=1e-4)


def drawn(seed: int, n: int) -> Drawn:
    return draw(Pairing(bank(seed), STEPS, seed), [(0, i) for i in range(n)])


def test_rivals_learn_the_task_and_late_fusion_ignores_what_is_missing(tmp_path: Path) -> None:
    training, other = drawn(1, 1_400), drawn(2, 420).windows
    torch.manual_seed(1)
    fusion = LateFusion()
    late_fusion.teach(fusion, training, 12, seed=1)
    found = late_fusion.choose(fusion, [other])
    assert set(found) == set(late_fusion.FUSIONS)
    assert min(found.values()) > 0.5
    assert found[fusion.fusion] == max(found.values())
    transformer = simple_rivals.Transformer(CONFIG)
    standardise(transformer.network, training.windows)
    for rival in (simple_rivals.Concatenation(training.windows), transformer):
        simple_rivals.teach(rival, training.windows, 12, seed=1)
        with torch.inference_mode():
            assert gap_metrics.accuracy(rival, other) > 0.5
    # What stands in a missing step does not count.
    gapped = gap_metrics.lost(other, 0.5, 1)
    junk = {
        m: torch.where(gapped.valid[:, i, :, None], x, torch.full_like(x, 99.0))
        for i, (m, x) in enumerate(gapped.rows.items())
    }
    for name in late_fusion.FUSIONS:
        with torch.inference_mode():
            clean = fusion(gapped, name)
            assert torch.allclose(
                fusion(Windows(junk, gapped.valid, gapped.labels), name), clean, atol=1e-5
            )
    late_fusion.write(tmp_path, fusion)
    again = late_fusion.read(tmp_path)
    assert again.fusion == fusion.fusion
    assert torch.equal(again(other), fusion(other))


def test_the_mixture_is_bayes_rule_over_who_expresses() -> None:
    """One modality there: shown happy with 0.9; it may as well be neutral beside two unseen."""
    prior = torch.full((7,), 1 / 7).log()
    shown = torch.full((1, 3, 7), 1 / 7)
    happy = LABELS.index("happy")
    shown[0, 0] = 0.1 / 6
    shown[0, 0, happy] = 0.9
    there = torch.tensor([[True, False, False]])
    p = mixture(shown.log(), there, prior).softmax(1)[0]
    # P(face shows y | y) = 0.7 / 0.973 for an emotion, else it is neutral.
    shows = 0.7 / 0.973
    likelihood = {
        "happy": shows * 0.9 + (1 - shows) * 0.1 / 6,
        "sad": 0.1 / 6,
        "neutral": 0.1 / 6,
    }
    total = likelihood["happy"] + 6 * 0.1 / 6
    assert float(p[happy]) == pytest.approx(likelihood["happy"] / total, rel=1e-4)
    assert mixture(shown.log(), ~there & there, prior).softmax(1)[0] == pytest.approx(
        torch.full((7,), 1 / 7), rel=1e-4
    )


def test_gaps_of_the_test_take_away_what_they_say(pairing: Pairing) -> None:
    windows = draw(pairing, [(0, i) for i in range(14)]).windows
    assert not gap_metrics.lost(windows, 1.0, 1).valid.any()
    assert torch.equal(gap_metrics.lost(windows, 0.0, 1).valid, windows.valid)
    assert not gap_metrics.only(windows, ("voice",)).valid[:, [0, 2]].any()
    assert torch.equal(gap_metrics.only(windows, ("voice",)).valid[:, 1], windows.valid[:, 1])
    # In pieces they are the same gaps.
    later = windows.part(slice(7, None))
    whole = gap_metrics.lost(windows, 0.5, 1).valid[7:]
    assert torch.equal(gap_metrics.lost(later, 0.5, 1, first=7).valid, whole)


def test_an_untaught_rival_takes_the_mean() -> None:
    assert LateFusion().fusion == late_fusion.FUSIONS[0]


def test_a_recorded_stream_is_drawn_as_often_as_it_is_long() -> None:
    short, long = np.ones((3, 10), np.bool_), np.zeros((3, 90), np.bool_)
    random = np.random.default_rng(0)
    drawn = [Traces((short, long)).mask(STEPS, random) for _ in range(2_000)]
    assert {mask.shape for mask in drawn} == {(3, STEPS)}
    assert np.mean(drawn) == pytest.approx(0.1, abs=0.03)
