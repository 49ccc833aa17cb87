"""Networks on a GPU, until it has no memory left: on one of the CPU's that can run out of room."""

from __future__ import annotations

import copy
import warnings
from contextlib import AbstractContextManager, nullcontext
from typing import Any, TypeVar

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from torch import Tensor, nn

from normtr import checkpoint, gpu_choice
from normtr.checkpoint import Checkpoint
from normtr.cuda import Cuda
from normtr.device import Device
from normtr.errors import UserError
from normtr.face import FaceEncoder
from normtr.predictor import Predictor
from normtr.shipped import SHIPPED
from normtr.text import TextEncoder
from normtr.window import Window
from stream.capture.clip import RealTimeClip
from stream.clock import Monotonic
from stream.pipeline.models import Models
from stream.pipeline.outputs import Notice, Output
from stream.pipeline.pipe_config import PipeConfig
from stream.pipeline.window_assembler import Estimate
from stream.session.realtime import Session
from stream.session.session import DEMO
from stream.session.source_session import SourceSpec
from tests.support import regression

pytestmark = pytest.mark.slow

N = TypeVar("N", bound=nn.Module)
SAYS = "CUDA out of memory. Tried to allocate 20.00 MiB.\nGPU 0 has a total capacity of 1 GiB."
FAILURES = [
    torch.OutOfMemoryError(SAYS),
    # A card that another program had filled said this of the first copy, on an H200.
    torch.AcceleratorError("CUDA error: out of memory\nSearch for `cudaErrorMemoryAllocation' in"),
    RuntimeError("CUDA error: CUBLAS_STATUS_ALLOC_FAILED when calling `cublasCreate(handle)`"),
]
needs_gpu = pytest.mark.skipif(not torch.cuda.is_available(), reason="there is no GPU here")


class Small:
    """Computes on the CPU; in a run of a module beyond `runs` it has no memory, or fails so."""

    def __init__(self, runs: int, copies: int = 9, failure: RuntimeError = FAILURES[0]) -> None:
        self.runs = runs
        self.copies = copies
        self.failure = failure
        self.done = 0
        self.shapes: list[torch.Size] = []
        """The shapes of what the first module of a network got."""

    def copy(self, network: N) -> N:
        self.copies -= 1
        if self.copies < 0:
            raise self.failure
        copied = copy.deepcopy(network)
        # One module of each network, which is run once a run.
        first = next(m for m in copied.modules() if isinstance(m, nn.LayerNorm | nn.Conv2d))
        first.register_forward_pre_hook(lambda _, given: self._run(given[0]))
        return copied

    def send(self, array: NDArray[Any]) -> Tensor:
        return torch.from_numpy(array)

    def fast(self) -> AbstractContextManager[Any]:
        return nullcontext()

    def _run(self, given: Tensor) -> None:
        if self.done == self.runs:
            raise self.failure
        self.done += 1
        self.shapes.append(given.shape)


@pytest.fixture(scope="module")
def shipped() -> Checkpoint:
    return checkpoint.load(SHIPPED)


def windows(shipped: Checkpoint, numbers: list[int]) -> list[Window]:
    return [regression.window(number, shipped.spec) for number in numbers]


@settings(deadline=None, max_examples=20)
@given(numbers=st.lists(st.integers(0, 14), min_size=1, max_size=6))
def test_a_gpu_says_what_the_cpu_says(shipped: Checkpoint, numbers: list[int]) -> None:
    """By its own forward, whose shapes depend on no value."""
    gpu = Small(runs=10**9)
    some = windows(shipped, numbers)
    there, here = Predictor(shipped, Device(gpu))(some), Predictor(shipped)(some)
    assert gpu.done > 0
    for a, b in zip(there, here, strict=True):
        assert a.top == b.top
        assert a.abstained == b.abstained
        assert np.allclose(a.probabilities, b.probabilities, atol=1e-5)
        assert np.allclose(list(a.share.values()), list(b.share.values()), atol=1e-3)


def test_where_memory_ends_the_cpu_does_it_and_all_that_comes(shipped: Checkpoint) -> None:
    gpu = Small(runs=3)
    device = Device(gpu)
    predictor, face = (
        Predictor(shipped, device),
        FaceEncoder(shipped.spec.face, shipped.face, device),
    )
    cpu, some = Predictor(shipped), windows(shipped, [2, 5])
    crop = regression.crop(1)
    row = FaceEncoder(shipped.spec.face, shipped.face).row(crop)
    assert np.allclose(face.row(crop), row, atol=1e-5)
    assert predictor(some[:1])[0].top == cpu(some[:1])[0].top
    done = gpu.done
    gpu.runs = done
    assert predictor(some) == cpu(some)
    assert device.lost == (
        "CUDA out of memory. Tried to allocate 20.00 MiB; everything runs on the CPU from now on"
    )
    gpu.runs = 10**9  # it would have room again
    assert np.array_equal(face.row(crop), row)
    assert predictor(some) == cpu(some)
    assert gpu.done == done


