"""Noise: what its numbers depend on, and what they do not."""

import pytest
import torch

from raysweep.estimators import Noise, TorchNoise

FLOAT32 = {"dtype": torch.float32}
GOLDEN_FREE = [0.9267707467, 0.9961416721]
GOLDEN_STEPPED = [0.9356498122, 0.3235914111]
KINDS = pytest.mark.parametrize("kind", ["uniform", "exponential"])


def at_step(noise, step, *shapes, kind="uniform", **settings):
    noise.at(step)
    return [getattr(noise, kind)(*shape, **settings) for shape in shapes]


@KINDS
def test_a_replica_gets_what_its_seed_gives_alone(kind):
    together = getattr(Noise(seeds=[7, 3, 7]), kind)(3, 4, 2)
    alone = getattr(Noise(seed=3), kind)(4, 2)
    assert torch.equal(together[1], alone)
    assert torch.equal(together[0], together[2])


@KINDS
@pytest.mark.parametrize("step", [0, 49, 50, 137])
def test_a_replica_gets_what_its_seed_gives_alone_at_a_step(kind, step):
    (together,) = at_step(Noise(seeds=[1, 2, 3]), step, (3, 4, 2), kind=kind)
    (alone,) = at_step(Noise(seed=2), step, (4, 2), kind=kind)
    assert torch.equal(together[1], alone)


def test_steps_in_any_order_give_the_same_numbers():
    ordered, jumping = Noise(seeds=[1, 2]), Noise(seeds=[1, 2])
    steps = list(range(120))
    straight = {step: at_step(ordered, step, (2, 5), (2, 3)) for step in steps}
    for step in [119, 0, 50, 49, 51, 3, 118, 99, 100]:
        for expected, got in zip(
            straight[step], at_step(jumping, step, (2, 5), (2, 3)), strict=True
        ):
            assert torch.equal(expected, got)


def test_a_later_block_does_not_repeat_an_earlier_one():
    noise = Noise(seed=1)
    first = torch.stack([at_step(noise, step, (4,))[0] for step in range(150)])
    assert len(first.flatten().unique()) == first.numel()


def test_requests_of_a_step_differ():
    one, two = at_step(Noise(seed=1), 4, (6,), (6,))
    assert not torch.equal(one, two)


def test_a_cached_block_is_not_used_for_another_request():
    noise = Noise(seed=1)
    at_step(noise, 0, (6,))
    (other,) = at_step(noise, 0, (6,), kind="exponential")
    assert torch.equal(other, at_step(Noise(seed=1), 0, (6,), kind="exponential")[0])


@pytest.mark.parametrize("other", [Noise(seed=2), Noise(seed=1, purpose="data")])
def test_seed_and_purpose_separate_streams(other):
    assert not torch.equal(Noise(seed=1).uniform(8), other.uniform(8))


def test_free_requests_repeat_in_order():
    one, two = Noise(seed=1), Noise(seed=1)
    first = [one.uniform(3), one.exponential(2), one.uniform(3)]
    again = [two.uniform(3), two.exponential(2), two.uniform(3)]
    assert all(torch.equal(*pair) for pair in zip(first, again, strict=True))
    assert not torch.equal(first[0], first[2])


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16, torch.float32, torch.float64])
def test_uniforms_are_inside_the_open_interval(dtype):
    numbers = Noise(seed=0).uniform(2_000_000, dtype=dtype)
    assert numbers.dtype == dtype
    assert 0 < numbers.min() < 0.01
    assert 0.99 < numbers.max() < 1


def test_uniforms_have_the_moments_of_the_uniform():
    numbers = Noise(seed=0).uniform(1_000_000, dtype=torch.float64)
    assert abs(numbers.mean() - 1 / 2) < 5 * (1 / 12 / 1e6) ** 0.5
    assert abs((numbers**2).mean() - 1 / 3) < 5 * (4 / 45 / 1e6) ** 0.5


def test_float32_exponentials_keep_both_tails():
    numbers = Noise(seed=0).exponential(4_000_000, **FLOAT32)
    assert 0 < numbers.min() < 1e-6
    assert numbers.max() > 14
    assert len(numbers[numbers < 1e-4].unique()) > 350
    assert abs(numbers.mean() - 1) < 5 / 2000


