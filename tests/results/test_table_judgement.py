"""Which differences of a table are real, its averages and its ranks, against other computations."""

import itertools
import statistics

import numpy as np
import pytest
from figure_helpers import spec_of, store_of
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats
from table_helpers import cell, judged, table_of

from raysweep.errors import SpecError
from raysweep.results.table import Column, Judgement, Style

NUMBERS = st.integers(-40, 40).map(lambda number: number / 8)


def holm(p_values):
    """Each the largest of the smaller ones times how many were not smaller yet, by hand."""
    order = sorted(p_values)
    return [
        min(1.0, max((len(order) - order.index(p)) * p for p in order if p <= own))
        for own in p_values
    ]


def paired(one, best):
    return float(stats.ttest_rel(list(one.values()), list(best.values())).pvalue)


def welch(one, best):
    return float(stats.ttest_ind(list(one.values()), list(best.values()), equal_var=False).pvalue)


def noisy(shape, seed=0):
    return np.random.default_rng(seed).normal(size=shape)


@pytest.mark.parametrize("direction", ["min", "max"])
@pytest.mark.parametrize("seed", range(5))
@pytest.mark.parametrize("n", [2, 3, 5, 10])
def test_p_values_over_shared_seeds_are_those_of_the_paired_t_test(n, seed, direction):
    values = noisy((4, n), seed) + np.arange(4)[:, None] / 2
    rows = [dict(enumerate(each.tolist())) for each in values]
    table = table_of(
        *(cell(f"e{i}", "A", r) for i, r in enumerate(rows)), report_direction=direction
    )
    pick = min if direction == "min" else max
    best = pick(range(4), key=lambda i: statistics.fmean(rows[i].values()))
    others = [i for i in range(4) if i != best]
    expected = holm([paired(rows[i], rows[best]) for i in others])
    found = judged(table, "A")
    assert found.best == {f"e{best}"}
    assert list(found.p_values) == [f"e{i}" for i in others]
    assert list(found.p_values.values()) == pytest.approx(expected, abs=1e-12)
    assert found.tests == {"paired t"}


@pytest.mark.parametrize("seed", range(5))
def test_p_values_over_other_seeds_are_those_of_welchs_test(seed):
    sizes = [4, 4, 3, 7]
    starts = [0, 1, 0, 0]
    rows = [
        {starts[i] + s: float(v) - 3 * (i == 0) for s, v in enumerate(noisy(n, 10 * seed + i))}
        for i, n in enumerate(sizes)
    ]
    table = table_of(*(cell(f"e{i}", "A", each) for i, each in enumerate(rows)))
    expected = holm([welch(rows[i], rows[0]) for i in (1, 2, 3)])
    found = judged(table, "A")
    assert found.best == {"e0"}
    assert list(found.p_values.values()) == pytest.approx(expected, abs=1e-12)
    assert found.tests == {"Welch's t"}


@settings(max_examples=60)
@given(st.data())
def test_bold_are_the_best_and_all_that_are_not_significantly_worse(data):
    n, level = data.draw(st.integers(2, 5)), data.draw(st.sampled_from([0.01, 0.05, 0.3]))
    rows = data.draw(st.lists(st.lists(NUMBERS, min_size=n, max_size=n), min_size=2, max_size=5))
    table = table_of(
        *(cell(f"e{i}", "A", each) for i, each in enumerate(rows)), style=Style(level=level)
    )
    found = judged(table, "A")
    least = min(map(statistics.fmean, rows))
    assert found.best == {f"e{i}" for i, r in enumerate(rows) if statistics.fmean(r) == least}
    assert set(found.p_values) == {f"e{i}" for i in range(len(rows))} - found.best
    assert found.bold == found.best | {e for e, p in found.p_values.items() if p >= level}


@pytest.mark.parametrize("shift", [0.0, 1.0])
def test_rank_tests_are_scipys(shift):
    one, other = noisy(8) + 2 * shift, noisy(8, 1)
    style = Style(test="mann-whitney")
    shared = table_of(cell("a", "A", one.tolist()), cell("b", "A", other.tolist()), style=style)
    apart = table_of(
        cell("a", "A", one.tolist()),
        cell("b", "A", dict(enumerate(other.tolist(), 100))),
        style=style,
    )
    ((signed,), (whitney,)) = (judged(t, "A").p_values.values() for t in (shared, apart))
    assert signed == pytest.approx(stats.wilcoxon(one, other).pvalue, abs=1e-12)
    assert whitney == pytest.approx(stats.mannwhitneyu(one, other).pvalue, abs=1e-12)


def test_of_equal_best_ones_the_first_is_compared_with():
    first, second, third = [1.0, 3.0, 2.0], [3.0, 1.0, 2.0], [2.0, 4.0, 3.5]
    table = table_of(
        *(cell(*each) for each in zip("abc", "AAA", (first, second, third), strict=True))
    )
    found = judged(table, "A")
    assert found.best == {"a", "b"}
    assert found.p_values == pytest.approx({"c": stats.ttest_rel(third, first).pvalue}, abs=1e-12)


