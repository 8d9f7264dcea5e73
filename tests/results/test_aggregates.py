"""Statistics of each arm and over tasks, and what moving a setting does."""

import dataclasses
import json
import statistics

import numpy as np
import pytest
from figure_helpers import loss, spec_of, store_of
from scipy import stats
from table_helpers import cell, table_of

from raysweep.formats.statistics import FORMATS, grids, statistic_text
from raysweep.results.aggregates import SeedStatistic, statistics_of
from raysweep.results.stats.intervals import mean_interval

LOSSES = {
    ("A", "ST"): [1.0, 2.0, 4.0, 3.5, 2.5],
    ("A", "RF"): [2.0, 2.5, 3.0, 5.0, 4.5],
    ("B", "ST"): [10.0, 11.0, 12.0, 13.0, 15.0],
    ("B", "RF"): [9.0, 9.5, 12.5, 10.0, 11.0],
}


def known(task, estimator, place, seed):
    """The second configuration, where there is one, is worse by 5."""
    return LOSSES[task, estimator][seed] + 5.0 * place


@pytest.fixture
def results(tmp_path):
    return store_of(tmp_path, spec_of(seeds=5), known)


def arm(found, task, estimator):
    (one,) = (each for each in found.arms if (each.task, each.estimator) == (task, estimator))
    return one


@pytest.mark.parametrize(("task", "estimator"), LOSSES, ids="-".join)
def test_the_numbers_of_an_arm_are_numpys_and_scipys(results, task, estimator):
    found, values = arm(results.statistics(), task, estimator), LOSSES[task, estimator]
    given = (found.mean, found.std, found.sem, found.median, found.iqm)
    expected = (
        np.mean(values),
        np.std(values, ddof=1),
        stats.sem(values),
        np.median(values),
        stats.trim_mean(values, 0.25),
    )
    assert given == pytest.approx(expected, rel=1e-12)


def test_the_interval_of_an_arm_is_that_of_its_values(results):
    assert arm(results.statistics(), "A", "RF").interval == mean_interval(LOSSES["A", "RF"])


def test_scores_run_from_the_worst_mean_of_a_task_to_the_best(results):
    """With two estimators the means of their scores are 0 and 1 on each task."""
    scores = []
    for task in ("A", "B"):
        means = {each: statistics.fmean(LOSSES[task, each]) for each in ("ST", "RF")}
        worst, best = max(means.values()), min(means.values())
        scores += [(worst - value) / (worst - best) for value in LOSSES[task, "ST"]]
    (found, _) = results.statistics().over_tasks
    assert found.estimator == "ST"
    assert found.iqm == pytest.approx(stats.trim_mean(scores, 0.25), rel=1e-12)
    assert found.interval.low < found.iqm < found.interval.high


def test_the_probability_of_improvement_is_the_share_of_pairs_won(results):
    shares = [
        np.mean([[own < theirs for theirs in LOSSES[task, "RF"]] for own in LOSSES[task, "ST"]])
        + np.mean([[own == theirs for theirs in LOSSES[task, "RF"]] for own in LOSSES[task, "ST"]])
        / 2
        for task in ("A", "B")
    ]
    (found,) = results.statistics().improvements
    assert (found.first, found.second) == ("ST", "RF")
    assert found.probability == pytest.approx(np.mean(shares), rel=1e-12)


def test_an_estimator_without_a_final_mean_on_a_task_is_left_out_over_tasks(tmp_path):
    def ended(task, estimator, place, seed):
        return None if (task, estimator) == ("B", "RF") else known(task, estimator, place, seed)

    found = store_of(tmp_path, spec_of(seeds=5), ended).statistics()
    assert found.left_out == ("RF",)
    assert found.improvements == ()


def test_diverged_configurations_are_counted(tmp_path):
    def ended(task, estimator, place, seed):
        return "diverged" if (place, seed) == (1, 2) else known(task, estimator, place, seed)

    found = store_of(tmp_path, spec_of(seeds=5), ended).statistics()
    assert [each.diverged for each in found.arms if each.estimator == "ST"] == [1, 1]


def test_a_filter_is_the_tables(results):
    found = results.statistics(rows=["ST"], columns=["A"], where="seed < 3")
    (only,) = found.arms
    assert (only.n, only.status) == (3, "selected")
    assert only.mean == pytest.approx(statistics.fmean(LOSSES["A", "ST"][:3]))


def test_a_moved_setting_tells_the_change_of_the_mean(results):
    found = results.sensitivity(rows="ST", columns="A")
    (temperature,) = found
    assert (temperature.setting, temperature.selected) == ("estimator.temperature", 1.0)
    here, moved = temperature.moves
    assert (here.here, here.held, here.free) == (True, temperature.mean, temperature.mean)
    assert moved.held - temperature.mean == pytest.approx(5.0, rel=1e-12)
    assert (moved.value, moved.configurations) == ("2", 1)


def test_held_settings_are_the_selected_ones_and_free_ones_the_best(tmp_path):
    estimators = {"ST": {"estimator": "straight_through", "temperature": [1.0, 2.0]}}
    spec = spec_of({"A": {"task": "toy"}}, estimators, training={"lr": [0.1, 0.2]})
    # Losses by (temperature, lr): the best is (1, .1); at temperature 2 it is lr .2.
    order = [(cell["estimator.temperature"], cell["training.lr"]) for cell in spec.arms[0].cells()]
    wanted = {(1.0, 0.1): 0.0, (1.0, 0.2): 4.0, (2.0, 0.1): 3.0, (2.0, 0.2): 1.0}
    losses = {place: wanted[each] for place, each in enumerate(order)}
    found = store_of(tmp_path, spec, lambda task, estimator, place, seed: losses[place])
    by_name = {each.setting: each for each in found.sensitivity()}
    other = next(move for move in by_name["estimator.temperature"].moves if not move.here)
    assert (other.held, other.free) == (3.0, 1.0)


