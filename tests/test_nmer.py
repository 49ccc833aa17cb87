"""NMER: sizes and losses as specified, its noise, both presets, and a run from config to table."""

from __future__ import annotations

import json
import math
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from torch import Tensor, nn

from normtr.config import parse
from normtr.errors import UsageError, UserError
from tests.test_training_benchmark import folder
from training import compare, evaluate, metrics, train
from training.baselines.conditions import conditions
from training.baselines.discrepancy import cmd, mean_cmd
from training.baselines.encoders import SequenceEncoder, TextEncoder, invariant
from training.baselines.nmer import FIRST, SECOND, Nmer
from training.baselines.nmer_network import NmerConfig, NmerNetwork, Preset, Pretrained, Vae, kl
from training.baselines.nmer_phases import SecondPhase, Teaching
from training.baselines.noise_scheduler import Noise, Scheduler, corrupted, kept
from training.baselines.phase import Phase
from training.samples import Samples, Split, windows

__all__ = ["folder"]  # a fixture

PAPER = {"voice": 130, "text": 1024, "face": 342}
DIMS = {"voice": 3, "text": 5}
SMALL = Phase(constant=1, decay=1, batch=8, clip=1.0, dropout=0.1, beta1=0.9, lr=1e-3)


def count(module: nn.Module) -> int:
    return sum(p.numel() for p in module.parameters())


def small(preset: Preset = "sound", **more: Any) -> NmerNetwork:
    torch.manual_seed(0)
    return NmerNetwork(NmerConfig(DIMS, 1, preset, **more)).eval()


@pytest.fixture(scope="module")
def network() -> NmerNetwork:
    return small()


def drawn(n: int = 6, steps: int = 7, seed: int = 1) -> tuple[dict[str, Tensor], Tensor]:
    """Rows, all valid."""
    random = torch.Generator().manual_seed(seed)
    rows = {m: torch.randn(n, steps, dim, generator=random) for m, dim in DIMS.items()}
    return rows, torch.ones(n, len(DIMS), steps, dtype=torch.bool)


# Sizes


def test_parameters_are_the_papers() -> None:
    config = NmerConfig(PAPER, 4)
    network, first = NmerNetwork(config), Pretrained(config)
    assert count(SequenceEncoder(130)) == 133_120
    assert count(SequenceEncoder(342)) == 241_664
    assert count(TextEncoder(1024)) == 1_622_528
    assert count(network.specific) == count(network.invariant) == 1_997_312
    assert count(invariant()) == count(network.common) == 33_024
    assert count(network.vae.encoder) == 12_814_720
    assert count(network.vae.mean) + count(network.vae.log_variance) == 98_432
    assert count(network.vae.decoder) == 107_008
    assert count(network.classifier) == 66_820
    assert count(network) == 17_114_628
    assert count(first.classifier) == 115_460
    assert count(first) == 2 * 1_997_312 + 33_024 + 115_460


@pytest.mark.parametrize("modalities", [("voice", "text"), ("face", "voice", "text")])
@pytest.mark.parametrize("outputs", [1, 5])
def test_widths_and_lengths_come_from_the_data(modalities: tuple[str, ...], outputs: int) -> None:
    dims = {m: 2 + i for i, m in enumerate(modalities)}
    network = NmerNetwork(NmerConfig(dims, outputs)).eval()
    for steps in (1, 4, 9):  # shorter than the text encoder's kernels, too
        rows = {m: torch.randn(3, steps, dim) for m, dim in dims.items()}
        out = network(rows, torch.ones(3, len(dims), steps, dtype=torch.bool))
        assert out.shape == (3, outputs)


def test_there_are_six_conditions_of_three_modalities() -> None:
    assert conditions(["a", "v", "t"]) == (
        ("a",),
        ("v",),
        ("t",),
        ("a", "v"),
        ("a", "t"),
        ("v", "t"),
    )
    assert conditions(["a", "t"]) == (("a",), ("t",))
    with pytest.raises(UserError, match="two or more"):
        conditions(["a"])


