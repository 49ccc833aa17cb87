"""Late fusion, the rival to match: a head per modality on these very windows, fused four ways.

Windows paired by label are independent given what each modality shows, so the mixture over
which modalities express the label is close to the best that can be done.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Mapping
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from safetensors.torch import load_file
from torch import Tensor, nn

from normtr.errors import UserError
from normtr.spec import LABELS, MODALITIES
from training import run_folder
from training.recognizer.learn import learn
from training.recognizer.pairing import EXPRESSES, NEUTRAL, Drawn
from training.recognizer.parts import centred
from training.systems.linear_head import fit_head
from training.windows import Windows

FUSIONS = ("mean", "product", "logistic", "mixture")
FILE = "late_fusion.safetensors"
HIDDEN = 32


class PooledHead(nn.Module):
    """Logits of a modality's steps -> log-probabilities of the window; learned pooling over time."""

    def __init__(self) -> None:
        super().__init__()
        classes = len(LABELS)
        self.attend = nn.Sequential(nn.Linear(classes, HIDDEN), nn.ReLU(), nn.Linear(HIDDEN, 2))
        self.read = nn.Sequential(
            nn.Linear(3 * classes + 1, HIDDEN), nn.ReLU(), nn.Linear(HIDDEN, classes)
        )

    def forward(self, logits: Tensor, valid: Tensor) -> Tensor:
        """float [B, T, C], bool [B, T] with a valid step -> [B, C]."""
        weight = self.attend(logits).masked_fill(~valid[..., None], -1e9).softmax(1)
        pooled = (weight.transpose(1, 2) @ logits).flatten(1)  # [B, 2 C]
        most = logits.masked_fill(~valid[..., None], -1e9).amax(1)
        seen = valid.float().mean(1, keepdim=True)
        found: Tensor = self.read(torch.cat([pooled, most, seen], 1)).log_softmax(1)
        return found


class LateFusion(nn.Module):
    """Heads that tell the window's label, heads that tell what a modality shows, and how the
    former are combined by logistic regression."""

    def __init__(self) -> None:
        super().__init__()
        self.of_label = nn.ModuleDict({m: PooledHead() for m in MODALITIES})
        self.of_shown = nn.ModuleDict({m: PooledHead() for m in MODALITIES})
        self.logistic = nn.Linear(len(MODALITIES) * (len(LABELS) + 1), len(LABELS))
        self.register_buffer("shown_prior", torch.zeros(len(LABELS)))
        self.register_buffer("chosen", torch.tensor(0))

    @property
    def fusion(self) -> str:
        """The one of FUSIONS that was best on calibration windows."""
        return FUSIONS[int(self.get_buffer("chosen"))]

    def logs(self, heads: nn.ModuleDict, windows: Windows) -> tuple[Tensor, Tensor]:
        """Log-probabilities [B, M, C] and whether there is any step [B, M]."""
        there = windows.valid.any(2)
        out = torch.zeros(*there.shape, len(LABELS))
        for i, m in enumerate(MODALITIES):
            mine = there[:, i]
            if mine.any():
                out[mine, i] = heads[m](windows.rows[m][mine], windows.valid[mine, i])
        return out, there

    def forward(self, windows: Windows, fusion: str | None = None) -> Tensor:
        """Logits [B, C] of windows whose rows are the parts' logits."""
        fusion = fusion or self.fusion
        if fusion == "mixture":
            return mixture(*self.logs(self.of_shown, windows), self.get_buffer("shown_prior"))
        logp, there = self.logs(self.of_label, windows)
        if fusion == "mean":
            total = (logp.exp() * there[..., None]).sum(1) + 1e-9
            return total.log()
        if fusion == "product":  # over a uniform prior
            return (logp * there[..., None]).sum(1)
        out: Tensor = self.logistic(_stacked(logp, there))
        return out


def _stacked(logp: Tensor, there: Tensor) -> Tensor:
    """Log-probabilities, 0 where missing, and indicators of what is missing: [B, M (C + 1)]."""
    indicators = (~there).float()[..., None]
    return torch.cat([logp * there[..., None], indicators], 2).flatten(1)


def mixture(logp: Tensor, there: Tensor, prior: Tensor) -> Tensor:
    """log p(label) by Bayes' rule over which modalities express it (at least one does).

    logp [B, M, C] of what each shows; prior [C]: log of how often each is shown.
    """
    likelihood = (logp - prior) * there[..., None]  # of what is seen, given what is shown
    neutral = likelihood[..., NEUTRAL : NEUTRAL + 1].expand_as(likelihood)
    patterns = []
    for shows in itertools.product((True, False), repeat=len(MODALITIES)):
        if any(shows):
            chance = math.prod(EXPRESSES if s else 1 - EXPRESSES for s in shows)
            terms = [(likelihood if s else neutral)[:, i] for i, s in enumerate(shows)]
            patterns.append(torch.stack(terms).sum(0) + math.log(chance))
    return torch.stack(patterns).logsumexp(0)


def teach(fusion: LateFusion, drawn: Drawn, epochs: int, seed: int) -> None:
    """Fit heads and their logistic regression on training windows with their gaps."""
    windows, labels = drawn.windows, drawn.windows.labels
    for heads, truth in (
        (fusion.of_label, labels[:, None].expand(-1, len(MODALITIES))),
        (fusion.of_shown, drawn.shown),
    ):

        def loss(
            numbers: NDArray[np.int64], heads: nn.ModuleDict = heads, truth: Tensor = truth
        ) -> Tensor:
            logp, there = fusion.logs(heads, windows.part(numbers))
            return F.nll_loss(logp[there], truth[numbers][there])

        learn(heads, loss, len(labels), epochs, seed)
    counts = torch.bincount(drawn.shown.flatten(), minlength=len(LABELS)).float()
    fusion.get_buffer("shown_prior").copy_((counts / counts.sum()).log())
    with torch.no_grad():
        logp, there = fusion.logs(fusion.of_label, windows)
    stacked = _stacked(logp, there).numpy()
    fusion.logistic.load_state_dict(fit_head(stacked, labels.numpy(), c=1.0).state_dict())


def choose(fusion: LateFusion, calibrating: list[Windows]) -> dict[str, float]:
    """Take the fusion with the best mean accuracy on windows under each rate; return all."""
    found = {}
    for name in FUSIONS:
        with torch.inference_mode():
            hits = [
                float((fusion(w, name).argmax(1) == w.labels).float().mean()) for w in calibrating
            ]
        found[name] = float(np.mean(hits))
    best = max(FUSIONS, key=found.__getitem__)
    fusion.get_buffer("chosen").fill_(FUSIONS.index(best))
    return found


def write(folder: Path, fusion: LateFusion) -> None:
    run_folder.write_tensors(folder / FILE, fusion.state_dict())


def read(folder: Path) -> LateFusion:
    """Raises UserError where a checkpoint's folder has no such rival."""
    if not (folder / FILE).is_file():
        raise UserError(f"{folder} has no {FILE}: its fusion has no rival to be compared with.")
    fusion = LateFusion()
    try:
        fusion.load_state_dict(load_file(folder / FILE))
    except (OSError, RuntimeError, ValueError) as error:
        reason = str(error).splitlines()[0]
        raise UserError(f"{folder / FILE} cannot be read: {reason}") from None
    return fusion.eval()


def as_logits(windows: Windows, heads: Mapping[str, nn.Linear]) -> Windows:
    """Windows of rows -> the same of the heads' centred logits."""
    rows = {m: centred(heads[m], x) for m, x in windows.rows.items()}
    return Windows(rows, windows.valid, windows.labels)
