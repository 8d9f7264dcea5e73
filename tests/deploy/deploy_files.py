"""What the tests of the files for clusters share: where they are, and the commands in them."""

import os
import re
import shutil
import sys
from pathlib import Path

import yaml

ROOT = Path(__file__).parent.parent.parent
CLUSTERS = [ROOT / "cluster.yaml", ROOT / "deploy" / "local.yaml"]
SUPERVISION = ROOT / "deploy" / "supervisord.conf"
MANIFESTS = sorted((ROOT / "deploy" / "kuberay").glob("*.yaml"))
COMMANDS = re.compile(r"_commands$")
PROVIDER = re.compile(r"^# --- (\w+).*---$")


def load(path):
    """The document of a YAML file."""
    return yaml.safe_load(path.read_text())


def documents(path):
    """The documents of a YAML file."""
    return list(yaml.safe_load_all(path.read_text()))


def alternatives(path):
    """The blocks for other providers in the comments of a cluster file: name, keys."""
    name, blocks = None, {}
    for line in path.read_text().splitlines():
        if match := PROVIDER.match(line):
            name = match[1]
        elif name:
            blocks.setdefault(name, []).append(line.removeprefix("# ").removeprefix("#"))
    return {
        name: yaml.safe_load("\n".join(lines))
        for name, lines in blocks.items()
        if any(line.startswith("provider:") for line in lines)
    }


def variants():
    """All clusters that the files describe: name, configuration as `ray up` would read it."""
    for path in CLUSTERS:
        config = load(path)
        yield path.stem, config
        for name, keys in alternatives(path).items():
            yield f"{path.stem} on {name}", {**load(path), **keys}


def commands(config):
    """The shell commands of a cluster: the key that has them, the command."""
    for key, value in config.items():
        if COMMANDS.search(key):
            yield from ((key, command) for command in value)


def comment_commands(path):
    """The commands in the comment at the top of a file, which are indented."""
    lines = []
    for line in path.read_text().splitlines():
        if not line.startswith("#"):
            break
        if line.startswith("#   "):
            lines.append(line[4:])
    return "\n".join(lines)


def pods(path):
    """The pods that a manifest of KubeRay describes: name of the group, template."""
    for document in documents(path):
        if document["kind"] in {"RayCluster", "RayJob"}:
            spec = document["spec"].get("rayClusterSpec", document["spec"])
            yield "head", spec["headGroupSpec"]["template"]
            for group in spec["workerGroupSpecs"]:
                yield group["groupName"], group["template"]


def containers(path):
    """The containers of all pods of a manifest: the group, the container."""
    for group, template in pods(path):
        for container in template["spec"]["containers"]:
            yield group, container


def installed(name):
    """The path of a program beside Python's, or elsewhere; None if it is not installed."""
    beside = str(Path(sys.executable).parent)
    return shutil.which(name, path=os.pathsep.join([beside, os.environ.get("PATH", "")]))
