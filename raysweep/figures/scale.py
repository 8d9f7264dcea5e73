"""Scores of values relative to each other: the scale of shades and colours."""

import dataclasses

import numpy as np

from raysweep.figures.scope import Numbers

LIMIT = 3  # distance from the best value to the end of the scale, in distances to the median


@dataclasses.dataclass(frozen=True)
class Scale:
    """Scale from the best value to the worst, or to a limit before it.

    Args:
        best: Value with score 1.
        worst: Value with score 0.
        cut: Whether some values are worse than `worst`.
    """

    best: float
    worst: float
    cut: bool

    @classmethod
    def of(cls, values: Numbers, direction: str) -> "Scale | None":
        """Return the scale of these values, or None if none is finite.

        It ends three times as far from the best value as the median is: otherwise, one very bad
        value would make all others look alike.

        Args:
            values: Values of any shape, NaN where there is none.
            direction: Direction of improvement, `min` or `max`.
        """
        sign = 1.0 if direction == "min" else -1.0
        known = sign * values[np.isfinite(values)]
        if not len(known):
            return None
        best, worst = float(known.min()), float(known.max())
        limit = best + LIMIT * (float(np.median(known)) - best)
        end = min(worst, limit) if limit > best else worst
        return cls(sign * best, sign * end, end < worst)

    def scores(self, values: Numbers) -> Numbers:
        """Return the score of each value, linear from 0 (worst) to 1 (best); NaN stays NaN."""
        span = self.worst - self.best
        if not span:
            return np.where(np.isfinite(values), 1.0, np.nan)
        return 1 - np.clip((values - self.best) / span, 0, 1)
