"""The networks that the pipe runs, loaded from one checkpoint."""

from __future__ import annotations

import numpy as np
import torch

from normtr import checkpoint, personal
from normtr.errors import UserError
from normtr.face import FaceEncoder
from normtr.judge import Judge
from normtr.pools import one_thread_each
from normtr.text import TextEncoder
from normtr.voice import VoiceEncoder
from stream.pipe_config import PipeConfig


def choose_device(wanted: str) -> str:
    """`auto` takes CUDA where there is a GPU. Raises UserError when `cuda` cannot be had."""
    if wanted == "cuda" and not torch.cuda.is_available():
        raise UserError("there is no CUDA device here; use --device cpu.")
    return "cuda" if wanted != "cpu" and torch.cuda.is_available() else "cpu"


class Models:
    """The loaded networks of a checkpoint."""

    def __init__(self, config: PipeConfig) -> None:
        one_thread_each()
        self.device = choose_device(config.device)
        self.checkpoint = checkpoint.load(config.checkpoint)
        spec = self.checkpoint.spec
        self.load_face()
        self.load_voice()
        path = config.personal or personal.usual_path()
        self.personal = personal.read(path, self.checkpoint) if config.calibrated else None
        """The bias that is taken off; None: none."""
        self.judge = Judge(self.checkpoint, self.device, config.neutral, self.personal)
        # A named model is loaded first, so that what is wrong with it is said at once.
        named = "text" not in config.off and not config.transcriber.is_usual
        self.whisper = config.transcriber.load() if named else None
        # Importing BERT beside running workers would hold them up for two seconds.
        self.text = (
            None
            if "text" in config.off
            else TextEncoder(spec.text, self.device, adapter=self.checkpoint.adapter)
        )

    def load_face(self) -> None:
        """Also instead of one that is not to be trusted any more."""
        self.face = FaceEncoder(self.checkpoint.spec.face, self.checkpoint.face, self.device)

    def load_voice(self) -> None:
        """Also instead of one that is not to be trusted any more."""
        self.voice = VoiceEncoder(self.checkpoint.spec.voice, self.checkpoint.voice)

    def warm_up(self, picture_size: tuple[int, int]) -> None:
        """One pass of each, so that the first real one is not late.

        `picture_size`: height and width of the pictures that will come, where known: the
        detector is built anew for each.
        """
        spec = self.checkpoint.spec
        self.face(np.zeros((*picture_size, 3), np.uint8))
        self.face.row(np.zeros((spec.face.crop_px, spec.face.crop_px), np.uint8))
        ramp = np.linspace(-1, 1, spec.voice.context_samples, dtype=np.float32)
        self.voice(ramp)
        if self.text is not None:
            self.text.word_vectors(["ready"])
