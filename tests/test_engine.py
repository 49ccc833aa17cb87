"""The graphs for the CPU say what torch's networks say, and refuse other weights."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from threading import Thread
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from safetensors.numpy import save_file
from torch import nn

from normtr import adapter
from normtr.bert import Bert
from normtr.engine import weights
from normtr.engine.compiled import Compiled
from normtr.engine.face_graph import face_graph
from normtr.engine.norm_tr_graph import norm_tr_graph
from normtr.engine.voice_graph import voice_graph
from normtr.engine.weights import Unfit, Weights
from normtr.errors import UserError
from normtr.model import NormTr
from normtr.models import TEXT, embedded
from normtr.norm_tr_config import NormTrConfig
from normtr.resnet import ResNetEnsemble
from normtr.spec import FaceSpec, VoiceSpec
from normtr.torch_bert import adapt, text_model
from normtr.torch_networks import weights_of
from normtr.voice_network import VoiceNetwork

FACE, VOICE = FaceSpec(width=8), VoiceSpec(width=4, dim=8)
DIMS = {"face": 20, "voice": 12, "text": 8}
SMALL = NormTrConfig(DIMS, 7, steps=4, width=32, heads=4)


def seeded(network: nn.Module, seed: int = 0) -> nn.Module:
    """Every number of the network is drawn anew, those of its statistics too; deviations positive."""
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for name, x in network.state_dict().items():
            if x.is_floating_point():
                spread = torch.rand(x.shape, generator=generator)
                positive = "var" in name or "scale" in name
                x.copy_(0.5 + spread if positive else (spread - 0.5) / max(x[0].numel(), 4) ** 0.5)
    return network.eval()


def drawn(seed: int, *shape: int) -> NDArray[np.float32]:
    return np.random.default_rng(seed).normal(size=shape).astype(np.float32)


def test_a_face_row_is_torchs() -> None:
    network = seeded(ResNetEnsemble(FACE, 7))
    assert isinstance(network, ResNetEnsemble)
    graph = Compiled(face_graph(weights_of(network), FACE, 7))
    for seed in range(3):
        crop = drawn(seed, 1, 1, 48, 48)
        with torch.inference_mode():
            expected = network.row(torch.from_numpy(crop)).numpy()
        assert expected.std() > 0.01
        assert np.allclose(graph(crop), expected, atol=1e-5)


def test_a_voice_row_is_torchs() -> None:
    network = seeded(VoiceNetwork(VOICE, 7))
    assert isinstance(network, VoiceNetwork)
    graph, states = Compiled(voice_graph(weights_of(network), VOICE, 7)), drawn(1, 1, 8)
    with torch.inference_mode():
        expected = network.row(torch.from_numpy(states)).numpy()
    assert np.allclose(graph(states), expected, atol=1e-6)


@settings(deadline=None, max_examples=25)
@given(
    depth=st.integers(0, 3),
    masked=st.booleans(),
    query=st.sampled_from(["nrgf", "mf"]),
    memory=st.sampled_from(["nrgf", "mf"]),
    steps=st.sampled_from([1, 4, 9]),
    lost=st.floats(0, 1),
    seed=st.integers(0, 99),
)
def test_the_logits_of_all_versions_of_a_window_are_torchs(
    depth: int, masked: bool, query: Any, memory: Any, steps: int, lost: float, seed: int
) -> None:
    config = NormTrConfig(
        DIMS,
        7,
        steps=steps,
        width=32,
        heads=4,
        depth=depth,
        masked=masked,
        query=query,
        memory=memory,
    )
    network = seeded(NormTr(config), seed)
    valid = np.random.default_rng(seed).random((4, 3, steps)) >= lost
    valid[3] = False
    rows = [drawn(seed + i, steps, dim) for i, dim in enumerate(DIMS.values())]
    named = {m: torch.from_numpy(x)[None] for m, x in zip(DIMS, rows, strict=True)}
    with torch.inference_mode():
        expected = [network(named, torch.from_numpy(v)[None])[0].numpy() for v in valid]
    found = Compiled(norm_tr_graph(weights_of(network), config, 4))(valid, *rows)
    assert np.allclose(found, np.stack(expected), atol=1e-5)


def test_rows_of_lost_steps_do_not_matter() -> None:
    graph = Compiled(norm_tr_graph(weights_of(seeded(NormTr(SMALL))), SMALL, 1))
    valid = np.random.default_rng(0).random((1, 3, 4)) < 0.5
    rows = [drawn(i, 4, dim) for i, dim in enumerate(DIMS.values())]
    other = [np.where(v[:, None], x, 1e3 * x + 7) for v, x in zip(valid[0], rows, strict=True)]
    assert np.array_equal(graph(valid, *rows), graph(valid, *other))


@pytest.mark.slow
@pytest.mark.parametrize("factors", [{}, adapter.read(adapter.EMOTIONAL)], ids=["plain", "adapted"])
def test_the_states_of_words_are_those_of_transformers(factors: Weights) -> None:
    tokenizer, network = text_model(TEXT)
    adapt(network, factors)
    bert = Bert(TEXT, (0, -2, -1), factors)
    for words in (
        ["happy"],
        ["isn't", "it", "UNBELIEVABLE", ",", "dachshund's", "café"],
        ["no"] * 300,
    ):
        ids, owners = bert.tokens(words)
        tokens = tokenizer([words], is_split_into_words=True, return_tensors="pt", truncation=True)
        assert ids.tolist() == tokens["input_ids"][0].tolist()
        assert owners.tolist() == [-1 if w is None else w for w in tokens.word_ids(0)]
        with torch.inference_mode():
            hidden = network.eval()(**tokens, output_hidden_states=True).hidden_states
        expected = torch.cat([hidden[layer][0] for layer in (0, -2, -1)], 1).numpy()
        assert np.allclose(bert(ids), expected, atol=1e-4)


@pytest.mark.parametrize("change", ["missing", "other shape", "left over"])
@pytest.mark.parametrize("part", ["face", "voice", "norm_tr"])
def test_other_weights_are_refused(part: str, change: str) -> None:
    network, graph = {
        "face": (ResNetEnsemble(FACE, 7), lambda w: face_graph(w, FACE, 7)),
        "voice": (VoiceNetwork(VOICE, 7), lambda w: voice_graph(w, VOICE, 7)),
        "norm_tr": (NormTr(SMALL), lambda w: norm_tr_graph(w, SMALL, 4)),
    }[part]
    given = dict(weights_of(network))
    graph(given)
    if change == "missing":
        del given["head.bias"]
    elif change == "other shape":
        given["head.bias"] = np.zeros(8, np.float32)
    else:
        given["more"] = np.zeros(7, np.float32)
    with pytest.raises(Unfit, match="more" if change == "left over" else "head.bias"):
        graph(given)


def test_threads_may_share_a_network() -> None:
    graph = Compiled(face_graph(weights_of(seeded(ResNetEnsemble(FACE, 7))), FACE, 7))
    crops = [drawn(seed, 1, 1, 48, 48) for seed in range(4)]
    expected = [graph(crop) for crop in crops]
    wrong: list[int] = []

    def run(number: int) -> None:
        wrong.extend(n for n in [number] * 50 if not np.array_equal(graph(crops[n]), expected[n]))

    threads = [Thread(target=run, args=(number,)) for number in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not wrong


def model_folder(path: Path, **config: Any) -> str:
    """A folder with the embedded BERT's files, whose config says something else."""
    files = embedded(TEXT)
    for name, file in files.items():
        (path / Path(name).name).symlink_to(file)
    given = json.loads((path / "config.json").read_text())
    (path / "config.json").unlink()
    (path / "config.json").write_text(json.dumps({**given, **config}))
    return str(path)


