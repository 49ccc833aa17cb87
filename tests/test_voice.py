"""One second of sound -> a row, or why there is none."""

from __future__ import annotations

import librosa
import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from normtr.resnet import ResNet18
from normtr.sound import Samples
from normtr.spec import VoiceSpec
from normtr.voice import VoiceEncoder, gate, log_mel
from tests.clips import tone

SPEC = VoiceSpec(width=4)
FLOOR = (-80.0 - SPEC.mean_db) / SPEC.scale_db


@pytest.fixture(scope="module")
def encoder() -> VoiceEncoder:
    torch.manual_seed(0)
    return VoiceEncoder(SPEC, ResNet18(3, 4, 7))


def second(hz: float = 300.0, level: float = 0.3) -> Samples:
    return tone(16_000, 1.0, hz, level)


def quiet_noise(dbfs: float) -> Samples:
    noise = np.random.default_rng(0).standard_normal(16_000) * 10 ** (dbfs / 20)
    return noise.astype(np.float32)


def test_a_row_is_a_pure_function_of_its_second(encoder: VoiceEncoder) -> None:
    first = encoder(second())
    encoder(quiet_noise(-20))
    again = encoder(second())
    assert first.cause == "none"
    assert first.vector is not None
    assert again.vector is not None
    assert (first.vector.shape, first.vector.dtype) == ((SPEC.dim,), np.float32)
    assert first.vector.tobytes() == again.vector.tobytes()


@pytest.mark.parametrize("count", [0, 15_999, 16_001, 32_000])
def test_any_other_length_is_refused(encoder: VoiceEncoder, count: int) -> None:
    with pytest.raises(ValueError, match="needs 16000 samples"):
        encoder(np.ones(count, np.float32))


def test_log_mel_has_three_channels_of_frames_that_lie_inside_the_second() -> None:
    mel = log_mel(second(), SPEC)
    assert (mel.shape, mel.dtype) == ((3, 64, 1 + (16_000 - 512) // 160), np.float32)
    both = log_mel(np.stack([second(), quiet_noise(-30)]), SPEC)
    assert np.allclose(both[0], mel, atol=1e-5)


@pytest.mark.parametrize("hz", [200, 440, 1000, 3000, 7000])
def test_a_tone_is_loudest_in_its_own_band(hz: float) -> None:
    centres = librosa.mel_frequencies(SPEC.mels + 2, fmin=SPEC.f_min, fmax=SPEC.f_max)[1:-1]
    loudest = log_mel(second(hz), SPEC)[0].mean(axis=1).argmax()
    assert abs(int(loudest) - int(np.abs(centres - hz).argmin())) <= 1


def test_levels_are_absolute_and_in_decibel() -> None:
    loud, soft = log_mel(second(level=0.5), SPEC)[0], log_mel(second(level=0.05), SPEC)[0]
    assert (loud.max() - soft.max()) * SPEC.scale_db == pytest.approx(20, abs=0.1)
    assert log_mel(np.zeros(16_000, np.float32), SPEC)[0] == pytest.approx(FLOOR)


def test_what_does_not_change_has_no_delta_and_a_rise_has_a_positive_one() -> None:
    rising = np.linspace(0.001, 1.0, 16_000, dtype=np.float32) * second()
    band = log_mel(second(), SPEC)[0].mean(axis=1).argmax()
    assert np.abs(log_mel(second(), SPEC)[1:, band]).max() < 0.01
    assert log_mel(rising, SPEC)[1, band].min() > 0


def test_exact_zeros_are_muted_and_faint_noise_is_silence() -> None:
    assert gate(np.zeros(16_000, np.float32), SPEC) == "muted"
    assert gate(np.full(16_000, 2.0**-16, np.float32), SPEC) == "muted"
    assert gate(quiet_noise(-60), SPEC) == "silence"
    assert gate(quiet_noise(-40), SPEC) == "none"


def test_only_the_last_half_second_decides_and_one_loud_frame_is_enough() -> None:
    spoken = second()
    spoken[8000:] = 0
    assert gate(spoken, SPEC) == "muted"
    blip = np.zeros(16_000, np.float32)
    blip[12_000:12_400] = tone(16_000, 0.025)
    assert gate(blip, SPEC) == "none"


def test_a_second_without_voice_has_a_cause_and_no_row(encoder: VoiceEncoder) -> None:
    for samples, cause in ((np.zeros(16_000, np.float32), "muted"), (quiet_noise(-60), "silence")):
        row = encoder(samples)
        assert (row.cause, row.vector) == (cause, None)


@given(st.floats(-100, 0), st.integers(0, 1000))
def test_louder_never_closes_the_gate(dbfs: float, seed: int) -> None:
    noise = np.random.default_rng(seed).standard_normal(16_000).astype(np.float32)
    order = ("muted", "silence", "none")
    at = [gate(noise * np.float32(10 ** (x / 20)), SPEC) for x in (dbfs, dbfs + 3)]
    assert order.index(at[0]) <= order.index(at[1])
