"""Checks of the environment: packages, devices, store, data sets, nodes of a cluster."""

import dataclasses
import os
import secrets
import shutil
from collections.abc import Iterator, Mapping
from pathlib import Path

from raysweep.doctor.finding import Finding, findings_of
from raysweep.doctor.leftovers import size_text
from raysweep.engine import node_facts
from raysweep.engine.node_facts import MISSING
from raysweep.errors import ClusterError
from raysweep.store.files import Files
from raysweep.text import counted

PACKAGES = ("raysweep", "torch", "ray", "optuna", "pyarrow")
LEAST_BYTES = 2**30  # free space of a store
LEAST_FILES = 10_000  # further files that fit in a store


@dataclasses.dataclass(frozen=True)
class Environment:
    """State of the environment in which a sweep would run.

    Args:
        facts: Lines that describe the environment.
        findings: Problems of the environment.
    """

    facts: list[str]
    findings: list[Finding]


def versions() -> dict[str, str]:
    """Return the versions of Python and of the packages that results depend on."""
    return node_facts.versions(PACKAGES)


def examine(
    store: Files, data: str | None, *, address: str | None = None, start_ray: bool = False
) -> Environment:
    """Check the environment in which a sweep would run.

    Args:
        store: Files of the store.
        data: Folder of the data sets; `$RAYSWEEP_DATA` or `~/.cache/raysweep` if None.
        address: Address of a Ray cluster to join.
        start_ray: Whether to check that a local Ray starts.
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

    findings = findings_of("environment", everything)
    findings += findings_of("store", lambda: _store(facts, store))
    return Environment(facts, findings)


def _packages(facts: list[str]) -> Iterator[Finding]:
    installed = versions()
    facts.append(", ".join(f"{name} {number}" for name, number in installed.items()))
    for name, number in installed.items():
        if number == MISSING:
            yield Finding(name, "not installed", "install raysweep with its dependencies")


def _devices(facts: list[str]) -> Iterator[Finding]:
    try:
        import torch  # noqa: PLC0415 - two seconds, for this alone
    except (ImportError, OSError) as error:
        reason = str(error).splitlines()[0]
        yield Finding("torch", f"cannot be imported: {reason}", "install it again")
        return
    names = [torch.cuda.get_device_name(index) for index in range(torch.cuda.device_count())]
    cpus = f"{os.cpu_count()} CPUs"
    facts.append(f"devices: {', '.join([*names, cpus])}" if names else f"devices: {cpus}, no CUDA")
    if torch.version.cuda and not names and Path("/proc/driver/nvidia").exists():
        problem = f"torch (for CUDA {torch.version.cuda}) sees no device, despite the NVIDIA driver"
        yield Finding("CUDA", problem, "check CUDA_VISIBLE_DEVICES and `nvidia-smi`")


def _store(facts: list[str], store: Files) -> Iterator[Finding]:
    present = Path(store.root) if store.is_local else None
    is_new = present is not None and not present.exists()
    if present is not None and is_new:  # a check must not create the store
        while not present.exists():
            present = present.parent
        if not os.access(present, os.W_OK | os.X_OK):
            problem = f"no such folder, and {present} cannot be written to"
            yield Finding(store.uri, problem, "name another store by --store")
            return
    else:
        name = f".seen-{secrets.token_hex(8)}"
        store.write(name, b"")
        store.remove(name)
    text = f"store: {store.uri}, {'does not exist yet' if is_new else 'writable'}"
    if present is None:
        facts.append(text)
        return
    free = shutil.disk_usage(present).free
    facts.append(f"{text}, {size_text(free)} free")
    if free < LEAST_BYTES:
        problem = f"only {size_text(free)} are free, and a sweep stops when the disk is full"
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
    usable = []
    for name in data.names():
        try:
            usable.append(data.get(name))
        except ValueError as error:  # of a plug-in
            yield Finding(name, str(error))
    present = [source.name for source in usable if source.at_hand(root)]
    absent = [source for source in usable if source.name not in present]
    text = f"data: {root}: {', '.join(present)}"
    for can_download, meaning in (
        (True, "downloaded by the first sweep that needs them"),
        (False, "not there, and not for download"),
    ):
        if named := [source.name for source in absent if source.can_download == can_download]:
            text += f"; {meaning}: {', '.join(named)}"
    facts.append(text)
    for name in present:
        try:
            data.fetch(name, root)  # checks the present files
        except (OSError, ValueError) as error:
            yield Finding(name, str(error))


def _ray(facts: list[str], address: str | None) -> Iterator[Finding]:
    try:
        from raysweep.engine import cluster  # noqa: PLC0415 - imports Ray

        with cluster.connect(address, 1):
            nodes = cluster.ask_nodes(versions)
    except (ClusterError, ImportError) as error:
        yield Finding("Ray", str(error).splitlines()[0])
        return
    count = counted(len(nodes), "node")
    facts.append(f"Ray at {address}: started, {count}" if address else "Ray: starts")
    yield from compared(nodes)


def compared(nodes: Mapping[str, dict[str, str] | str]) -> Iterator[Finding]:
    """Yield findings for nodes with other versions than this process, or that cannot run raysweep.

    Args:
        nodes: Versions on each node by its name, or the reason why they are not known.
    """
    here = versions()
    for node, installed in nodes.items():
        if isinstance(installed, str):
            yield Finding(node, f"cannot run raysweep: {installed}", "install it there")
            continue
        differences = [
            f"{name} {installed.get(name, MISSING)} instead of {number}"
            for name, number in here.items()
            if installed.get(name) != number
        ]
        if differences:
            problem = f"has {', '.join(differences)}"
            yield Finding(node, problem, "install the same versions on every node")
