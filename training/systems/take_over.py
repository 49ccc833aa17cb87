"""Lets a network begin its training with the weights of a recognizer's NORM-TR."""

from __future__ import annotations

import torch

from normtr import checkpoint
from normtr.errors import UserError
from normtr.model import NormTr
from normtr.shipped import SHIPPED
from normtr.spec import MODALITIES
from training.samples import DataSet, LiveData


def knows(data: DataSet) -> bool:
    """Return whether all labels of the data are the recognizer's, so that it can judge them."""
    if not isinstance(data, LiveData) or data.classes is None:
        return False
    return {*data.classes} <= {*checkpoint.load(data.recognizer or SHIPPED).labels}


def take_over(network: NormTr, data: DataSet) -> None:
    """Give the network the weights of the recognizer whose networks made the rows of `data`.

    The head takes over the labels of the same names; other labels begin as the mean of all of the
    recognizer's. Raises UserError when the rows are not of this recognizer, or the network has
    other sizes.
    """
    if not isinstance(data, LiveData):
        raise UserError(f"{data.name} has no recognizer's rows; set start = fresh.")
    folder = data.recognizer or SHIPPED
    recognizer = checkpoint.load(folder)
    if data.rows_of not in (None, recognizer.sha256):
        raise UserError(f"the rows of {data.name} are of other weights than those of {folder}.")
    known_network = recognizer.norm_tr.module()
    if not isinstance(known_network, NormTr):
        raise UserError(f"the network of {folder} is no NORM-TR to begin from; set start = fresh.")
    weights = known_network.state_dict()
    for name in ("head.weight", "head.bias"):
        known = weights[name] - weights[name].mean(0)
        of = dict(zip(recognizer.labels, known, strict=True))
        blank = torch.zeros_like(known[0])
        weights[name] = torch.stack([of.get(label, blank) for label in data.classes or ("",)])
    try:
        network.load_state_dict(weights)
        fits = tuple(network.config.dims) == MODALITIES
    except RuntimeError:
        fits = False
    if not fits:
        raise UserError(
            f"the network of {folder} has other sizes: with start = recognizer the settings of "
            "`network` and the steps and modalities of the data must be its own."
        )
