"""NMER (Fan et al., arXiv 2311.16114): a noise scheduler, and a VAE's joint representation.

What the masks erase in training becomes noisy by a forward diffusion of the rows. In the paper
these are all rows of some modalities (`masks = "conditions"`). What a test erases becomes a row of
zeros, as for every system. Modalities are in the order of the data. Shapes are named by letters:
B batch, M modalities, T steps, W = 128.

`as_released` does what the authors' code does, and `sound` (our default) mends what is wrong there:

| as released | sound |
|---|---|
| a batch is one sequence, so samples attend to each other | a sample is a sequence of length 1 |
| the KL divergence is summed over batch and latent, beside means | it is a mean over the batch, times 2 / (M W) |
| the decoder ends in a sigmoid | it does not, because its targets leave (0, 1) |
| z is drawn also under test | z is its mean under test |
| the noise of validation is drawn anew in every epoch | it is the same in all epochs |
| a modality has one step of the schedule in a batch | every sample and modality has its own |
| steps that are not valid become noisy, too | only valid steps do |
| an encoder takes its maximum also over steps that are not valid | only from the first to the last step at which anything is there |
| only the voice is standardised | all modalities are standardised |

Two things are not taken over: the diffusion U-Net of the first phase, whose output nothing reads,
and dropping the last batch of a test.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

from torch.utils.data import DataLoader

from training.evaluation.missing_patterns import conditions
from training.evaluation.noise_scheduler import Noise, Scheduler
from training.samples import Samples
from training.systems.components import Reduced, reduced_dims
from training.systems.nmer_network import NmerConfig, NmerNetwork, NmerPretrained
from training.systems.nmer_phases import NmerFirstPhase, NmerSecondPhase, Teaching
from training.systems.phase import Phase
from training.systems.two_phases import TwoPhases
from training.windows import Windows

FIRST = Phase(constant=10, decay=10, batch=64, clip=0.5, dropout=0.2, beta1=0.9)
SECOND = Phase(constant=40, decay=40, batch=128, clip=1.0, dropout=0.1, beta1=0.5)


@dataclass(frozen=True, kw_only=True)
class Nmer(TwoPhases):
    """NMER and how it is trained; what its masks erase becomes noisy."""

    name = "NMER"
    noises: tuple[Noise, ...] = ("gaussian",)
    """What erased steps become in training; one of several is drawn for every batch."""
    noise_steps: int = 100
    """Steps of the noise schedule, which the paper calls its intensity."""
    residual: bool = False
    """Whether the VAE's output is added to s, as in an early version of the authors' code."""
    first: Phase = FIRST
    second: Phase = SECOND

    def __post_init__(self) -> None:
        """Raise ValueError when nothing can be learned with these settings."""
        if not self.noises or min(self.noise_steps, *self.components.values(), 1) < 1:
            raise ValueError("there is one noise or more; noise_steps, components are 1 or more")

    def model(self, windows: Windows, outputs: int) -> Reduced[NmerNetwork]:
        conditions(list(windows.rows))
        dims = reduced_dims(windows.dims, self.components)
        config = NmerConfig(dims, outputs, self.preset, self.residual, self.second.dropout)
        return Reduced(NmerNetwork(config), windows.dims)

    def first_phase(self, config: NmerConfig, seed: int) -> NmerFirstPhase:
        network = NmerPretrained(replace(config, dropout=self.first.dropout))
        return NmerFirstPhase(network, config.outputs, self.first, self.regression, seed)

    def second_phase(
        self, network: NmerNetwork, teacher: NmerPretrained, seed: int
    ) -> NmerSecondPhase:
        released = network.config.released
        scheduler = Scheduler(self.noises, self.noise_steps, released=released)
        teaching = Teaching(teacher, scheduler, self.masks == "conditions")
        return NmerSecondPhase(network, teaching, self.second, self.regression, seed)

    def in_conditions(self, valid: Samples) -> DataLoader[Any]:
        """Return a loader of the complete windows; the second phase makes them noisy."""
        return DataLoader(valid.windows.dataset(), 256)
