"""Trees of scikit-learn on its digits: a task without torch, and without steps."""

from typing import Literal

from sklearn.datasets import load_digits
from sklearn.ensemble import ExtraTreesClassifier, RandomForestClassifier
from sklearn.model_selection import train_test_split

import raysweep

FORESTS = {"random_forest": RandomForestClassifier, "extra_trees": ExtraTreesClassifier}


@raysweep.task(metrics={"test_accuracy": "max"})
def sklearn_forest(
    run: raysweep.Run,
    *,
    forest: Literal["random_forest", "extra_trees"] = "random_forest",
    trees: int = 30,
    depth: int | None = None,
) -> dict[str, float]:
    """Classify the digits by a forest of trees."""
    x, x_test, y, y_test = train_test_split(
        *load_digits(return_X_y=True), test_size=0.25, random_state=0
    )
    model = FORESTS[forest](n_estimators=trees, max_depth=depth, random_state=run.seed)
    model.fit(x, y)
    return {"test_accuracy": model.score(x_test, y_test)}
