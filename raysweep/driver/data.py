"""Data sets that a sweep's tasks need, on the machine of the driver."""

from pathlib import Path

from raysweep import registry
from raysweep.errors import SpecError
from raysweep.sweep.spec import Spec
from raysweep.sweepfile.arm_checks import corners


def prepare_data(spec: Spec, folder: str | Path | None) -> None:
    """Download the data that tasks need to this machine, before any run starts.

    Other nodes of a cluster have data folders of their own, which their workers fill.

    Raises:
        SpecError: If data is missing and cannot be downloaded, or its content is wrong.
    """
    root = Path(folder).expanduser().absolute() if folder else None
    prepared = set()  # points that differ only in training or the estimator need the same data
    for arm in spec.arms:
        task = registry.task(arm.task)
        for assignment in corners(arm):
            settings = arm.configuration(assignment).settings
            task_settings = [item for item in settings.items() if item[0].startswith("task.")]
            if (key := (arm.task, repr(task_settings))) in prepared:
                continue
            prepared.add(key)
            try:
                task.prepare(registry.instantiate(arm.task, arm.estimator, settings)[0], root)
            except (OSError, ValueError) as error:
                raise SpecError(str(error)) from error
