"""Answers of nodes, and what becomes of those that cannot train."""

import json
import logging
import time

import pytest

from raysweep.engine import node_facts
from raysweep.engine.cluster import named
from raysweep.engine.larger import LargerDevices
from raysweep.engine.memory import run_bytes
from raysweep.errors import ClusterError
from raysweep.store.files import Files
from raysweep.store.lease import Lease
from raysweep.sweep.options import Resources
from raysweep.sweep.packs import PlannedRun, make_pack

HERE = {
    "versions": {"raysweep": "1.2", "torch": "2.9.0+cu126", "ray": "2.60.0", "Python": "3.11.4"},
    "code": "0123456789ab",
    "python": "/env/bin/python",
}


def there(code=HERE["code"], **versions):
    return {
        "versions": {**HERE["versions"], **versions},
        "code": code,
        "python": "/usr/bin/python3",
    }


@pytest.mark.parametrize(
    ("facts", "text"),
    [
        (
            there(code=None, raysweep="missing"),
            "it has no raysweep; install raysweep 1.2 in the Python that runs Ray there "
            "(/usr/bin/python3)",
        ),
        (
            there(raysweep="1.1"),
            "it has raysweep 1.1, expected raysweep 1.2; install raysweep 1.2 in the Python that ",
        ),
        (there(torch="missing"), "it has no torch, expected torch 2.9.0"),
        (there(torch="2.8.0"), "it has torch 2.8.0, expected torch 2.9.0"),
        (there(ray="2.59.0"), "it has ray 2.59.0, expected ray 2.60.0"),
        (there(Python="3.12.1"), "it has Python 3.12.1, expected Python 3.11.4; start Ray there"),
    ],
    ids=["no raysweep", "raysweep", "no torch", "torch", "ray", "Python"],
)
def test_a_node_with_other_software_says_what_to_install(facts, text):
    assert node_facts.difference(HERE, facts).startswith(text)


@pytest.mark.parametrize(
    "facts",
    [there(), there(torch="2.9.0+cpu"), there(Python="3.11.9"), there(raysweep="missing")],
    ids=["the same", "another build of torch", "a correction of Python", "the files alone"],
)
def test_a_node_with_the_same_software_can_train(facts):
    assert node_facts.difference(HERE, facts) is None


def test_a_node_with_other_source_files_trains_but_is_named():
    """Whoever edits a file of a clone during a sweep loses no node."""
    edited = there(code="ba9876543210")
    assert node_facts.difference(HERE, edited) is None
    assert node_facts.note_on_code(HERE, edited).startswith(
        "its source files of raysweep 1.2 differ from the driver's (digest ba9876543210, expected "
    )
    assert node_facts.note_on_code(HERE, HERE) is None


def test_this_process_has_its_own_software():
    assert node_facts.difference(node_facts.facts(), node_facts.facts()) is None


def test_a_digest_of_the_source_follows_its_files(tmp_path, monkeypatch):
    (tmp_path / "raysweep" / "part").mkdir(parents=True)
    module = tmp_path / "raysweep" / "part" / "__init__.py"
    module.write_text("one = 1")
    find = type("Spec", (), {"submodule_search_locations": [str(tmp_path / "raysweep")]})
    monkeypatch.setattr(node_facts.importlib.util, "find_spec", lambda name: find)
    before = node_facts.code_digest()
    assert node_facts.code_digest() == before
    module.write_text("one = 2")
    assert node_facts.code_digest() not in (before, None)


@pytest.fixture
def leased(tmp_path):
    """A store with a sweep that this process drives, as `store_trouble` takes it."""
    with Lease(Files(tmp_path / "store" / "toys")) as lease:
        yield str(tmp_path / "store"), "toys", lease.token


def test_a_node_that_sees_the_lease_and_can_write_can_use_the_store(leased, tmp_path):
    assert node_facts.store_trouble(*leased) is None
    assert [path.name for path in (tmp_path / "store" / "toys").iterdir()] == ["lease"]


def test_a_node_that_sees_another_folder_cannot_use_the_store(leased, tmp_path):
    _, *others = leased
    text = node_facts.store_trouble(str(tmp_path / "elsewhere"), *others)
    assert text.startswith(f"it cannot see {tmp_path}/elsewhere/toys, or another folder is there;")
    assert text.endswith("shared file system, or a bucket URI such as s3://bucket/sweeps")


def test_a_node_that_can_only_read_cannot_use_the_store(leased, monkeypatch):
    def write(self, name, data):
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(Files, "write", write)
    assert "it cannot use the store: [Errno 13]" in node_facts.store_trouble(*leased)


def described(node_id, host="worker", address="10.0.0.7", name="10.0.0.7"):
    keys = {"NodeManagerHostname": host, "NodeManagerAddress": address, "NodeName": name}
    return {"NodeID": node_id, **keys}


def test_nodes_are_named_by_host_and_address_and_by_more_where_these_are_the_same():
    nodes = [
        described("a" * 56),
        described("b" * 56, host="head", address="10.0.0.1", name="10.0.0.1"),
        described("c" * 56, host="head", address="10.0.0.1", name="10.0.0.1"),
        described("d" * 56, name="gpu-1"),
    ]
    assert list(named(nodes).values()) == [
        "node worker (10.0.0.7)",
        "node head (10.0.0.1, id bbbbbbbb)",
        "node head (10.0.0.1, id cccccccc)",
        "node gpu-1 on worker (10.0.0.7)",
    ]


