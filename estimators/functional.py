"""Samples that carry their gradient, as functions in the manner of `F.gumbel_softmax`.

>>> import torch
>>> from raysweep.estimators import functional
>>> logits = torch.zeros(5, 3, requires_grad=True)
>>> functional.reinmax(logits, temperature=1.1).shape
torch.Size([5, 3])

All functions share these arguments:

- `logits`: Unnormalised log-probabilities, of any shape, `C` of them along `dim`.
- `temperature`: Temperature of the gradient, > 0.
- `dim`: Dimension of the categories.
- `mask`: Booleans that broadcast to the logits: True where a category may be drawn. Others have the
  probability 0 and a gradient of 0, as with logits of -inf.
- `generator`: Source of random numbers: a `torch.Generator` on the device of the logits, or a
  `Noise`; torch's global generator if None.
- `validate`: Whether to check that a category is left everywhere, for which a GPU is waited for.
  Compiled and transformed functions cannot check it.

They return one-hot samples in the shape and format of the logits, and raise a ValueError if a value
is out of range or nothing is left to be drawn. They work inside `torch.compile`, `torch.func.grad`
and `vmap` (with `randomness="different"`), and compute with half-precision logits in float32.
"""

import functools
from collections.abc import Hashable, Mapping
from typing import Any, Literal

import torch
from torch import Tensor

from raysweep.estimators import registry
from raysweep.estimators.base import PathwiseEstimator, check_masks
from raysweep.estimators.carrying import is_traced
from raysweep.estimators.categorical import probabilities
from raysweep.estimators.noise import Noise, TorchNoise

Generator = torch.Generator | Noise | None


def straight_through(
    logits: Tensor,
    temperature: float = 1.0,
    dim: int = -1,
    mask: Tensor | None = None,
    generator: Generator = None,
    *,
    validate: bool = True,
) -> Tensor:
    """Draw one-hot samples with the straight-through gradient; see the module for the arguments.

    References:
        Bengio, Leonard, Courville (2013), arXiv:1308.3432; `StraightThrough`.
    """
    method = _made("straight_through", temperature=temperature)
    return _sample(method, _Request(logits, dim, mask, generator, validate=validate))


def gumbel_softmax(
    logits: Tensor,
    temperature: float | Tensor = 1.0,
    hard: bool = False,
    dim: int = -1,
    mask: Tensor | None = None,
    generator: Generator = None,
    *,
    validate: bool = True,
) -> Tensor:
    """Draw Gumbel-softmax samples; see the module for the arguments.

    With the same arguments it is `torch.nn.functional.gumbel_softmax`.

    Args:
        logits: Logits of any shape.
        temperature: Temperature of the relaxation. A tensor may require a gradient if not `hard`.
        hard: Whether samples are one-hot, with the gradient of the relaxed ones.
        dim: Dimension of the categories.
        mask: True where a category may be drawn.
        generator: Source of random numbers.
        validate: Whether to check that a category is left everywhere.

    References:
        Jang, Gu, Poole (2017), arXiv:1611.01144; Maddison, Mnih, Teh (2017), arXiv:1611.00712.
    """
    request = _Request(logits, dim, mask, generator, validate=validate, like_torch=True)
    if hard:
        return _sample(_made("st_gumbel_softmax", temperature=temperature), request)
    if not isinstance(temperature, Tensor):
        _made("gumbel_softmax", temperature=temperature)  # checks it
    rows = request.rows()
    draws = request.noise.exponential(*rows.shape, dtype=rows.dtype, device=rows.device)
    scores = (rows - draws.log()) / request.as_rows(temperature)
    return request.restored(probabilities(scores))


def gumbel_rao(
    logits: Tensor,
    temperature: float = 1.0,
    samples: int = 100,
    dim: int = -1,
    mask: Tensor | None = None,
    generator: Generator = None,
    *,
    validate: bool = True,
) -> Tensor:
    """Draw one-hot samples with the Gumbel-softmax gradient, averaged given the sample.

    Args:
        logits: Logits of any shape.
        temperature: Temperature of the relaxation.
        samples: Conditional draws of the noise that the gradient is averaged over.
        dim: Dimension of the categories.
        mask: True where a category may be drawn.
        generator: Source of random numbers.
        validate: Whether to check that a category is left everywhere.

    References:
        Paulus, Maddison, Krause (2021), arXiv:2010.04838; `GumbelRao`.
    """
    method = _made("gumbel_rao", temperature=temperature, samples=samples)
    return _sample(method, _Request(logits, dim, mask, generator, validate=validate))


