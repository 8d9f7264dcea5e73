import pytest
import torch

from raysweep.tasks.training.batches import BatchSampler

SEEDS = [5, 0, 9]


def epoch(order, number):
    steps = range(number * order.steps_per_epoch, (number + 1) * order.steps_per_epoch)
    return torch.stack([order.batch(step) for step in steps])


def test_an_epoch_shows_every_example_once_but_an_incomplete_batch():
    seen = epoch(BatchSampler(SEEDS, 23, 5, "cpu"), 2)
    assert seen.shape == (4, 3, 5)
    for replica in range(3):
        shown = seen[:, replica].flatten()
        assert len(shown.unique()) == 20
        assert shown.min() >= 0
        assert shown.max() <= 22


def test_epochs_and_replicas_are_shuffled_differently():
    order = BatchSampler([1, 2], 100, 10, "cpu")
    first, second = epoch(order, 0), epoch(order, 1)
    assert not torch.equal(first, second)
    assert not torch.equal(first[:, 0], first[:, 1])


def test_a_replica_sees_the_same_alone():
    pack = epoch(BatchSampler(SEEDS, 23, 5, "cpu"), 1)
    for replica, seed in enumerate(SEEDS):
        assert torch.equal(pack[:, [replica]], epoch(BatchSampler([seed], 23, 5, "cpu"), 1))


def test_steps_may_be_asked_in_any_order():
    forward, backward = BatchSampler(SEEDS, 23, 5, "cpu"), BatchSampler(SEEDS, 23, 5, "cpu")
    expected = {step: forward.batch(step).clone() for step in range(12)}
    for step in reversed(range(12)):
        assert torch.equal(backward.batch(step), expected[step])


def test_select_keeps_the_orders_of_the_kept_replicas():
    order = BatchSampler(SEEDS, 23, 5, "cpu")
    before = order.batch(6).clone()
    order.select(torch.tensor([True, False, True]))
    assert torch.equal(order.batch(6), before[[0, 2]])


def test_the_order_of_a_seed_never_changes():
    assert BatchSampler([0], 10, 5, "cpu").batch(0).tolist() == [[1, 0, 5, 3, 6]]


@pytest.mark.parametrize("batch_size", [0, 11])
def test_a_batch_larger_than_the_data_is_refused(batch_size):
    with pytest.raises(ValueError, match=f"batch_size must be in 1..10, .* got {batch_size}"):
        BatchSampler([0], 10, batch_size, "cpu")
