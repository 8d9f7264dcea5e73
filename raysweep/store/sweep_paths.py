"""Names of the files of a sweep, below its folder: the one place that spells them."""

import re

SPEC = "spec.json"
SUBMISSION = "submission.json"  # what the service knows of the sweep
FILE = "sweep.yaml"  # text of the sweep file
SEARCH = "search.json"
AGAIN = "again.json"
PACK_SIZES = "pack_sizes.json"
LEASE = "lease"
MERGED_ROWS = "merging/rows.parquet"
MERGE_PLAN = "merging/plan.json"
REMOVAL_PLAN = "removing/plan.parquet"
CODE = "code"  # folder of copies of the user's code
DAMAGED = "damaged"
EVENTS = "tensorboard"  # folder of event files
MLFLOW = "mlflow.db"

STATE_SUFFIX = ".pt"
ROWS_NAME = re.compile(r"runs/[0-9a-f]{16}\.parquet")
CURVES_NAME = re.compile(r"curves/([0-9a-f]{16})-(\d+)\.parquet")
DECISIONS_NAME = re.compile(r"decisions/(\d{8})\.parquet")


def rows(name: str) -> str:
    """Return the file of rows with this base name: of a pack, of a run that failed, or merged."""
    return f"runs/{name}.parquet"


def rows_base(name: str) -> str:
    """Return the base name of a file of rows: the inverse of `rows`."""
    return name.removeprefix("runs/").removesuffix(".parquet")


def curves(pack_id: str, number: int) -> str:
    """Return a file of curves of a pack; later ones have larger numbers."""
    return f"curves/{pack_id}-{number}.parquet"


def attempt(run_id: str, number: int) -> str:
    """Return the file of a failed attempt of a run."""
    return f"attempts/{run_id}-{number}.parquet"


def run_of_attempt(name: str) -> str:
    """Return the id of the run that a file of attempts is about."""
    return name.removeprefix("attempts/").partition("-")[0]


def log(pack_id: str) -> str:
    """Return the file of what a pack's runs printed."""
    return f"logs/{pack_id}.txt"


def pack_of_log(name: str) -> str:
    """Return the pack that a file of output is about: the inverse of `log`."""
    return name.removeprefix("logs/").removesuffix(".txt")


def code(digest: str, name: str) -> str:
    """Return the copy of a file of the user's code, of the code with this digest."""
    return f"{CODE}/{digest}/{name}"


def decisions(number: int) -> str:
    """Return the file of a batch of early-stopping decisions."""
    return f"decisions/{number:08d}.parquet"


def checkpoint(pack_id: str) -> str:
    """Return the folder of the checkpoint of a pack."""
    return f"checkpoints/{pack_id}"


def manifest(pack_id: str) -> str:
    """Return the manifest of a pack in flight."""
    return f"{checkpoint(pack_id)}/manifest.json"


def progress(pack_id: str) -> str:
    """Return the file of the steps that a pack in flight executed."""
    return f"{checkpoint(pack_id)}/progress.json"


def state(pack_id: str, step: int, replicas: int) -> str:
    """Return the state of a pack in flight at a step, with this number of replicas."""
    return f"{checkpoint(pack_id)}/state-{step}-{replicas}{STATE_SUFFIX}"


def damaged(name: str) -> str:
    """Return the place to which a damaged file is moved, where nothing reads it."""
    return f"{DAMAGED}/{name}"
