"""Import of torchvision's data sets that also works with a torch of another build."""

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
    """Import the module `torchvision.datasets`.

    The package index's torchvision is compiled against a CUDA build of torch. With a CPU build its
    library of operators cannot load. Torchvision ignores that, but then registers properties of
    two missing operators, and torch raises `operator torchvision::nms does not exist`. Data sets
    use no operator, so it is enough to define these two by name.
    """
    if "torchvision" not in sys.modules and not _operators_load():
        for name, schema in SCHEMAS.items():
            torch.library.define(name, schema)
    return importlib.import_module("torchvision.datasets")


def _operators_load() -> bool:
    """Load torchvision's compiled operators; return False if they do not fit this torch."""
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
