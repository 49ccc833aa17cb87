"""One second of sound -> a row, or why there is none."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from normtr.errors import UserError
from normtr.models import speech_model
from normtr.sound import Samples
from normtr.spec import VoiceSpec
from normtr.torch_networks import weights_of
from normtr.voice import States, VoiceEncoder, gate
from normtr.voice_network import VoiceNetwork
from tests.support.clips import tone

SPEC = VoiceSpec()


@pytest.fixture(scope="module")
def encoder() -> VoiceEncoder:
    torch.manual_seed(0)
    return VoiceEncoder(SPEC, weights_of(VoiceNetwork(SPEC, 7)))


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


def test_the_network_takes_mean_and_deviation_of_the_encoders_states() -> None:
    whisper = speech_model(SPEC.model, precision=SPEC.precision)
    mel = whisper.feature_extractor(second(), padding=0)
    assert mel.shape == (80, 100)
    states = np.asarray(whisper.encode(mel), np.float32)[0]
    found = States(SPEC)(second())
    assert np.allclose(found[: SPEC.width], states.mean(0), atol=1e-5)
    assert np.allclose(found[SPEC.width :], states.std(0), atol=1e-5)


def test_an_unknown_speech_model_is_one_sentence() -> None:
    with pytest.raises(UserError, match="there is no speech model folder 'nowhere'"):
        States(VoiceSpec(model="nowhere"))


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
