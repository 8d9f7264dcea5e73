"""Room for workers on nodes, and the memory of a pack."""

import json

import pytest

from raysweep.engine import capacity, growth
from raysweep.engine.memory import fitting, limit_of_machine, run_bytes
from raysweep.sweep.options import Resources
from raysweep.sweep.packs import MAX_PACK_BYTES, PlannedRun, make_pack

GIB = 2**30


@pytest.mark.parametrize(
    ("totals", "resources", "count"),
    [
        ({"CPU": 3}, Resources(cpu=2), 1),
        ({"CPU": 2}, Resources(cpu=0.1), 20),
        ({"CPU": 16}, Resources(gpu=1), 0),
        ({"CPU": 2, "GPU": 4}, Resources(gpu=1), 2),
        ({"CPU": 8, "GPU": 2}, Resources(gpu=0.4), 4),
        ({"CPU": 8, "GPU": 4}, Resources(gpu=2), 2),
        ({"GPU": 4}, Resources(gpu=1), 0),
    ],
    ids=["cpus of a node", "parts of a cpu", "no gpu", "few cpus", "parts", "pairs", "no cpu"],
)
def test_a_worker_needs_its_resources_on_one_node(totals, resources, count):
    assert capacity.workers_on(totals, resources) == count


GROUPS = [({"CPU": 4, "GPU": 1}, 10), ({"CPU": 8}, 5)]


@pytest.mark.parametrize(
    ("groups", "limits", "count"),
    [
        (GROUPS, {}, 10),
        (GROUPS, {"GPU": 6}, 6),
        (GROUPS, {"CPU": 3}, 3),
        ([({"CPU": 1, "GPU": 1}, -1)], {}, None),
        ([({"CPU": 1}, -1)], {}, 0),
    ],
    ids=["nodes", "a limit of gpus", "a limit of cpus", "without a limit", "of the wrong kind"],
)
def test_a_cluster_grows_to_what_its_configuration_allows(groups, limits, count):
    assert capacity.most_workers(groups, limits, Resources(gpu=1)) == count


@pytest.mark.parametrize(
    ("gpu", "gpu_bytes", "limit"),
    [(1, 16 * GIB, 2 * GIB), (0.25, 16 * GIB, GIB // 2), (1, 80 * GIB, 10 * GIB), (1, None, GIB)],
    ids=["16 GiB", "a quarter", "80 GiB", "not known"],
)
def test_the_memory_of_a_pack_follows_that_of_its_gpu(gpu, gpu_bytes, limit):
    assert capacity.pack_bytes({"CPU": 8}, Resources(gpu=gpu), gpu_bytes) == limit


def test_the_memory_of_a_pack_follows_the_share_of_its_node():
    totals = {"CPU": 4, "memory": 3.9 * GIB}
    assert capacity.pack_bytes(totals, Resources(cpu=1)) == GIB // 4
    assert capacity.pack_bytes(totals, Resources(cpu=4)) == GIB
    assert capacity.pack_bytes({"CPU": 4}, Resources(cpu=1)) == MAX_PACK_BYTES


def test_a_small_difference_in_memory_changes_no_pack():
    limits = {
        capacity.pack_bytes({"CPU": 1, "memory": memory * GIB}, Resources())
        for memory in (1.1, 1.15, 1.2)
    }
    assert limits == {GIB // 2}


def pack_of(count, size=2**17):
    settings = {"task.size": size}
    runs = [PlannedRun(f"{n:016x}", str(n), n, "t", "e", settings) for n in range(count)]
    return make_pack("toy", "straight_through", runs)


@pytest.mark.parametrize(
    ("count", "expected"), [(5, 4), (4, 4), (3, 3)], ids=["more", "as many", "fewer"]
)
def test_a_device_holds_as_many_runs_as_fit_its_limit(count, expected):
    assert fitting(pack_of(count), 4 * 2**20) == expected


def test_a_pack_a_little_too_large_is_not_divided():
    assert fitting(pack_of(40), 39 * 2**20) == 40


def test_a_device_too_small_for_a_run_tries_one():
    assert fitting(pack_of(3), 1000) == 1


def test_settings_that_are_lists_have_an_estimate():
    """Workers read settings from JSON, which has no tuples."""
    settings = {"task.dataset": "digits", "task.hidden": [8], "training.steps": 1}
    runs = [PlannedRun("0" * 16, "c", 0, "t", "e", settings)]
    assert run_bytes(make_pack("categorical_vae", "straight_through", runs)) > 1000


def test_this_machine_alone_holds_packs_of_the_usual_size():
    assert limit_of_machine(Resources(), 1.0) == MAX_PACK_BYTES


@pytest.fixture
def ray_up(tmp_path):
    """Writes the file that `ray up` leaves on the head; returns its folder."""

    def write(**config):
        kinds = {
            "head": {"resources": {"CPU": 64, "GPU": 64}, "max_workers": 0},
            "gpus": {"resources": {"CPU": 4, "GPU": 1}, "max_workers": 8},
            "large": {"resources": {"CPU": 32, "GPU": 4}, "max_workers": 2},
            "cpus": {"resources": {"CPU": 8}, "max_workers": 8},
        }
        content = {"available_node_types": kinds, "head_node_type": "head", **config}
        (tmp_path / growth.CONFIG).write_text(json.dumps(content))
        return tmp_path

    return write


@pytest.mark.parametrize(
    ("most_nodes", "workers"), [(20, 16), (5, 11), (1, 4), (0, 0)], ids=["all", "five", "one", "no"]
)
def test_a_cluster_of_ray_up_grows_to_what_its_file_allows(ray_up, most_nodes, workers):
    assert growth.most_by_file(ray_up(max_workers=most_nodes), Resources(gpu=1)) == workers


@pytest.mark.parametrize("text", ["", "[]", '{"available_node_types": [1]}', "a: b"])
def test_a_file_of_another_form_says_nothing(tmp_path, text):
    (tmp_path / growth.CONFIG).write_text(text)
    assert growth.most_by_file(tmp_path, Resources()) == 0


def test_a_cluster_that_ray_up_did_not_start_has_no_file(tmp_path):
    assert growth.most_by_file(tmp_path, Resources()) == 0
