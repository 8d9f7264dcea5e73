"""A sweep file with more seeds: the rest of its text stays."""

import pytest

from raysweep.errors import SpecError
from raysweep.sweepfile.reader import read_text
from raysweep.sweepfile.seed_edit import with_seeds

HEAD = """\
# About the file.
name: walks
tasks:
  walk: {task: toy}  # a comment
estimators:
  ST: {estimator: straight_through}
"""
TAIL = "select: {metric: train_loss, mode: min}\n"
FORMS = {
    "number": ("seeds: 3\n", "seeds: 7\n"),
    "comment": ("seeds:   3   # of the paper\n", "seeds: 7   # of the paper\n"),
    "list": ("seeds: [0, 7, 9]\n", "seeds: [0, 7, 9, 10, 11, 12, 13]\n"),
    "lines": ("seeds: [0,\n  7,\n  9]\n", "seeds: [0, 7, 9, 10, 11, 12, 13]\n"),
    "block": ("seeds:\n  - 5\n  - 1\n", "seeds: [5, 1, 6, 7, 8, 9, 10]\n"),
    "flush block": ("seeds:\n- 5\n- 1\n", "seeds: [5, 1, 6, 7, 8, 9, 10]\n"),
    "fresh": ("seeds: {search: 2, report: 3}\n", "seeds: {search: 2, report: 7}\n"),
    "fresh lines": (
        "seeds:\n  search: [4, 5]\n  report: 3\n",
        "seeds: {search: [4, 5], report: 7}\n",
    ),
    "note of the next key": ("seeds:\n  - 5\n# next\n", "seeds: [5, 6, 7, 8, 9, 10, 11]\n# next\n"),
}


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("is_last", [False, True])
def test_only_the_seeds_change(form, is_last):
    before, after = FORMS[form]
    parts = (HEAD, TAIL) if is_last else (HEAD, "")
    tail = "" if is_last else TAIL
    text = with_seeds("".join(parts) + before + tail, 7, "f.yaml")
    assert text == "".join(parts) + after + tail


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("seeds", [4, 30])
def test_the_new_file_has_the_old_seeds_and_so_many_in_all(form, seeds):
    text = HEAD + FORMS[form][0] + TAIL
    before, after = read_text(text, "f"), read_text(with_seeds(text, seeds, "f"), "f")
    assert len(after.report_seeds or after.seeds) == seeds
    assert set(before.seeds) <= set(after.seeds)
    assert set(before.report_seeds) <= set(after.report_seeds)


def test_a_file_without_an_end_of_line_is_extended():
    text = with_seeds(HEAD + TAIL + "seeds: 3", 4, "f")
    assert text == HEAD + TAIL + "seeds: 4\n"


@pytest.mark.parametrize("seeds", [2, 3])
def test_fewer_seeds_are_refused(seeds):
    with pytest.raises(SpecError, match=f"seeds: expected more than the present 3, got {seeds}"):
        with_seeds(HEAD + "seeds: 3\n" + TAIL, seeds, "f")


def test_mistakes_of_the_file_come_first():
    with pytest.raises(SpecError, match=r"f\.yaml: line 4: unknown task 'tyo'"):
        with_seeds(HEAD.replace("toy", "tyo") + "seeds: 3\n" + TAIL, 5, "f.yaml")
