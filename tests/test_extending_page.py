"""The example of docs/extending.md on the estimators that a task takes."""

import re
from pathlib import Path
from types import SimpleNamespace

import pytest

from raysweep import estimators
from raysweep.errors import SpecError
from raysweep.sweepfile.reader import read_spec
from raysweep.testing.toy import Toy

PAGE = (Path(__file__).parent.parent / "docs" / "extending.md").read_text()


@pytest.fixture
def check():
    """The method of the page."""
    (code,) = re.findall(r"^```python\n(def check\(.*?)^```\n", PAGE, re.MULTILINE | re.DOTALL)
    names = {}
    exec(code, names)
    return names["check"]


@pytest.mark.parametrize(
    ("name", "latents", "categories", "reason"),
    [
        ("reinmax", 4, 3, None),
        ("arm", 4, 2, None),
        ("arm", 4, 3, "arm needs 2 categories, got 3"),
        ("exact", 40, 3, "states"),
        ("arm", 3, 3, "latents must be even, got 3"),
    ],
)
def test_the_example_refuses_estimators_by_their_number_of_categories(
    check, name, latents, categories, reason
):
    settings = SimpleNamespace(latents=latents, categories=categories)
    given = check(None, settings, estimators.get(name))
    assert given is None if reason is None else reason in given


def test_a_plan_refuses_a_pair_in_the_line_of_the_page(tmp_path, monkeypatch, check):
    sizes = SimpleNamespace(latents=4, categories=3)
    monkeypatch.setattr(Toy, "check", lambda self, _, estimator: check(self, sizes, estimator))
    path = tmp_path / "my.yaml"
    path.write_text(
        "name: own\ntasks:\n  my task: {task: toy}\nestimators:\n  ST: {estimator: "
        "straight_through}\n  ARM: {estimator: arm}\nseeds: 1\n"
    )
    with pytest.raises(SpecError) as caught:
        read_spec(path)
    (line,) = caught.value.problems
    assert f"raysweep: {line.replace(str(path), 'my.yaml')}\n" in PAGE
