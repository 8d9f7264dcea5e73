"""Sweeps for the service's pages: one that selects by two metrics, and one of awkward texts."""

from figure_helpers import ESTIMATORS, TASKS, loss, spec_of, store_of

AWKWARD = "</script></textarea><b>x</b> & \"q\" 'a'"
TWO = {"metric": ["train_loss", "distance"], "mode": ["min", "max"]}


def awkward(store):
    """A sweep whose labels, description and errors look like markup."""

    def ended(task, estimator, place, seed):
        return "failed" if (place, seed) == (1, 2) else loss("A", estimator, place, seed)

    def about(task, estimator, place, seed):
        bad = {"error": f"ValueError: {AWKWARD}", "attempts": 3}
        return bad if (place, seed) == (1, 2) else {}

    spec = spec_of(
        {AWKWARD: TASKS["A"], "B": TASKS["B"]},
        {AWKWARD: ESTIMATORS["ST"], "RF": ESTIMATORS["RF"]},
        name="awkward",
        description=AWKWARD,
        tags=[AWKWARD],
    )
    results = store_of(store, spec, ended, about=about)
    for row in results.runs().to_pylist():
        if row["status"] == "failed":
            trace = f"Traceback of {row['run_id']}\n{AWKWARD}"
            results.store.write_attempt(row["run_id"], 3, row["error"], traceback=trace)
    return results
