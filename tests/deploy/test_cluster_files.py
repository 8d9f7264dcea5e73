"""cluster.yaml, deploy/local.yaml and their alternatives, read by Ray's own launcher."""

import copy
import json
import re

import pytest
import yaml
from deploy_files import CLUSTERS, ROOT, SUPERVISION, alternatives, commands, load, variants

pytest.importorskip("ray")
from ray.autoscaler._private.util import prepare_config, validate_config
from ray.autoscaler.v2.instance_manager.config import AutoscalingConfig
from ray.autoscaler.v2.scheduler import ResourceDemandScheduler, SchedulingRequest
from ray.autoscaler.v2.utils import ResourceRequestUtil

pytest.importorskip("fastapi", reason="of the extra service")
from raysweep.service.config import read_config

VARIANTS = [pytest.param(config, id=name) for name, config in variants()]
TOP = {"file_mounts", "rsync_exclude", "rsync_filter", "cluster_name"}
TRUST = {
    "Version": "2012-10-17",
    "Statement": [
        {
            "Effect": "Allow",
            "Principal": {"Service": "ec2.amazonaws.com"},
            "Action": "sts:AssumeRole",
        }
    ],
}


def starts(config, key):
    """The commands of a key, joined."""
    return " ; ".join(command for name, command in commands(config) if name == key)


@pytest.mark.parametrize("config", VARIANTS)
def test_a_cluster_file_has_the_shape_that_ray_reads(config):
    validate_config(prepare_config(copy.deepcopy(config)))


def test_the_alternatives_are_those_that_the_head_of_the_file_names():
    assert set(alternatives(ROOT / "cluster.yaml")) == {"GCP", "Azure"}


@pytest.mark.parametrize("config", VARIANTS)
def test_no_command_is_one_of_ray_s_defaults(config):
    prepared = prepare_config(copy.deepcopy(config))
    ours = {command for _, command in commands(config)}
    assert {command for _, command in commands(prepared)} <= ours


@pytest.mark.parametrize("config", VARIANTS)
def test_every_node_installs_the_project_from_its_list_of_versions(config):
    assert config["file_mounts"]["~/raysweep"] == "."
    assert "cd ~/raysweep && make install EXTRAS=service" in config["setup_commands"]


@pytest.mark.parametrize("config", VARIANTS)
def test_whatever_else_a_node_installs_has_the_listed_versions(config):
    installs = [command for _, command in commands(config) if "pip install" in command]
    assert all("--constraint constraints.txt" in command for command in installs)


@pytest.mark.parametrize("config", VARIANTS)
@pytest.mark.parametrize("kind", ["head", "worker"])
def test_ray_starts_with_token_authentication(config, kind):
    (command,) = (
        each for each in config[f"{kind}_start_ray_commands"] if re.search(r"\bray start\b", each)
    )
    assert "export RAY_AUTH_MODE=token" in command
    assert config["file_mounts"]["~/.ray/auth_token"] == "~/.ray/auth_token"


@pytest.mark.parametrize("config", VARIANTS)
def test_the_dashboard_and_the_service_listen_on_the_loopback_interface(config):
    command = starts(config, "head_start_ray_commands")
    assert "--include-dashboard=true --dashboard-host=127.0.0.1" in command
    assert "supervisord.conf" in command
    assert 'serve --config "%(here)s/service.yaml"' in SUPERVISION.read_text()
    assert not re.search(r"(?m)^host:", (ROOT / "deploy" / "service.yaml").read_text())


@pytest.mark.parametrize("config", VARIANTS)
def test_the_service_starts_after_ray_and_ends_before_it(config):
    head = config["head_start_ray_commands"]
    order = ["stop raysweep", "ray stop", "ray start --head", "start raysweep"]
    assert [next(i for i, each in enumerate(head) if part in each) for part in order] == [
        0,
        1,
        2,
        3,
    ]


@pytest.mark.parametrize("path", CLUSTERS, ids=lambda path: path.name)
def test_the_token_is_made_for_its_owner_alone(path):
    assert "(umask 077 && mkdir -p ~/.ray && .venv/bin/ray get-auth-token --generate" in (
        path.read_text()
    )


@pytest.mark.parametrize("path", CLUSTERS, ids=lambda path: path.name)
def test_a_cluster_file_holds_no_credentials(path):
    assert not re.search(r"AKIA|aws_secret|access_key|password:", path.read_text())


