"""The manifests for KubeRay: their shape, and that what they refer to is there."""

import os
import re
import subprocess
import time

import pytest
from deploy_files import MANIFESTS, ROOT, containers, documents, pods

pytest.importorskip("fastapi", reason="of the extra service")
from raysweep.service.config import read_config

CLUSTER = ROOT / "deploy" / "kuberay" / "raycluster.yaml"
JOB = ROOT / "deploy" / "kuberay" / "rayjob.yaml"
# The fields that KubeRay 1.6 knows, of which the API server would drop or refuse others.
CLUSTER_FIELDS = (
    "rayVersion authOptions enableInTreeAutoscaling autoscalerOptions headGroupSpec "
    "workerGroupSpecs suspend managedBy gcsFaultToleranceOptions networkPolicy tlsOptions "
    "upgradeStrategy headServiceAnnotations historyServerOptions"
)
AUTOSCALER_FIELDS = (
    "resources image imagePullPolicy env envFrom volumeMounts securityContext idleTimeoutSeconds "
    "upscalingMode version command args"
)
HEAD_FIELDS = (
    "rayStartParams template serviceType headService enableIngress ingressOptions resources labels"
)
WORKER_FIELDS = (
    "groupName replicas minReplicas maxReplicas numOfHosts rayStartParams template scaleStrategy "
    "idleTimeoutSeconds priority resources labels suspend"
)
JOB_FIELDS = (
    "entrypoint backoffLimit shutdownAfterJobFinishes ttlSecondsAfterFinished rayClusterSpec "
    "activeDeadlineSeconds runtimeEnvYAML submissionMode submitterPodTemplate suspend metadata"
)
PATHS = pytest.mark.parametrize("path", MANIFESTS, ids=lambda path: path.name)
LISTED = dict(
    line.split("==")
    for line in (ROOT / "constraints.txt").read_text().splitlines()
    if re.fullmatch(r"[\w.-]+==\S+", line)
)
# What the user makes, with a command in the comment at the top or beside it.
MADE_BY_HAND = {"raysweep-ray", "raysweep-store", "raysweep-sweep"}


def one(path, kind):
    """The only document of a kind."""
    (document,) = (each for each in documents(path) if each["kind"] == kind)
    return document


def cluster_spec(path):
    """The cluster of a manifest, be it of a job."""
    return (
        one(path, "RayCluster")["spec"]
        if path == CLUSTER
        else one(path, "RayJob")["spec"]["rayClusterSpec"]
    )


