"""raysweep adds one name to Python, and is the one found, wherever a script lies."""

import importlib.metadata
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
SCRIPT = """
import estimators.mine, tasks
import raysweep, raysweep.estimators, raysweep.tasks
assert (tasks.MINE, estimators.mine.MINE) == (1, 2)
assert raysweep.estimators.get("reinmax").name == "reinmax"
assert "polynomial" in raysweep.tasks.names()
spec = {
    "name": "foreign",
    "tasks": {"quad": {"task": "polynomial", "latents": 4, "batch_size": 4, "steps": 4}},
    "estimators": {"ST": {"estimator": "straight_through"}},
    "seeds": 1,
}
results = raysweep.run(spec, store="sweeps", inline=True)
assert raysweep.open("sweeps", "foreign").table().render("text") == results.table().render("text")
"""


@pytest.fixture
def foreign(tmp_path):
    """A folder with a user's own `tasks.py` and `estimators/`, and the clone beside them."""
    (tmp_path / "tasks.py").write_text("MINE = 1\n")
    (tmp_path / "estimators").mkdir()  # a namespace package: it has no __init__.py
    (tmp_path / "estimators" / "mine.py").write_text("MINE = 2\n")
    (tmp_path / "raysweep").symlink_to(ROOT)
    (tmp_path / "script.py").write_text(SCRIPT)
    return tmp_path


def python(folder, *arguments):
    """Runs Python in a folder, with what is installed and nothing else."""
    return subprocess.run(
        [sys.executable, *arguments],
        cwd=folder,
        env={"PATH": "", "HOME": str(folder), "RAYSWEEP_DATA": str(folder)},
        capture_output=True,
        text=True,
        check=False,
    )


def test_a_script_beside_modules_of_the_same_names_runs_a_sweep(foreign):
    done = python(foreign, "script.py")
    assert done.returncode == 0, done.stderr


def test_nothing_but_raysweep_is_installed(tmp_path):
    names = ["estimators", "tasks", "benchmarks", "tests", "docs"]
    found = f"import importlib.util as u; print([n for n in {names} if u.find_spec(n)])"
    assert python(tmp_path, "-c", found).stdout.strip() == "[]"
    paths = importlib.metadata.files("raysweep") or []
    assert {path.parts[0].split("-")[0] for path in paths if path.suffix == ".py"} <= {"raysweep"}


def test_estimators_need_torch_alone(tmp_path):
    text = (
        "import sys, raysweep.estimators\n"
        "heavy = {'ray', 'optuna', 'pyarrow', 'duckdb', 'pandas', 'scipy', 'altair'}\n"
        "print(sorted(heavy & set(sys.modules)), 'torch' in sys.modules)"
    )
    assert python(tmp_path, "-c", text).stdout.strip() == "[] True"


def test_installation_shows_the_progress_of_pip():
    (line,) = re.findall(r"^PIP_INSTALL := .*", (ROOT / "Makefile").read_text(), re.MULTILINE)
    assert not re.search(r"--quiet|-q\b|--progress-bar[= ]off", line)


@pytest.fixture
def clone(tmp_path):
    """A folder with what make reads."""
    if shutil.which("make") is None:
        pytest.skip("make is not installed")
    for name in ("Makefile", "constraints.txt", "pyproject.toml"):
        (tmp_path / name).write_text((ROOT / name).read_text())
    return tmp_path


def dry_run(clone, *words):
    """The commands that make would run."""
    done = subprocess.run(
        ["make", "--dry-run", *words], cwd=clone, capture_output=True, text=True, check=True
    )
    return done.stdout


@pytest.mark.parametrize(
    ("words", "extras"),
    [
        (["install"], []),
        (["install", "EXTRAS=service"], ["service"]),
        (["install", "EXTRAS=service,wandb"], ["service,wandb"]),
        (["lint"], ["dev"]),
        (["docs"], ["docs"]),
    ],
    ids=" ".join,
)
def test_make_installs_the_extras_that_a_target_needs(clone, words, extras):
    output = dry_run(clone, *words)
    assert re.findall(r"--editable '\.\[(.*?)\]'", output) == extras
    assert output.count("--constraint constraints.txt") == 2 + len(extras)


def test_make_installs_nothing_again_once_the_extras_are_there(clone):
    (clone / ".venv" / "bin").mkdir(parents=True)
    for name in ("bin/pip", ".installed", ".installed-service"):
        (clone / ".venv" / name).touch()
    assert "pip install" not in dry_run(clone, "install", "EXTRAS=service")
    assert "pip install" in dry_run(clone, "install", "EXTRAS=wandb")
