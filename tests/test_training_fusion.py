"""Pairing, and a tiny fusion run from rows to weights that an interruption does not change."""

from __future__ import annotations

from pathlib import Path

import lightning
import numpy as np
import pytest
import torch

from normtr.model import NormTr, NormTrConfig
from normtr.spec import LABELS, MODALITIES, FaceSpec, FeatureSpec, VoiceSpec
from normtr.window import NONE
from training import assess
from training.fit import fit, weights_of
from training.noise_aware import Learning, NoiseAware, standardise
from training.pairing import LATEST, NEUTRAL, SHORTEST, PairedBatches, Pairing, draw
from training.rows import Bank, ragged
from training.windows import Windows, loader

SPEC = FeatureSpec(face=FaceSpec(width=8), voice=VoiceSpec(width=4))
"""Narrow networks: the rows of this test come from no network at all."""
CAUSES = {"face": {"no_face"}, "voice": {"silence", "muted"}, "text": {"no_words"}}


def bank(seed: int) -> Bank:
    """Rows whose first number is 10 + label, the rest noise around the label's own point."""
    random = np.random.default_rng(seed)
    labels = np.repeat(np.arange(len(LABELS)), 6)
    centre = {m: np.random.default_rng(9).normal(size=(7, d)) for m, d in SPEC.dims.items()}

    def rows(modality: str, label: int, count: int) -> np.ndarray:
        x = centre[modality][label] + 0.5 * random.normal(size=(count, SPEC.dims[modality]))
        x[:, 0] = 10 + label
        return x.astype(np.float16)

    voices = [rows("voice", int(label), 9) for label in labels]
    for voice in voices:
        voice[[0, 4]] = 0.0  # silent steps
    return Bank(
        np.stack([rows("face", int(label), 3) for label in labels]),
        labels,
        ragged(voices, labels.tolist()),
        ragged([rows("text", int(label), 7) for label in labels], labels.tolist()),
    )


@pytest.fixture(scope="module")
def pairing() -> Pairing:
    return Pairing(bank(1), SPEC, seed=1)


def test_windows_are_uniform_over_classes_and_express_somewhere(pairing: Pairing) -> None:
    drawn = [pairing(0, i) for i in range(700)]
    assert np.bincount([d.label for d in drawn]).tolist() == [100] * len(LABELS)
    assert all(any(d.expresses.values()) for d in drawn)
    for modality in MODALITIES:  # 0.7 given that at least one does: 0.7 / 0.973
        assert np.mean([d.expresses[modality] for d in drawn]) == pytest.approx(0.72, abs=0.05)


def test_rows_are_of_the_label_or_neutral(pairing: Pairing) -> None:
    """A modality that does not express the label holds neutral rows only."""
    seen = dict.fromkeys(MODALITIES, 0)
    for i in range(200):
        drawn = pairing(0, i)
        for modality in MODALITIES:
            valid = np.array([cause == NONE for cause in drawn.window.gaps[modality]])
            found = set(np.round(drawn.window.rows[modality][valid, 0] - 10).astype(int))
            allowed = {NEUTRAL} | ({drawn.label} if drawn.expresses[modality] else set())
            assert found <= allowed
            seen[modality] += drawn.label in found and drawn.label != NEUTRAL
    assert min(seen.values()) > 50


def test_gaps_are_zero_rows_with_a_fitting_cause(pairing: Pairing) -> None:
    for i in range(100):
        window = pairing(3, i).window
        for modality in MODALITIES:
            for cause, row in zip(window.gaps[modality], window.rows[modality], strict=True):
                assert cause == NONE or cause in CAUSES[modality]
                assert row.any() == (cause == NONE)


def test_a_face_is_expressed_for_a_second_and_comes_from_at_most_three_pictures() -> None:
    still = bank(2)
    still = Bank(still.faces[:, :1], still.face_labels, still.voices, still.texts)
    pairing = Pairing(still, SPEC, 1)
    for i in range(100):
        drawn = pairing(0, i)
        rows = drawn.window.rows["face"]
        valid = drawn.window.valid[0]
        assert len(np.unique(rows[valid], axis=0)) <= 3
        if drawn.expresses["face"] and drawn.label != NEUTRAL and valid.all():
            assert (np.round(rows[:, 0] - 10) == drawn.label).sum() >= SHORTEST


def test_late_words_are_missing_at_the_end(pairing: Pairing) -> None:
    last = [pairing(0, i).window.gaps["text"][-1] != NONE for i in range(300)]
    assert np.mean(last) > LATEST / (LATEST + 1) - 0.05


