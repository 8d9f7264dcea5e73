"""Settings of the service, from its configuration file and from options."""

import dataclasses
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from raysweep.errors import SpecError, nearest
from raysweep.service.queue import Limits
from raysweep.sweepfile.document import Node, Problems, read

LOOPBACK = ("127.0.0.1", "::1", "localhost")
SMALLEST_BODY = 1024


@dataclasses.dataclass(frozen=True)
class Config:
    """Settings of the service.

    Args:
        store: Path or URI of the store.
        data: Folder of the data sets on every node; None for the default.
        host: Address to listen on.
        port: Port to listen on.
        address: Address of the Ray cluster's dashboard; None for the cluster of this machine.
        certificate: File of the TLS certificate; None to serve without TLS.
        key: File of the TLS certificate's key.
        behind_proxy: Whether a proxy in front of the service adds TLS, and names clients.
        code: Python files and packages with tasks that sweep files may name.
        trackers: Whether sweep files may name trackers, whose folders and servers drivers write to.
        running: Largest number of sweeps that run at the same time.
        per_user: Largest number of sweeps of one user that run at the same time.
        max_runs: Largest number of runs that a submitted file may plan.
        requests_per_minute: Largest number of requests of a user in a minute.
        body_bytes: Largest size of the body of a request.
        answer_bytes: Largest size of an answer, and of a table of runs or curves in it.
        notify: URLs that get a message when a sweep ends: of a webhook, or any that Apprise takes.
        url: Address under which users reach the service, for links in notifications.
    """

    store: str = "sweeps"
    data: str | None = None
    host: str = "127.0.0.1"
    port: int = 8080
    address: str | None = None
    certificate: str | None = None
    key: str | None = None
    behind_proxy: bool = False
    code: tuple[str, ...] = ()
    trackers: bool = False
    running: int = 4
    per_user: int = 2
    max_runs: int = 1_000_000
    requests_per_minute: int = 1200
    body_bytes: int = 2**20
    answer_bytes: int = 512 * 2**20
    notify: tuple[str, ...] = ()
    url: str | None = None

    @property
    def limits(self) -> Limits:
        """The most sweeps that run at the same time."""
        return Limits(self.running, self.per_user)

    @property
    def is_open(self) -> bool:
        """Whether other machines can reach the service."""
        return self.host not in LOOPBACK

    @property
    def has_tls(self) -> bool:
        """Whether clients reach the service over TLS."""
        return self.certificate is not None or self.behind_proxy


_LISTS = ("code", "notify")
_KINDS: Mapping[str, type] = {
    field.name: tuple
    if field.name in _LISTS
    else type(field.default)
    if field.default is not None
    else str
    for field in dataclasses.fields(Config)
}
_NAMES = {bool: "true or false", int: "a whole number", str: "a text"}


def read_config(path: Path | None, given: Mapping[str, Any]) -> Config:
    """Return the settings of a configuration file, and of options, which win.

    Args:
        path: The configuration file; None for none.
        given: Settings by name; those that are None were not given.

    Raises:
        SpecError: If the file cannot be read, or with one line for each mistake in it.
    """
    problems = Problems()
    lines: dict[str, str] = {}
    settings = {} if path is None else _settings(path, problems, lines)
    problems.stop()
    options = {name: value for name, value in given.items() if value is not None}
    config = Config(**{**settings, **options})
    try:
        _check(config)
    except SpecError as error:
        if error.field in options or error.field not in lines:
            raise
        raise SpecError(f"{lines[error.field]}: {error.field}: {error.text}") from error
    return config


def _settings(path: Path, problems: Problems, lines: dict[str, str]) -> dict[str, Any]:
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        reason = getattr(error, "strerror", None) or "it is not UTF-8 text"
        raise SpecError(f"{path}: cannot read the configuration: {reason}") from error
    root = read(text, str(path), problems)
    if root.value is None:
        return {}
    if not isinstance(root.value, dict):
        problems.add(root.where, "expected NAME: VALUE lines")
        return {}
    settings = {}
    for name, where, node in root.items():
        if name not in _KINDS:
            problems.add(where, f"unknown setting {name!r}{nearest(name, _KINDS)}")
        else:
            settings[name] = _value(name, node, problems)
            lines[name] = where
    return settings


def _value(name: str, node: Node, problems: Problems) -> Any:
    kind, value = _KINDS[name], node.plain()
    if kind is tuple:
        values = [value] if isinstance(value, str) else _urls(value)
        if values is None or not all(isinstance(text, str) for text in values):
            problems.add(node.where, f"expected {name} to be a text or a list of texts")
            return ()
        return tuple(values)
    if type(value) is not kind:
        problems.add(node.where, f"expected {name} to be {_NAMES[kind]}, got {value!r}")
    elif isinstance(value, int) and value < 0:
        problems.add(node.where, f"expected {name} to be positive, got {value}")
    return value


def _urls(value: Any) -> list[Any] | None:
    """Return the texts of a list, or of `{url: ...}`, which is how one is usually written."""
    if isinstance(value, dict):
        return _urls(value.get("url")) if set(value) == {"url"} else None
    if isinstance(value, str):
        return [value]
    return value if isinstance(value, list) else None


def _check(config: Config) -> None:
    if (config.certificate is None) != (config.key is None):
        raise SpecError("expected both a certificate and its key, got one of them")
    for name in ("certificate", "key"):
        path = getattr(config, name)
        if path is not None and not Path(path).is_file():
            raise SpecError(f"no such file: {path}", field=name)
    if config.body_bytes < SMALLEST_BODY:
        raise SpecError(
            f"expected at least {SMALLEST_BODY} bytes, got {config.body_bytes}", field="body_bytes"
        )
    for name in ("running", "per_user", "requests_per_minute"):
        if getattr(config, name) < 1:
            raise SpecError(f"expected at least 1, got {getattr(config, name)}", field=name)
