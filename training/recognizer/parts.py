"""The three parts before a fusion: networks that make rows, and heads that read emotions there."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

import torch
from safetensors.torch import load_file
from torch import Tensor, nn

from normtr import adapter, torch_networks
from normtr.checkpoint import Checkpoint
from normtr.engine.weights import Weights
from normtr.errors import UserError
from normtr.resnet import ResNetEnsemble
from normtr.spec import LABELS, FeatureSpec
from normtr.voice_network import VoiceNetwork
from training.recognizer.folds import FOLDS
from training.recognizer.text import ADAPTER

N = TypeVar("N", bound=nn.Module)


@dataclass(frozen=True)
class Parts:
    """The networks for face, voice and text; their weights are rounded like a checkpoint's."""

    face: ResNetEnsemble
    voice: VoiceNetwork
    text: nn.Linear
    """The head of the text part."""
    adapter: Weights
    """The adapter of the text part's BERT."""

    @property
    def heads(self) -> dict[str, nn.Linear]:
        return {"face": self.face.head, "voice": self.voice.head, "text": self.text}


def centred(head: nn.Linear, rows: Tensor) -> Tensor:
    """Return the logits [..., classes] of rows [..., dim] minus their mean, for a fusion."""
    with torch.inference_mode():
        logits: Tensor = head(rows)
        return logits - logits.mean(-1, keepdim=True)


def of_checkpoint(loaded: Checkpoint) -> Parts:
    return Parts(
        torch_networks.face(loaded.face, loaded.spec.face),
        torch_networks.voice(loaded.voice, loaded.spec.voice),
        torch_networks.head(loaded.text),
        loaded.adapter,
    )


def trained(folders: Mapping[str, Path], spec: FeatureSpec) -> Parts:
    """Read the parts from `folders` (face, voice, text). Raises UserError when one is missing."""
    return _read_all(folders, spec)


def cross_fitted(folders: Mapping[str, Path], spec: FeatureSpec) -> tuple[Parts, ...]:
    """Read for each fold the parts that did not see it. Raises UserError when a part is missing."""
    return tuple(_read_all({m: f / f"fold-{k}" for m, f in folders.items()}, spec) for k in FOLDS)


def face(folder: Path, spec: FeatureSpec) -> ResNetEnsemble:
    """Read a face network. Raises UserError when it is missing."""
    return _filled(ResNetEnsemble(spec.face, len(LABELS)), folder / "face.safetensors")


def voice(folder: Path, spec: FeatureSpec) -> VoiceNetwork:
    """Read a voice network. Raises UserError when it is missing."""
    return _filled(VoiceNetwork(spec.voice, len(LABELS)), folder / "voice.safetensors")


def _read_all(folders: Mapping[str, Path], spec: FeatureSpec) -> Parts:
    head = nn.Linear(spec.text.dim, len(LABELS))
    return Parts(
        face(folders["face"], spec),
        voice(folders["voice"], spec),
        _filled(head, folders["text"] / "text.safetensors"),
        adapter.read(folders["text"] / ADAPTER),
    )


def _filled(network: N, path: Path) -> N:
    network.load_state_dict(_read(path))
    rounded(network)
    return network.eval().requires_grad_(False)


def rounded(module: nn.Module) -> None:
    """Round every weight to float16, in place."""
    with torch.no_grad():
        for tensor in module.state_dict().values():
            if tensor.is_floating_point():
                tensor.copy_(tensor.half().float())


def _read(path: Path) -> dict[str, Tensor]:
    if not path.is_file():
        raise UserError(f"{path} is missing; train that part first (see `make weights`).")
    return load_file(path)
