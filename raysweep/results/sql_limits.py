"""Limits of queries and conditions in SQL of other users."""

import contextlib
import dataclasses
from collections.abc import Iterator
from contextvars import ContextVar

import duckdb

LOCKED: dict[str, str | bool | int | float | list[str]] = {  # no files, no network
    "enable_external_access": False,
    "lock_configuration": True,
}
_NO_VARIABLES: dict[str, str | bool | int | float | list[str]] = {
    "python_enable_replacements": False  # else a query can read variables of this program
}


@dataclasses.dataclass(frozen=True)
class Limits:
    """Limits of a query of another user, which can neither read files nor change settings.

    Args:
        seconds: Longest duration of the query.
        memory: Most memory of DuckDB, such as `1GB`.
        threads: Number of threads of DuckDB.
        result_bytes: Largest size of the result in memory.
    """

    seconds: float = 30.0
    memory: str = "1GB"
    threads: int = 2
    result_bytes: int = 64 * 2**20

    def connect(self) -> duckdb.DuckDBPyConnection:
        """Return a new connection that keeps to the limits, except for those of time and result."""
        connection = duckdb.connect(
            config={"memory_limit": self.memory, "threads": self.threads, **_NO_VARIABLES}
        )
        connection.execute("set temp_directory = ''")
        for name, value in LOCKED.items():  # in this order: afterwards nothing can be set
            connection.execute(f"set {name} = {str(value).lower()}")
        return connection


_of_conditions: ContextVar[Limits | None] = ContextVar("limits of conditions", default=None)


def of_conditions() -> Limits | None:
    """Return the limits of conditions here; None for none."""
    return _of_conditions.get()


@contextlib.contextmanager
def limited_conditions(limits: Limits) -> Iterator[None]:
    """Limit the conditions that are looked up inside a `with` block, as those of another user.

    Args:
        limits: Limits of each condition; that of the result does not count.
    """
    before = _of_conditions.set(limits)
    try:
        yield
    finally:
        _of_conditions.reset(before)
