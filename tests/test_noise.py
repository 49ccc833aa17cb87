"""The masks of the paper: bounds, independence of order, Type-2's single modality."""

from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from training import noise

seeds = st.integers(0, 2**63 - 1)
epochs = st.integers(0, 10_000)
samples = st.integers(0, 2**40)
sizes = st.tuples(st.integers(1, 4), st.integers(1, 50))


def erased_runs(mask: noise.Mask) -> list[int]:
    """Lengths of the erased stretches of one modality."""
    edges = np.flatnonzero(np.diff(np.concatenate([[True], mask, [True]]).astype(int)))
    return list(np.diff(edges)[::2])


@given(sizes, seeds, epochs, samples)
def test_type_1_erases_one_window_of_at_most_half(
    size: tuple[int, int], seed: int, epoch: int, sample: int
) -> None:
    mask = noise.type_1(*size, seed, epoch, sample)
    assert mask.shape == size
    for modality in mask:
        runs = erased_runs(modality)
        assert len(runs) <= 1
        assert sum(runs) <= size[1] // 2


@given(sizes, seeds, epochs, samples)
def test_type_2_touches_only_the_drawn_modality(
    size: tuple[int, int], seed: int, epoch: int, sample: int
) -> None:
    mask, chosen = noise.type_2(*size, seed, epoch, sample)
    assert np.delete(mask, chosen, axis=0).all()
    runs = erased_runs(mask[chosen])
    assert len(runs) <= 1
    assert sum(runs) <= size[1] // 2


@given(seeds, epochs, st.lists(samples, min_size=2, max_size=8, unique=True), st.randoms())
def test_masks_do_not_depend_on_order(seed: int, epoch: int, numbers: list[int], random) -> None:
    def draw(order: list[int]) -> dict[int, bytes]:
        return {
            i: noise.type_1(3, 16, seed, epoch, i).tobytes()
            + noise.type_2(3, 16, seed, epoch, i)[0].tobytes()
            + noise.absent(3, 16, seed, epoch, i, 0.5).tobytes()
            for i in order
        }

    shuffled = list(numbers)
    random.shuffle(shuffled)
    assert draw(numbers) == draw(shuffled)


@given(st.integers(1, 40), seeds, samples, st.floats(0, 1))
def test_a_window_of_the_rate_is_erased_of_every_modality(
    steps: int, seed: int, sample: int, rate: float
) -> None:
    mask = noise.kept_windows(seed, ("face", "text"), str(sample), steps, rate)
    for modality, name in zip(mask, ("face", "text"), strict=True):
        assert sum(erased_runs(modality)) == round(rate * steps)
        assert len(erased_runs(modality)) <= 1
        alone = noise.kept_window(seed, name, str(sample), steps, rate)
        assert np.array_equal(modality, alone)


@given(sizes, seeds, epochs, samples)
def test_absent_is_whole_modalities(
    size: tuple[int, int], seed: int, epoch: int, sample: int
) -> None:
    mask = noise.absent(*size, seed, epoch, sample, 0.5)
    assert (mask == mask[:, :1]).all()
    assert noise.absent(*size, seed, epoch, sample, 0.0).all()


def test_masks_are_spread() -> None:
    """Every length and every modality occurs, and epochs and samples differ."""
    first = np.stack([noise.type_1(3, 16, 1, 0, i) for i in range(1_000)])
    lengths = (~first).sum(2)
    assert set(np.unique(lengths)) == set(range(9))
    assert abs(lengths.mean() - 4.0) < 0.2
    second = np.stack([noise.type_1(3, 16, 1, 1, i) for i in range(1_000)])
    assert (first != second).any(axis=(1, 2)).mean() > 0.95
    assert {noise.type_2(3, 16, 1, 0, i)[1] for i in range(100)} == {0, 1, 2}
    absent = np.stack([noise.absent(3, 16, 1, 0, i, 0.4)[:, 0] for i in range(4_000)])
    assert np.allclose((~absent).mean(0), 0.2, atol=0.03)


GOLDEN = [0.23796987393248425, 0.07979720517774891, 0.7713606695477547, 0.9040728337314548]
names = st.text(max_size=12)
rates = st.sampled_from(noise.RATES)


@given(st.integers(0, 99), names, st.integers(1, 60), rates, rates)
def test_test_noise_is_nested_and_whole_at_the_ends(
    seed: int, sample: str, steps: int, a: float, b: float
) -> None:
    """What a lower rate erases, a higher one erases too; rate 0 erases nothing, rate 1 all."""
    low, high = (noise.kept_steps(seed, "voice", sample, steps, rate) for rate in sorted((a, b)))
    assert (low | ~high).all()
    assert noise.kept_steps(seed, "voice", sample, steps, 0.0).all()
    assert not noise.kept_steps(seed, "voice", sample, steps, 1.0).any()


@given(st.integers(0, 99), names, st.integers(1, 60), rates)
def test_a_test_window_is_one_stretch_of_the_rates_length(
    seed: int, sample: str, steps: int, rate: float
) -> None:
    runs = erased_runs(noise.kept_window(seed, "face", sample, steps, rate))
    assert sum(runs) == round(rate * steps)
    assert len(runs) <= 1


def test_test_noise_is_keyed_by_seed_modality_and_sample() -> None:
    """Golden: the tables of other years and machines stand on these very numbers."""
    u = noise.uniforms(1, "text", "03bSnISJMiM_1", 4)
    assert np.array_equal(u[:2], noise.uniforms(1, "text", "03bSnISJMiM_1", 2))
    assert np.allclose(u, GOLDEN, atol=1e-12)
    others = [(2, "text", "03bSnISJMiM_1"), (1, "face", "03bSnISJMiM_1"), (1, "text", "x")]
    assert all(not np.array_equal(u, noise.uniforms(*key, 4)) for key in others)
    many = np.concatenate([noise.uniforms(s, "voice", "a", 50) for s in range(200)])
    assert abs(many.mean() - 0.5) < 0.02


@given(seeds, epochs, samples)
def test_masks_at_the_tests_rates(seed: int, epoch: int, sample: int) -> None:
    mask, chosen = noise.rate_2(3, 16, seed, epoch, sample, noise.RATES)
    assert np.delete(mask, chosen, axis=0).all()
    assert np.array_equal(
        noise.rate_1(3, 16, seed, epoch, sample, noise.RATES),
        noise.rate_1(3, 16, seed, epoch, sample, noise.RATES),
    )