# Noise


@pytest.mark.parametrize(
    ("steps", "quarters", "last", "mean", "below_half"),
    [
        (20, [0.99, 0.8048, 0.4032, 0.0841], 8.4e-3, 0.613, 0.55),
        (40, [0.99, 0.6819, 0.1921, 0.0108], 8.0e-5, 0.479, 0.65),
        (60, [0.99, 0.5770, 0.0910, 0.0014], 7.7e-7, 0.406, 0.717),
        (80, [0.99, 0.4880, 0.0431, 0.0002], 7.3e-9, 0.358, 0.75),
        (100, [0.99, 0.4128, 0.0204, 0.0000], 7.0e-11, 0.324, 0.78),
    ],
)
def test_the_schedule_is_the_papers(
    steps: int, quarters: list[float], last: float, mean: float, below_half: float
) -> None:
    abar = kept(steps)
    assert abar[[0, steps // 4, steps // 2, 3 * steps // 4]].tolist() == pytest.approx(
        quarters, abs=1e-4
    )
    assert float(abar[-1]) == pytest.approx(last, rel=0.02)
    assert float(abar.sqrt().mean()) == pytest.approx(mean, abs=6e-4)
    assert float((abar < 0.5).float().mean()) == pytest.approx(below_half, abs=6e-4)


@pytest.mark.parametrize("abar", [1.0, 0.6, 0.0])
def test_noise_keeps_the_share_of_the_signal_it_says(abar: float) -> None:
    torch.manual_seed(0)
    x = torch.full((1, 1_000, 100), 2.0)
    part = torch.tensor([abar])
    gaussian = corrupted(x, part, "gaussian")
    assert float(gaussian.mean()) == pytest.approx(2 * math.sqrt(abar), abs=0.02)
    assert float(gaussian.var()) == pytest.approx(1 - abar, abs=0.02)
    impulses = (corrupted(x, part, "impulse") - math.sqrt(abar) * x) / math.sqrt(1 - abar or 1)
    values = impulses.round(decimals=4).unique().tolist()
    assert values == ([0.0] if abar == 1 else [-1.0, 0.0, 1.0])
    assert float(impulses.var()) == pytest.approx(0.0 if abar == 1 else 0.3, abs=0.01)
    assert not corrupted(x, part, "zero").any()


@pytest.mark.parametrize("noise", ["gaussian", "impulse", "zero"])
@pytest.mark.parametrize("released", [False, True])
def test_what_a_mask_keeps_is_bit_identical_and_the_rest_is_not(
    noise: Noise, released: bool
) -> None:
    torch.manual_seed(0)
    rows, valid = drawn(20)
    valid[:, :, :2] = False
    masks = torch.ones_like(valid)
    masks[:10, 0] = False
    masks[10:, 1, 4:] = False
    x = {m: values * valid[:, i, :, None] for i, (m, values) in enumerate(rows.items())}
    noisy, there = Scheduler((noise,), 100, released=released)(x, valid, masks)
    assert torch.equal(there, valid & masks if noise == "zero" else valid)
    for i, m in enumerate(rows):
        stays, erased = masks[:, i], ~masks[:, i] & valid[:, i]
        assert torch.equal(noisy[m][stays], x[m][stays])
        assert (noisy[m][erased] != x[m][erased]).any(1).all()
        padding = noisy[m][~masks[:, i] & ~valid[:, i]]
        assert bool(padding.any()) == (released and noise != "zero" and i == 0)


def test_as_released_draws_one_step_of_the_schedule_for_a_batch() -> None:
    """All noise is zero where rows are: what is left of a row of ones is sqrt(abar)."""
    x = {"voice": torch.full((50, 2, 2_000), 1_000.0)}
    valid = torch.ones(50, 1, 2, dtype=torch.bool)
    left = {}
    for released in (False, True):
        torch.manual_seed(3)
        noisy, _ = Scheduler(("gaussian",), 100, released=released)(x, valid, ~valid)
        left[released] = (noisy["voice"].mean((1, 2)) / 1_000).tolist()
    assert np.ptp(left[True]) < 1e-3
    assert np.ptp(left[False]) > 0.5


# Losses


def test_cmd_is_the_hand_computed_one() -> None:
    """x: 0, 2 (mean 1, moments 0 about it: 1, 0, 1, 0); y: 0, 4 (2; 4, 0, 16, 0): 1 + 3 + 0 + 15 + 0."""
    x, y = torch.tensor([[0.0], [2.0]]), torch.tensor([[0.0], [4.0]])
    assert float(cmd(x, y)) == pytest.approx(19, abs=1e-4)
    two = torch.cat([x, x], 1), torch.cat([y, y], 1)
    assert float(cmd(*two)) == pytest.approx(19 * math.sqrt(2), abs=1e-4)
    three = torch.stack([x, y, x], 1)
    assert float(mean_cmd(three)) == pytest.approx((19 + 0 + 19) / 3, abs=1e-4)


def test_cmd_of_equal_features_has_a_gradient() -> None:
    x = torch.ones(3, 2, requires_grad=True)
    cmd(x, x.detach().clone()).backward()
    assert x.grad is not None
    assert x.grad.isfinite().all()


def test_kl_is_the_hand_computed_one() -> None:
    zero = torch.zeros(2, 3)
    assert not kl(zero, zero).any()
    assert kl(torch.ones(1, 1), torch.zeros(1, 1)).item() == pytest.approx(0.5)
    assert kl(zero[:1, :1], torch.full((1, 1), math.log(2))).item() == pytest.approx(
        (2 - 1 - math.log(2)) / 2
    )


def second(preset: Preset, network: NmerNetwork | None = None) -> SecondPhase:
    network = network or small(preset)
    torch.manual_seed(5)
    first = Pretrained(network.config)
    scheduler = Scheduler(("gaussian",), 100, released=preset == "as_released")
    return SecondPhase(network, Teaching(first, scheduler, True), SMALL, "mse", 1)


@pytest.mark.parametrize(("preset", "share"), [("sound", 2 / 384), ("as_released", 128)])
def test_kl_is_as_heavy_as_the_preset_says(preset: Preset, share: float) -> None:
    """Of the sum over the latent of each sample; the released one is 128 * 192 times the sound one."""
    divergence = torch.full((128, 64), 0.5)
    weighed = second(preset).weighed(divergence, 384)
    assert float(weighed) == pytest.approx(32 * share)


def test_losses_are_what_the_spec_sums() -> None:
    module = second("sound").eval()
    rows, valid = drawn()
    labels = torch.arange(6.0)
    x = module.network.scaled(rows, valid)
    s, c = torch.randn(6, 2 * 128), torch.randn(6, 2, 128)
    losses = module.losses(x, valid, s, c, labels)
    joint = module.network.joint(x, valid)
    squares = {
        "emotion": (joint.outputs[:, 0] - labels).detach().numpy(),
        "invariant": (joint.c - c).detach().numpy(),
        "reconstruction": (joint.r - s).detach().numpy(),
    }
    for name, differences in squares.items():
        assert losses[name].item() == pytest.approx(float(np.square(differences).mean()), rel=1e-4)
    mean, log = joint.mean.detach().numpy(), joint.log_variance.detach().numpy()
    expected = -0.5 * (1 + log - mean**2 - np.exp(log)).sum(1).mean() * 2 / 256
    assert losses["kl"].item() == pytest.approx(float(expected), rel=1e-4)
    total = sum(loss.item() for loss in losses.values())
    assert module.told(losses).item() == pytest.approx(total, rel=1e-5)


def test_the_teacher_is_frozen_and_learns_nothing() -> None:
    module = second("sound").train()
    assert not module.teacher.training
    rows, valid = drawn()
    before = {k: v.clone() for k, v in module.teacher.state_dict().items()}
    optimizer = module.configure_optimizers()["optimizer"]
    batch = (
        rows,
        valid,
        torch.zeros(6),
        torch.ones(1, *valid.shape, dtype=torch.bool),
        valid[..., 0],
    )
    module.training_step(batch, 0).backward()
    optimizer.step()
    assert all(torch.equal(v, before[k]) for k, v in module.teacher.state_dict().items())
    assert all(p.grad is not None for p in module.network.parameters())


def test_the_rate_falls_as_the_spec_says() -> None:
    phase = Phase(constant=20, decay=20, batch=128, clip=1.0, dropout=0.5, beta1=0.5)
    factors = [phase.factor(epoch) for epoch in range(phase.epochs)]
    assert factors[:20] == [1.0] * 20
    assert factors[20] == pytest.approx(20 / 21)
    assert factors[-1] == pytest.approx(1 / 21)
    assert (FIRST.epochs, SECOND.epochs) == (20, 80)


def test_gradients_are_clipped_module_by_module() -> None:
    module = second("sound")
    for p in module.network.parameters():
        p.grad = torch.ones_like(p)
    module.network.common[0].bias.grad.zero_()  # type: ignore[union-attr, operator]
    module.configure_gradient_clipping()
    network = module.network
    for part in (*network.specific.values(), *network.invariant.values(), network.vae):
        norm = torch.stack([p.grad.norm() for p in part.parameters() if p.grad is not None]).norm()
        assert float(norm) == pytest.approx(1, abs=1e-3)


# Presets


@torch.no_grad()
def test_only_as_released_do_samples_depend_on_their_batch() -> None:
    rows, valid = drawn()
    other = {m: torch.cat([x[:1], 3 * x[1:]]) for m, x in rows.items()}
    first = {m: x[:1] for m, x in rows.items()}
    sound, released = small("sound"), small("as_released")
    together = sound(rows, valid)
    assert torch.allclose(sound(other, valid)[0], together[0], atol=1e-5)
    assert torch.allclose(sound(first, valid[:1])[0], together[0], atol=1e-5)
    assert not torch.allclose(released(other, valid)[0], released(rows, valid)[0], atol=1e-3)
    assert torch.equal(released(rows, valid), released(rows, valid))


@pytest.mark.parametrize("training", [False, True])
@torch.no_grad()
def test_a_step_alone_is_attended_to_as_the_library_does(training: bool) -> None:
    """Under dropout, too: of a head alone, since there is one weight."""
    torch.manual_seed(0)
    vae = Vae(8, 0.5, released=False).train(training)
    s, c = torch.randn(40, 8), torch.randn(40, 8)
    torch.manual_seed(1)
    x = vae.encoder(torch.cat([s, c], 1)[:, None])[:, 0]
    torch.manual_seed(1)
    _, mean, log_variance = vae(s, c)
    torch.testing.assert_close(mean, vae.mean(x))
    torch.testing.assert_close(log_variance, vae.log_variance(x))


@torch.no_grad()
def test_z_is_its_mean_under_test_and_drawn_in_training() -> None:
    s, c = torch.randn(2, 5, 256)
    for released in (False, True):
        vae = Vae(256, 0.0, released=released).eval()
        r, mean, _ = vae(s, c)
        of_mean = vae.decoder(torch.cat([mean, c], 1))
        assert torch.allclose(r, of_mean) != released
        assert not torch.equal(vae.train()(s, c)[0], vae(s, c)[0])
        assert bool(((r > 0) & (r < 1)).all()) == released


def test_a_residual_adds_the_specific_features() -> None:
    rows, valid = drawn()
    plain, residual = small(), small(residual=True)
    x = plain.scaled(rows, valid)
    s, _ = plain.views(x, valid)
    assert torch.allclose(residual.joint(x, valid).r - plain.joint(x, valid).r, s, atol=1e-5)


@settings(deadline=None, max_examples=15)
@given(steps=st.integers(5, 8), padding=st.integers(0, 5), seed=st.integers(0, 99))
def test_steps_that_are_not_valid_at_the_end_change_nothing(
    network: NmerNetwork, steps: int, padding: int, seed: int
) -> None:
    rows, valid = drawn(3, steps, seed)
    longer = {m: F.pad(x, (0, 0, 0, padding), value=9.0) for m, x in rows.items()}
    with torch.no_grad():
        found = network(longer, F.pad(valid, (0, padding)))
        assert torch.allclose(found, network(rows, valid), atol=1e-4)


@torch.no_grad()
def test_where_nothing_is_there_the_answer_is_one_for_all() -> None:
    rows, valid = drawn()
    for preset in ("sound", "as_released"):
        network = small(preset)  # type: ignore[arg-type]
        out = network(rows, torch.zeros_like(valid))
        assert out.isfinite().all()
    assert torch.allclose(small()(rows, torch.zeros_like(valid)).std(), torch.zeros(()), atol=1e-5)


@pytest.mark.parametrize(("preset", "same"), [("sound", True), ("as_released", False)])
def test_noise_of_validation_is_the_same_in_every_epoch(preset: Preset, same: bool) -> None:
    module = second(preset).eval()
    rows, valid = drawn()
    found = []
    for seed in (1, 2):
        torch.manual_seed(seed)
        with torch.no_grad():
            module.validation_step([*rows.values(), valid, torch.zeros(6)], 0)
        found.append(float(module.metric.compute()))
        module.metric.reset()
    assert (found[0] == found[1]) == same


# Runs


def config(folder: Path, *, system: str = "training.baselines.nmer.Nmer") -> Path:
    path = folder / "nmer.toml"
    phase = "constant = 4, decay = 1, batch = 8, lr = 2e-3"
    path.write_text(f"""
[part]
class_path = "{system}"
[part.init_args]
regression = "l1"
components = {{ text = 4 }}
first = {{ {phase} }}
second = {{ {phase} }}
[part.init_args.data]
class_path = "training.datasets.mosi.MosiSentences"
init_args = {{ path = "{folder}", steps = 3 }}
""")
    return path


@pytest.fixture(scope="module")
def trained(folder: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, SecondPhase]:
    """A run, and the module of its second phase as training left it."""
    out = tmp_path_factory.mktemp("runs") / "nmer"
    modules: list[SecondPhase] = []
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(SecondPhase, "on_fit_end", lambda self: modules.append(self))
        assert train.run(["--config", str(config(folder)), "--out", str(out)]) == 0
    (module,) = modules
    return out, module


@pytest.fixture(scope="module")
def run(trained: tuple[Path, SecondPhase]) -> Path:
    return trained[0]


def test_the_teacher_is_the_first_phase_s_best_epoch_to_the_end(
    trained: tuple[Path, SecondPhase],
) -> None:
    run, module = trained
    first = torch.load(run / "first_phase" / "best.ckpt", weights_only=True)["state_dict"]
    for name, value in module.teacher.state_dict().items():
        assert torch.equal(first[f"network.{name}"], value)


def report(capsys: pytest.CaptureFixture[str], *argv: object) -> dict[str, Any]:
    capsys.readouterr()
    assert evaluate.run([*map(str, argv), "--json"]) == 0
    found: dict[str, Any] = json.loads(capsys.readouterr().out)
    return found


def test_a_run_learns_and_is_evaluated_as_every_system_is(
    run: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    got = report(capsys, run)
    assert len(got["rates"]) == 11
    assert got["metrics"]["corr"][0] > 0.5
    assert got["metrics"]["corr"][-1] == 0.0  # nothing is left to see
    for there in ("text", "voice"):
        missing = report(capsys, run, "--noise", f"modality:{there}", "--rates", "0,1")
        assert missing["metrics"]["mae"][0] == got["metrics"]["mae"][0]
        assert missing["metrics"]["mae"][1] != got["metrics"]["mae"][1]
    gone = report(capsys, run, "--conditions")
    noisy = report(capsys, run, "--conditions", "--erased", "gaussian:20")
    assert set(gone["conditions"]) == {"voice", "text", "voice+text"}
    assert noisy["conditions"]["voice+text"] == gone["conditions"]["voice+text"]
    assert noisy["conditions"]["voice"] != gone["conditions"]["voice"]
    assert report(capsys, run, "--conditions", "--erased", "gaussian:20") == noisy
    assert report(capsys, run, "--conditions") == gone  # kept apart
    for name in ("best", "last"):
        kept = torch.load(run / f"{name}.ckpt", weights_only=True)["state_dict"]
        assert {key.split(".")[0] for key in kept} == {"network"}  # the first phase's stays there


@pytest.mark.parametrize("stopped", ["FirstPhase", "SecondPhase"])
def test_an_interrupted_run_goes_on_to_the_same_weights(
    run: Path, folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, stopped: str
) -> None:
    from training.baselines.phase import PhaseModule

    whole = PhaseModule.on_train_batch_start

    def stop(self: PhaseModule, *rest: Any) -> None:
        if type(self).__name__ == stopped and self.current_epoch == 2:
            raise KeyboardInterrupt
        whole(self, *rest)

    argv = ["--config", str(config(folder)), "--out", str(tmp_path / "run")]
    with monkeypatch.context() as patch:
        patch.setattr(PhaseModule, "on_train_batch_start", stop)
        with pytest.raises((KeyboardInterrupt, SystemExit)):
            train.run(argv)
    assert not (tmp_path / "run" / "model.safetensors").exists()
    assert train.run(argv) == 0
    for name in ("model.safetensors", "metrics.json"):
        assert (tmp_path / "run" / name).read_bytes() == (run / name).read_bytes()


def test_it_stands_beside_norm_tr_in_a_comparison(
    folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: Any
) -> None:
    monkeypatch.setenv("COLUMNS", "300")
    norm_tr = tmp_path / "norm_tr.toml"
    norm_tr.write_text(f"""
[part]
class_path = "training.benchmark.Benchmark"
[part.init_args]
masks = "rates"
[part.init_args.data]
class_path = "training.datasets.mosi.MosiSentences"
init_args = {{ path = "{folder}", steps = 3 }}
[part.init_args.network]
width = 32
[part.init_args.learning]
epochs = 1
""")
    path = tmp_path / "compare.toml"
    short = '"first.constant" = 1\n"first.decay" = 0\n"second.constant" = 1\n"second.decay" = 0\n'
    path.write_text(f"""
base = "{norm_tr}"
seeds = "1"
jobs = 1
[systems."NORM-TR"]
[systems.NMER]
config = "{config(folder)}"
{short}
[systems."NMER, our masks"]
config = "{config(folder)}"
masks = "rates"
noises = ["gaussian", "zero"]
{short}
""")
    capsys.readouterr()
    assert compare.run(["--config", str(path), "--out", str(tmp_path / "out")]) == 0
    told = capsys.readouterr().out
    assert all(name in told for name in ("NORM-TR", "NMER, our masks"))
    settings = json.loads((tmp_path / "out/NMER, our masks/seed-1/run.json").read_text())
    given = settings["part"]["init_args"]
    assert (given["masks"], given["noises"]) == ("rates", ["gaussian", "zero"])
    assert given["second"]["init_args"]["constant"] == 1
    assert given["second"]["init_args"]["batch"] == 8


@dataclass(frozen=True)
class Toy:
    """Three classes that each of three modalities shows."""

    modalities: tuple[str, ...] = ("face", "voice", "text")
    path: Path = Path("toy")
    name: str = "toy"
    outputs: int = 3

    def at(self, path: Path) -> Toy:
        return replace(self, path=path)

    def load(self, split: Split) -> Samples:
        random = np.random.default_rng(["train", "valid", "test"].index(split))
        labels = random.integers(0, 3, 160)
        rows = {
            m: np.eye(3)[labels][:, None] + 0.3 * random.normal(size=(160, 4, 3))
            for m in self.modalities
        }
        valid = dict.fromkeys(rows, np.ones((160, 4), np.bool_))
        ids = tuple(f"{split}{i}" for i in range(160))
        return Samples(ids, ids, windows(rows, valid, labels))

    def groups(self) -> dict[Split, set[str]]:
        return {split: set(self.load(split).groups) for split in ("train", "valid", "test")}

    def scores(self, outputs: NDArray[Any], labels: NDArray[Any]) -> dict[str, float]:
        return metrics.emotions(labels, outputs.argmax(1))

    def without_words(self, split: Split, rate: float, seed: int) -> Samples:
        raise AssertionError


@pytest.mark.parametrize("preset", ["sound", "as_released"])
def test_classes_of_three_modalities_are_learned(preset: Preset, tmp_path: Path) -> None:
    part = Nmer(Toy(), preset=preset, first=SMALL, second=SMALL, clean=True, noise_steps=20)
    got = part.train(tmp_path, 1, progress=False)
    assert got["valid"]["metrics"]["accuracy"][0] > 0.7
    assert {"emotion", "invariant", "reconstruction", "kl", "kl_per_dimension"} <= set(
        (tmp_path / "metrics.csv").read_text().splitlines()[0].split(",")
    )


@pytest.mark.parametrize(
    ("changed", "said"),
    [
        ({"data": Toy(("voice",))}, "two or more"),
        ({"second": replace(SMALL, batch=161)}, "160 samples are no batch of 161"),
        ({"components": {"face": 4}}, "rows of face have 3 numbers"),
    ],
)
def test_what_cannot_be_trained_is_one_sentence(
    changed: dict[str, Any], said: str, tmp_path: Path
) -> None:
    part = replace(Nmer(Toy(), first=SMALL, second=SMALL), **changed)
    with pytest.raises(UserError, match=said):
        part.train(tmp_path, 1, progress=False)
    with pytest.raises(UserError, match="one process"):
        Nmer(Toy(), first=SMALL, second=SMALL).train(tmp_path, 1, 2, progress=False)


@pytest.mark.parametrize(
    ("option", "value", "said"),
    [
        ("preset", "released", "preset"),
        ("noises", '["loud"]', "noises"),
        ("noise_steps", "0", "noise_steps"),
        ("second.batch", "1", "batch is 2 or more"),
        ("second.lr", "0", "lr and clip lie over 0"),
    ],
)
def test_a_setting_that_cannot_be_is_refused_before_anything_is_computed(
    option: str, value: str, said: str, tmp_path: Path
) -> None:
    shipped = Path(__file__).parents[1] / "configs" / "nmer_mosi_words.toml"
    argv = ["--config", str(shipped), "--out", str(tmp_path), f"--part.init_args.{option}={value}"]
    with pytest.raises(UsageError, match=said):
        parse(train.Train, argv, "train")


def test_a_run_of_another_system_does_not_fit(run: Path, tmp_path: Path) -> None:
    """Settings that name NORM-TR beside NMER's weights."""
    settings = json.loads((run / "run.json").read_text())
    settings["part"] = {
        "class_path": "training.benchmark.Benchmark",
        "init_args": {"data": settings["part"]["init_args"]["data"]},
    }
    (tmp_path / "run.json").write_text(json.dumps(settings))
    (tmp_path / "model.safetensors").write_bytes((run / "model.safetensors").read_bytes())
    with pytest.raises(UserError, match="does not fit"):
        evaluate.run([str(tmp_path)])
