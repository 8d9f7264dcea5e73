"""Sweeps on clusters of several nodes, some of which are lost, join, differ or cannot train."""

import collections

import node_helpers as helpers
import pytest
from bucket_server import Bucket
from node_helpers import SMALL, Sweep

pytestmark = [pytest.mark.ray, pytest.mark.slow]

MIB = 2**20
UNFIT = {
    "old": "it has raysweep 9.9, expected raysweep ",
    "hidden": "it has no raysweep; install raysweep ",
    "blind": "it cannot use the store: cannot read ",
}


class Nodes:
    """Nodes of a cluster, by name.

    Args:
        cluster: The cluster, whose head trains nothing.
    """

    def __init__(self, cluster):
        self.cluster, self.nodes, self.names = cluster, {}, {}

    def add(self, name, **options):
        node = self.cluster.add_node(node_name=name, num_cpus=1, **SMALL, **options)
        self.nodes[name], self.names[node.node_id] = node, name

    def may_grow_to(self, count):
        """Reports to Ray, as an autoscaler does, how many nodes with a GPU there may be."""
        from ray.core.generated import autoscaler_pb2 as messages

        group = messages.NodeGroupConfig(resources={"CPU": 1, "GPU": 1}, max_count=count)
        config = messages.ClusterConfig(node_group_configs=[group])
        gcs = self.cluster.head_node.get_gcs_client()
        gcs.report_cluster_config(config.SerializeToString())

    def remove(self, *names):
        for name in names:
            self.cluster.remove_node(self.nodes.pop(name), allow_graceful=False)

    @property
    def address(self):
        return self.cluster.address

    def pending(self):
        """Number of workers that Ray has no resources for, which is what autoscalers look at."""
        groups = self.cluster.global_state.placement_group_table().values()
        return sum(group["state"] == "PENDING" for group in groups)


@pytest.fixture(scope="module")
def nodes():
    from ray.cluster_utils import Cluster

    with pytest.MonkeyPatch.context() as patch:
        quick = {"initial_delay_ms": 1000, "period_ms": 500, "failure_threshold": 4}
        for name, value in quick.items():
            patch.setenv(f"RAY_health_check_{name}", str(value))
        patch.setenv("RAYSWEEP_DATA", "/data-of-the-nodes")
        head = {"num_cpus": 0, "include_dashboard": False, "dashboard_port": None, **SMALL}
        cluster = Cluster(initialize_head=True, head_node_args=head)
        yield Nodes(cluster)
        cluster.shutdown()


@pytest.fixture(scope="module")
def changing(nodes, tmp_path_factory):
    """A sweep while nodes join, some of which cannot train, and one is lost."""
    folder = tmp_path_factory.mktemp("changing")
    nodes.add("cpus")
    nodes.may_grow_to(12)
    content = {"tasks": {"walk": {"task": "noted"}}, "training": {"lr": [0.1, 0.3]}, "seeds": 12}
    content["resources"] = {"gpu": 1}
    sweep = Sweep(folder / "sweep", nodes.address, content)
    sweep.hold()
    sweep.wait_for(lambda: nodes.pending() == 4)
    for name in "ab":
        nodes.add(name, num_gpus=1)
    nodes.add("old", num_gpus=1, env_vars=helpers.with_another_raysweep(folder))
    sweep.wait_for(lambda: set(counts(nodes, sweep)) == {"a", "b"})
    nodes.add("c", num_gpus=1)
    nodes.add("hidden", num_gpus=1, env_vars=helpers.without_raysweep(folder))
    nodes.add("blind", num_gpus=1, env_vars=helpers.without_the_store(folder))
    sweep.wait_for(lambda: set(counts(nodes, sweep)) == {"a", "b", "c"})
    sweep.wait_for(lambda: all(named(sweep, name, reason) for name, reason in UNFIT.items()))
    sweep.wait_for(lambda: nodes.pending() == 9)  # 12 packs, of which 3 train
    nodes.remove("b")
    sweep.release()
    sweep.code = sweep.end()
    sweep.pending = nodes.pending()
    nodes.remove(*list(nodes.nodes))
    return sweep


def named(sweep, name, reason):
    """Lines by which a node is left out for a reason; on a slow machine others say it is late."""
    return sweep.lines(f"node {name} on ", f") is left out: {reason}")


def counts(nodes, sweep):
    """Number of packs that began to train on each node."""
    return collections.Counter(nodes.names[note["node"]] for note in sweep.trained())


