"""Racing: more seeds only for configurations that are not clearly worse than the best one."""

import math
import statistics
from collections.abc import Iterable, Mapping, Sequence

from raysweep.sweep.options import Mode

Values = Mapping[int, float]  # by seed


def clearly_worse(
    challenger: Values, others: Iterable[Values], mode: Mode, p_threshold: float
) -> bool:
    """Check whether a configuration is clearly worse than the incumbent, on common seeds.

    The test is Student's paired t-test, one-sided: seeds are shared, so they are paired, and with
    the two or three seeds of a first round no rank test can reach a small p-value. The incumbent
    is the configuration with the most seeds, and the best mean among those.

    Args:
        challenger: Values of the configuration, by seed.
        others: Values of every other configuration that lost no seed.
        mode: Whether low (`min`) or high (`max`) values are better.
        p_threshold: The p-value below which the challenger is clearly worse.
    """
    sign = 1 if mode == "min" else -1
    rivals = [values for values in others if challenger.keys() <= values.keys()]
    if not rivals:
        return False
    incumbent = min(
        rivals, key=lambda values: (-len(values), sign * statistics.fmean(values.values()))
    )
    losses = [sign * (value - incumbent[seed]) for seed, value in challenger.items()]
    return _p_value(losses) < p_threshold


def _p_value(losses: Sequence[float]) -> float:
    """Return the p-value of the hypothesis that the mean loss is not above zero."""
    from scipy import special

    spread = statistics.stdev(losses)
    if spread == 0:  # the test statistic would divide by zero
        return 0.0 if losses[0] > 0 else 1.0
    # Not `scipy.stats.ttest_1samp`, which warns where the differences are nearly the same.
    t = statistics.fmean(losses) / (spread / math.sqrt(len(losses)))
    return float(special.stdtr(len(losses) - 1, -t))


def rounds(start: int, seeds: int) -> list[int]:
    """Return the number of seeds of a configuration after each round: doubled each time."""
    counts = [min(start, seeds)]
    while counts[-1] < seeds:
        counts.append(min(2 * counts[-1], seeds))
    return counts
