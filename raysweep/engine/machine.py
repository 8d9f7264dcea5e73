"""Machine, device and libraries of the process that trains, which may be on another node."""

import functools
import platform
from collections.abc import Mapping
from types import MappingProxyType

import torch

from raysweep.engine.origin import host_class, installed_version
from raysweep.errors import SpecError


@functools.cache
def machine() -> Mapping[str, str]:
    """Return the columns `torch`, `python`, `host` and `version` of this process.

    The version is left out where raysweep is imported without being installed; rows then have
    the driver's.
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
    """Return the device to train on, and its name in rows: `cpu`, or `cuda (…)` with the model.

    Args:
        gpu: Number of GPUs of the worker; 0 trains on the CPU.

    Raises:
        SpecError: If GPUs are requested and torch finds none.
    """
    if gpu <= 0:
        return torch.device("cpu"), "cpu"
    if not torch.cuda.is_available():
        raise SpecError(
            f"resources.gpu: {gpu:g} requested, but torch finds no CUDA device; set gpu: 0, or "
            "install a CUDA build of torch"
        )
    return torch.device("cuda"), f"cuda ({torch.cuda.get_device_name()})"


def visible_gpus() -> int:
    """Return how many GPUs torch finds on this machine."""
    return torch.cuda.device_count() if torch.cuda.is_available() else 0
