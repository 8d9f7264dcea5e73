"""deploy/Dockerfile: its stages, its user, and what it copies."""

import re
import subprocess
import sys

import pytest
from deploy_files import ROOT, installed

DOCKERFILE = ROOT / "deploy" / "Dockerfile"


def instructions():
    """The instructions of the file: the name, the rest in one line."""
    lines = [line for line in DOCKERFILE.read_text().splitlines() if not line.startswith("#")]
    for line in re.sub(r"\\\n", " ", "\n".join(lines)).splitlines():
        if line.strip():
            name, _, rest = line.partition(" ")
            yield name, rest


INSTRUCTIONS = list(instructions())


def stages():
    """The stages: the instructions after each FROM."""
    found = []
    for name, rest in INSTRUCTIONS:
        if name == "FROM":
            found.append([])
        found[-1].append((name, rest))
    return found


def test_there_are_two_stages_on_one_base_of_a_fixed_version():
    bases = [rest.split()[0] for name, rest in INSTRUCTIONS if name == "FROM"]
    assert len(bases) == 2
    (base,) = set(bases)
    assert re.fullmatch(r"python:3\.\d+-slim-\w+", base)


def test_the_python_of_the_image_is_one_that_the_project_takes():
    version = re.search(r"FROM python:3\.(\d+)", DOCKERFILE.read_text())[1]
    assert 10 <= int(version) <= 13


def test_the_image_does_not_run_as_root():
    users = [rest for name, rest in stages()[-1] if name == "USER"]
    assert users == ["1000:1000"]  # a number: Kubernetes compares it


def test_packages_have_the_versions_of_the_list():
    installs = re.findall(r"pip install ([^&]+)", "\n".join(rest for _, rest in INSTRUCTIONS))
    assert installs
    assert all("--constraint constraints.txt" in each or "--no-deps" in each for each in installs)


def copied():
    """The files and folders that are copied from the project."""
    for name, rest in INSTRUCTIONS:
        if name == "COPY" and not rest.startswith("--from"):
            yield from rest.split()[:-1]


@pytest.mark.parametrize("source", sorted(set(copied())))
def test_what_is_copied_exists_and_is_not_ignored(source):
    assert (ROOT / source).exists()
    assert f"!{source}" in (ROOT / ".dockerignore").read_text().splitlines()


def test_all_that_the_package_needs_is_copied():
    links = [ROOT / "src" / "raysweep", *(ROOT / "raysweep").iterdir()]
    targets = {path.resolve().relative_to(ROOT).parts[0] for path in links}
    assert targets | {"constraints.txt", "pyproject.toml", "README.md", "LICENSE"} <= set(copied())


def test_everything_else_is_ignored():
    lines = [line for line in (ROOT / ".dockerignore").read_text().splitlines() if line[0] != "#"]
    assert lines[0] == "*"
    assert {line[1:] for line in lines if line.startswith("!")} == set(copied())


def test_a_stage_that_is_copied_from_exists():
    names = re.findall(r"^FROM \S+ AS (\w+)$", DOCKERFILE.read_text(), re.M)
    sources = re.findall(r"^COPY --from=(\w+)", DOCKERFILE.read_text(), re.M)
    assert sources
    assert set(sources) <= set(names)


def test_ray_is_found_by_login_shells():
    links = re.search(r"ln -s (.*) /usr/local/bin/", "\n".join(rest for _, rest in INSTRUCTIONS))[1]
    assert links.split() == ["/opt/raysweep/bin/ray", "/opt/raysweep/bin/raysweep"]


def test_the_list_of_packages_is_that_of_the_project(tmp_path):
    """The Python line of the file, run: it writes what pip installs."""
    text = next(rest for name, rest in INSTRUCTIONS if name == "RUN" and "tomllib" in rest)
    code = re.search(r'python -c "(.*?)"', text)[1]
    done = subprocess.run(
        [sys.executable, "-c", code],
        cwd=ROOT,
        env={"EXTRAS": "service,wandb", "PATH": "/usr/bin:/bin"},
        capture_output=True,
        text=True,
        check=False,
    )
    if "No module named 'tomllib'" in done.stderr:
        pytest.skip("needs Python 3.11, as the image has it")
    names = {re.split(r"[<>=\[]", line)[0] for line in done.stdout.splitlines()}
    assert {"torch", "ray", "fastapi", "uvicorn", "wandb"} <= names


def test_hadolint_has_no_objection():
    checker = installed("hadolint")
    if checker is None:
        pytest.skip("hadolint is not installed")
    done = subprocess.run([checker, str(DOCKERFILE)], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
