"""NORM-TR as a system: one network, or several that answer together, by noise-aware learning."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import Any, Literal

import lightning
import torch
from torch.utils.data import DataLoader

from normtr.errors import UserError
from normtr.model import NormTr
from normtr.norm_tr_config import Extractor, NormTrConfig
from training.samples import Masks, SampleBatches
from training.systems.components import Reduced, reduced_dims
from training.systems.ensemble import Ensemble
from training.systems.fit import fit, weights_of
from training.systems.noise_aware import Learning, NoiseAware, standardise
from training.systems.system import FitInputs, System
from training.systems.take_over import knows, take_over
from training.windows import Windows, loader


@dataclass(frozen=True)
class Architecture:
    """The sizes of NORM-TR's network; what the data decide is not here."""

    width: int = 256
    depth: int = 2
    heads: int = 8
    feed_forward: int = 2
    dropout: float = 0.1
    masked: bool = False
    """Attention and pooling skip invalid steps; otherwise they see zero rows (the paper)."""
    query: Extractor = "nrgf"
    memory: Extractor = "mf"
    """The extractor whose tokens are key and value; those of `query` are the query."""
    position: float = 0.02
    """The standard deviation of the position embeddings before training."""
    components: dict[str, int] = field(default_factory=dict)
    """The number of principal components that a modality's rows are reduced to."""

    def __post_init__(self) -> None:
        """Raise ValueError where no network can be built so."""
        self.config({"row": 1, **self.components}, outputs=1, steps=1)

    def config(self, dims: dict[str, int], outputs: int, steps: int) -> NormTrConfig:
        """Return the config of the network for rows of such widths."""
        return NormTrConfig(
            dims,
            outputs,
            steps,
            self.width,
            self.depth,
            self.heads,
            self.feed_forward,
            self.dropout,
            self.masked,
            self.query,
            self.memory,
            self.position,
        )


@dataclass(frozen=True, kw_only=True)
class NormTrSystem(System):
    """NORM-TR and how it is trained; the defaults did best on validation data.

    The paper's settings are in configs/systems/norm_tr_paper.toml.
    """

    name = "NORM-TR"
    masks: Masks = "rates"
    members: int = 1
    """The number of networks that answer together; each is trained under a seed of its own."""
    network: Architecture = field(default_factory=Architecture)
    learning: Learning = field(default_factory=Learning)
    start: Literal["fresh", "recognizer"] = "fresh"
    """recognizer: the network begins as that of the recognizer whose rows the data are, and must
    have its sizes; few clips are then enough to learn something."""

    def __post_init__(self) -> None:
        """Raise ValueError where there is no network, or the adversaries have nothing to learn."""
        if self.members < 1:
            raise ValueError("members are 1 or more")
        adversaries = (self.learning.d1, self.learning.d2) != ("none", "none")
        if self.masks in ("none", "conditions") and adversaries:
            raise ValueError(f"D1 and D2 learn nothing from masks = {self.masks}; set both to none")

    def check_devices(self, devices: int) -> None:
        if self.learning.batch % devices:
            raise UserError(f"{devices} processes cannot share batches of {self.learning.batch}.")

    def model(self, windows: Windows, outputs: int) -> Reduced[NormTr] | Reduced[Ensemble]:
        dims = reduced_dims(windows.dims, self.network.components)
        config = self.network.config(dims, outputs, windows.valid.shape[2])
        if self.members == 1:
            return Reduced(NormTr(config), windows.dims)
        return Reduced(Ensemble([NormTr(config) for _ in range(self.members)]), windows.dims)

    def learn(self, network: NormTr | Ensemble, inputs: FitInputs) -> None:
        """Train the members one after the other, each in a folder `member-N` of its own.

        A member depends on the seed and its number only.
        """
        if isinstance(network, NormTr):
            self._learn(network, inputs)
            return
        for number in range(1, self.members + 1):
            seed = inputs.seed * 1_000 + number
            lightning.seed_everything(seed, verbose=False)
            member = NormTr(network.config)
            self._learn(member, replace(inputs, out=inputs.out / f"member-{number}", seed=seed))
            network.members[number - 1] = member

    def _learn(self, network: NormTr, inputs: FitInputs) -> None:
        train, size, seed, devices = inputs.train, inputs.size, inputs.seed, inputs.devices
        if self.start == "fresh":
            standardise(network, train.windows, together=self.network.components)
        else:
            take_over(network, inputs.data)
        as_it_is = None
        if self.start == "recognizer" and knows(inputs.data):
            as_it_is = _right(network, self.validation(inputs.valid))
        batches = SampleBatches(
            inputs.draw, self.masks, self.rates, self.learning.d2 == "samples", seed
        )
        batch = min(self.learning.batch, size // devices * devices)
        if not batch:
            raise UserError(f"{devices} processes cannot share {size} samples.")
        plan = self.learning.plan(size // batch)
        training = loader(batches, size, batch // devices, seed)
        module = NoiseAware(network, self.learning, plan.updates, seed)
        best = fit(
            module,
            training,
            self.validation(inputs.valid),
            run=inputs.out,
            epochs=plan.epochs,
            monitor="accuracy" if module.classes else "mae",
            mode="max" if module.classes else "min",
            seed=seed,
            clip=1.0,
            ema=plan.ema,
            precision=_precision(),
            devices=devices,
            progress=inputs.progress,
        )
        network.load_state_dict(weights_of(best, "network."))
        if as_it_is is not None:
            adapted = _right(network, self.validation(inputs.valid))
            if adapted < as_it_is:
                raise UserError(
                    f"on the validation people, with gaps, the recognizer as it is gets {as_it_is:.3f} "
                    f"right, and {adapted:.3f} after this training: the run gets no model; more people would help, or "
                    "learning.stay, which keeps it closer to what it is."
                )


def _right(network: NormTr, loader: DataLoader[Any]) -> float:
    """Return the share of windows whose class is right."""
    right, count, modalities = 0, 0, list(network.config.dims)
    training = network.training
    network.eval()
    with torch.inference_mode():
        for *rows, valid, labels in loader:
            outputs = network(dict(zip(modalities, rows, strict=True)), valid)
            right += int((outputs.argmax(1) == labels).sum())
            count += len(labels)
    network.train(training)
    return right / count


def _precision() -> str:
    """Return bfloat16 where a GPU computes in it, as far as that is safe."""
    fit = torch.cuda.is_available() and torch.cuda.is_bf16_supported()
    return "bf16-mixed" if fit else "32-true"
