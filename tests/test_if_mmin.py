"""IF-MMIN: sizes and losses of its specification, and runs through train, evaluate and compare."""

from __future__ import annotations

import json
import math
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from normtr.errors import UsageError, UserError
from tests.test_training_benchmark import arguments as norm_tr
from tests.test_training_benchmark import folder, report
from tests.toy_classes import Classes
from training import compare, noise, run_folder, train
from training import report as reporting
from training.baselines.discrepancy import cmd, mean_cmd
from training.baselines.encoders import WIDTH
from training.baselines.if_mmin import IfMmin, in_conditions
from training.baselines.if_mmin_learning import FirstPhase, SecondPhase, Weights
from training.baselines.if_mmin_network import (
    IfMminConfig,
    Imagination,
    Imagining,
    Preset,
    Pretrained,
    deep_invariant,
    span,
)
from training.baselines.phase import Phase
from training.curve import Protocol
from training.datasets.mosi import MosiSentences
from training.results import result
from training.windows import joined

__all__ = ["folder"]  # a fixture

PAPER = IfMminConfig({"voice": 130, "face": 342, "text": 1024}, outputs=4)
SMALL = IfMminConfig({"face": 3, "voice": 2, "text": 4}, outputs=4)
PHASE = Phase(constant=1, decay=1, batch=8, clip=1.0, dropout=0.0, beta1=0.5)


def size(module: nn.Module) -> int:
    return sum(p.numel() for p in module.parameters())


def drawn(config: IfMminConfig, b: int = 3, t: int = 7) -> tuple[dict[str, Tensor], Tensor]:
    """Rows and validity of a batch of whole windows."""
    torch.manual_seed(0)
    rows = {m: torch.randn(b, t, dim) for m, dim in config.dims.items()}
    return rows, torch.ones(b, len(rows), t, dtype=torch.bool)


# The networks


def test_sizes_are_those_of_the_paper_s_code() -> None:
    first, second = Pretrained(PAPER), Imagining(PAPER)
    assert {m: size(encoder) for m, encoder in second.encoders.items()} == {
        "voice": 133_120,
        "face": 241_664,
        "text": 1_622_528,
    }
    assert size(second.invariant) == 33_024
    assert size(deep_invariant(0.5)) == 66_048
    assert size(second.imagination) == 1_694_400
    assert (size(first.classifier), size(second.classifier)) == (115_460, 58_116)
    assert (size(first), size(second)) == (2_145_796, 3_782_852)


@pytest.mark.parametrize("preset", ["sound", "as_released"])
@pytest.mark.parametrize("dims", [{"face": 3, "voice": 2}, SMALL.dims])
@pytest.mark.parametrize("steps", [1, 4, 9])
def test_two_or_three_modalities_of_any_length(
    dims: dict[str, int], preset: Preset, steps: int
) -> None:
    config = replace(SMALL, dims=dims, outputs=1, preset=preset, blocks=3)
    rows, valid = drawn(config, t=steps)
    network = Imagining(config).eval()
    assert network(rows, valid).shape == (3, 1)
    assert network(rows, torch.zeros_like(valid)).isfinite().all()
    imagined = network.imagined(network.embedded(rows, valid))[1]
    assert imagined.shape == (3, len(dims) * WIDTH)


def test_the_cascade_s_two_forms() -> None:
    torch.manual_seed(1)
    h, common = torch.randn(2, 6), torch.randn(2, 6)

    sound = Imagination(6, 2, "sound")
    (e1, e2), (d1, d2) = sound.encoders, sound.decoders
    z1 = e1(h + common)
    z2 = e2(d1(z1) + common)
    imagined, codes = sound(h, common)
    assert torch.allclose(codes, torch.cat([z1, z2], 1))
    assert torch.allclose(imagined, sound.transition(d2(z2)))

    released = Imagination(6, 2, "as_released")
    (e1, e2), (_, d2) = released.encoders, released.decoders
    z1, z2 = e1(h + common), e2(h + 2 * common)
    imagined, codes = released(h, common)
    assert torch.allclose(codes, torch.cat([z1, z2], 1), atol=1e-6)
    assert torch.allclose(imagined, released.transition(h + 2 * common + d2(z2)), atol=1e-6)