def gapped_st(
    logits: Tensor,
    temperature: float = 1.0,
    gap: float | Literal["expected"] = 1.0,
    dim: int = -1,
    mask: Tensor | None = None,
    generator: Generator = None,
    *,
    validate: bool = True,
) -> Tensor:
    """Draw one-hot samples with the straight-through gradient at logits moved by a gap.

    Args:
        logits: Logits of any shape.
        temperature: Temperature of the gradient.
        gap: Least lead of the sampled category's logit; "expected" for that of the Gumbel process.
        dim: Dimension of the categories.
        mask: True where a category may be drawn.
        generator: Source of random numbers.
        validate: Whether to check that a category is left everywhere.

    References:
        Fan, Chi, Rudnicky, Ramadge (2022), arXiv:2206.07235; `GappedST`.
    """
    method = _made("gapped_st", temperature=temperature, gap=gap)
    return _sample(method, _Request(logits, dim, mask, generator, validate=validate))


def reinmax(
    logits: Tensor,
    temperature: float = 1.0,
    dim: int = -1,
    mask: Tensor | None = None,
    generator: Generator = None,
    *,
    baseline: Literal["expected", "uniform"] = "expected",
    validate: bool = True,
) -> Tensor:
    """Draw one-hot samples with ReinMax's gradient of second order.

    Args:
        logits: Logits of any shape.
        temperature: Temperature of the gradient, at least 1.
        dim: Dimension of the categories.
        mask: True where a category may be drawn.
        generator: Source of random numbers.
        baseline: Baseline of the approximated finite differences.
        validate: Whether to check that a category is left everywhere.

    References:
        Liu, Dong, Liu, Yu, Gao (2023), arXiv:2304.08612; `ReinMax`.
    """
    method = _made("reinmax", temperature=temperature, baseline=baseline)
    return _sample(method, _Request(logits, dim, mask, generator, validate=validate))


class _Request:
    """Logits as rows of categories, their noise, and the way back to their shape.

    Args:
        logits: Logits of any shape.
        dim: Dimension of the categories.
        mask: True where a category may be drawn, or None.
        generator: Source of random numbers.
        validate: Whether to check that a category is left everywhere.
        like_torch: Whether a generator of torch draws as `gumbel_softmax` of torch does.
    """

    def __init__(
        self,
        logits: Tensor,
        dim: int,
        mask: Tensor | None,
        generator: Generator,
        *,
        validate: bool,
        like_torch: bool = False,
    ) -> None:
        self._logits, self._dim, self._mask, self._validate = logits, dim, mask, validate
        if not isinstance(logits, Tensor) or not logits.is_floating_point():
            raise TypeError(f"logits must be a floating point tensor, got {_described(logits)}")
        if isinstance(dim, bool) or not isinstance(dim, int):
            raise TypeError(f"dim must be an integer, got {dim!r}")
        if logits.dim() == 0 or not -logits.dim() <= dim < logits.dim():
            raise ValueError(
                f"dim must be a dimension of the logits, got {dim} for shape {tuple(logits.shape)}"
            )
        if mask is not None:
            if not isinstance(mask, Tensor) or mask.dtype != torch.bool:
                raise TypeError(
                    "mask must be a boolean tensor, True where a category may be drawn, got "
                    f"{_described(mask)}"
                )
            _check_shape("mask", mask, logits)
        self.noise = _noise(generator, like_torch=like_torch)

    def rows(self) -> Tensor:
        """Return logits `*B L C` in single or double precision."""
        rows = self._logits
        if self._mask is not None:
            rows = rows.masked_fill(~self._mask, -torch.inf)
        if self._dim != -1:
            rows = rows.movedim(self._dim, -1)
        if rows.dtype in (torch.float16, torch.bfloat16):
            rows = rows.float()
        if rows.dim() == 1:
            rows = rows.unsqueeze(0)
        if self._validate:
            check_masks(rows)
        return rows

    def restored(self, sample: Tensor) -> Tensor:
        """Return a sample of the rows in the shape and format of the logits."""
        if self._logits.dim() == 1:
            sample = sample.squeeze(0)
        if self._dim != -1:
            sample = sample.movedim(-1, self._dim)
        dtype = self._logits.dtype
        return sample if sample.dtype == dtype else sample.to(dtype)

    def as_rows(self, temperature: float | Tensor) -> float | Tensor:
        """Return a temperature that fits the logits in a shape that fits the rows.

        Raises:
            ValueError: If it does not fit, or is not positive.
        """
        if not isinstance(temperature, Tensor):
            return temperature
        _check_shape("temperature", temperature, self._logits)
        if self._validate and not is_traced() and not (temperature > 0).all():
            raise ValueError(f"temperature must be positive, got {temperature.min().item()}")
        rows = temperature.expand(self._logits.shape).movedim(self._dim, -1)
        return rows.unsqueeze(0) if rows.dim() == 1 else rows