def test_exponential_tails_have_their_probability():
    numbers = Noise(seed=0).exponential(4_000_000, **FLOAT32)
    for bound, probability in [(12.0, 6.144e-6), (10.0, 4.54e-5)]:
        expected = probability * len(numbers)
        assert abs((numbers > bound).sum() - expected) < 5 * expected**0.5
    assert abs((numbers < 1e-5).sum() - 40) < 5 * 40**0.5


@pytest.mark.parametrize(
    "keep", [torch.tensor([True, False, True]), torch.tensor([0, 2])], ids=["mask", "indices"]
)
@pytest.mark.parametrize("step", [None, 7])
def test_selected_replicas_keep_their_numbers(keep, step):
    whole, cut = Noise(seeds=[4, 5, 6]), Noise(seeds=[4, 5, 6])
    if step is not None:
        at_step(cut, step - 1, (3, 2))
        whole.at(step)
        cut.at(step)
    cut.select(keep)
    assert cut.seeds == (4, 6)
    assert torch.equal(whole.uniform(3, 2)[keep], cut.uniform(2, 2))


@pytest.mark.parametrize(
    ("numbers", "steps"), [(0, 50), (1, 50), (5242, 50), (5243, 49), (2**17, 2), (2**20, 1)]
)
def test_block_length_depends_on_the_numbers_per_replica(numbers, steps):
    assert Noise().block_steps(numbers) == steps


def test_a_request_too_large_for_a_block_is_not_kept():
    noise = Noise(seed=1)
    (first,) = at_step(noise, 3, (2**18,))
    (again,) = at_step(noise, 3, (2**18,))
    assert torch.equal(first, again)
    assert first.data_ptr() != again.data_ptr()


def test_numbers_of_format_1_stay_what_they_are():
    assert Noise.FORMAT == 1
    uniform = Noise(seed=11).uniform(2, **FLOAT32)
    (stepped,) = at_step(Noise(seeds=[11], purpose="data"), 60, (1, 2), **FLOAT32)
    torch.testing.assert_close(uniform, torch.tensor(GOLDEN_FREE), rtol=0, atol=1e-7)
    torch.testing.assert_close(stepped[0], torch.tensor(GOLDEN_STEPPED), rtol=0, atol=1e-7)


def test_another_number_of_replicas_is_refused():
    with pytest.raises(ValueError, match=r"each of 2 seeds, got shape \(3, 4\)"):
        Noise(seeds=[1, 2]).uniform(3, 4)


def test_another_number_of_replicas_is_refused_at_a_step():
    with pytest.raises(ValueError, match=r"each of 2 seeds, got shape \(\)"):
        at_step(Noise(seeds=[1, 2]), 0, ())


def test_seed_and_seeds_together_are_refused():
    with pytest.raises(ValueError, match=r"got seed=3 and seeds=\[1, 2\]"):
        Noise(3, seeds=[1, 2])


def test_no_seeds_are_refused():
    with pytest.raises(ValueError, match="at least one seed, got none"):
        Noise(seeds=[])


def test_a_negative_step_is_refused():
    with pytest.raises(ValueError, match="at least 0, got -1"):
        Noise().at(-1)


def test_a_single_stream_has_no_replicas_to_select():
    with pytest.raises(ValueError, match="got one seed"):
        Noise(seed=1).select(torch.tensor([0]))


def test_a_mask_of_another_length_is_refused():
    with pytest.raises(ValueError, match="must have 2 entries, got 3"):
        Noise(seeds=[1, 2]).select(torch.tensor([True, False, True]))


def test_numbers_of_a_generator_are_those_of_its_seed():
    first, second = (TorchNoise(torch.Generator().manual_seed(3)) for _ in range(2))
    assert torch.equal(first.uniform(4), second.uniform(4))
    assert torch.equal(first.exponential(4), second.exponential(4))
    assert not torch.equal(first.uniform(4), first.uniform(4))


def test_a_generator_has_no_steps():
    with pytest.raises(ValueError, match="no steps; use a Noise with a seed"):
        TorchNoise().at(3)


def test_a_seed_is_no_generator():
    with pytest.raises(TypeError, match=r"must be a torch.Generator, got int; Noise takes a seed"):
        TorchNoise(3)
