"""Provenance of results: version, commit and class of machine. Imports neither torch nor Ray."""

import contextlib
import functools
import os
import platform
import re
import subprocess
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

from raysweep.text import counted

CPUINFO = Path("/proc/cpuinfo")


def command_origin() -> dict[str, Any]:
    """Return the version and the commit of the code, as columns of `runs`.

    The commit is that of the working directory: the user's project, with its sweep file and its
    own tasks and estimators. raysweep itself is identified by its version.

    Returns:
        `version`; `git_commit` and `git_dirty`, both None where there is no commit.
    """
    commit, dirty = _git(Path.cwd())
    return {**installed_version(), "git_commit": commit, "git_dirty": dirty}


def installed_version() -> dict[str, str]:
    """Return the column `version`; no column where raysweep is imported without being installed."""
    try:
        return {"version": version("raysweep")}
    except PackageNotFoundError:
        return {}


def _git(folder: Path) -> tuple[str | None, bool | None]:
    """Return the commit checked out in a folder, and whether tracked files differ from it."""
    # Untracked files do not count, as a store beside the sweep file is one.
    command = ["git", "--no-optional-locks", "status", "--porcelain=v2", "--branch"]
    try:
        result = subprocess.run(
            [*command, "--untracked-files=no"],
            cwd=folder,
            capture_output=True,
            text=True,
            errors="replace",
            check=False,
        )
    except OSError:
        return None, None
    lines = result.stdout.splitlines() if result.returncode == 0 else []
    oid = re.compile(r"# branch\.oid ([0-9a-f]+)")  # "(initial)" before the first commit
    commits = [match[1] for line in lines if (match := oid.fullmatch(line))]
    if not commits:
        return None, None
    return commits[0], any(not line.startswith("#") for line in lines)


@functools.cache
def host_class() -> str:
    """Return the machine's class, as `x86_64, 16 CPUs, Intel Xeon Gold 6330`; never its name."""
    count = os.cpu_count()
    parts = [platform.machine(), counted(count, "CPU") if count else ""]
    with contextlib.suppress(OSError):  # not Linux: the architecture alone
        parts.append(cpu_model(CPUINFO.read_text(errors="replace")))
    return ", ".join(part for part in parts if part)


def cpu_model(cpuinfo: str) -> str:
    """Return the first CPU's model in `/proc/cpuinfo`, without marks and clock; "" if none."""
    match = re.search(r"^model name\s*:\s*(.+)$", cpuinfo, re.MULTILINE)
    if match is None:
        return ""
    text = re.sub(r"\((?:R|TM)\)|\bCPU\b|@.*", " ", match[1], flags=re.IGNORECASE)
    return " ".join(text.split())
