"""Warnings about settings without an effect, whose values train the same runs again."""

from collections.abc import Iterator

from raysweep import registry
from raysweep.registry import Setting
from raysweep.sweep.space import Fixed, Value, count, same
from raysweep.sweep.spec import Arm, Spec
from raysweep.text import some


def warnings(spec: Spec) -> list[str]:
    """Return a line for each setting that has no effect somewhere, with the arms it concerns."""
    arms: dict[str, list[str]] = {}
    for arm in spec.arms:
        for message in _of_arm(arm):
            arms.setdefault(message, []).append(arm.name)
    return [f"{some(names)}: {message}" for message, names in arms.items()]


def _of_arm(arm: Arm) -> Iterator[str]:
    for key, setting in registry.task_settings(arm.task).items():
        if setting.only_if and key in arm.space:
            idle = _without_effect(arm, key, setting)
            if idle is not None:
                yield idle


def _without_effect(arm: Arm, key: str, setting: Setting) -> str | None:
    """Describe the values with which a setting has no effect; None if it always has one."""
    needed = {
        other: wanted
        for name, wanted in setting.only_if.items()
        for other in arm.space
        if other.partition(".")[2] == name and not other.startswith("estimator.")
    }
    keys = set(needed).union(arm.points.deciding(key), *map(arm.points.deciding, needed))
    idle: list[tuple[str, Value]] = []
    used = False
    number: int | None = 1
    for chosen in arm.points.over(keys):
        wrong = [
            (other, value)
            for other, wanted in needed.items()
            if not any(same(value := arm.points.value(other, chosen), one) for one in wanted)
        ]
        domain = arm.points.domain(key, chosen)
        if not wrong:
            used = True
        elif not isinstance(domain, Fixed):
            number = count(domain)
            idle += [pair for pair in wrong if pair not in idle]
        elif not same(domain.value, arm.defaults[key]) and not arm.points.deciding(key):
            idle += [pair for pair in wrong if pair not in idle]
    if not idle or (used and number == 1):
        return None  # one value for all optimizers, which some of them use, trains nothing twice
    where = " or ".join(f"{other.partition('.')[2]} {value}" for other, value in idle)
    return f"{setting.name} has no effect with {where}{_advice(setting, number)}"


def _advice(setting: Setting, number: int | None) -> str:
    if number == 1:
        return "; remove it"
    wanted = {name: list(several) for name, several in setting.only_if.items()}
    when = ", ".join(
        f"{name}: {values[0] if len(values) == 1 else '[' + ', '.join(map(str, values)) + ']'}"
        for name, values in wanted.items()
    )
    values = f"its {number} values" if number else "all its values"
    return (
        f", so that {values} train the same runs; keep one value, or write "
        f"{setting.name}: {{when: {{{when}}}, ...}}"
    )
