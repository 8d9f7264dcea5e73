"""Racing: more seeds only for configurations that are not clearly worse than the best one."""

import math
import statistics
from collections.abc import Iterable, Mapping, Sequence

from raysweep.sweep.options import Mode

Values = Mapping[int, float]  # by seed


def clearly_worse(
    challenger: Values, others: Iterable[Values], mode: Mode, p_threshold: float
) -> bool:
    """Whether a configuration loses against the incumbent on the seeds that both have.

    The test is Student's paired t-test, one-sided: seeds are shared, so they are paired, and with
    the two or three seeds of a first round no rank test can reach a small p-value. The incumbent
    is the one with the most seeds, and the best mean among those.

    Args:
        challenger: Its values.
        others: Values of every other configuration that lost no seed.
        mode: Which values are better.
        p_threshold: The p-value below which the challenger is clearly worse.
    """
    sign = 1 if mode == "min" else -1
    rivals = [each for each in others if challenger.keys() <= each.keys()]
    if not rivals:
        return False
    incumbent = min(rivals, key=lambda each: (-len(each), sign * statistics.fmean(each.values())))
    losses = [sign * (value - incumbent[seed]) for seed, value in challenger.items()]
    return _p_value(losses) < p_threshold


def _p_value(losses: Sequence[float]) -> float:
    """Of the hypothesis that the mean loss is not above zero."""
    from scipy import special

    spread = statistics.stdev(losses)
    if spread == 0:  # nothing to test against
        return 0.0 if losses[0] > 0 else 1.0
    # Not `scipy.stats.ttest_1samp`, which warns where the differences are nearly the same.
    t = statistics.fmean(losses) / (spread / math.sqrt(len(losses)))
    return float(special.stdtr(len(losses) - 1, -t))


def rounds(start: int, seeds: int) -> list[int]:
    """How many seeds a configuration has run after each round: twice as many each time."""
    found = [min(start, seeds)]
    while found[-1] < seeds:
        found.append(min(2 * found[-1], seeds))
    return found
