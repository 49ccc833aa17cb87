"""Takes the frequencies of the classes out of a head, so that it finds rare ones more often."""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn


def evened(head: nn.Linear, labels: NDArray[np.int64], exponent: float) -> None:
    """Subtract `exponent` times the log-frequency of each class in `labels` [n] from the bias.

    This is logit adjustment (Menon et al., ICLR 2021). A class counts once more than it occurs. The
    negative exponent undoes it.
    """
    counts = np.bincount(labels, minlength=head.out_features) + 1
    with torch.no_grad():
        head.bias.sub_(exponent * torch.from_numpy(np.log(counts / counts.sum())))