def test_what_may_not_be_selected_is_not_tried(tmp_path):
    def ended(task, estimator, place, seed):
        return "diverged" if (place, seed) == (1, 0) else known(task, estimator, place, seed)

    found = store_of(tmp_path, spec_of(seeds=5), ended).sensitivity(rows="ST", columns="A")
    move = next(each for each in found[0].moves if not each.here)
    assert (move.configurations, move.held, move.free) == (0, None, None)


@pytest.mark.parametrize("form", FORMATS)
def test_every_form_tells_every_arm(results, form):
    text = FORMATS[form](results.statistics(), results.sensitivity())
    assert all(label in text for label in ("ST", "RF", "A", "B"))


def test_the_caption_of_sensitivities_explains_its_columns(results):
    (sensitivity,) = grids(results.statistics(), results.sensitivity())[-1:]
    assert sensitivity.head[-2:] == ("held", "free")
    assert sensitivity.caption.endswith(
        "(held: all other settings as selected; free: the best configuration with the value)"
    )
    assert sensitivity.texts[1][3:] == ["* 1", "1", "2.6", "+0"]


def test_without_values_held_sensitivities_have_one_column_of_changes(results):
    moves = [
        dataclasses.replace(
            one,
            moves=tuple(
                move if move.here else dataclasses.replace(move, held=None) for move in one.moves
            ),
        )
        for one in results.sensitivity()
    ]
    (sensitivity,) = grids(results.statistics(), moves)[-1:]
    assert sensitivity.head[-2:] == ("eligible", "change")
    assert sensitivity.caption.endswith(
        "with one setting, of the best configuration with each value"
    )
    assert [texts[3:] for texts in sensitivity.texts[1:3]] == [
        ["* 1", "1", "2.6"],
        ["2", "1", "+5"],
    ]


def test_the_json_is_unrounded(results):
    data = json.loads(FORMATS["json"](results.statistics(), results.sensitivity()))
    assert data["arms"][0]["mean"] == statistics.fmean(LOSSES["A", "ST"])
    assert data["sensitivity"][0]["moves"][0]["here"] is True


def test_a_turned_pair_has_the_turned_interval(results):
    text = FORMATS["text"](results.statistics(), ())
    (improvement,) = results.statistics().improvements
    assert f"{improvement.probability:.2f} [{improvement.interval.low:.2f}" in text
    assert f"{1 - improvement.probability:.2f} [{1 - improvement.interval.high:.2f}" in text


def test_an_empty_sweep_has_statistics_without_numbers(tmp_path):
    results = store_of(tmp_path, spec_of(), lambda *_: None)
    assert {each.status for each in results.statistics().arms} == {"missing"}
    assert results.sensitivity() == []
    assert "missing" in FORMATS["text"](results.statistics(), ())


def test_losses_known_by_formula_have_no_seed_left_out(tmp_path):
    found = store_of(tmp_path, spec_of(), loss).statistics()
    assert {each.n for each in found.arms} == {3}


def test_the_seeds_of_a_provisional_arm_are_marked(tmp_path):
    def ended(task, estimator, place, seed):
        lacks = (task, estimator) == ("B", "RF") and seed == 4
        return None if lacks else known(task, estimator, place, seed)

    found = store_of(tmp_path, spec_of(seeds=5), ended).statistics()
    text = FORMATS["text"](found, [])
    assert "over seeds at" in text
    assert "? provisional: not all planned seeds have ended" in text
    (line,) = (line for line in text.splitlines() if line.split()[:2] == ["RF", "B"])
    assert "  4 ?  " in line


def test_the_title_counts_fresh_seeds_though_arms_have_other_numbers(tmp_path):
    table = store_of(tmp_path, spec_of(seeds=5), known).table()
    cells = (dataclasses.replace(table.cells[0], n=3), *table.cells[1:])
    table = dataclasses.replace(table, fresh_seeds=5, cells=cells)
    assert "over 5 fresh seeds at" in FORMATS["text"](statistics_of(table), [])


def test_a_single_task_is_named_as_one(results):
    assert "over 1 task; " in FORMATS["text"](results.statistics(columns="A"), [])


def test_an_arm_without_the_metric_has_no_number_of_seeds_and_is_not_compared():
    table = table_of(cell("a", "A", [1.0, 2.0]), cell("b", "A", []))
    lines = FORMATS["text"](statistics_of(table), []).splitlines()
    assert next(line for line in lines if line.startswith("b ")).startswith(
        "b          A     no value"
    )
    assert "not compared over tasks, without a final mean on each: b" in lines


@pytest.mark.parametrize(("digits", "text"), [(None, "0"), (2, "0.13")])
def test_a_statistic_in_another_unit_is_not_rounded_by_the_spread(digits, text):
    variation = SeedStatistic("cv", "CV", lambda values: 0.13, digits=digits)
    assert statistic_text(variation, 0.1309, spread=150.0) == text


def test_settings_that_change_nothing_are_named_in_one_line(tmp_path):
    estimators = {"ST": {"estimator": "straight_through", "temperature": [1.0, 2.0]}}
    spec = spec_of({"A": {"task": "toy"}}, estimators, training={"lr": [0.1, 0.2]})
    lrs = [cell["training.lr"] for cell in spec.arms[0].cells()]
    found = store_of(tmp_path, spec, lambda task, estimator, place, seed: lrs[place] + seed)
    grid = grids(found.statistics(), found.sensitivity())[-1]
    assert {cells[2] for cells in grid.texts[1:]} == {"lr", ""}
    assert "left out, as no value changes the mean: temperature of 1 arm" in grid.notes
