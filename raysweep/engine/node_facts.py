"""Facts about the node of a process, and whether it can train a sweep.

Ray sends these functions to nodes by their code, as raysweep may be missing there: they import it
only where they are called, if at all.
"""

import hashlib
import importlib.util
import os
import platform
import secrets
import subprocess
import sys
from collections.abc import Callable, Mapping
from importlib.metadata import PackageNotFoundError, version
from typing import Any

MISSING = "missing"
COMPARED = ("raysweep", "torch", "ray")
SMI = ("nvidia-smi", "--query-gpu=memory.total", "--format=csv,noheader,nounits")
SMI_S = 5.0
STORE_S = 5.0  # for which the store is tried again


# The part of each version that must be the same on all nodes.
SIGNIFICANT: Mapping[str, Callable[[str], str]] = {
    "raysweep": str,
    "ray": str,
    "torch": lambda number: number.partition("+")[0],
    "Python": lambda number: number.rpartition(".")[0],
}


def versions(packages: tuple[str, ...] = COMPARED) -> dict[str, str]:
    """Return the versions of Python and of packages on this node."""
    numbers = {"Python": platform.python_version()}
    for name in packages:
        try:
            numbers[name] = version(name)
        except PackageNotFoundError:
            numbers[name] = MISSING
    return numbers


def facts() -> dict[str, Any]:
    """Return the facts that decide whether packs can train on this node.

    Returns:
        `versions`; `code`, the digest of raysweep's source, or None if it is not there; and
        `python`, the path of the Python that runs workers.
    """
    return {"versions": versions(), "code": code_digest(), "python": sys.executable}


def code_digest() -> str | None:
    """Return 12 digits of the SHA-256 of raysweep's source files; None if it is not there."""
    try:
        spec = importlib.util.find_spec("raysweep")
    except (ImportError, ValueError):
        return None
    if spec is None or not spec.submodule_search_locations:
        return None
    digest = hashlib.sha256()
    for root in spec.submodule_search_locations:
        for folder, names, files in os.walk(root, followlinks=True):
            names[:] = sorted(name for name in names if name != "__pycache__")
            for name in sorted(file for file in files if file.endswith(".py")):
                path = os.path.join(folder, name)
                digest.update(f"{os.path.relpath(path, root)}\n".encode())
                with open(path, "rb") as file:
                    digest.update(file.read())
    return digest.hexdigest()[:12]


def difference(expected: Mapping[str, Any], given: Mapping[str, Any]) -> str | None:
    """Return how a node differs from the driver, and the remedy, in one line; None if in nothing.

    Builds of torch for other devices count as equal, and so do corrections of one Python.

    Args:
        expected: Facts about the driver.
        given: Facts about the node.
    """
    here, there = expected["versions"], given["versions"]
    python = f"in the Python that runs Ray there ({given['python']})"
    same = (
        "the driver's raysweep" if here["raysweep"] == MISSING else f"raysweep {here['raysweep']}"
    )
    if given["code"] is None:
        return f"it has no raysweep; install {same} {python}"
    compared = dict(SIGNIFICANT)
    if MISSING in (here["raysweep"], there["raysweep"]) and given["code"] == expected["code"]:
        del compared["raysweep"]  # the same files, imported without being installed
    for name, significant in compared.items():
        if significant(there[name]) == significant(here[name]):
            continue
        had = f"no {name}" if there[name] == MISSING else f"{name} {there[name]}"
        remedy = f"install {name} {here[name]} {python}"
        if name == "Python":
            remedy = "start Ray there with the same Python"
        elif here[name] == MISSING:
            remedy = f"install the driver's {name} {python}"
        return f"it has {had}, expected {name} {here[name]}; {remedy}"
    return None


def note_on_code(expected: Mapping[str, Any], given: Mapping[str, Any]) -> str | None:
    """Return that a node of the same version has other source files; None if it has not.

    It can train: whoever edits a file during a sweep must not lose its nodes.

    Args:
        expected: Facts about the driver.
        given: Facts about the node.
    """
    if given["code"] in (None, expected["code"]):
        return None
    return (
        f"its source files of raysweep {given['versions']['raysweep']} differ from the driver's "
        f"(digest {given['code']}, expected {expected['code']}), and its packs train with them; "
        "install the same files on every node, or ignore this if you edited one just now"
    )


def store_trouble(store: str, sweep: str, token: str) -> str | None:
    """Return why this node cannot use the store, and what to do, in one line; None if it can.

    A node that reads the lease of the driver sees the same store; then it writes and removes a
    file.

    Args:
        store: The store's path or URI.
        sweep: The sweep's name.
        token: Token of the driver's lease.
    """
    from raysweep.errors import RaysweepError
    from raysweep.store import lease
    from raysweep.store.files import Files
    from raysweep.store.retry import Patience

    advice = "use a folder on a shared file system, or a bucket URI such as s3://bucket/sweeps"
    try:
        files = Files(store).below(sweep).with_patience(Patience(patience_s=STORE_S))
        if not files.is_local:
            advice = (
                "give the node credentials for the bucket, as its provider's files (for S3 "
                "~/.aws/credentials) or the role of the machine"
            )
        holder = lease.read(files)
        if holder is None or holder.token != token:
            return f"it cannot see {files.root}, or another folder is there; {advice}"
        name = f".seen-{secrets.token_hex(8)}"
        files.write(name, b"")
        files.remove(name)
    except (RaysweepError, OSError) as error:
        reason = " ".join(str(error).split()).partition("; make the store usable")[0].rstrip(".")
        return f"it cannot use the store: {reason}; {advice}"
    return None


def gpu_bytes() -> int | None:
    """Return the memory of the largest GPU of this node; None if NVIDIA's driver does not say."""
    try:
        output = subprocess.run(
            SMI, capture_output=True, text=True, check=True, timeout=SMI_S
        ).stdout
    except (OSError, subprocess.SubprocessError):
        return None
    sizes = [int(line) for line in output.split() if line.isdigit()]
    return max(sizes) * 2**20 if sizes else None


def trouble(expected: Mapping[str, Any], store: tuple[str, str, str]) -> dict[str, str]:
    """Return the reason why this node cannot train; empty if it can.

    Args:
        expected: Facts about the driver.
        store: Path or URI of the store, the sweep's name, and the token of the driver's lease.

    Returns:
        `software` or `store`, with a text in one line that says what to do.
    """
    if (text := difference(expected, facts())) is not None:
        return {"software": text}
    text = store_trouble(*store)
    return {} if text is None else {"store": text}


def report(expected: Mapping[str, Any], store: tuple[str, str, str], gpu: float) -> dict[str, Any]:
    """Return what the driver must know of this node.

    Args:
        expected: Facts about the driver.
        store: Path or URI of the store, the sweep's name, and the token of the driver's lease.
        gpu: Number of GPUs of a worker.

    Returns:
        `trouble`, as the function of that name returns it; `note`, a text or None; and
        `gpu_bytes`, the memory of a GPU, or None.
    """
    return {
        "trouble": trouble(expected, store),
        "note": note_on_code(expected, facts()),
        "gpu_bytes": gpu_bytes() if gpu > 0 else None,
    }
