"""How good values are beside each other: the scale of shades and of colours."""

import dataclasses

import numpy as np

from raysweep.figures.scope import Numbers

LIMIT = 3  # times as far from the best as the median is: the scale ends there


@dataclasses.dataclass(frozen=True)
class Scale:
    """From the best value to the worst, or to where the scale ends before it.

    Args:
        best: Has score 1.
        worst: Has score 0.
        cut: Whether values are worse than that.
    """

    best: float
    worst: float
    cut: bool

    @classmethod
    def of(cls, values: Numbers, direction: str) -> "Scale | None":
        """The scale of these values, or None if none is finite.

        It ends at three times as far from the best as the median is: one value that does badly
        would make all others look alike.

        Args:
            values: Of any shape, NaN where there is none.
            direction: `min` or `max`.
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
        """Each value's place, linear from 0 (worst) to 1 (best); NaN where there is none."""
        span = self.worst - self.best
        if not span:
            return np.where(np.isfinite(values), 1.0, np.nan)
        return 1 - np.clip((values - self.best) / span, 0, 1)
