"""Seeds of a configuration that are stopped one after the other, in packs of their own."""

from search_helpers import Driver, bowl


def test_a_seed_that_trains_while_its_configuration_is_stopped_counts_when_it_ends(tmp_path):
    search = {"sampler": "random", "configurations": 2}
    stopping = {"pruner": "asha", "grace": 9, "reduction": 3}
    spec = bowl(search, seeds=2, early_stopping=stopping)
    driver = Driver(tmp_path, spec, workers=4, pack=1)
    packs = [driver.take() for _ in range(4)]
    packs.sort(key=lambda pack: pack.runs[0].configuration_id)
    for pack in packs[:2]:
        driver.end(pack, s0="stopped", s1="stopped")
    for pack in packs[2:]:
        driver.end(pack)
    assert len(driver.rows) == driver.schedule.total.runs == 4