@pytest.mark.parametrize("status", ["provisional", "unreported", "diverged", "failed", "stopped"])
def test_only_selected_cells_compete(status):
    best = cell("a", "A", [0.0, 0.1, 0.2], status)
    table = table_of(best, cell("b", "A", [1.0, 2.0, 3.0]), cell("c", "A", [4.0, 5.0, 6.5]))
    found = judged(table, "A")
    assert found.best == {"b"}
    assert set(found.p_values) == {"c"}


def test_one_estimator_is_not_marked():
    assert judged(table_of(cell("a", "A", [1.0, 2.0])), "A") == Judgement()


def test_an_only_final_mean_is_not_marked():
    table = table_of(cell("a", "A", [1.0, 2.0]), cell("b", "A", [3.0], "provisional"))
    assert judged(table, "A") == Judgement()


def test_single_values_have_no_test_and_the_best_is_marked_alone():
    found = judged(table_of(cell("a", "A", [1.0]), cell("b", "A", [2.0])), "A")
    assert (found.best, found.bold) == ({"a"}, {"a"})
    assert (found.p_values, found.tests) == ({"b": None}, frozenset())


def test_what_cannot_be_tested_is_no_part_of_holms_family():
    rows = [[1.0, 1.2, 0.9], [2.0, 2.5, 2.2], [7.0]]
    found = judged(table_of(*(cell(*each) for each in zip("abc", "AAA", rows, strict=True))), "A")
    assert found.p_values["c"] is None
    assert found.p_values["b"] == pytest.approx(stats.ttest_rel(rows[1], rows[0]).pvalue, abs=1e-12)
    assert "c" not in found.bold


@pytest.mark.parametrize("sizes", [*itertools.product([2, 3, 6], repeat=2)], ids=str)
def test_attainable_is_the_smallest_that_any_comparison_could_give(sizes):
    style = Style(test="mann-whitney")
    best = {seed: seed / 100 for seed in range(6)}
    rows = [{50 + s: 10.0 + s + 20 * i for s in range(n)} for i, n in enumerate(sizes)]
    others = [cell(f"e{i}", "A", each) for i, each in enumerate(rows)]
    found = judged(table_of(cell("best", "A", best), *others, style=style), "A")
    assert found.attainable == pytest.approx(min(found.p_values.values()), abs=1e-12)


# Averages and ranks.


def test_an_average_has_a_value_for_each_shared_seed():
    table = table_of(cell("a", "A", [1.0, 2.0, 6.0]), cell("a", "B", [3.0, 2.0, 0.0]))
    entry = table.entry("a", Column("average", "average"))
    assert (entry.mean, entry.n) == (pytest.approx(7 / 3), None)
    assert entry.spread == pytest.approx(statistics.stdev([2.0, 2.0, 3.0]))


def test_an_average_over_other_seeds_has_no_spread():
    table = table_of(cell("a", "A", [1.0, 2.0]), cell("a", "B", {7: 3.0, 8: 5.0}))
    entry = table.entry("a", Column("average", "average"))
    assert (entry.mean, entry.spread, entry.interval) == (2.75, None, None)


def test_averages_are_tested_by_their_seeds():
    rows = {"a": ([1.0, 2.0, 3.1], [4.0, 4.5, 5.0]), "b": ([1.5, 2.0, 4.0], [5.0, 4.0, 7.0])}
    table = table_of(
        *(cell(e, t, v) for e, own in rows.items() for t, v in zip("AB", own, strict=True))
    )
    one, other = (np.mean(rows[each], axis=0) for each in "ab")
    assert judged(table, "average", "average").p_values == pytest.approx(
        {"b": stats.ttest_rel(other, one).pvalue}, abs=1e-12
    )


@settings(max_examples=60)
@given(st.data(), st.sampled_from(["min", "max"]))
def test_ranks_are_the_means_of_scipys(data, direction):
    tasks, count = "ABC"[: data.draw(st.integers(2, 3))], data.draw(st.integers(2, 5))
    means = [[data.draw(st.sampled_from([1.0, 2.0, 3.0])) for _ in tasks] for _ in range(count)]
    cells = [
        cell(f"e{i}", t, [m, m])
        for i, own in enumerate(means)
        for t, m in zip(tasks, own, strict=True)
    ]
    table = table_of(*cells, report_direction=direction)
    signed = np.array(means) * (1 if direction == "min" else -1)
    expected = np.mean([stats.rankdata(column) for column in signed.T], axis=0)
    assert [table.rank(f"e{i}") for i in range(count)] == pytest.approx(expected.tolist())
    lowest = {
        f"e{i}"
        for i in range(count)
        if table.rank(f"e{i}") == min(map(table.rank, table.estimators))
    }
    assert judged(table, "rank", "rank").best == lowest


