"""Shared by all tests: the data folder, the test plug-in, and one Ray for the whole session."""

import gc
import os
import sys
from pathlib import Path

import pytest
from hypothesis import settings

TESTS = Path(__file__).parent
PLUGIN = TESTS / "plugin"

# Workers and command-line tests are other processes: they must see the plug-in too.
sys.path.insert(0, str(PLUGIN))
sys.path.insert(0, str(TESTS.parent / "benchmarks" / "plugin"))  # in this process only
os.environ["PYTHONPATH"] = os.pathsep.join(
    [str(PLUGIN), *filter(None, [os.environ.get("PYTHONPATH")])]
)
if "PYTEST_XDIST_WORKER" in os.environ:
    os.environ.setdefault("OMP_NUM_THREADS", "1")  # there is another process for every core
settings.register_profile("thorough", max_examples=1000)  # --hypothesis-profile thorough
os.environ.pop("COLUMNS", None)  # which limits the width of tables
os.environ["RAY_AUTH_MODE"] = "disabled"
os.environ["RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO"] = "0"


def pytest_addoption(parser):
    parser.addoption("--data", help="folder of the data sets [$RAYSWEEP_DATA or ../shared/data]")


@pytest.hookimpl(wrapper=True)
def pytest_collection():
    """Collect no garbage among the tests and their modules until the session ends."""
    gc.disable()
    try:
        return (yield)
    finally:
        gc.freeze()
        gc.enable()


def pytest_sessionfinish():
    """Let DuckDB see its objects freed, which otherwise says that they are leaked."""
    gc.unfreeze()


@pytest.hookimpl(tryfirst=True)  # before xdist reads the groups
def pytest_collection_modifyitems(items):
    """Of several processes one has all tests with the shared Ray; those of a file stay together.

    The longest groups begin first, so that no process is left with one of them at the end.
    """
    groups = {}
    for item in items:
        shares = {"shared_ray", "executor"} & set(item.fixturenames)
        group = "ray" if shares and item.get_closest_marker("ray") else item.location[0]
        item.add_marker(pytest.mark.xdist_group(group))
        groups.setdefault(group, []).append(item)
    if "PYTEST_XDIST_WORKER" in os.environ:
        order = sorted(groups, key=lambda group: -sum(map(_weight, groups[group])))
        items[:] = [item for group in order for item in groups[group]]


def _weight(item):
    """About how many times as long as a quick test a test takes."""
    return 300 if item.get_closest_marker("ray") else 50 if item.get_closest_marker("slow") else 1


@pytest.fixture(scope="session")
def data_folder(request):
    """The folder of the real data sets; skips where there is none."""
    beside = TESTS.parent.parent / "shared" / "data"
    folder = Path(request.config.getoption("--data") or os.environ.get("RAYSWEEP_DATA") or beside)
    if not folder.is_dir():
        pytest.skip(f"no data folder at {folder}; give `data` or RAYSWEEP_DATA")
    return folder.absolute()


@pytest.fixture(scope="session")
def shared_ray():
    """One local Ray cluster of two CPUs for the whole session."""
    from raysweep.engine import cluster

    with cluster.connect(None, 2):
        yield


@pytest.fixture(params=["inline", pytest.param("ray", marks=pytest.mark.ray)])
def executor(request):
    """Keyword arguments of `raysweep.run` for each executor."""
    if request.param == "ray":
        request.getfixturevalue("shared_ray")
    return {"inline": request.param == "inline"}


@pytest.fixture
def hand(tmp_path):
    """A complete sweep of two tasks, two estimators and three seeds, known by formula."""
    from figure_helpers import spec_of, store_of

    return store_of(tmp_path, spec_of())
