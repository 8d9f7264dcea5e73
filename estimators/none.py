"""The estimator of tasks that take none."""

from typing import Any, ClassVar

from raysweep.estimators.method import Method


class NoEstimator(Method[Any]):
    """No estimator: what the runs of a task have whose training needs no gradient estimator.

    It has no settings and nothing to build.
    """

    name: ClassVar[str] = "none"
    unbiased = True
    needs_gradient = False
    reference = ""

    def __init__(self) -> None:
        super().__init__()

    def _refusal(self, sizes: Any) -> str | None:
        return "this task takes no estimator"

    def _create(self, sizes: Any) -> None:
        raise TypeError("there is no estimator to build")
