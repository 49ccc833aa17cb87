"""The networks that the pipe runs, loaded from one checkpoint."""

from __future__ import annotations

import copy
import threading
from collections.abc import Callable

import numpy as np

from normtr import checkpoint, data_folder, gpu_choice, malloc_tuning, user_baseline
from normtr.cause import Cause
from normtr.device import Device
from normtr.face import FaceEncoder
from normtr.modality import Modality
from normtr.predictor import Predictor
from normtr.spec import MODALITIES
from normtr.speech import Whisper
from normtr.text import TextEncoder
from normtr.thread_limits import one_thread_each
from normtr.voice import VoiceEncoder
from normtr.window import assemble
from stream.pipeline.pipe_config import PipeConfig, TranscriberConfig


class Models:
    """The loaded networks of a checkpoint, for one source."""

    def __init__(self, config: PipeConfig, sources: int = 1, device: Device | None = None) -> None:
        """`sources` will use the networks at once. `device`, if given, replaces the config's."""
        malloc_tuning.share()
        self.device = device or gpu_choice.device(config.device)
        self.checkpoint = checkpoint.load(config.checkpoint)
        one_thread_each()  # after what may have imported torch: a GPU, a run of training
        spec = self.checkpoint.spec
        self._sources = sources
        self.load_face()
        self.load_voice()
        path = config.personal or data_folder.calibration()
        self.baseline = user_baseline.read(path, self.checkpoint) if config.calibrated else None
        """The bias that is taken off the rows; None if no bias is."""
        self.predictor = Predictor(self.checkpoint, self.device, config.neutral, self.baseline)
        self._transcriber = config.transcriber
        self.load_whisper()
        if Modality.TEXT not in config.off and not config.transcriber.is_usual:
            self.whisper()  # so that an unusable model is refused at once
        self.text = (
            None
            if Modality.TEXT in config.off
            else TextEncoder(spec.text, self.device, adapter=self.checkpoint.adapter)
        )

    def another(self) -> Models:
        """Return the networks for another source: shared, except for parts that serve only one."""
        other = copy.copy(self)
        other.face = self.face.another()
        other.text = None if self.text is None else self.text.another()
        return other

    def load_face(self) -> None:
        """Load the face network, also in place of one that is not trusted any more."""
        self.face = FaceEncoder(self.checkpoint.spec.face, self.checkpoint.face, self.device)

    def load_voice(self) -> None:
        """Load the voice network, also in place of one that is not trusted any more."""
        spec = self.checkpoint.spec.voice
        self.voice = VoiceEncoder(spec, self.checkpoint.voice, self._sources)

    def load_whisper(self) -> None:
        """Prepare the speech model, also in place of one that is not trusted any more.

        The new one belongs to this source alone.
        """
        transcriber, sources = self._transcriber, self._sources
        self.whisper = _Once(lambda: load_whisper(transcriber, sources))
        """Returns the speech model; it is loaded on the first call."""

    def warm_up(self, picture_size: tuple[int, int]) -> None:
        """Run each network once, so that its first real pass is not late.

        `picture_size` is the height and width of the pictures that will come, if known: the
        detector is built anew for each size.
        """
        spec = self.checkpoint.spec
        self.face(np.zeros((*picture_size, 3), np.uint8))
        self.face.row(np.zeros((spec.face.crop_px, spec.face.crop_px), np.uint8))
        ramp = np.linspace(-1, 1, spec.voice.context_samples, dtype=np.float32)
        self.voice(ramp)
        if self.text is not None:
            self.text.warm_up()
        nothing = {m: [(Cause.STARTING, None)] * spec.steps for m in MODALITIES}
        self.predictor([assemble(spec, 0, nothing)] * self._sources)


def load_whisper(config: TranscriberConfig, users: int = 1) -> Whisper:
    """Load the speech model (about 0.5 s) for this many threads. Raises UserError when unusable."""
    return Whisper(config.model, config.language, users)


class _Once:
    """Loads the speech model on the first call, from any thread, and returns it ever after."""

    def __init__(self, load: Callable[[], Whisper]) -> None:
        self._load = load
        self._lock = threading.Lock()
        self._loaded: Whisper | None = None

    def __call__(self) -> Whisper:
        """Return the model. Raises UserError, on each call, when it cannot be loaded."""
        with self._lock:
            if self._loaded is None:
                self._loaded = self._load()
            return self._loaded