def _described(given: object) -> str:
    return str(given.dtype) if isinstance(given, Tensor) else type(given).__name__


def _check_shape(name: str, given: Tensor, logits: Tensor) -> None:
    """Check that a tensor broadcasts to the logits, and does not enlarge them."""
    pairs = zip(reversed(given.shape), reversed(logits.shape), strict=False)
    if given.dim() > logits.dim() or any(size not in (1, whole) for size, whole in pairs):
        raise ValueError(
            f"{name} must broadcast to the logits {tuple(logits.shape)}, got {tuple(given.shape)}"
        )


class _LikeTorch(TorchNoise):
    """Exponential numbers as `torch.nn.functional.gumbel_softmax` draws them, which is slower."""

    def exponential(
        self,
        *shape: int,
        dtype: torch.dtype | None = None,
        device: torch.device | str | None = None,
    ) -> Tensor:
        """Draw standard exponential numbers; torch makes them from 53 bits, so none is 0."""
        if is_traced():  # where nothing can be drawn in place
            return super().exponential(*shape, dtype=dtype, device=device)
        drawn = torch.empty(shape, dtype=dtype, device=device)
        return drawn.exponential_(generator=self.generator)


def _noise(generator: Generator, *, like_torch: bool) -> Noise:
    if isinstance(generator, Noise):
        return generator
    if generator is not None and not isinstance(generator, torch.Generator):
        raise TypeError(
            "generator must be a torch.Generator or a Noise of raysweep.estimators, got "
            f"{type(generator).__name__}"
        )
    if generator is None:
        return _GLOBAL_LIKE_TORCH if like_torch else _GLOBAL
    return _LikeTorch(generator) if like_torch else TorchNoise(generator)


_GLOBAL, _GLOBAL_LIKE_TORCH = TorchNoise(None), _LikeTorch(None)


def _sample(method: PathwiseEstimator, request: _Request) -> Tensor:
    rows = request.rows()
    if rows.shape[-1] == 1:  # as in torch's function, the only one is sure, with a gradient of 0
        return request.restored(rows.softmax(-1))
    return request.restored(method.sample(rows, request.noise))


def _made(name: str, **settings: Any) -> PathwiseEstimator:
    """Return an estimator with these settings, which checks them."""
    temperature = settings["temperature"]
    if isinstance(temperature, Tensor):
        raise TypeError(
            "temperature must be a number, got a tensor, to which no gradient is computed; use its "
            "item(), or gumbel_softmax with hard=False"
        )
    if is_traced() or not all(isinstance(one, Hashable) for one in settings.values()):
        return _new(name, settings)  # a compiler traces what it makes, and others are refused
    # types are a part of the key, as True equals 1.0
    return _kept(name, tuple((key, type(value), value) for key, value in settings.items()))


@functools.lru_cache(maxsize=64)
def _kept(name: str, settings: tuple[tuple[str, type, Any], ...]) -> PathwiseEstimator:
    return _new(name, {key: value for key, _, value in settings})


def _new(name: str, settings: Mapping[str, Any]) -> PathwiseEstimator:
    method = registry.get(name, **settings)
    if not isinstance(method, PathwiseEstimator):
        raise TypeError(f"expected an estimator with samples, got {name}")
    method.validate = False  # `_Request` does it
    return method
