"""Seeds of a configuration that are stopped one after the other, in packs of their own."""

from search_helpers import Driver, bowl


def test_a_seed_that_trains_while_its_configuration_is_stopped_counts_when_it_ends(tmp_path):
    search = {"sampler": "random", "configurations": 2}
    stopping = {"pruner": "asha", "grace": 9, "reduction": 3}
    driver = Driver(tmp_path, bowl(search, seeds=2, early_stopping=stopping), workers=2, pack=1)
    first, second = driver.take(), driver.take()
    assert first.runs[0].configuration_id == second.runs[0].configuration_id
    driver.end(first, s0="stopped", s1="stopped")
    driver.end(second, s0="stopped", s1="stopped")
    driver.run()
    assert len(driver.rows) == driver.schedule.total.runs == 4