@pytest.mark.ray
def test_a_node_that_does_not_answer_is_named(shared_ray, leased, monkeypatch):
    from raysweep.engine import nodes

    for name, seconds in (("LATE_S", 0.2), ("ANSWER_S", 0.4), ("SILENT_S", 0.6)):
        monkeypatch.setattr(nodes, name, seconds)
    monkeypatch.setattr(node_facts, "report", lambda *_: time.sleep(5))
    with pytest.raises(ClusterError, match=r"^no node can train: node .*\): it has not answered"):
        nodes.Nodes(Resources(), leased).begin()


@pytest.mark.ray
def test_a_node_that_cannot_see_the_store_ends_the_start(shared_ray, leased, tmp_path):
    from raysweep.engine.nodes import Nodes

    _, *others = leased
    with pytest.raises(ClusterError, match=r"no node can train: .*it cannot see ") as caught:
        Nodes(Resources(), (str(tmp_path / "elsewhere"), *others)).begin()
    assert caught.value.field == "store"


@pytest.mark.ray
def test_a_worker_larger_than_every_node_is_refused(shared_ray):
    from raysweep.engine.nodes import Nodes

    with pytest.raises(ClusterError, match=r"needs cpu 64 and gpu 0, but no node of the cluster"):
        Nodes(Resources(cpu=64)).begin()


@pytest.mark.ray
def test_on_the_head_of_a_cluster_of_ray_up_the_workers_to_come_are_known(
    shared_ray, tmp_path, monkeypatch
):
    import ray

    from raysweep.engine import growth, nodes

    kinds = {"cpus": {"resources": {"CPU": 8}, "max_workers": 3}}
    content = {"available_node_types": kinds, "head_node_type": "head", "max_workers": 3}
    (tmp_path / growth.CONFIG).write_text(json.dumps(content))
    monkeypatch.setenv("HOME", str(tmp_path))
    plain = nodes.Nodes(Resources())
    plain.begin()
    assert plain.workers_to_come() == 2
    labelled = [{**node, "Labels": {nodes.GROUP_LABEL: "head"}} for node in ray.nodes()]
    monkeypatch.setattr(ray, "nodes", lambda: labelled)
    assert plain.workers_to_come() == 2 + 24


@pytest.mark.ray
def test_the_only_node_is_not_left_out(shared_ray, leased):
    from raysweep.engine.nodes import Nodes

    nodes = Nodes(Resources(), leased)
    nodes.begin()
    [node] = named_here()
    assert not nodes.refused(node, "data", "it has no data")
    assert nodes.left_out == []


def named_here():
    """Ids of the nodes of the cluster."""
    import ray

    return [node["NodeID"] for node in ray.nodes() if node["Alive"]]


class Memory:
    """Memory of nodes, by name, as `Nodes` knows it."""

    def __init__(self, **sizes):
        self.sizes = sizes

    def name(self, node_id):
        return f"node {node_id}"

    def memory(self, node_id):
        return self.sizes[node_id]

    def has_more(self, most):
        return any(size > most for size in self.sizes.values())

    def smaller(self, most):
        small = [name for name, size in self.sizes.items() if size <= most]
        return small if self.has_more(most) else []


def pack_of(count):
    settings = {"task.size": 10}
    runs = [PlannedRun(f"{n:016x}", str(n), n, "t", "e", settings) for n in range(count)]
    return make_pack("toy", "straight_through", runs)


def test_runs_of_a_kind_of_which_one_ran_out_of_memory_train_on_larger_nodes(caplog):
    larger = LargerDevices(Memory(small=16_000, large=80_000))
    assert larger.too_small(pack_of(4)) == []
    with caplog.at_level(logging.WARNING):
        assert larger.note(pack_of(1), "small")
    assert "does not fit on node small; such runs train on nodes with more memory" in caplog.text
    assert larger.too_small(pack_of(4)) == ["small"]


def test_a_run_that_ran_out_of_the_largest_memory_has_failed():
    larger = LargerDevices(Memory(small=16_000, large=80_000))
    assert not larger.note(pack_of(1), "large")


def test_a_pack_of_several_runs_is_divided_before_a_larger_node_is_tried():
    assert not LargerDevices(Memory(small=16_000, large=80_000)).note(pack_of(2), "small")


def test_a_run_whose_estimate_exceeds_a_node_is_not_tried_there():
    size = run_bytes(pack_of(1))
    assert LargerDevices(Memory(small=size, large=2 * size)).too_small(pack_of(1)) == ["small"]


def test_a_run_that_waits_for_a_node_that_is_gone_is_named_once(caplog):
    from raysweep.engine.hangs import HangWatch

    memory = Memory(small=16_000, large=80_000)
    larger, hangs = LargerDevices(memory), HangWatch(None, lambda process: None)
    larger.note(pack_of(1), "small")
    larger.too_small(pack_of(1))
    larger.remind([pack_of(1)], hangs)
    assert "waits for a node" not in caplog.text
    del memory.sizes["large"]
    larger.remind([pack_of(1)], hangs)
    larger.remind([pack_of(1)], hangs)
    assert caplog.text.count("waits for a node with more than ") == 1
