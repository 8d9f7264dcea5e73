"""What the machine can do: products of matrices, and moves of memory, per second."""

import itertools
import multiprocessing
import time
from collections.abc import Callable, Sequence
from typing import Any

import torch

from benchmarks import machine

Shapes = Sequence[tuple[int, int, int]]
"""Products of matrices: rows, inner size and columns."""


def products(shapes: Shapes, seconds: float = 2.0) -> float:
    """Return multiplications and additions per second of these products, on all processors.

    Every processor, or the GPU, takes the products in turn.

    Args:
        shapes: The products.
        seconds: Time to measure for.
    """
    return _on_all(_products, (list(shapes), seconds))


def moves(seconds: float = 1.0) -> float:
    """Return bytes per second that all processors, or the GPU, write and read, far beyond caches.

    Args:
        seconds: Time to measure for.
    """
    return _on_all(_moves, (seconds,))


def _on_all(measure: Callable[..., float], arguments: tuple[Any, ...]) -> float:
    count = 1 if torch.cuda.is_available() else machine.cores()
    with multiprocessing.get_context("spawn").Pool(count) as pool:
        return sum(pool.starmap(measure, [arguments] * count))


def _products(shapes: Shapes, seconds: float) -> float:
    torch.set_num_threads(1)
    device = "cuda" if torch.cuda.is_available() else "cpu"
    pairs = [
        (torch.randn(rows, inner, device=device), torch.randn(inner, columns, device=device))
        for rows, inner, columns in shapes
    ]
    work = sum(2 * rows * inner * columns for rows, inner, columns in shapes)
    return work * _rate(lambda: [torch.mm(x, y) for x, y in pairs], seconds)


def _moves(seconds: float) -> float:
    torch.set_num_threads(1)
    device = "cuda" if torch.cuda.is_available() else "cpu"
    source = torch.zeros(2**25, device=device)
    target = torch.empty_like(source)
    return 2 * source.nbytes * _rate(lambda: target.copy_(source), seconds)


def _rate(call: Callable[[], object], seconds: float) -> float:
    """Return calls per second, after a first one."""
    call()
    _wait()
    began = time.perf_counter()
    for count in itertools.count(1):
        call()
        _wait()
        if (taken := time.perf_counter() - began) >= seconds:
            return count / taken
    raise AssertionError("counting has no end")


def _wait() -> None:
    if torch.cuda.is_available():
        torch.cuda.synchronize()
