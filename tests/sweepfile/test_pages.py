"""Every sweep file on the pages, and every part of one, is read without a mistake."""

import dataclasses
import re
from pathlib import Path

import numpy as np
import pytest
from page_helpers import write_tasks
from ruamel.yaml import YAML

from raysweep import registry
from raysweep.code.files import added
from raysweep.sweepfile import document
from raysweep.sweepfile.reader import read_spec
from raysweep.tasks.base import setting
from raysweep.testing.toy import ToyAlone, ToySettings

ROOT = Path(__file__).parent.parent.parent
BLOCKS = [
    (f"{page.name}-{index}", text)
    for page in [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]
    if page.name != "own-model.md"  # its task is the reader's own: test_tutorials.py runs it
    for index, text in enumerate(re.findall(r"^```yaml\n(.*?)^```", page.read_text(), re.M | re.S))
]
BASE = """
name: page
tasks: {quad: {task: polynomial, latents: 8}}
estimators: {ST: {estimator: straight_through, temperature: [1.0, 1.5]}}
training: {lr: [0.001, 0.0005]}
seeds: 3
"""


@dataclasses.dataclass(frozen=True, kw_only=True)
class DigitsSettings(ToySettings):
    """Settings of the task that stands for a reader's code."""

    width: int = setting(32, "units of the layer")


class Digits(ToyAlone):
    """The task that stands for a reader's code."""

    name = "my_digits"
    settings = DigitsSettings


@pytest.fixture(autouse=True)
def digits():
    with registry.added([Digits()]):
        yield


@pytest.mark.parametrize(("name", "text"), BLOCKS, ids=[name for name, _ in BLOCKS])
def test_a_sweep_file_on_a_page_is_read(tmp_path, monkeypatch, name, text):
    monkeypatch.chdir(tmp_path)
    images = np.zeros((200, 4, 4), np.uint8)
    np.savez("images.npz", x_train=images, x_test=images)
    block, base = (YAML(typ="safe").load(each) for each in (text, BASE))
    if "methods" in block:
        base.pop("estimators")
    whole = text if "name" in block else document.dump_plain({**base, **block})
    path = tmp_path / "sweep.yaml"
    path.write_text(whole)
    with added(write_tasks(name.rpartition("-")[0], tmp_path)):
        assert read_spec(path).arms


def test_there_are_sweep_files_to_look_at():
    pages = {name.rpartition("-")[0] for name, text in BLOCKS if "name:" in text}
    assert {"README.md", "tutorial.md", "sweep-file.md"} <= pages
