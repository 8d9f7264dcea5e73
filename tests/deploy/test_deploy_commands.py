"""The commands of the files for clusters: as shell, and as commands of raysweep."""

import itertools
import re
import subprocess

import pytest
import yaml
from deploy_files import (
    CLUSTERS,
    MANIFESTS,
    ROOT,
    SUPERVISION,
    commands,
    comment_commands,
    containers,
    documents,
    installed,
    variants,
)

from raysweep.cli.main import cli

NOT_OURS = {".venv", ".git", "site", "sweeps", ".mypy_cache", ".ruff_cache", ".hypothesis"}
FILES = [*CLUSTERS, *MANIFESTS, ROOT / "deploy" / "slurm.sh", SUPERVISION]
CLIENT = {"submit"}  # commands that a later version may bring


def scripts():
    """Every shell script of the project: its path below the root, its text."""
    for top in sorted(ROOT.iterdir()):
        if top.name in NOT_OURS:
            continue
        for path in sorted(top.rglob("*")) if top.is_dir() and not top.is_symlink() else [top]:
            if path.is_file() and not path.is_symlink():
                with path.open("rb") as file:
                    first = file.readline(80)
                if re.match(rb"#!.*\b(ba)?sh$", first.strip()):
                    yield path.relative_to(ROOT).as_posix(), path.read_text()


def of_clusters():
    """The commands of cluster files, and of the comments at the top of all files."""
    for name, config in variants():
        for number, (key, command) in enumerate(commands(config)):
            yield f"{name}: {key} {number}", command
    for path in FILES:
        yield f"{path.name}: comment at the top", comment_commands(path)


def of_manifests():
    """The commands that pods start with, and the entrypoints of jobs."""
    for path in MANIFESTS:
        for group, container in containers(path):
            if container.get("command"):
                yield f"{path.name}: {group}", "\n".join(container["args"])
        for document in documents(path):
            if entrypoint := document.get("spec", {}).get("entrypoint"):
                yield f"{path.name}: entrypoint", entrypoint


def of_pages():
    """The scripts in the pages on clusters."""
    for page in ("cluster.md", "slurm.md"):
        text = (ROOT / "docs" / page).read_text()
        for number, block in enumerate(re.findall(r"^```bash\n(.*?)^```", text, re.M | re.S)):
            yield f"{page}: block {number}", block


TEXTS = [
    pytest.param(text, id=name)
    for name, text in itertools.chain(scripts(), of_clusters(), of_manifests(), of_pages())
]


def test_the_scripts_are_found():
    names = {name for name, _ in scripts()}
    assert {".ci/run", "deploy/slurm.sh"} <= names


@pytest.mark.parametrize("text", TEXTS)
def test_bash_can_parse_a_script(text):
    done = subprocess.run(["bash", "-n"], input=text, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")


@pytest.mark.parametrize("text", TEXTS)
def test_shellcheck_has_no_objection(text):
    checker = installed("shellcheck")
    if checker is None:
        pytest.skip("shellcheck, of the extra dev, is not installed")
    words = [checker, "--shell=bash", "--severity=style", "--exclude=SC1090,SC1091", "-"]
    done = subprocess.run(words, input=text, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout


@pytest.mark.parametrize("name", [name for name, _ in scripts()])
def test_a_script_may_be_started(name):
    assert (ROOT / name).stat().st_mode & 0o111


def called():
    """The calls of raysweep in all these files: the file, the command, its options."""
    for path in FILES:
        text = path.read_text().replace('"', "")
        for line in re.sub(r"\\\n", " ", text).splitlines():
            for command, rest in re.findall(r"\braysweep (\w+)((?: [^\s`;&|)]+)*)", line):
                if command in cli.commands or command in CLIENT or "--" in rest:
                    yield path.name, command, re.findall(r"(?<= )--[\w-]+", rest)


CALLS = sorted({(path, command, tuple(options)) for path, command, options in called()})


@pytest.mark.parametrize(("path", "command", "options"), CALLS, ids=str)
def test_a_call_of_raysweep_names_a_command_and_its_options(path, command, options):
    if command in CLIENT - cli.commands.keys():
        pytest.skip("this version has no client of the service")
    entry = cli.commands[command]
    entries = [entry, *getattr(entry, "commands", {}).values()]
    known = {option for each in entries for parameter in each.params for option in parameter.opts}
    assert set(options) <= known


def test_there_are_calls_to_look_at():
    assert {"run", "serve", "submit", "token"} <= {command for _, command, _ in CALLS}


def test_the_simple_job_script_and_the_other_one_start_ray_alike():
    page = (ROOT / "docs" / "slurm.md").read_text()
    script = (ROOT / "deploy" / "slurm.sh").read_text()
    for part in ("20000 + SLURM_JOB_ID % 20000", "scontrol show hostnames", "#SBATCH --requeue"):
        assert part in page
        assert part in script


def test_yaml_is_read_as_it_is_written():
    """A tab, a duplicate key or an unknown anchor would be an error only on the cluster."""
    for path in [*CLUSTERS, *MANIFESTS]:
        nodes = list(yaml.compose_all(path.read_text()))
        for node in nodes:
            assert not duplicates(node), path


def duplicates(node):
    """The keys that a mapping has twice."""
    if isinstance(node, yaml.SequenceNode):
        return [key for child in node.value for key in duplicates(child)]
    if not isinstance(node, yaml.MappingNode):
        return []
    keys = [key.value for key, _ in node.value]
    below = [key for _, child in node.value for key in duplicates(child)]
    return [key for key in keys if keys.count(key) > 1] + below