def test_a_span_reaches_from_the_first_to_the_last_valid_step_of_any_modality() -> None:
    valid = torch.tensor([[[0, 0, 0, 0, 0, 0], [0, 1, 0, 0, 1, 0]], [[0] * 6, [0] * 6]]).bool()
    assert span(valid).int().tolist() == [[0, 1, 1, 1, 1, 0], [1] * 6]


@pytest.mark.parametrize(("preset", "same"), [("sound", True), ("as_released", False)])
def test_steps_after_the_last_valid_one_count_only_as_released(preset: Preset, same: bool) -> None:
    network = Imagining(replace(SMALL, preset=preset)).eval()
    rows, valid = drawn(SMALL)
    longer = {m: torch.cat([x, torch.ones(3, 5, x.shape[2])], 1) for m, x in rows.items()}
    there = torch.cat([valid, torch.zeros(3, 3, 5, dtype=torch.bool)], 2)
    embedded, padded = network.embedded(rows, valid), network.embedded(longer, there)
    assert torch.allclose(embedded.specific, padded.specific, atol=1e-6) == same


@pytest.mark.parametrize("preset", ["sound", "as_released"])
def test_a_window_is_judged_alike_alone_and_among_others(preset: Preset) -> None:
    network = Imagining(replace(SMALL, preset=preset)).eval().double()
    rows, valid = drawn(SMALL)
    rows = {m: x.double() for m, x in rows.items()}
    valid[1, 0, 3:] = False
    alone = network({m: x[1:2] for m, x in rows.items()}, valid[1:2])
    assert torch.allclose(network(rows, valid)[1:2], alone, atol=1e-9)


def test_what_is_not_valid_does_not_matter() -> None:
    network = Imagining(SMALL).eval()
    rows, valid = drawn(SMALL)
    valid[:, 1] = False
    before = network(rows, valid)
    assert torch.equal(network({**rows, "voice": 100 * rows["voice"]}, valid), before)
    assert not torch.equal(network({**rows, "face": 100 * rows["face"]}, valid), before)


# The losses


def test_cmd_by_hand() -> None:
    # Of 0 0 3: mean 1, central moments 2 to 5: 2, 2, 6, 10; of zeros all are 0.
    x, zero = torch.tensor([[0.0], [0.0], [3.0]]), torch.zeros(3, 1)
    assert float(cmd(x, zero)) == pytest.approx(21, abs=1e-4)
    twice = torch.cat([x, x], 1)
    assert float(cmd(twice, torch.zeros(3, 2))) == pytest.approx(21 * math.sqrt(2), abs=1e-4)
    assert float(mean_cmd(torch.stack([x, zero, zero], 1))) == pytest.approx(14, abs=1e-4)


def test_cmd_of_equal_features_has_a_gradient() -> None:
    x = torch.randn(4, 3, requires_grad=True)
    cmd(x, x.detach().clone()).backward()  # type: ignore[no-untyped-call]
    assert x.grad is not None
    assert x.grad.isfinite().all()


def test_the_first_phase_s_losses() -> None:
    network = Pretrained(SMALL).eval()
    rows, valid = drawn(SMALL)
    labels = torch.tensor([0, 3, 1])
    module = FirstPhase(network, Weights(discrepancy=2), PHASE, "mse", 1)
    losses = module.losses(rows, valid, labels)
    logits = network(rows, valid)
    right = logits.log_softmax(1)[torch.arange(3), labels]
    assert torch.allclose(losses["emotion"], -right.mean())
    each = network.embedded(rows, valid).invariant
    pairs = [cmd(each[:, i], each[:, j]) for i, j in ((0, 1), (0, 2), (1, 2))]
    assert torch.allclose(losses["discrepancy"], 2 * sum(pairs) / 3)  # type: ignore[arg-type]


