"""What trains here: found in the process that trains, which may be on another machine."""

import functools
import platform
from collections.abc import Mapping
from types import MappingProxyType

import torch

from raysweep.engine.origin import host_class, installed_version
from raysweep.errors import SpecError


@functools.cache
def machine() -> Mapping[str, str]:
    """What this process trains with: `torch`, `python`, `host` and its own `version`.

    The version is left out where raysweep is imported without being installed: the driver's
    stands for it then.
    """
    return MappingProxyType(
        {
            **installed_version(),
            "torch": str(torch.__version__),
            "python": platform.python_version(),
            "host": host_class(),
        }
    )


@functools.cache
def device_of(gpu: float) -> tuple[torch.device, str]:
    """Where to train, and its name as rows tell it: `cpu`, or `cuda (…)` with the model.

    Args:
        gpu: GPUs given; 0 trains on the CPU.

    Raises:
        SpecError: If a GPU is wanted and torch has none.
    """
    if gpu <= 0:
        return torch.device("cpu"), "cpu"
    if not torch.cuda.is_available():
        raise SpecError(
            "expected a CUDA device for resources.gpu, got none that torch can "
            "use; set gpu: 0, or install a CUDA build of torch"
        )
    return torch.device("cuda"), f"cuda ({torch.cuda.get_device_name()})"
