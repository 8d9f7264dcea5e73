"""Settings of the service: the file, options, and every mistake in one line."""

import dataclasses
from pathlib import Path

import pytest

from raysweep.errors import SpecError
from raysweep.service.config import Config, read_config


def read(tmp_path, text, **given):
    path = tmp_path / "service.yaml"
    path.write_text(text)
    return read_config(path, given)


def test_without_a_file_the_defaults_hold():
    assert read_config(None, {"port": None}) == Config()


def test_an_option_wins_over_the_file(tmp_path):
    config = read(tmp_path, "port: 9000\nhost: 0.0.0.0\n", port=9001)
    assert (config.port, config.host) == (9001, "0.0.0.0")


@pytest.mark.parametrize(
    "text",
    ["notify: https://h/x", "notify: [https://h/x]", "notify: {url: https://h/x}",
     "notify: {url: [https://h/x]}"],
)  # fmt: skip
def test_receivers_are_written_in_several_ways(tmp_path, text):
    assert read(tmp_path, text).notify == ("https://h/x",)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("prot: 1", r"service.yaml: line 1: unknown setting 'prot'; did you mean 'port'\?"),
        ("port: x", r"line 1: expected port to be a whole number, got 'x'"),
        ("port: -1", r"line 1: expected port to be positive, got -1"),
        ("host: 1", r"line 1: expected host to be a text, got 1"),
        ("behind_proxy: 1", r"line 1: expected behind_proxy to be true or false, got 1"),
        ("notify: {uri: x}", r"line 1: expected notify to be a text or a list of texts"),
        ("- a", r"line 1: expected NAME: VALUE lines"),
        ("a: [", r"line \d: not valid YAML"),
        ("certificate: a.pem", r"expected both a certificate and its key"),
        ("key: /no\ncertificate: /no", r"line 2: certificate: no such file: /no"),
        ("\nrunning: 0", r"service.yaml: line 2: running: expected at least 1, got 0"),
        ("body_bytes: 5", r"line 1: body_bytes: expected at least 1024 bytes, got 5"),
    ],
)
def test_a_mistake_is_one_line(tmp_path, text, message):
    with pytest.raises(SpecError, match=message):
        read(tmp_path, text)


def test_mistakes_are_reported_together(tmp_path):
    with pytest.raises(SpecError) as error:
        read(tmp_path, "port: x\nhots: y\n")
    assert len(error.value.problems) == 2


def test_a_missing_file_is_named(tmp_path):
    with pytest.raises(SpecError, match="cannot read the configuration: No such file"):
        read_config(tmp_path / "none.yaml", {})


@pytest.mark.parametrize(
    ("host", "is_open"),
    [("127.0.0.1", False), ("localhost", False), ("::1", False), ("0.0.0.0", True), ("h", True)],
)
def test_only_loopback_is_closed_to_other_machines(host, is_open):
    assert Config(host=host).is_open == is_open


def test_the_page_shows_every_setting_and_its_default():
    page = (Path(__file__).parents[2] / "docs" / "serving.md").read_text()
    block = next(part for part in page.split("```") if part.startswith("yml\n# service.yaml"))
    lines = dict(line.split(":", 1) for line in block.splitlines()[2:])
    assert set(lines) == {field.name for field in dataclasses.fields(Config)}
    for field in dataclasses.fields(Config):
        if isinstance(field.default, int):
            assert lines[field.name].split("#")[0].strip() == str(field.default).lower()
