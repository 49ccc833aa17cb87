"""Low-rank adapters of a BERT: the weights that our own training adds to an embedded model."""

from __future__ import annotations

from pathlib import Path

from normtr.engine import weights
from normtr.engine.weights import Array, Weights
from normtr.errors import UserError

EMOTIONAL = Path(__file__).with_name("text_adapter.safetensors")
"""The adapter for the embedded MiniLM, trained on the emotion and sentiment of spoken utterances.
Benchmarks use it."""


def read(path: Path) -> dict[str, Array]:
    """Read an adapter's factors. Raises UserError when the file is not an adapter."""
    try:
        return weights.of_file(path)
    except (OSError, ValueError) as error:
        reason = str(error).splitlines()[0]
        raise UserError(f"the adapter {path.name} cannot be read: {reason}") from None


def adapted(bert: Weights, factors: Weights) -> dict[str, Array]:
    """Return the weights with the adapter: W + B A (Hu et al., ICLR 2022, eq. 3).

    `factors` holds `LAYER.a` [rank, in] and `LAYER.b` [out, rank] for each adapted linear layer.
    Raises UserError when they do not fit the weights.
    """
    out = dict(bert)
    try:
        for layer in sorted({name.rpartition(".")[0] for name in factors}):
            name = f"{layer}.weight"
            change = factors[f"{layer}.b"] @ factors[f"{layer}.a"]
            if change.shape != out[name].shape:
                raise ValueError(f"{name} has another shape")
            out[name] = out[name] + change
    except (KeyError, ValueError) as error:
        reason = str(error).splitlines()[0]
        raise UserError(f"the adapter does not fit the text model: {reason}") from None
    return out
