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

from dataclasses import KW_ONLY, dataclass, field
from pathlib import Path

from torch.utils.data import DataLoader

from normtr.errors import UserError
from training.baselines.conditions import conditions
from training.baselines.nmer_network import NmerConfig, NmerNetwork, Preset, Pretrained
from training.baselines.nmer_phases import FirstPhase, SecondPhase, Teaching
from training.baselines.noise_scheduler import Noise, Scheduler
from training.baselines.phase import Phase, Regression, train_phase
from training.components import Reduced, reduced_dims
from training.contender import Contender
from training.noise_aware import standardise
from training.samples import Masks, SampleBatches, Samples
from training.windows import Windows

FIRST = Phase(constant=10, decay=10, batch=64, clip=0.5, dropout=0.2, beta1=0.9)
SECOND = Phase(constant=40, decay=40, batch=128, clip=1.0, dropout=0.1, beta1=0.5)


@dataclass(frozen=True)
class Nmer(Contender):
    """One training run of NMER on one data set.

    An epoch is chosen by the noisy conditions where these are the masks, otherwise by erased
    steps, as NORM-TR's is.
    """

    system = "NMER"
    _: KW_ONLY
    masks: Masks = "conditions"
    preset: Preset = "sound"
    noises: tuple[Noise, ...] = ("gaussian",)
    """What becomes of erased steps in training; of several one is drawn for every batch."""
    noise_steps: int = 100
    """Of the schedule: the "intensity"."""
    clean: bool = False
    """Whether every sample is also seen without noise."""
    residual: bool = False
    """Whether the VAE gives what is to be added to s (an early version of the authors')."""
    components: dict[str, int] = field(default_factory=dict)
    """Principal components that a modality's rows are reduced to before."""
    regression: Regression = "mse"
    """Emotion loss where the label is a number."""
    first: Phase = FIRST
    second: Phase = SECOND

    def __post_init__(self) -> None:
        """Raises ValueError where nothing can be learned so."""
        if not self.noises or min(self.noise_steps, *self.components.values(), 1) < 1:
            raise ValueError("there is one noise or more; noise_steps, components are 1 or more")

    def model(self, windows: Windows) -> Reduced[NmerNetwork]:
        given = {m: x.shape[2] for m, x in windows.rows.items()}
        conditions(list(given))
        config = self._config(reduced_dims(given, self.components), self.second)
        return Reduced(NmerNetwork(config), given)

    def trained(
        self, train: Samples, valid: Samples, out: Path, seed: int, devices: int, progress: bool
    ) -> Reduced[NmerNetwork]:
        if (most := max(self.first.batch, self.second.batch)) > len(train):
            raise UserError(f"{len(train)} samples of train are no batch of {most}.")
        model = self.model(train.windows)
        model.fit(train.windows)
        train, valid = model.samples(train), model.samples(valid)
        first = self._first_phase(model.network.config, train, valid, out, seed, progress)
        self._second_phase(model.network, first, train, valid, out, seed, progress)
        return model.eval()

    def _config(self, dims: dict[str, int], phase: Phase) -> NmerConfig:
        return NmerConfig(dims, self.data.outputs, self.preset, self.residual, phase.dropout)

    def _first_phase(
        self,
        config: NmerConfig,
        train: Samples,
        valid: Samples,
        out: Path,
        seed: int,
        progress: bool,
    ) -> Pretrained:
        network = Pretrained(self._config(config.dims, self.first))
        standardise(network, train.windows, together=self.components)
        for m in config.dims:
            if config.released and m != "voice":
                network.get_buffer(f"mean_{m}").zero_()
                network.get_buffer(f"scale_{m}").fill_(1)
        module = FirstPhase(network, config.outputs, self.first, self.regression, seed)
        batches = SampleBatches(train, "none", self.rates, True, seed)
        validation = DataLoader(valid.windows.dataset(), 256)
        train_phase(module, batches, len(train), validation, out / "first_phase", progress)
        return network

    def _second_phase(
        self,
        network: NmerNetwork,
        first: Pretrained,
        train: Samples,
        valid: Samples,
        out: Path,
        seed: int,
        progress: bool,
    ) -> None:
        """From the first phase's encoders, invariant layers and statistics of the rows."""
        taken = {k: v for k, v in first.state_dict().items() if not k.startswith("classifier.")}
        network.load_state_dict(taken, strict=False)
        released, by_conditions = network.config.released, self.masks == "conditions"
        scheduler = Scheduler(self.noises, self.noise_steps, released=released)
        teaching = Teaching(first, scheduler, by_conditions)
        module = SecondPhase(network, teaching, self.second, self.regression, seed)
        batches = SampleBatches(train, self.masks, self.rates, self.clean, seed)
        clean = DataLoader(valid.windows.dataset(), 256)
        validation = clean if by_conditions else self.validation(valid)
        train_phase(module, batches, len(train), validation, out, progress)