def second_phase(weights: Weights) -> SecondPhase:
    """Its student embeds as the teacher does, and imagines 0.5 everywhere."""
    torch.manual_seed(2)
    teacher, network = Pretrained(SMALL), Imagining(SMALL)
    shared = {k: v for k, v in teacher.state_dict().items() if not k.startswith("classifier")}
    network.load_state_dict(shared, strict=False)
    last = network.imagination.transition[-1]
    assert isinstance(last, nn.Linear)
    nn.init.zeros_(last.weight)
    nn.init.constant_(last.bias, 0.5)
    return SecondPhase(network, teacher, weights, PHASE, "mse", 1).eval()


def test_the_second_phase_s_losses() -> None:
    module = second_phase(Weights())
    teacher = module.teacher
    rows, valid = drawn(SMALL)
    labels = torch.tensor([2, 2, 0])
    mask = torch.ones_like(valid)
    mask[:, 1] = False  # no voice
    losses = module.losses(rows, valid, mask, labels)

    # The voice as the teacher hears it, and for the others what it makes of zeros.
    hidden = teacher.embedded({m: x * (m == "voice") for m, x in rows.items()}, valid).specific
    assert losses["imagination"].item() == pytest.approx(float((0.5 - hidden).square().mean()))
    # Of what is there the student's invariant features are the teacher's; a third is not there.
    voice = teacher.embedded({**rows, "voice": 0 * rows["voice"]}, valid).invariant[:, 1]
    apart = (voice - teacher.embedded(rows, valid).invariant[:, 1]).square().mean() / 3
    assert losses["invariance"].item() == pytest.approx(100 * float(apart), rel=1e-4)
    logits = module.network(rows, valid & mask)
    right = logits.log_softmax(1)[torch.arange(3), labels]
    assert torch.allclose(losses["emotion"], -right.mean())


def test_with_everything_there_nothing_varies_and_zeros_are_imagined() -> None:
    module = second_phase(Weights(imagination=3))
    rows, valid = drawn(SMALL)
    losses = module.losses(rows, valid, torch.ones_like(valid), torch.tensor([0, 1, 2]))
    zeros = module.teacher.embedded({m: 0 * x for m, x in rows.items()}, valid).specific
    assert losses["invariance"].item() == 0
    assert float(losses["imagination"]) == pytest.approx(3 * float((0.5 - zeros).square().mean()))


def test_the_teacher_neither_learns_nor_drops_out() -> None:
    module = second_phase(Weights()).train()
    assert module.network.training
    assert not module.teacher.training
    rows, valid = drawn(SMALL)
    mask = torch.ones_like(valid)
    mask[:, 0] = False
    losses = module.losses(rows, valid, mask, torch.tensor([0, 1, 2]))
    sum(losses.values()).backward()  # type: ignore[union-attr, no-untyped-call]
    assert all(p.grad is None for p in module.teacher.parameters())
    learning = [name for name, p in module.network.named_parameters() if p.grad is not None]
    assert len(learning) == len(list(module.network.parameters()))


def test_the_rate_falls_after_its_constant_epochs() -> None:
    factors = [Phase(20, 20, 128, 1.0, 0.5, beta1=0.5).factor(epoch) for epoch in range(40)]
    assert factors[:20] == [1] * 20
    assert factors[20] == pytest.approx(20 / 21)
    assert factors[39] == pytest.approx(1 / 21)


# The conditions


def test_every_condition_is_drawn_as_often() -> None:
    seen: dict[tuple[bool, ...], int] = {}
    for sample in range(3_000):
        mask = noise.condition(3, 4, 1, 0, sample)
        assert (mask == mask[:, :1]).all()
        there = tuple(mask[:, 0].tolist())
        seen[there] = seen.get(there, 0) + 1
    assert len(seen) == 6
    assert not {(True,) * 3, (False,) * 3} & set(seen)
    # 500 expected; 5 deviations.
    assert all(
        abs(count - 500) < 5 * math.sqrt(3_000 * (1 / 6) * (5 / 6)) for count in seen.values()
    )
    assert {tuple(noise.condition(2, 1, 1, 0, i)[:, 0].tolist()) for i in range(50)} == {
        (True, False),
        (False, True),
    }


# Runs