@pytest.mark.parametrize("path", CLUSTERS, ids=lambda path: path.name)
def test_the_commands_at_the_top_are_of_the_file_that_they_are_in(path):
    name = path.relative_to(ROOT).as_posix()
    found = re.findall(r"^#   \.venv/bin/ray \w+ (?:-p 8080 )?(\S+)", path.read_text(), re.M)
    assert found == [name] * 3


@pytest.mark.parametrize("config", VARIANTS)
def test_workers_scale_from_zero(config):
    if config["provider"]["type"] == "local":
        pytest.skip("one's own machines are always there")
    types = config["available_node_types"]
    assert config["head_node_type"] == "head"
    assert types["head"]["resources"] == {"CPU": 0}
    assert {types[name]["min_workers"] for name in ("gpu", "cpu")} == {0}


def test_all_of_one_s_own_machines_become_workers():
    """Ray's second autoscaler counts the head, which is of their only type, as one of them."""
    config = prepare_config(load(ROOT / "deploy" / "local.yaml"))
    (node_type,) = config["available_node_types"].values()
    assert node_type["min_workers"] == len(config["provider"]["worker_ips"])
    (start,) = (each for each in config["head_start_ray_commands"] if "--head" in each)
    assert "RAY_enable_autoscaler_v2=0" in start


@pytest.fixture
def aws(monkeypatch, tmp_path):
    """AWS as moto plays it, with the profiles of docs/cluster.md: configuration and provider."""
    moto = pytest.importorskip("moto", reason="needs moto of the dev extra")
    monkeypatch.setenv("HOME", str(tmp_path))  # for the key of ssh
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.setenv(name, "testing")
    monkeypatch.setenv("AWS_DEFAULT_REGION", "us-west-2")
    with moto.mock_aws():
        import boto3
        from ray.autoscaler._private.aws.node_provider import AWSNodeProvider

        iam = boto3.client("iam")
        for name in ("raysweep-head", "raysweep-worker"):
            iam.create_role(RoleName=name, AssumeRolePolicyDocument=json.dumps(TRUST))
            iam.create_instance_profile(InstanceProfileName=name)
            iam.add_role_to_instance_profile(InstanceProfileName=name, RoleName=name)
        images = boto3.client("ec2").describe_images(Owners=["amazon"])["Images"]
        text = (ROOT / "cluster.yaml").read_text()
        config = prepare_config(
            yaml.safe_load(text.replace("ami-00000000000000000", images[0]["ImageId"]))
        )
        config = AWSNodeProvider.fillout_available_node_types_resources(config)
        validate_config(config)
        config = AWSNodeProvider.bootstrap_config(config)
        yield config, AWSNodeProvider(config["provider"], config["cluster_name"])


def created(aws, name):
    """The instance that the launcher makes of a node type."""
    config, provider = aws
    node_config = config["available_node_types"][name]["node_config"]
    (instance,) = provider.create_node(node_config, {"ray-user-node-type": name}, 1).values()
    return instance


def test_workers_on_aws_are_spot_instances_with_a_role_of_their_own(aws):
    for name, instance_type in {"gpu": "g6.xlarge", "cpu": "c7i.2xlarge"}.items():
        instance = created(aws, name)
        assert instance.instance_type == instance_type
        assert instance.instance_lifecycle == "spot"
        assert instance.iam_instance_profile["Arn"].endswith("/raysweep-worker")


def test_the_head_on_aws_is_small_and_not_a_spot_instance(aws):
    head = created(aws, "head")
    assert head.instance_type == "m7i.large"
    assert head.instance_lifecycle is None
    assert head.iam_instance_profile["Arn"].endswith("/raysweep-head")


def test_nothing_but_ssh_reaches_a_node_on_aws_from_outside(aws):
    import boto3

    groups = boto3.client("ec2").describe_security_groups(GroupNames=["ray-autoscaler-raysweep"])
    rules = groups["SecurityGroups"][0]["IpPermissions"]
    assert {rule.get("FromPort") for rule in rules if rule["IpRanges"]} == {22}


