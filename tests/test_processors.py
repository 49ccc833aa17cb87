"""One answer on every machine: the recognizer under the instruction sets of other processors.

Each set runs in a process of its own, since the libraries choose their kernels when they load.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from stream.session.session import DEMO

pytestmark = pytest.mark.slow

SETS = {
    "GENERIC": {
        "CT2_FORCE_CPU_ISA": "GENERIC",
        "DNNL_MAX_CPU_ISA": "SSE41",
        "OPENBLAS_CORETYPE": "Nehalem",
        "OPENCV_CPU_DISABLE": "AVX,FP16,FMA3,AVX2,AVX512-SKX",
        "NPY_DISABLE_CPU_FEATURES": "AVX2,FMA3",
    },
    "AVX2": {
        "CT2_FORCE_CPU_ISA": "AVX2",
        "DNNL_MAX_CPU_ISA": "AVX2",
        "OPENBLAS_CORETYPE": "Haswell",
        "OPENCV_CPU_DISABLE": "AVX512-SKX",
    },
    "the machine's own": {},
}
"""What makes each library take the kernels of a processor without newer instructions."""
TOLD = {"CT2_VERBOSE": "1"}
"""What makes CTranslate2 say which instructions it chose."""
SECONDS = 3
RUN = f"""
import json, sys, threadpoolctl
from normtr import checkpoint
from normtr.engine.compiled import SETTINGS, ov
from normtr.engine.face_graph import face_graph
from normtr.shipped import SHIPPED
from stream.commands import live
from tests.support.regression import outputs
loaded = checkpoint.load(SHIPPED)
said = outputs(loaded)
blas = sorted(p["architecture"] for p in threadpoolctl.threadpool_info() if "architecture" in p)
graph = face_graph(loaded.face, loaded.spec.face, 7)
nodes = ov.Core().compile_model(graph, "CPU", SETTINGS).get_runtime_model().get_ops()
told = [node.get_rt_info() for node in nodes]
convolutions = {{
    one["primitiveType"].astype(str) for one in told if one["layerType"].astype(str) == "Convolution"
}}
kernels = {{"openvino": sorted(convolutions), "blas": blas}}
open(sys.argv[1] + ".json", "w").write(json.dumps({{"outputs": said, "kernels": kernels}}))
options = ["--source", sys.argv[2], "--fast", "--seconds", "{SECONDS}", "--text", "off"]
sys.exit(live.run([*options, "--record", sys.argv[1] + ".jsonl"]))
"""


@dataclass(frozen=True)
class Answer:
    """What one process said, and the kernels that its libraries took."""

    kernels: dict[str, Any]
    outputs: np.ndarray
    """Float64 [20, 7]: the twenty fixed inputs."""
    demo: np.ndarray
    """Float64 [estimates, 7]: the first seconds of the demo clip."""
    gaps: list[Any]


def answer(name: str, folder: Path) -> Answer:
    """Run the recognizer in a process that takes the kernels of the set `name`."""
    kept = folder / name.replace(" ", "_")
    done = subprocess.run(
        [sys.executable, "-c", RUN, str(kept), str(DEMO)],
        env={**os.environ, **SETS[name], **TOLD},
        capture_output=True,
        text=True,
        timeout=280,
        check=False,
    )
    assert done.returncode == 0, done.stderr[-2000:]
    said = json.loads(kept.with_suffix(".json").read_text())
    lines = [json.loads(line) for line in kept.with_suffix(".jsonl").read_text().splitlines()]
    affects = [line["payload"] for line in lines if line["topic"] == "er.v1.affect"]
    chosen = {"ctranslate2": _after(done.stderr, "Selected ISA: ")}
    return Answer(
        said["kernels"] | chosen,
        np.array(said["outputs"]),
        np.array([affect["probabilities"] for affect in affects]),
        [affect["gaps"] for affect in affects],
    )


def _after(said: str, mark: str) -> list[str]:
    """What stands behind each `mark` up to the end of its line, each once."""
    return sorted({line.split(mark)[1] for line in said.splitlines() if mark in line})


@pytest.fixture(scope="module")
def answers(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Answer]:
    folder = tmp_path_factory.mktemp("processors")
    return {name: answer(name, folder) for name in SETS}


@pytest.mark.timeout(900)
def test_each_library_took_the_kernels_that_it_was_told_to(answers: dict[str, Answer]) -> None:
    generic, avx2 = answers["GENERIC"].kernels, answers["AVX2"].kernels
    assert generic["ctranslate2"] == ["GENERIC"]
    assert avx2["ctranslate2"] == ["AVX2"]
    assert set(generic["blas"]) == {"Nehalem"}
    assert set(avx2["blas"]) == {"Haswell"}
    assert generic["openvino"]
    assert not [name for name in generic["openvino"] if "avx" in name]
    assert any("avx2" in name for name in avx2["openvino"])
    assert not [name for name in avx2["openvino"] if "avx512" in name]
    assert answers["GENERIC"].demo.tobytes() != answers["AVX2"].demo.tobytes()


@pytest.mark.timeout(900)
def test_another_processor_moves_no_probability_by_more_than_a_thousandth(
    answers: dict[str, Answer],
) -> None:
    own = answers["the machine's own"]
    assert len(own.demo) == 4 * SECONDS
    for name in ("GENERIC", "AVX2"):
        other = answers[name]
        assert other.gaps == own.gaps
        assert np.abs(other.outputs - own.outputs).max() <= 1e-3
        assert np.abs(other.demo - own.demo).max() <= 1e-3
