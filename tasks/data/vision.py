"""Imports torchvision's data sets, beside a torch of another build too."""

import functools
import importlib
import importlib.machinery
import importlib.util
import sys
from types import ModuleType

import torch

SCHEMAS = {
    "torchvision::nms": "(Tensor dets, Tensor scores, float iou_threshold) -> Tensor",
    "torchvision::qnms": "(Tensor dets, Tensor scores, float iou_threshold) -> Tensor",
}


@functools.lru_cache(maxsize=1)
def datasets() -> ModuleType:
    """The module `torchvision.datasets`.

    The package index's torchvision is compiled against a CUDA build of torch. Beside a CPU build
    its library of operators cannot load, which torchvision forgives, and then it describes two
    of the missing operators to torch, which torch does not: `operator torchvision::nms does not
    exist`. Data sets use no operator, so it is enough that torch has heard of these two.
    """
    if "torchvision" not in sys.modules and not _operators_load():
        for name, schema in SCHEMAS.items():
            torch.library.define(name, schema)
    return importlib.import_module("torchvision.datasets")


def _operators_load() -> bool:
    """Whether torchvision's compiled operators fit this torch; if they do, they are loaded."""
    package = importlib.util.find_spec("torchvision")
    if package is None or package.submodule_search_locations is None:
        return False
    library = importlib.machinery.PathFinder.find_spec(
        "_C", list(package.submodule_search_locations)
    )
    if library is None or library.origin is None:
        return False
    try:
        torch.ops.load_library(library.origin)
    except (ImportError, OSError):
        return False
    return True
