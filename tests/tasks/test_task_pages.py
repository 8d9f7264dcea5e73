"""The page about tasks says what the classes say."""

from pathlib import Path

import pytest

from raysweep import tasks
from raysweep.tasks import __main__ as pages

DOCS = Path(__file__).parents[2] / "docs"


def test_the_page_of_tasks_is_what_the_classes_say():
    assert (DOCS / "tasks.md").read_text() == pages.page(), (
        "run: python -m raysweep.tasks > docs/tasks.md"
    )


@pytest.mark.parametrize("name", tasks.names())
def test_every_task_has_a_section_with_its_metrics(name):
    section = pages.page().partition(f"\n## {name}\n")[2].partition("\n## ")[0]
    for metric in tasks.get(name).metrics:
        assert f"- `{metric}`" in section
