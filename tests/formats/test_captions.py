"""What stands beside a table: each sentence where it is true, and nowhere else."""

import pytest
from table_helpers import cell, judged, table_of

from raysweep.formats.captions import mark, notes, title
from raysweep.results.table import Style

FIVE, OTHER = [1.0, 1.1, 1.2, 1.05, 1.15], [2.0, 2.3, 2.1, 2.4, 2.2]
SHORT = "too few seeds for this test"
NO_INTERVAL = "no interval: fewer than five seeds"


def two(one=FIVE, other=OTHER, status="selected", **more):
    """Two estimators on one task."""
    return table_of(cell("a", "A", one), cell("b", "A", other, status), **more)


def starting(table, text):
    return [each for each in notes(table) if each.startswith(text)]


def test_a_title_says_what_the_numbers_are():
    assert title(two()) == (
        "hand: loss, mean ± std (n) over seeds at the configuration with the minimum mean loss; "
        "lower is better"
    )


@pytest.mark.parametrize(
    ("more", "part"),
    [
        ({"unit": "nats"}, "hand: loss [nats], mean"),
        ({"report": "accuracy", "report_direction": "max"}, "hand: accuracy, mean"),
        ({"report_direction": "max"}, "; higher is better"),
        ({"select": "elbo", "select_mode": "max"}, "with the maximum mean elbo;"),
        ({"style": Style(spread="sem")}, "mean ± standard error (n) over"),
        ({"style": Style(spread="ci")}, "mean [95 % studentised bootstrap interval] (n) over"),
        ({"fresh_seeds": 5}, "over 5 fresh seeds at the configuration"),
        ({"fresh_seeds": 5}, "the minimum mean loss on the seeds of the search; lower"),
        ({"fresh_counts": (3, 5)}, "over 3 to 5 fresh seeds at the configuration"),
        (
            {"fresh_counts": (0, 5)},
            "over fresh seeds, or those of the search, at the configuration",
        ),
        ({"where": "seed < 3"}, "lower is better; runs where seed < 3"),
        ({"where": "seed < 3\n\n and  true"}, "; runs where seed < 3 and true"),
    ],
    ids=lambda each: each if isinstance(each, str) else "",
)
def test_a_title_says_so(more, part):
    assert part in title(two(**more))
    assert part not in title(two())


def test_a_title_that_counts_for_all_tells_the_number_of_seeds():
    assert "mean ± std over 5 seeds at" in title(two(), counted=False)


@pytest.mark.parametrize(("ended", "text"), [(4, "over 4 fresh"), (2, "over 2 of 4 fresh")])
def test_a_title_that_counts_for_all_tells_how_many_fresh_seeds_have_ended(ended, text):
    table = table_of(cell("a", "A", FIVE[:ended], "provisional"), fresh_seeds=4)
    assert text in title(table, counted=False)


# What is marked.


def test_nothing_marked_has_no_explanation():
    assert mark(table_of(cell("a", "A", FIVE))) == ""


def test_equal_rows_are_best_without_a_word_on_tests():
    assert mark(two(FIVE, FIVE)) == "best of its column"


def test_single_seeds_are_told_not_to_be_tested():
    assert mark(two([1.0], [2.0])) == "best of its column (no test: fewer than two seeds)"


@pytest.mark.parametrize(
    ("test", "shift", "name"),
    [
        ("welch", 0, "paired t-test over shared seeds"),
        ("welch", 9, "Welch's t-test"),
        ("mann-whitney", 0, "Wilcoxon's signed-rank test over shared seeds"),
        ("mann-whitney", 9, "Mann-Whitney test"),
    ],
)
def test_a_mark_names_the_test_that_was_made(test, shift, name):
    table = two(other=dict(enumerate(OTHER, shift)), style=Style(test=test, level=0.01))
    assert mark(table).startswith(
        "best of its column, or not significantly worse: two-sided "
        f"{name}, Holm's correction over the rows, p ≥ 0.01"
    )


def test_an_outlier_that_hides_all_differences_does_not_make_rows_alike():
    far = [*FIVE[:4], 1000.0]
    table = table_of(cell("a", "A", far), cell("b", "A", FIVE))
    assert judged(table, "A").bold == {"a", "b"}
    assert mark(table).endswith("p ≥ 0.05; this does not show that marked rows are alike")


def test_a_mark_of_the_best_alone_says_nothing_of_other_rows():
    table = two(other=[value + 100 for value in FIVE])
    assert judged(table, "A").bold == {"a"}
    assert mark(table).endswith("over the rows, p ≥ 0.05")


