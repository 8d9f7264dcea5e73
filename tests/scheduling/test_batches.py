"""Batches of short packs, driven by hand."""

import pytest
from search_helpers import Driver, bowl

from raysweep.scheduling.batches import Batches

RANDOM = {"sampler": "random", "configurations": 40}
WORKERS = 2


def batches_of(tmp_path, search=RANDOM, **keys):
    """A driver of packs of one run each, and the batches of its schedule."""
    driver = Driver(tmp_path, bowl(search, **keys), workers=WORKERS, pack=1)
    return driver, Batches(driver.schedule, lambda: WORKERS)


def end_first(driver, batches, seconds):
    """End the first pack, which took some seconds."""
    [pack] = batches.next()
    driver.end(pack)
    batches.ended([pack], [seconds])


def test_the_first_pack_of_an_arm_is_alone(tmp_path):
    _, batches = batches_of(tmp_path)
    assert [len(batches.next()) for _ in range(3)] == [1, 1, 1]


def test_short_packs_share_a_batch_of_about_a_second(tmp_path):
    driver, batches = batches_of(tmp_path)
    end_first(driver, batches, 0.25)
    assert len(batches.next()) == 4


def test_long_packs_stay_alone(tmp_path):
    driver, batches = batches_of(tmp_path)
    end_first(driver, batches, 0.6)
    assert len(batches.next()) == 1


def test_a_batch_is_at_most_a_workers_share_of_the_queue(tmp_path):
    driver, batches = batches_of(tmp_path)
    end_first(driver, batches, 0.001)
    sizes = []
    while packs := batches.next():
        sizes.append(len(packs))
    assert sum(sizes) == 39
    assert sizes[0] == 10
    assert sizes[-3:] == [1, 1, 1]


def test_packs_of_an_arm_whose_time_is_not_known_are_in_no_batch(tmp_path):
    driver, batches = batches_of(tmp_path, arms=2)
    end_first(driver, batches, 0.001)
    assert [len(batches.next()) for _ in range(2)] == [1, 1]


def test_batches_keep_the_order_of_the_queue(tmp_path):
    alone, _ = batches_of(tmp_path / "alone", arms=2)
    expected = [pack.pack_id for pack in iter(alone.take, None)]
    driver, batches = batches_of(tmp_path / "batches", arms=2)
    singles = [batches.next()[0] for _ in range(2)]
    batches.ended(singles, [0.001, 0.001])
    order = [pack.pack_id for pack in singles]
    while packs := batches.next():
        order += [pack.pack_id for pack in packs]
    assert order == expected
    assert len(driver.schedule.in_flight) == 80


@pytest.mark.parametrize(
    ("search", "keys"),
    [
        ({"sampler": "tpe", "configurations": 400}, {}),
        ({**RANDOM, "batch": 20}, {}),
        (RANDOM, {"seeds": 4, "early_stopping": {"pruner": "racing"}}),
        (RANDOM, {"budget": {"runs": 40}}),
    ],
    ids=["adaptive sampler", "limit in flight", "racing", "budget"],
)
def test_where_results_decide_what_trains_each_pack_is_alone(tmp_path, search, keys):
    driver, batches = batches_of(tmp_path, search, **keys)
    end_first(driver, batches, 0.001)
    assert [len(batches.next()) for _ in range(3)] == [1, 1, 1]


def test_packs_that_are_put_back_come_first_and_have_not_begun(tmp_path):
    driver, batches = batches_of(tmp_path)
    end_first(driver, batches, 0.25)
    packs = batches.next()
    batches.put_back(packs[1:])
    assert set(driver.schedule.in_flight) == {packs[0].pack_id}
    assert driver.schedule.queue.take().pack_id == packs[1].pack_id


def test_packs_whose_batch_died_are_alone_from_then_on(tmp_path):
    driver, batches = batches_of(tmp_path)
    end_first(driver, batches, 0.25)
    packs = batches.next()
    batches.put_back(packs, alone=True)
    alone = [[pack.pack_id for pack in batches.next()] for _ in packs]
    assert alone == [[pack.pack_id] for pack in packs]
    assert len(batches.next()) > 1


def test_a_run_that_failed_is_alone(tmp_path):
    driver, batches = batches_of(tmp_path, resources={"max_failures": 2})
    end_first(driver, batches, 0.001)
    [failed, *others] = batches.next()
    driver.schedule.pack_failed(failed.pack_id, "run", "an error")
    driver.schedule.save()
    assert all(not run.failures for pack in others for run in pack.runs)
    again = Driver(tmp_path, driver.spec, workers=WORKERS, pack=1)
    batches = Batches(again.schedule, lambda: WORKERS)
    end_first(again, batches, 0.001)
    handed = []
    while packs := batches.next():
        handed.append(packs)
    [alone] = [packs for packs in handed if any(p.runs[0].failures for p in packs)]
    assert len(alone) == 1