@pytest.mark.parametrize("failure", FAILURES, ids=lambda failure: type(failure).__name__)
def test_whatever_a_gpu_fails_at_the_cpu_does(shipped: Checkpoint, failure: RuntimeError) -> None:
    some, cpu = windows(shipped, [4, 7]), Predictor(shipped)
    for gpu in (Small(runs=0, failure=failure), Small(runs=9, copies=0, failure=failure)):
        device = Device(gpu)
        assert Predictor(shipped, device)(some) == cpu(some)
        assert gpu.done == 0
        told = device.newly_lost()
        assert told.startswith(str(failure).splitlines()[0].rstrip("."))
        assert "\n" not in told


def test_a_gpu_is_given_few_lengths_of_words_all_of_them_at_the_start(
    shipped: Checkpoint,
) -> None:
    """For each new one it takes long."""
    gpu = Small(runs=10**9)
    there, here = TextEncoder(shipped.spec.text, Device(gpu)), TextEncoder(shipped.spec.text)
    there.warm_up()
    known = set(gpu.shapes)
    assert len(known) == len(gpu.shapes) <= 4
    for count in range(1, shipped.spec.text.max_words + 1):
        words = [["never", "mind", "incomprehensible", "it's"][i % 4] for i in range(count)]
        assert np.allclose(there.word_vectors(words), here.word_vectors(words), atol=1e-4)
    assert set(gpu.shapes) == known
    many = ["words"] * 200
    assert np.allclose(there.word_vectors(many), here.word_vectors(many), atol=1e-4)


def test_a_gpu_without_room_for_the_networks_is_not_used(shipped: Checkpoint) -> None:
    device = Device(Small(runs=10**9, copies=1))
    predictor = Predictor(shipped, device)
    assert not device.lost
    text = TextEncoder(shipped.spec.text, device)
    assert device.lost
    some = windows(shipped, [4])
    assert predictor(some) == Predictor(shipped)(some)
    expected = TextEncoder(shipped.spec.text).word_vectors(["oh", "no"])
    assert np.array_equal(text.word_vectors(["oh", "no"]), expected)


def test_a_session_outlives_the_memory_of_its_gpu_and_says_so_once() -> None:
    gpu = Small(runs=10**9)
    config = PipeConfig(text="off")
    models = Models(config, device=Device(gpu))
    models.warm_up((360, 640))
    gpu.runs = gpu.done + 25
    clip = RealTimeClip(str(DEMO), 6.0, repeat=False)
    outputs: list[Output] = [
        output
        for _, output in Session(config, [SourceSpec("demo", [clip], models)], Monotonic(), 6.0)
    ]
    told = [output for output in outputs if isinstance(output, Notice)]
    fell = [notice for notice in told if notice.kind == "fell_back_to_cpu"]
    assert len(fell) == 1
    assert fell[0].source == ""
    assert "out of memory" in fell[0].detail
    assert not [notice for notice in told if notice.kind.startswith("worker")]
    estimates = [output for output in outputs if isinstance(output, Estimate)]
    assert gpu.done == gpu.runs
    assert len(estimates) >= 20
    gaps = {cause for e in estimates for m in ("face", "voice") for cause in e.window.gaps[m]}
    assert "error" not in gaps
    assert estimates[-1].window.valid[:2].any()


@needs_gpu
def test_cuda_is_as_good_as_the_cpu(shipped: Checkpoint) -> None:
    device = Device(Cuda())
    some = windows(shipped, list(range(12)))
    for a, b in zip(Predictor(shipped, device)(some), Predictor(shipped)(some), strict=True):
        assert np.allclose(a.probabilities, b.probabilities, atol=1e-3)
    for number in range(5):
        crop = regression.crop(number)
        there = FaceEncoder(shipped.spec.face, shipped.face, device).row(crop)
        here = FaceEncoder(shipped.spec.face, shipped.face).row(crop)
        assert np.allclose(there, here, atol=5e-3)
    assert not device.lost


@needs_gpu
def test_a_tick_waits_for_cuda_once(shipped: Checkpoint) -> None:
    predictor = Predictor(shipped, Device(Cuda()))
    some = windows(shipped, [1, 7, 11])
    predictor(some)
    torch.cuda.set_sync_debug_mode("warn")
    try:
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            predictor(some)
    finally:
        torch.cuda.set_sync_debug_mode("default")
    assert len([w for w in caught if "synchroniz" in str(w.message)]) == 1


def test_a_gpu_without_torch_is_not_used_and_asking_for_it_says_what_to_install(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(gpu_choice, "_drivers_gpus", lambda: 1)
    monkeypatch.setattr(gpu_choice.importlib.util, "find_spec", lambda name: None)
    assert gpu_choice.device("auto").gpu is None
    with pytest.raises(UserError, match=r"pip install 'normtr\[cuda\]'"):
        gpu_choice.device("cuda")


@pytest.mark.skipif(torch.cuda.is_available(), reason="here torch can use the GPU")
def test_a_gpu_that_torch_cannot_use_is_not_used(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(gpu_choice, "_drivers_gpus", lambda: 1)
    assert gpu_choice.device("auto").gpu is None
    with pytest.raises(UserError, match="torch cannot use the CUDA device; use --device cpu"):
        gpu_choice.device("cuda")


@needs_gpu
def test_a_gpu_is_found_without_torch() -> None:
    assert gpu_choice.device("auto").gpu is not None
    assert gpu_choice.device("cpu").gpu is None