def test_a_window_depends_on_its_key_only(pairing: Pairing) -> None:
    again = Pairing(bank(1), SPEC, seed=1)
    wanted = [(0, 3), (2, 3), (0, 4)]
    forth = [pairing(*key).window for key in wanted]
    back = [again(*key).window for key in reversed(wanted)][::-1]
    for a, b in zip(forth, back, strict=True):
        assert a.gaps == b.gaps
        assert all(np.array_equal(a.rows[m], b.rows[m]) for m in MODALITIES)
    assert forth[0].gaps != forth[1].gaps or not np.array_equal(
        forth[0].rows["face"], forth[1].rows["face"]
    )


def test_a_bank_survives_its_file(tmp_path: Path) -> None:
    before = bank(1)
    before.save(tmp_path / "bank.npz")
    after = Bank.load(tmp_path / "bank.npz")
    assert np.array_equal(before.faces, after.faces)
    assert np.array_equal(before.voices[3], after.voices[3])
    assert np.array_equal(before.texts.labels, after.texts.labels)


CONFIG = NormTrConfig(SPEC.dims, len(LABELS), SPEC.steps, width=32, depth=1, heads=4)


def trained(run: Path, epochs: int, of: int, valid: Windows) -> dict[str, torch.Tensor]:
    """Weights after `epochs` of a run planned for `of`."""
    pairing = Pairing(bank(1), SPEC, seed=1)
    lightning.seed_everything(1, verbose=False)
    train = loader(PairedBatches(pairing, SPEC, 1), 56, 28, seed=1)
    module = NoiseAware(NormTr(CONFIG), Learning(lr=1e-3), of * len(train), seed=1)
    standardise(module.network, draw(pairing, [(0, i) for i in range(56)]))
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
    valid = draw(Pairing(bank(2), SPEC, 2), [(0, i) for i in range(28)])
    whole = trained(tmp_path / "whole", 3, 3, valid)
    trained(tmp_path / "broken", 1, 3, valid)
    resumed = trained(tmp_path / "broken", 3, 3, valid)
    assert whole.keys() == resumed.keys()
    assert all(torch.equal(whole[name], resumed[name]) for name in whole)


def test_standardised_rows_have_mean_0_and_deviation_1(pairing: Pairing) -> None:
    windows = draw(pairing, [(0, i) for i in range(140)])
    network = NormTr(CONFIG)
    standardise(network, windows)
    face = windows.rows["face"][windows.valid[:, 0]]
    x = (face - network.get_buffer("mean_face")) / network.get_buffer("scale_face")
    assert torch.allclose(x.mean(0), torch.zeros(x.shape[1]), atol=1e-3)
    assert torch.allclose(x[:, 1:].std(0), torch.ones(x.shape[1] - 1), atol=1e-2)


def test_calibration_undoes_a_wrong_temperature(pairing: Pairing) -> None:
    """Logits three times too large: the fitted temperature is near 3, the NLL is lower."""
    windows = draw(pairing, [(0, i) for i in range(1_400)])
    torch.manual_seed(0)
    true = torch.randn(1_400, 7) * 2
    labels = torch.distributions.Categorical(logits=true).sample()
    windows = Windows(windows.rows, windows.valid, labels)
    calibration = assess.with_threshold(assess.calibrate(3 * true, windows), 3 * true, windows)
    temperatures = np.exp(
        calibration.log_temperature
        + (1 - windows.valid.double().mean(2).numpy())
        @ [calibration.missing[m] for m in MODALITIES]
    )
    assert temperatures.mean() == pytest.approx(3.0, rel=0.15)
    scores = assess.reliability(calibration, 3 * true, windows)
    assert scores["nll"] < scores["nll_raw"]
    assert scores["ece"] < 0.05
    assert scores["selective_accuracy"] >= assess.CONFIDENT
    # The batch form is the shipped form.
    one = assess.probabilities(calibration, 3 * true, windows)[5].numpy()
    share = dict(zip(MODALITIES, windows.valid[5].double().mean(1).tolist(), strict=True))
    shipped = calibration.probabilities((3 * true)[5].numpy(), share)
    assert np.allclose(one, shipped, atol=1e-12)


def test_gaps_of_the_test_take_away_what_they_say(pairing: Pairing) -> None:
    windows = draw(pairing, [(0, i) for i in range(14)])
    assert not assess.lost(windows, 1.0, 1).valid.any()
    assert torch.equal(assess.lost(windows, 0.0, 1).valid, windows.valid)
    assert not assess.only(windows, ("voice",)).valid[:, [0, 2]].any()
    assert torch.equal(assess.only(windows, ("voice",)).valid[:, 1], windows.valid[:, 1])