@pytest.mark.parametrize(
    ("demands", "launched"),
    [
        ([{"CPU": 2, "GPU": 1}], {"gpu": 1}),
        ([{"CPU": 2, "GPU": 1}] * 3, {"gpu": 3}),
        ([{"CPU": 1, "GPU": 0.25}] * 4, {"gpu": 1}),
        ([{"CPU": 1}] * 8, {"cpu": 1}),
        ([{"CPU": 2, "GPU": 1}] * 20, {"gpu": 8}),
        ([], {}),
    ],
    ids=["a GPU", "GPUs", "shares of a GPU", "CPUs", "more than there may be", "nothing"],
)
def test_the_autoscaler_starts_what_a_sweep_asks_for(aws, demands, launched):
    config = AutoscalingConfig(aws[0], skip_content_hash=True)
    request = SchedulingRequest(
        disable_launch_config_check=True,
        node_type_configs=config.get_node_type_configs(),
        max_num_nodes=config.get_max_num_nodes(),
        resource_requests=ResourceRequestUtil.group_by_count(
            [ResourceRequestUtil.make(demand) for demand in demands]
        ),
    )
    reply = ResourceDemandScheduler().schedule(request)
    assert {each.instance_type: each.count for each in reply.to_launch} == launched


def test_the_role_of_the_head_lets_it_start_and_end_workers(aws):
    import boto3
    from moto.core import set_initial_no_auth_action_count
    from ray.autoscaler._private.aws.node_provider import AWSNodeProvider

    config, _ = aws
    policy = (ROOT / "deploy" / "aws" / "nodes.json").read_text()
    iam = boto3.client("iam")
    iam.create_user(UserName="head")
    iam.put_user_policy(UserName="head", PolicyName="nodes", PolicyDocument=policy)
    key = iam.create_access_key(UserName="head")["AccessKey"]
    credentials = {
        "aws_access_key_id": key["AccessKeyId"],
        "aws_secret_access_key": key["SecretAccessKey"],
    }

    @set_initial_no_auth_action_count(0)  # from here on AWS looks at the policies
    def start_and_end():
        provider = AWSNodeProvider(
            {**config["provider"], "aws_credentials": credentials}, config["cluster_name"]
        )
        node_config = config["available_node_types"]["gpu"]["node_config"]
        (node,) = provider.create_node(node_config, {"ray-node-kind": "worker"}, 1)
        assert provider.non_terminated_nodes({"ray-node-kind": "worker"}) == [node]
        provider.set_node_tags(node, {"ray-node-status": "up-to-date"})
        provider.terminate_nodes([node])
        return provider.non_terminated_nodes({"ray-node-kind": "worker"})

    assert start_and_end() == []


def test_roles_may_do_what_the_page_says_and_no_more():
    policies = {
        path.stem: json.loads(path.read_text()) for path in (ROOT / "deploy" / "aws").iterdir()
    }
    assert set(policies) == {"trust", "store", "nodes"}
    statements = [each for policy in policies.values() for each in policy["Statement"]]
    assert not [each for each in statements if "*" in str(each["Action"])]
    for name in policies:
        assert f"file://deploy/aws/{name}.json" in (ROOT / "docs" / "cluster.md").read_text()


def uncommented():
    """The settings of deploy/service.yaml with those in its comments, without files of TLS."""
    text = (ROOT / "deploy" / "service.yaml").read_text()
    return re.sub(r"^# (certificate|key): .*\n", "", text, flags=re.M)


@pytest.mark.parametrize("text", [uncommented(), re.sub(r"(?m)^# (?=\w+: )", "", uncommented())])
def test_the_settings_of_the_service_are_those_that_it_takes(tmp_path, text):
    (tmp_path / "service.yaml").write_text(text)
    config = read_config(tmp_path / "service.yaml", {})
    assert (config.store, config.host) == ("s3://my-bucket/sweeps", "127.0.0.1")
    assert (config.port, config.running, config.per_user) == (8080, 4, 2)


def test_stores_and_projects_to_fill_in_are_named_in_the_same_way():
    texts = [path.read_text() for path in [*CLUSTERS, *sorted((ROOT / "deploy").rglob("*.yaml"))]]
    assert {name for text in texts for name in re.findall(r"s3://[\w/-]+", text)} == {
        "s3://my-bucket/sweeps",
        "s3://my-bucket/data",
    }


def test_both_files_differ_only_where_they_must():
    cloud, local = (load(path) for path in CLUSTERS)
    assert {key: cloud[key] for key in TOP} == {key: local[key] for key in TOP}
    assert cloud["worker_start_ray_commands"] == local["worker_start_ray_commands"]
    service = [[head["head_start_ray_commands"][i] for i in (0, -1)] for head in (cloud, local)]
    assert service[0] == service[1]