def test_a_mark_names_both_tests_where_two_were_made():
    table = table_of(
        cell("a", "A", FIVE), cell("b", "A", OTHER), cell("c", "A", dict(enumerate(OTHER, 9)))
    )
    assert "Welch's t-test or paired t-test over shared seeds" in mark(table)


# Too few seeds.


@pytest.mark.parametrize("n", range(2, 9))
def test_too_few_seeds_are_told_where_the_test_cannot_reach_the_level(n):
    one, other = [float(each) for each in range(n)], [10.0 + 2 * each for each in range(n)]
    told = starting(two(one, other, style=Style(test="mann-whitney")), SHORT)
    assert bool(told) == (2 / 2**n >= 0.05)


def test_more_rows_need_more_seeds():
    rows = [[float(10 * row + seed) for seed in range(6)] for row in range(3)]
    cells = [cell(f"e{row}", "A", values) for row, values in enumerate(rows)]
    told = [starting(table_of(*cells[:n], style=Style(test="mann-whitney")), SHORT) for n in (2, 3)]
    assert told == [[], [f"{SHORT}: none could be significantly worse on A"]]


def test_one_row_with_enough_seeds_is_enough():
    best = {seed: -10 + seed / 100 for seed in range(10)}
    table = table_of(
        cell("a", "A", best),
        cell("b", "A", {seed: 5.0 + seed for seed in range(10)}),
        cell("c", "A", [7.0, 8.0]),
        style=Style(test="mann-whitney"),
    )
    assert "b" not in table.bold("A")
    assert not starting(table, SHORT)


def test_the_columns_with_too_few_seeds_are_named():
    few = {0: 1.0, 1: 2.0, 2: 3.0}
    table = table_of(
        cell("a", "A", [*FIVE, 1.3]),
        cell("b", "A", [*OTHER, 2.6]),
        cell("a", "B", few),
        cell("b", "B", {seed: 9 + 2 * value for seed, value in few.items()}),
        style=Style(test="mann-whitney"),
    )
    assert starting(table, SHORT) == [f"{SHORT}: none could be significantly worse on B"]


@pytest.mark.parametrize("values", [FIVE[:2], FIVE])
def test_t_tests_never_have_too_few_seeds(values):
    assert not starting(two(values, [each + 1 for each in values]), SHORT)


# Intervals.


@pytest.mark.parametrize(
    ("spread", "n", "told"), [("ci", 4, True), ("ci", 5, False), ("std", 4, False)]
)
def test_no_interval_is_told_below_five_seeds(spread, n, told):
    table = two(FIVE, OTHER[:n], style=Style(spread=spread))
    assert (NO_INTERVAL in notes(table)) == told


def test_no_interval_is_not_told_of_a_cell_without_a_mean():
    table = two(FIVE, [], "diverged", style=Style(spread="ci"))
    assert NO_INTERVAL not in notes(table)


# What is missing.


def test_a_complete_table_has_no_notes():
    assert notes(two()) == []


def test_provisional_cells_are_explained():
    (note,) = notes(two(status="provisional"))
    assert note.startswith("? provisional: ")


def test_provisional_cells_on_fresh_seeds_are_explained():
    (note,) = notes(two(status="provisional", fresh_seeds=9))
    assert note.startswith("? provisional: ")


def test_unreported_cells_are_explained():
    told = "unreported: no fresh seed of the selected configuration has ended yet"
    assert notes(two(other=[], status="unreported", fresh_seeds=3)) == [told]


@pytest.mark.parametrize("what", ["diverged", "failed"])
def test_lost_configurations_are_counted(what):
    table = table_of(cell("a", "A", FIVE, configurations=4, **{what: 2}))
    assert notes(table) == [
        f"a on A: 2 of 4 configurations have a {what} seed and cannot be selected"
    ]


def test_stopped_configurations_are_counted_over_all_cells():
    cells = [cell("a", task, FIVE, configurations=4, stopped=n) for task, n in (("A", 1), ("B", 2))]
    assert notes(table_of(*cells)) == ["stopped early: 3 of 8 configurations"]


def test_diverged_fresh_seeds_are_counted():
    table = table_of(cell("a", "A", [], "diverged", fresh_diverged=1), fresh_seeds=4)
    told = "a on A: 1 of 4 fresh seeds of the selected configuration diverged"
    assert notes(table) == [told]


@pytest.mark.parametrize(("tasks", "told"), [("A", False), ("AB", True)])
def test_ranks_are_explained_where_there_are_some(tasks, told):
    table = table_of(*(cell(each, task, FIVE) for each in "ab" for task in tasks))
    assert bool(starting(table, "rank: mean over tasks, 1 the best")) == told
