"""Several NORM-TRs that were trained under different seeds, and answer together."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import KW_ONLY, dataclass, field, replace
from typing import Any

import lightning
import torch
from torch import Tensor, nn

from normtr.model import NormTr
from training.systems.components import Reduced
from training.systems.noise_aware import Learning
from training.systems.norm_tr import Architecture, NormTrSystem
from training.systems.system import FitInputs, System
from training.windows import Windows


class Together(nn.Module):
    """The mean of what the members say, for classes the log of their mean probability."""

    def __init__(self, members: Sequence[nn.Module]) -> None:
        super().__init__()
        self.members = nn.ModuleList(members)

    @property
    def config(self) -> Any:
        """Of each of them."""
        return self.members[0].config

    def forward(self, rows: Mapping[str, Tensor], valid: Tensor) -> Tensor:
        """rows float [B, T, dim] per modality, valid bool [B, M, T] -> outputs [B, C or 1]."""
        said = torch.stack([member(rows, valid) for member in self.members])
        if said.shape[2] == 1:
            return said.mean(0)
        return said.softmax(2).mean(0).log()


@dataclass(frozen=True)
class Committee(System):
    """A run of several NORM-TRs, each in a folder `member-N` of its own; the fields are theirs."""

    system = "NORM-TR, a committee"
    _: KW_ONLY
    members: int = 4
    network: Architecture = field(default_factory=Architecture)
    learning: Learning = field(default_factory=Learning)

    def __post_init__(self) -> None:
        """Raises ValueError where there is no committee, or nothing can be learned so."""
        if self.members < 2:
            raise ValueError("a committee has 2 members or more")
        self._member()

    def _member(self) -> NormTrSystem:
        return NormTrSystem(
            self.data,
            masks=self.masks,
            rates=self.rates,
            fewer_words=self.fewer_words,
            shared_people=self.shared_people,
            network=self.network,
            learning=self.learning,
        )

    def check_devices(self, devices: int) -> None:
        self._member().check_devices(devices)

    def model(self, windows: Windows) -> Reduced[Together]:
        config = self._member().config(windows)
        return Reduced(Together([NormTr(config) for _ in range(self.members)]), windows.dims)

    def learn(self, network: Together, inputs: FitInputs) -> None:
        """One after the other; a member depends on (seed, its number) only."""
        for number in range(1, self.members + 1):
            own = inputs.seed * 1_000 + number
            lightning.seed_everything(own, verbose=False)
            member = NormTr(network.config)
            folder = inputs.out / f"member-{number}"
            self._member().learn(member, replace(inputs, out=folder, seed=own))
            network.members[number - 1] = member