def test_packs_spread_over_the_nodes_with_gpus_and_one_that_joins_later(nodes, changing):
    assert set(counts(nodes, changing)) == {"a", "b", "c"}


def test_every_run_ends_once_although_a_node_is_lost(changing):
    assert changing.code == 0
    rows = changing.rows()
    assert len(rows) == len({row["run_id"] for row in rows}) == 24
    assert {(row["status"], row["attempts"]) for row in rows} == {("done", 1)}


@pytest.mark.parametrize(("name", "reason"), UNFIT.items())
def test_a_node_that_cannot_train_is_named_and_left_out_once(changing, name, reason):
    assert len(named(changing, name, reason)) == 1


def test_a_session_waits_for_a_cluster_to_grow_and_says_so(changing):
    """Four workers are demanded until then, and as many as packs wait later: see `changing`."""
    assert changing.lines("no node has cpu 1 and gpu 1 yet; waiting until the cluster has grown")


def test_nothing_is_demanded_after_the_sweep(changing):
    assert changing.pending == 0


def test_packs_are_cut_for_the_workers_to_which_a_cluster_can_grow(changing):
    assert {len(note["runs"]) for note in changing.trained()} == {2}


@pytest.fixture(scope="module")
def unlike(nodes, changing, tmp_path_factory):
    """A sweep on a node of 64 MiB and one of 8 GiB, of a cluster that does not grow."""
    nodes.may_grow_to(0)
    nodes.add("small", memory=64 * MIB)
    nodes.add("large", memory=8192 * MIB, env_vars={"RAYSWEEP_DATA": "/data-of-large"})
    walk = {"task": "noted", "delay_s": 0.05, "steps": 10}
    tasks = {
        "wide a": {**walk, "size": 16 * MIB},
        "wide b": {**walk, "size": 16 * MIB, "noise": 0.2},
        "walk": {**walk, "size": MIB, "target": [0.0, 1.0]},
    }
    content = {"tasks": tasks, "training": {"lr": 0.1}, "seeds": 8}
    folder = tmp_path_factory.mktemp("unlike") / "sweep"
    sweep = Sweep(folder, nodes.address, content, RAYSWEEP_DATA="/data-of-the-driver")
    sweep.code = sweep.end()
    return sweep


def sizes(nodes, sweep, name, replica_bytes):
    """Numbers of runs of packs on a node."""
    notes = [note for note in sweep.trained() if note["bytes"] == replica_bytes]
    return [len(note["runs"]) for note in notes if nodes.names[note["node"]] == name]


def test_a_pack_fits_the_node_on_which_it_trains(nodes, unlike):
    assert set(sizes(nodes, unlike, "small", 8 * MIB)) <= {4}
    assert max(sizes(nodes, unlike, "large", 8 * MIB), default=8) == 8


def test_runs_too_large_for_one_node_train_on_a_larger_one(nodes, unlike):
    assert not sizes(nodes, unlike, "small", 128 * MIB)
    assert max(sizes(nodes, unlike, "large", 128 * MIB)) == 4
    assert unlike.code == 0
    rows = unlike.rows()
    assert len(rows) == len({row["run_id"] for row in rows}) == 32
    assert {row["status"] for row in rows} == {"done"}


def test_a_node_uses_the_data_folder_of_its_environment(nodes, unlike):
    folders = {nodes.names[note["node"]]: note["data"] for note in unlike.trained()}
    assert folders == {"small": "/data-of-the-nodes", "large": "/data-of-large"}


def test_a_node_without_keys_for_the_bucket_is_named_before_anything_trains(
    nodes, unlike, tmp_path
):
    (tmp_path / "keys").write_text("[default]\naws_access_key_id = a\naws_secret_access_key = b\n")
    environment = {"AWS_SHARED_CREDENTIALS_FILE": str(tmp_path / "keys")}
    content = {"tasks": {"walk": {"task": "noted"}}, "seeds": 1}
    with Bucket(needs_keys=True) as bucket:
        options = ["--store", bucket.uri]
        sweep = Sweep(tmp_path / "sweep", nodes.address, content, *options, **environment)
        assert sweep.end() == 1
    [line] = sweep.lines("no node can train: node ", "node small on ", "node large on ")
    assert "it cannot use the store: cannot read" in line
    assert "give the node credentials for the bucket" in line
    assert not sweep.trained()
