"""Metrics that settings exclude: they have no value at some points of an arm's space, or at all."""

import dataclasses
from collections.abc import Iterator, Mapping

from raysweep.sweep.space import Fixed, Range, Value, values
from raysweep.sweep.spec import Arm, Spec

Requirements = Mapping[str, float]  # smallest values of settings, by name


@dataclasses.dataclass(frozen=True)
class Exclusion:
    """A setting with which a metric has no value.

    Args:
        arm: Arm of the setting.
        key: Key of the setting, `section.name`.
        value: Value of the setting that excludes the metric.
        least: Smallest value with which the metric has a value; 1 if the setting must be on.
        always: Whether all values of the setting exclude the metric.
    """

    arm: Arm
    key: str
    value: Value
    least: float
    always: bool

    @property
    def reason(self) -> str:
        """Reason why there is no value, and the setting that would give one."""
        name, given = self.key.partition(".")[2], self.value
        if isinstance(given, bool):
            return f"with {name}: {str(given).lower()}; set {name}: true"
        wanted = f"set {name}" if self.least == 1 else f"set {name} to at least {self.least:g}"
        return f"with {name}: {'null' if given is None else given}; {wanted}"


def exclusion(arm: Arm, needs: Requirements) -> Exclusion | None:
    """Return the first setting with which a metric has no value in an arm; None if none is."""
    for name, least in needs.items():
        for key in arm.space:
            if key.partition(".")[2] == name and not key.startswith("estimator."):
                given = list(_values(arm, key))
                wrong = [value for value in given if value is None or value < least]
                if wrong:
                    return Exclusion(arm, key, wrong[0], least, len(wrong) == len(given))
    return None


def excluded(spec: Spec, metric: str) -> Exclusion | None:
    """Return why a metric has no value in any arm of a sweep; None if it may have one."""
    needs = spec.requirements.get(metric, {})
    exclusions = [exclusion(arm, needs) for arm in spec.arms]
    always = [one for one in exclusions if one is not None and one.always]
    return always[0] if always and len(always) == len(exclusions) else None


def _values(arm: Arm, key: str) -> Iterator[Value]:
    """Yield the values of a setting at all points, of a range only its ends."""
    for chosen in arm.points.over(arm.points.deciding(key)):
        match arm.points.domain(key, chosen):
            case Fixed(value):
                yield value
            case Range(low, high):
                yield from (low, high)
            case choice:
                yield from values(choice)