def test_an_estimator_without_a_final_mean_everywhere_has_no_rank_and_takes_none():
    table = table_of(
        *(cell("a", t, [2.0, 2.0]) for t in "AB"),
        *(cell("b", t, [3.0, 3.0]) for t in "AB"),
        cell("c", "A", [1.0, 1.0]),
        cell("c", "B", [1.0], "provisional"),
    )
    assert [table.rank(each) for each in "abc"] == [1.0, 2.0, None]


@pytest.mark.parametrize(
    ("labels", "columns"),
    [
        (["A"], ["A"]),
        (["A", "B"], ["A", "B", "average", "rank"]),
        (["average", "rank"], ["average", "rank", "average of 2 tasks", "rank of 2 tasks"]),
    ],
    ids=["one", "two", "clash"],
)
def test_columns_have_labels_of_their_own(labels, columns):
    table = table_of(*(cell(e, t, [1.0, 2.0]) for e in "ab" for t in labels))
    assert [each.label for each in table.columns] == columns


def test_tasks_named_as_columns_keep_their_values():
    table = table_of(
        *(cell("a", t, v) for t, v in (("average", [1.0, 1.5]), ("rank", [5.0, 5.5]))),
        *(cell("b", t, v) for t, v in (("average", [2.0, 2.7]), ("rank", [0.0, 0.1]))),
    )
    assert (table.best("average"), table.best("rank")) == ({"a"}, {"b"})
    assert table.best("average of 2 tasks") == {"b"}
    assert table.entry("a", table.columns[0]).mean == 1.25


def test_an_arm_that_the_file_lacks_is_blank():
    table = table_of(cell("a", "A", [1.0]), cell("a", "B", [1.0]), cell("b", "A", [2.0]))
    entry = table.entry("b", Column("task", "B"))
    assert (entry.mean, entry.word) == (None, "")
    assert table.average("b") is None


@pytest.mark.parametrize(
    ("style", "message"),
    [
        ({"spread": "st"}, "spread: expected std, sem or ci, got 'st'; did you mean 'std'"),
        ({"test": "t"}, "test: expected welch or mann-whitney, got 't'"),
        ({"level": 0.0}, "level: expected a number between 0 and 1, got 0"),
        ({"level": float("nan")}, "level: expected a number between 0 and 1, got nan"),
    ],
    ids=str,
)
def test_a_style_is_checked(style, message):
    with pytest.raises(SpecError, match=message):
        Style(**style)


@pytest.mark.parametrize("status", ["provisional", "diverged"])
def test_values_that_are_not_final_are_not_compared(status):
    table = table_of(cell("a", "A", [1.0, 2.0], status), cell("b", "A", [1.0, 2.0]))
    found = [table.values(each, Column("task", "A")) for each in "ab"]
    assert found == [None, {0: 1.0, 1: 2.0}]


# Where an average is shown.


def scaled(factor, **more):
    """A table whose second task has numbers that are larger by a factor."""
    tasks = (("A", 1.0), ("B", factor))
    return table_of(*(cell(e, t, [size, 1.2 * size]) for e in "ab" for t, size in tasks), **more)


def kinds(table):
    return [column.kind for column in table.columns if column.kind != "task"]


@pytest.mark.parametrize(("factor", "shown"), [(1.0, True), (9.9, True), (10.1, False)])
def test_an_average_is_of_tasks_of_one_scale(factor, shown):
    assert kinds(scaled(factor)) == ["average"] * shown + ["rank"]


def test_an_average_is_of_tasks_of_one_kind():
    assert kinds(scaled(1.0, alike=False)) == ["rank"]


def test_an_average_is_shown_on_demand():
    assert kinds(scaled(1000.0, alike=False, style=Style(average=True))) == ["average", "rank"]


def test_tasks_of_other_kinds_have_no_average(tmp_path):
    tasks = {"A": {"task": "toy"}, "B": {"task": "bowl"}}
    results = store_of(tmp_path, spec_of(tasks=tasks), lambda *which: 1.0 + which[3])
    assert kinds(results.table()) == ["rank"]
    assert kinds(results.table(average=True)) == ["average", "rank"]


@pytest.mark.parametrize("style", [Style(), Style(average=True)])
def test_no_row_on_every_task_is_no_average_and_no_rank(style):
    cells = (cell("a", "A", [1.0, 2.0]), cell("b", "B", [1.0, 2.0]))
    assert kinds(table_of(*cells, style=style)) == []
    assert kinds(table_of(*cells, cell("a", "B", [3.0]), style=style)) == ["average", "rank"]


def test_a_row_that_has_yet_to_train_on_a_task_keeps_the_columns():
    cells = [cell(e, t, [1.0], status="missing" * (t == "B")) for e in "ab" for t in "AB"]
    assert kinds(table_of(*cells)) == ["average", "rank"]


def test_a_mean_rank_is_rounded():
    losses = {"a": (1, 1, 2), "b": (2, 2, 1), "c": (3, 3, 3)}
    cells = [
        cell(e, t, [v] * 2) for e, own in losses.items() for t, v in zip("ABC", own, strict=True)
    ]
    assert table_of(*cells).entry("a", Column("rank", "rank")).mean == 1.33
