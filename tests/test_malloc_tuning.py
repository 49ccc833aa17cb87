"""What a replaced worker held goes back to the system."""

from __future__ import annotations

import subprocess
import sys
import weakref

import pytest

from stream.pipeline.models import Models
from stream.pipeline.pipe import Pipe
from stream.pipeline.pipe_config import PipeConfig

pytestmark = pytest.mark.slow

REPLACED = """
import sys, threading
import numpy as np, psutil
from normtr import malloc_tuning
from stream.pipeline.models import Models
from stream.pipeline.pipe import Pipe
from stream.pipeline.pipe_config import PipeConfig
from stream.pipeline.workers import AudioContext

config = PipeConfig(text="off")
models = Models(config)
models.warm_up((480, 640))
pipe = Pipe(config, models, 0, lambda event: None)
sound = np.random.default_rng(0).normal(0, 0.1, 16000).astype(np.float32)

def replaced():
    worker = pipe.worker("voice", anew=True)
    assert worker.run(AudioContext(0, sound, "none", True, ()))[0].vector is not None

def size():
    malloc_tuning.give_back()
    return psutil.Process().memory_info().rss / 2**20

sizes = []
for _ in range(12):
    thread = threading.Thread(target=replaced)
    thread.start()
    thread.join()
    sizes.append(size())
print(min(sizes[-4:]) - sizes[0])
"""


@pytest.mark.skipif(sys.platform != "linux", reason="only glibc can be asked for it")
def test_replacing_a_worker_again_and_again_takes_no_more_memory() -> None:
    out = subprocess.run(
        [sys.executable, "-c", REPLACED], capture_output=True, text=True, check=True, timeout=120
    )
    assert float(out.stdout) < 20.0  # 10 once; 40 where each thread has a heap, over 70 untidied


def test_a_replaced_transcriber_leaves_its_model() -> None:
    models = Models(PipeConfig())
    pipe = Pipe(PipeConfig(), models, 0, lambda event: None)
    pipe.worker("transcribe")
    model = weakref.ref(models.whisper())
    pipe.worker("transcribe", anew=True)
    assert model() is None
