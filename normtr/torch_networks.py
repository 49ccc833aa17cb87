"""A checkpoint's networks as torch modules, for training and for a GPU."""

from __future__ import annotations

from typing import TypeVar

import torch
from torch import nn

from normtr.engine.weights import Weights
from normtr.model import NormTr
from normtr.norm_tr_config import NormTrConfig
from normtr.resnet import ResNetEnsemble
from normtr.spec import LABELS, FaceSpec, VoiceSpec
from normtr.voice_network import VoiceNetwork

N = TypeVar("N", bound=nn.Module)


def face(weights: Weights, spec: FaceSpec) -> ResNetEnsemble:
    return _filled(ResNetEnsemble(spec, len(LABELS)), weights)


def voice(weights: Weights, spec: VoiceSpec) -> VoiceNetwork:
    return _filled(VoiceNetwork(spec, len(LABELS)), weights)


def head(weights: Weights) -> nn.Linear:
    """Return one linear layer from its `weight` and `bias`."""
    outer, inner = weights["weight"].shape
    return _filled(nn.Linear(inner, outer), weights)


def norm_tr(weights: Weights, config: NormTrConfig) -> NormTr:
    return _filled(NormTr(config), weights)


def weights_of(network: nn.Module) -> Weights:
    """Return the tensors of a network as arrays."""
    return {name: x.detach().cpu().numpy() for name, x in network.state_dict().items()}


def _filled(network: N, weights: Weights) -> N:
    """Return the network with these weights, in evaluation mode, to be computed with only."""
    network.load_state_dict({name: torch.from_numpy(x.copy()) for name, x in weights.items()})
    return network.eval().requires_grad_(False)