def phases(epochs: int, batch: int = 32) -> dict[str, Phase]:
    phase = replace(PHASE, constant=epochs, batch=batch, lr=2e-3)
    return {"first": phase, "second": phase}


@pytest.mark.parametrize("masks", ["conditions", "rates"])
def test_classes_of_three_modalities_are_learned(tmp_path: Path, masks: Any) -> None:
    part = IfMmin(Classes(), masks=masks, **phases(12))
    found = part.train(tmp_path, 1, progress=False)
    assert found["valid"]["metrics"]["accuracy"][0] > 0.8
    assert found["valid"]["metrics"]["accuracy"][-1] < 0.6  # nothing is left to see
    assert (tmp_path / "first_phase/best.ckpt").is_file()


def test_validation_has_every_condition_once() -> None:
    valid = Classes().load("valid")
    found = in_conditions(valid).dataset
    windows = joined([valid.windows] * 6)
    *_, seen, labels = found[:]
    assert torch.equal(labels, windows.labels)
    kinds = seen.reshape(6, len(valid), 3, 6).all(3)
    assert (kinds == kinds[:, :1]).all()
    assert len({tuple(kind[0].tolist()) for kind in kinds}) == 6


def arguments(folder: Path, out: Path, *more: str) -> list[str]:
    config = folder / "if_mmin.toml"
    config.write_text(f"""
[part]
class_path = "training.baselines.if_mmin.IfMmin"
[part.init_args]
components = {{ text = 4 }}
[part.init_args.first]
constant = 1
decay = 1
batch = 8
lr = 2e-3
[part.init_args.second]
constant = 2
decay = 2
batch = 8
lr = 2e-3
[part.init_args.data]
class_path = "training.datasets.mosi.MosiSentences"
init_args = {{ path = "{folder}", steps = 3 }}
""")
    return ["--config", str(config), "--out", str(out), *more]


