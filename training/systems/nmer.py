"""NMER (Fan et al., arXiv 2311.16114): a noise scheduler, and a VAE's joint representation.

What training's masks erase is not gone but noisy: a forward diffusion of the rows. In the paper
these are all rows of some modalities (`masks = "conditions"`). What a test erases is gone, a zero
row as for every system. M modalities in the order of the data; letters in the shape comments:
B batch, M modalities, T steps, W = 128.

`as_released` does what the authors' code does, `sound` (our default) mends what is wrong there:

| as released | sound |
|---|---|
| a batch is one sequence, so samples attend to each other | a sample is a sequence of length 1 |
| KL summed over batch and latent, beside means | its mean over the batch, times 2 / (M W) |
| what the decoder gives ends in a sigmoid | it does not: its targets leave (0, 1) |
| z is drawn under test, too | z is its mean |
| noise of validation is drawn anew in every epoch | it is the same in all |
| one step of the schedule for a modality in a batch | one for every sample and modality |
| noise also on steps that are not valid | on valid steps only |
| an encoder's maximum is taken over these, too | from the first to the last step of which anything is there |
| only the voice is standardised | all modalities are |

Not taken over: the diffusion U-Net of the first phase, whose output nothing reads, and dropping the
last batch of a test.
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
    """NMER and how it is trained; what its masks erase is noisy."""

    name = "NMER"
    noises: tuple[Noise, ...] = ("gaussian",)
    """What becomes of erased steps in training; of several one is drawn for every batch."""
    noise_steps: int = 100
    """Of the schedule: the "intensity"."""
    residual: bool = False
    """Whether the VAE gives what is to be added to s (an early version of the authors')."""
    first: Phase = FIRST
    second: Phase = SECOND

    def __post_init__(self) -> None:
        """Raises ValueError where nothing can be learned so."""
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
        """Complete: the second phase makes them noisy."""
        return DataLoader(valid.windows.dataset(), 256)
