"""The doctor beside living and dead drivers, and how the command ends."""

import json

import doctor_helpers as do
import pytest
from doctor_helpers import contents

from raysweep.doctor.sweep import examine_all
from raysweep.store import lease
from raysweep.store.lease_timing import Timing

QUICK = Timing(renew_s=0.1, silence_s=0.5, settle_s=0.02)


@pytest.fixture
def driver(ended):
    """A living driver of the sweep."""
    with lease.Lease(ended.files) as held:
        yield held


def examine(store, fix=False):
    (health,) = examine_all(store.store, [store.sweep], fix=fix, timing=QUICK)
    return health


def test_nothing_is_mended_beside_a_living_driver(ended, doctor, driver):
    do.broken_search(ended)
    code, out, _ = doctor("toys", "--fix")
    assert code == 1
    assert (
        f"lease: nothing was fixed, as the sweep is being run by {driver.holder.name}; stop" in out
    )
    assert ended.files.read("search.json") == b"["


def test_a_healthy_sweep_beside_a_living_driver_is_healthy(ended, doctor, driver):
    code, out, _ = doctor("toys", "--fix")
    assert code == 0
    assert f"being run by {driver.holder.name}" in out


@pytest.mark.parametrize(
    "damage", [do.cut_merge, do.orphan_curves, do.state_alone, do.killed_writer, do.second_row]
)
def test_what_a_living_driver_may_be_at_is_no_finding(ended, doctor, driver, damage):
    damage(ended)
    assert doctor("toys")[0] == 0


def test_damage_is_found_beside_a_living_driver(ended, doctor, driver):
    do.flipped_rows(ended)
    assert doctor("toys")[0] == 1


def test_a_lease_that_stands_still_is_a_finding(ended):
    do.dead_lease(ended)
    (finding,) = examine(ended).findings
    assert finding.text.startswith("lease: left by process 12 on elsewhere, which is no longer")


def test_a_lease_that_stands_still_is_removed(ended):
    do.dead_lease(ended)
    health = examine(ended, fix=True)
    assert (len(health.mended), list(health.wrong)) == (1, [])
    assert not ended.files.exists("lease")


def test_a_damaged_lease_is_removed_once_it_stands_still(ended):
    ended.files.write("lease", b"{")
    assert "a driver whose lease is damaged" in examine(ended, fix=True).mended[0].text
    assert not ended.files.exists("lease")


def test_a_lease_of_another_machine_that_is_renewed_is_a_living_driver_s(ended):
    do.dead_lease(ended)
    beats = iter(range(100))

    def sleep(_):
        data = json.loads(ended.files.read("lease"))
        ended.files.write("lease", json.dumps({**data, "heartbeat": float(next(beats))}).encode())

    timing = Timing(silence_s=5.0, sleep=sleep)
    (health,) = examine_all(ended.store, ["toys"], fix=True, timing=timing)
    assert not health.findings
    assert "being run by process 12 on elsewhere" in health.facts


def test_a_sweep_that_is_not_there_is_wrong_use(ended, doctor):
    code, out, err = doctor("toy")
    assert (code, out) == (2, "")
    assert err.startswith("raysweep: expected a sweep in ")
    assert "did you mean 'toys'?" in err


def test_a_name_that_is_none_of_a_sweep_is_wrong_use(ended, doctor):
    assert doctor("../toys")[0] == 2


@pytest.mark.parametrize("option", [("--data", "x"), ("--address", "x"), ("--ray",)])
def test_options_of_the_environment_with_a_sweep_are_wrong_use(ended, doctor, option):
    code, _, err = doctor("toys", *option)
    assert code == 2
    assert "--data, --address and --ray check the environment" in err
    assert "'toys'" in err


def test_a_sweep_of_a_later_format_is_said_and_left_alone(ended, doctor):
    data = json.loads(ended.files.read("spec.json"))
    ended.files.write("spec.json", json.dumps({**data, "format": 99}).encode())
    do.broken_search(ended)
    before = contents(ended.files.root)
    code, out, _ = doctor("toys", "--fix")
    assert code == 1
    assert "got format 99, which a later version of raysweep wrote; upgrade raysweep" in out
    assert contents(ended.files.root) == before


def test_a_link_out_of_the_sweep_is_said(ended, doctor, tmp_path):
    (tmp_path / "other.parquet").write_bytes(b"")
    link = ended.files.path(f"curves/{do.PACK}-5.parquet")
    do.Path(link).symlink_to(tmp_path / "other.parquet")
    code, out, _ = doctor("toys", "--fix")
    assert code == 1
    assert "a link that leads to" in out