@PATHS
def test_objects_of_kubernetes_itself_are_valid(path):
    kubernetes_validate = pytest.importorskip("kubernetes_validate", reason="of the extra dev")
    version = kubernetes_validate.latest_version()
    plain = [each for each in documents(path) if not each["apiVersion"].startswith("ray.io")]
    for document in plain:
        kubernetes_validate.validate(document, version, strict=True)
    for group, template in pods(path):
        pod = {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": group}, **template}
        kubernetes_validate.validate(pod, version, strict=True)


@PATHS
def test_objects_of_kuberay_have_fields_that_it_knows(path):
    spec = cluster_spec(path)
    assert spec.keys() <= set(CLUSTER_FIELDS.split())
    assert spec["autoscalerOptions"].keys() <= set(AUTOSCALER_FIELDS.split())
    assert spec["headGroupSpec"].keys() <= set(HEAD_FIELDS.split())
    for group in spec["workerGroupSpecs"]:
        assert group.keys() <= set(WORKER_FIELDS.split())
    if path == JOB:
        assert one(path, "RayJob")["spec"].keys() <= set(JOB_FIELDS.split())


@PATHS
def test_objects_are_of_the_present_version_of_the_interface(path):
    for document in documents(path):
        ours = document["kind"] in {"RayCluster", "RayJob"}
        assert document["apiVersion"] == ("ray.io/v1" if ours else "v1")


@PATHS
def test_the_version_of_ray_is_the_listed_one(path):
    assert cluster_spec(path)["rayVersion"] == LISTED["ray"]


@PATHS
def test_all_containers_have_the_same_image_with_a_version(path):
    images = {container["image"] for _, container in containers(path)}
    (image,) = images
    version = re.search(r'^version = "(.*)"', (ROOT / "pyproject.toml").read_text(), re.M)[1]
    assert image.endswith(f"/raysweep:{version}")
    assert f"--tag raysweep:{version} " in (ROOT / "deploy" / "Dockerfile").read_text()


@PATHS
def test_volumes_that_are_mounted_exist_and_none_is_left_over(path):
    for _, template in pods(path):
        spec = template["spec"]
        mounted = {m["name"] for each in spec["containers"] for m in each["volumeMounts"]}
        assert mounted == {volume["name"] for volume in spec["volumes"]}


@PATHS
def test_the_data_folder_and_the_keys_of_the_store_are_mounted_where_they_are_looked_for(path):
    for _, container in containers(path):
        mounts = [mount["mountPath"] for mount in container["volumeMounts"]]
        env = {each["name"]: each.get("value") for each in container["env"]}
        assert env["RAYSWEEP_DATA"] in mounts
        assert env["AWS_SHARED_CREDENTIALS_FILE"].rpartition("/")[0] in mounts


def references(value):
    """The names of secrets and configuration maps anywhere in a document."""
    if isinstance(value, dict):
        for key, child in value.items():
            if key == "secretName":
                yield child
            elif key in {"secretKeyRef", "configMap", "configMapKeyRef"}:
                yield child["name"]
            else:
                yield from references(child)
    elif isinstance(value, list):
        for child in value:
            yield from references(child)


@PATHS
def test_secrets_and_maps_are_made_by_commands_that_the_file_has(path):
    maps = {e["metadata"]["name"] for e in documents(path) if e["kind"] == "ConfigMap"}
    found = {name for document in documents(path) for name in references(document)} - maps
    assert found <= MADE_BY_HAND
    for name in found:
        assert re.search(rf"kubectl create (secret generic|configmap) {name} ", path.read_text())


@PATHS
def test_service_accounts_of_pods_exist(path):
    accounts = {e["metadata"]["name"] for e in documents(path) if e["kind"] == "ServiceAccount"}
    assert {template["spec"]["serviceAccountName"] for _, template in pods(path)} == accounts


@PATHS
def test_no_container_runs_as_root_or_may_become_it(path):
    for _, template in pods(path):
        security = template["spec"]["securityContext"]
        assert security["runAsNonRoot"]
        assert security["runAsUser"] == 1000  # USER of the Dockerfile
        for container in template["spec"]["containers"]:
            assert not container["securityContext"]["allowPrivilegeEscalation"]
            assert container["securityContext"]["capabilities"] == {"drop": ["ALL"]}


@PATHS
def test_ray_and_the_service_share_the_token(path):
    assert cluster_spec(path)["authOptions"]["mode"] == "token"
    for _, container in containers(path):
        if container["name"] == "service":
            env = {each["name"]: each for each in container["env"]}
            source = env["RAY_AUTH_TOKEN"]["valueFrom"]["secretKeyRef"]
            secret = cluster_spec(path)["authOptions"]["secretName"]
            assert source == {"name": secret, "key": "auth_token"}
            assert env["RAY_AUTH_MODE"]["value"] == "token"


@PATHS
def test_ray_s_container_comes_first(path):
    first = {group: template["spec"]["containers"][0]["name"] for group, template in pods(path)}
    assert first == {"head": "ray-head", "gpu": "ray-worker"}


@PATHS
def test_workers_scale_from_zero_and_have_a_gpu(path):
    spec = cluster_spec(path)
    assert spec["enableInTreeAutoscaling"]
    (group,) = spec["workerGroupSpecs"]
    assert (group["replicas"], group["minReplicas"]) == (0, 0)
    assert group["maxReplicas"] > 0
    (worker,) = group["template"]["spec"]["containers"]
    assert worker["resources"]["limits"]["nvidia.com/gpu"] == "1"


@PATHS
def test_ray_s_autoscaler_reads_the_cluster(path):
    pytest.importorskip("ray")
    from ray.autoscaler._private.kuberay.autoscaling_config import (
        _derive_autoscaling_config_from_ray_cr,
    )

    config = _derive_autoscaling_config_from_ray_cr(
        {"metadata": {"name": "raysweep", "namespace": "default"}, "spec": cluster_spec(path)}
    )
    types = config["available_node_types"]
    assert types["headgroup"]["resources"]["CPU"] == 0
    assert types["gpu"]["resources"].items() >= {"CPU": 4, "GPU": 1}.items()
    assert types["gpu"]["min_workers"] == 0


def test_the_service_is_tried_until_it_is_stopped(tmp_path):
    """The script of its container, with small programs in the place of ray and raysweep."""
    (service,) = (each for _, each in containers(CLUSTER) if each["name"] == "service")
    programs = {
        "ray": 'echo "ray $*" >>calls\ntest -e ready || { touch ready; exit 1; }',
        "sleep": ":",
        "raysweep": """echo "raysweep $*" >>calls
test -e tokens || { touch tokens; exit 2; }
trap 'echo ended >>calls; exit 143' TERM
touch running
while :; do /bin/sleep 0.05; done""",
    }
    for name, text in programs.items():
        (tmp_path / name).write_text(f"#!/bin/bash\n{text}\n")
        (tmp_path / name).chmod(0o755)
    process = subprocess.Popen(
        [*service["command"], service["args"][0]],
        cwd=tmp_path,
        env={"PATH": f"{tmp_path}{os.pathsep}{os.environ['PATH']}"},
    )
    try:
        deadline = time.monotonic() + 60
        while not (tmp_path / "running").exists():
            assert time.monotonic() < deadline
            time.sleep(0.02)
        process.terminate()
        process.wait(60)
    finally:
        process.kill()
    serve = "raysweep serve --config /config/service.yaml"
    look = "ray health-check --address 127.0.0.1:6379"
    assert (tmp_path / "calls").read_text().splitlines() == [look, look, serve, serve, "ended"]


def test_the_service_selects_the_head_and_a_port_that_it_has():
    service = one(CLUSTER, "Service")["spec"]
    name = one(CLUSTER, "RayCluster")["metadata"]["name"]
    assert service["selector"] == {"ray.io/cluster": name, "ray.io/node-type": "head"}
    ports = {
        port["name"]: port["containerPort"]
        for group, container in containers(CLUSTER)
        if group == "head"
        for port in container["ports"]
    }
    (port,) = service["ports"]
    assert ports[port["targetPort"]] == port["port"] == 8080


def test_the_service_has_settings_that_it_takes_and_the_port_that_is_named(tmp_path):
    (tmp_path / "service.yaml").write_text(one(CLUSTER, "ConfigMap")["data"]["service.yaml"])
    config = read_config(tmp_path / "service.yaml", {})
    assert (config.data, config.host, config.port) == ("/data", "0.0.0.0", 8080)
    (service,) = (each for _, each in containers(CLUSTER) if each["name"] == "service")
    (file,) = re.findall(r"--config (\S+)", service["args"][0])
    assert file.rpartition("/")[0] in [mount["mountPath"] for mount in service["volumeMounts"]]


def test_ports_and_volumes_have_names_that_kubernetes_takes():
    for path in MANIFESTS:
        for _, container in containers(path):
            for port in container.get("ports", []):
                assert re.fullmatch(r"[a-z][a-z0-9-]{0,14}", port["name"])


def test_the_job_reads_the_sweep_that_is_mounted():
    spec = one(JOB, "RayJob")["spec"]
    (head,) = (container for group, container in containers(JOB) if group == "head")
    file = re.search(r"raysweep run (\S+)", spec["entrypoint"])[1]
    assert file.rpartition("/")[0] in {mount["mountPath"] for mount in head["volumeMounts"]}
    assert f"--from-file={file.rpartition('/')[2]}=" in JOB.read_text()


def test_the_job_removes_its_cluster_and_tries_again():
    spec = one(JOB, "RayJob")["spec"]
    assert spec["shutdownAfterJobFinishes"]
    assert spec["backoffLimit"] > 0
