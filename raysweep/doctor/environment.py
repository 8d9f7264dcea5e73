"""What a sweep would run on: packages, devices, store, data sets, nodes of a cluster."""

import dataclasses
import os
import platform
import secrets
import shutil
from collections.abc import Iterator, Mapping
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

from raysweep.doctor.finding import Finding, looked_at
from raysweep.doctor.leftovers import size_text
from raysweep.errors import ClusterError
from raysweep.store.files import Files

PACKAGES = ("raysweep", "torch", "ray", "optuna", "pyarrow")
LEAST_BYTES = 2**30  # free, for a store
LEAST_FILES = 10_000  # likewise
MISSING = "missing"


@dataclasses.dataclass(frozen=True)
class Environment:
    """What a sweep would run on.

    Args:
        facts: Lines about it.
        findings: What is wrong with it.
    """

    facts: list[str]
    findings: list[Finding]


def versions() -> dict[str, str]:
    """The versions of Python and of the packages that results depend on."""
    found = {"Python": platform.python_version()}
    for name in PACKAGES:
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            found[name] = MISSING
    return found


def examine(
    store: Files, data: str | None, *, address: str | None = None, start_ray: bool = False
) -> Environment:
    """Looks at everything that a sweep would run on.

    Args:
        store: The store.
        data: Folder of the data sets; `$RAYSWEEP_DATA` or `~/.cache/raysweep` if None.
        address: Of a Ray cluster to join.
        start_ray: Whether to start a local Ray, to see whether it does.
    """
    facts: list[str] = []

    def everything() -> Iterator[Finding]:
        yield from _packages(facts)
        yield from _devices(facts)
        yield from _data_sets(facts, data)
        if address is not None or start_ray:
            yield from _ray(facts, address)
        else:
            facts.append("Ray: not started (--ray starts one, --address ADDR joins a cluster)")

    findings = looked_at("environment", everything)
    findings += looked_at("store", lambda: _store(facts, store))
    return Environment(facts, findings)


def _packages(facts: list[str]) -> Iterator[Finding]:
    found = versions()
    facts.append(", ".join(f"{name} {number}" for name, number in found.items()))
    for name, number in found.items():
        if number == MISSING:
            yield Finding(name, "not installed", "install raysweep with its dependencies")


def _devices(facts: list[str]) -> Iterator[Finding]:
    try:
        import torch  # noqa: PLC0415 - two seconds, for this alone
    except (ImportError, OSError) as error:
        reason = str(error).splitlines()[0]
        yield Finding("torch", f"cannot be imported: {reason}", "install it again")
        return
    names = [torch.cuda.get_device_name(each) for each in range(torch.cuda.device_count())]
    cpus = f"{os.cpu_count()} CPUs"
    facts.append(f"devices: {', '.join([*names, cpus])}" if names else f"devices: {cpus}, no CUDA")
    if torch.version.cuda and not names and Path("/proc/driver/nvidia").exists():
        problem = f"a driver is there, but torch (for CUDA {torch.version.cuda}) sees no device"
        yield Finding("CUDA", problem, "look at CUDA_VISIBLE_DEVICES, and at `nvidia-smi`")


def _store(facts: list[str], store: Files) -> Iterator[Finding]:
    present = Path(store.root) if store.is_local else None
    is_new = present is not None and not present.exists()
    if present is not None and is_new:  # nothing is created only to look
        while not present.exists():
            present = present.parent
        if not os.access(present, os.W_OK | os.X_OK):
            problem = f"not there, and {present} cannot be written to"
            yield Finding(store.uri, problem, "name another store by --store")
            return
    else:
        name = f".seen-{secrets.token_hex(8)}"
        store.write(name, b"")
        store.remove(name)
    text = f"store: {store.uri}, {'not there yet' if is_new else 'writable'}"
    if present is None:
        facts.append(text)
        return
    free = shutil.disk_usage(present).free
    facts.append(f"{text}, {size_text(free)} free")
    if free < LEAST_BYTES:
        problem = f"only {size_text(free)} are free, and a sweep ends when the disk is full"
        yield Finding(store.uri, problem, "free some space, or name another store by --store")
    about = os.statvfs(present)
    if about.f_files and about.f_favail < LEAST_FILES:
        problem = f"only {about.f_favail} more files fit on the disk"
        yield Finding(store.uri, problem, "remove some, or name another store by --store")


def _data_sets(facts: list[str], folder: str | None) -> Iterator[Finding]:
    try:
        from raysweep.tasks import data  # noqa: PLC0415 - needs torch
    except (ImportError, OSError) as error:
        reason = str(error).splitlines()[0]
        yield Finding("data sets", f"tasks cannot be imported: {reason}", "install raysweep again")
        return
    root = Path(folder).expanduser().absolute() if folder else data.folder()
    there = [name for name in data.names() if data.get(name).at_hand(root)]
    absent = [name for name in data.names() if name not in there]
    text = f"data: {root}: {', '.join(there)}"
    if absent:
        text += f"; downloaded by the first sweep that needs one: {', '.join(absent)}"
    facts.append(text)
    for name in there:
        try:
            data.fetch(name, root)  # checks what is there
        except (OSError, ValueError) as error:
            yield Finding(name, str(error))


def _ray(facts: list[str], address: str | None) -> Iterator[Finding]:
    where = f"at {address}" if address else "of this machine"
    try:
        from raysweep.engine import cluster  # noqa: PLC0415 - imports Ray

        with cluster.connect(address, 1):
            nodes = cluster.ask_nodes(versions)
    except (ClusterError, ImportError) as error:
        yield Finding("Ray", str(error).splitlines()[0])
        return
    facts.append(f"Ray {where}: started, {len(nodes)} nodes" if address else "Ray: starts")
    yield from compared(nodes)


def compared(nodes: Mapping[str, dict[str, str] | str]) -> Iterator[Finding]:
    """Nodes that have other versions than this process, or that could not be asked.

    Args:
        nodes: Versions of each node by its address, or the reason why they are not known.
    """
    here = versions()
    for node, theirs in nodes.items():
        if isinstance(theirs, str):
            yield Finding(f"node {node}", f"cannot run raysweep: {theirs}", "install it there")
            continue
        others = [
            f"{name} {theirs.get(name, MISSING)} instead of {number}"
            for name, number in here.items()
            if theirs.get(name) != number
        ]
        if others:
            problem = f"has {', '.join(others)}"
            yield Finding(f"node {node}", problem, "install the same versions on every node")