@pytest.fixture(scope="module")
def run(folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("if_mmin") / "run"
    assert train.run(arguments(folder, out)) == 0
    return out


def test_a_config_s_run_is_evaluated_like_any_other(
    run: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    got = report(capsys, run)
    assert (got["dataset"], got["n"]) == ("mosi_words", 29)
    assert len(got["metrics"]["mae"]) == 11
    by = report(capsys, run, "--conditions")
    assert list(by["conditions"]) == ["voice", "text", "voice+text"]
    assert by["conditions"]["voice+text"]["mae"] == got["metrics"]["mae"][0]
    alone = [by["conditions"][m]["mae"] for m in ("voice", "text")]
    assert by["mean"]["mae"] == pytest.approx(sum(alone) / 2)
    # What stands there is what the network says of windows without the other modality.
    found = run_folder.read(run)
    windows = found.part.data.load("test").windows
    model = found.part.model(windows)
    run_folder.fill(model, found)
    silent = windows.valid.clone()
    silent[:, 0] = False
    with torch.inference_mode():
        outputs = model(windows.rows, silent)[:, 0]
    assert float((outputs - windows.labels).abs().mean()) == pytest.approx(alone[1], abs=1e-5)


def test_noise_of_several_modalities_is_each_one_s(run: Path, folder: Path) -> None:
    samples = MosiSentences(folder, steps=3).load("test")
    both = samples.under("modality:voice+text", 0.5, 1).valid
    assert torch.equal(both, samples.under("steps", 0.5, 1).valid)
    with pytest.raises(UserError, match=r"no noise 'modality:text\+voice'; .* modality:text\."):
        result(run, "test", Protocol("modality:text+voice"))


def test_a_stopped_run_goes_on_to_the_same_end(
    run: Path, folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def stop_in(stage: type[Any], epoch: int) -> None:
        whole: Callable[..., None] = stage.on_train_batch_start

        def stop(self: Any, *rest: Any) -> None:
            if self.current_epoch == epoch:
                raise KeyboardInterrupt
            whole(self, *rest)

        with monkeypatch.context() as patch:
            patch.setattr(stage, "on_train_batch_start", stop)
            with pytest.raises((KeyboardInterrupt, SystemExit)):
                train.run(arguments(folder, tmp_path))

    stop_in(FirstPhase, 1)
    stop_in(SecondPhase, 2)
    assert not (tmp_path / "model.safetensors").exists()
    assert train.run(arguments(folder, tmp_path)) == 0
    for name in ("model.safetensors", "metrics.json"):
        assert (tmp_path / name).read_bytes() == (run / name).read_bytes()


def reported(folder: Path, *runs: str) -> str:
    assert reporting.run([*runs, "--out", str(folder / "report")]) == 0
    return (folder / "report/report.md").read_text()


def test_it_stands_beside_norm_tr_in_a_comparison(
    folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: Any
) -> None:
    monkeypatch.setenv("COLUMNS", "200")
    base, other = norm_tr(folder, tmp_path)[1], arguments(folder, tmp_path)[1]
    path = tmp_path / "compare.toml"
    path.write_text(f"""
base = "{base}"
seeds = "1"
jobs = 1
[systems.NORM-TR]
"learning.epochs" = 1
[systems.IF-MMIN]
config = "{other}"
"second.decay" = 0
""")
    capsys.readouterr()
    assert compare.run(["--config", str(path), "--out", str(tmp_path / "out")]) == 0
    told = capsys.readouterr().out
    assert "NORM-TR" in told
    assert "IF-MMIN" in told
    part = json.loads((tmp_path / "out/IF-MMIN/seed-1/run.json").read_text())["part"]
    assert part["class_path"] == "training.baselines.if_mmin.IfMmin"
    assert part["init_args"]["second"]["init_args"]["decay"] == 0
    ours, theirs = (str(tmp_path / "out" / name) for name in ("NORM-TR", "IF-MMIN"))
    found = [reported(tmp_path, *runs) for runs in ((ours, theirs), (theirs, ours), (theirs,))]
    assert "IF-MMIN (no. 2)" in found[0]
    assert "NORM-TR (no. 2)" in found[1]
    assert ["### Linear probes" in text for text in found] == [True, True, False]
    path.write_text(path.read_text().replace(other, "nowhere.toml"))
    with pytest.raises(UserError, match=r"no config file 'nowhere.toml'"):
        compare.run(["--config", str(path), "--out", str(tmp_path / "out")])


# Bad input


@pytest.mark.parametrize(
    ("more", "said"),
    [
        (["--part.init_args.first.batch=99"], "42 samples are no batch of 99"),
        (["--devices", "2"], "trained by one process"),
        (["--part.init_args.blocks=0"], "blocks and components are 1 or more"),
        (["--part.init_args.weights.imagination=-1"], "weights of losses are 0 or more"),
        (["--part.init_args.presett=sound"], "did you mean"),
        (["--part.init_args.components.text=9999"], "so no 9999 components"),
    ],
)
def test_what_cannot_be_trained_is_one_sentence(
    folder: Path, tmp_path: Path, more: list[str], said: str
) -> None:
    with pytest.raises((UsageError, UserError), match=said):
        train.run(arguments(folder, tmp_path / "run", *more))
    assert not (tmp_path / "run/model.safetensors").exists()


def test_one_modality_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="the data need two or more"):
        IfMmin(Classes(("text",)), **phases(1)).train(tmp_path, 1, progress=False)


def test_a_checkpoint_of_one_system_is_not_taken_for_another(run: Path, tmp_path: Path) -> None:
    settings = json.loads((run / "run.json").read_text())
    (tmp_path / "run.json").write_text(json.dumps(settings))
    (tmp_path / "model.safetensors").write_bytes((run / "model.safetensors").read_bytes())
    settings["part"]["class_path"] = "training.benchmark.Benchmark"
    (tmp_path / "run.json").write_text(json.dumps(settings))
    with pytest.raises(UserError, match="the run's settings cannot be read"):
        result(tmp_path, "test", Protocol())
    data = settings["part"]["init_args"]["data"]
    settings["part"]["init_args"] = {"data": data}
    (tmp_path / "run.json").write_text(json.dumps(settings))
    with pytest.raises(UserError, match="does not fit these data and settings"):
        result(tmp_path, "test", Protocol())