@pytest.mark.parametrize(
    ("config", "said"),
    [
        ({"model_type": "roberta"}, "no BertModel"),
        ({"hidden_act": "relu"}, "no BertModel"),
        ({"intermediate_size": 7}, "intermediate.dense.weight"),
        ({"num_hidden_layers": 5}, "no place for encoder.layer.5"),
        ({"hidden_size": "wide"}, "hidden_size"),
    ],
    ids=["another network", "another function", "another shape", "too few layers", "no number"],
)
def test_a_text_model_of_another_kind_is_refused(
    tmp_path: Path, config: dict[str, Any], said: str
) -> None:
    with pytest.raises(UserError, match=said) as caught:
        Bert(model_folder(tmp_path, **config), (-1,))
    assert str(caught.value).startswith(f"the text model {str(tmp_path)!r} cannot be loaded: ")
    assert "\n" not in str(caught.value)


def test_a_file_with_the_names_of_old_berts_is_read(tmp_path: Path) -> None:
    folder = Path(model_folder(tmp_path))
    tensors = weights.of_file(folder / "model.safetensors")
    old = {"gamma": "weight", "beta": "bias"}
    renamed = {
        f"bert.{name.replace(new, before) if 'LayerNorm' in name else name}": x
        for name, x in tensors.items()
        for before, new in old.items()
        if "LayerNorm" not in name or name.endswith(new)
    }
    (folder / "model.safetensors").unlink()
    save_file({**renamed, "cls.predictions.bias": np.zeros(4, "f4")}, folder / "model.safetensors")
    plain, read = Bert(TEXT, (-1,)), Bert(str(folder), (-1,))
    ids, _ = plain.tokens(["what", "a", "day"])
    assert np.array_equal(plain(ids), read(ids))


def test_openvino_is_used_without_what_would_tell_its_maker_so(tmp_path: Path) -> None:
    """Importing it would send a message; here the package that sends is there and not imported."""
    sends = tmp_path / "openvino_telemetry"
    sends.mkdir()
    (sends / "__init__.py").write_text("raise SystemExit('it was imported')")
    code = "import normtr.engine.compiled, threading; print(threading.active_count())"
    done = subprocess.run(
        [sys.executable, "-c", code],
        env={**os.environ, "PYTHONPATH": str(tmp_path)},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert (done.returncode, done.stdout) == (0, "1\n"), done.stderr
