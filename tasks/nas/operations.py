"""Operations of the space on images of many replicas, `R B C H W`, as NATS-Bench defines them.

Batches are normalised by their own means and variances, also in evaluations, and without learned
factors, as GDAS searches.
"""

from collections.abc import Callable

import torch
from jaxtyping import Float
from torch import Tensor
from torch.nn import functional


def by_replica(
    function: Callable[..., Tensor],
    x: Float[Tensor, "R B C H W"],
    *weights: Float[Tensor, "R O C k k"],
) -> Float[Tensor, "R B O h w"]:
    """Apply a function of images, the number of groups, and kernels if any, to every replica.

    On a GPU it is called once, with the replicas as groups of channels. On a CPU it is called for
    each replica, as grouped convolutions are slow there and round by their number of groups.

    Args:
        function: Function of the images and kernels of all groups.
        x: Images of every replica.
        weights: Kernels of every replica.
    """
    return (together if x.is_cuda else one_by_one)(function, x, *weights)


def together(
    function: Callable[..., Tensor],
    x: Float[Tensor, "R B C H W"],
    *weights: Float[Tensor, "R O C k k"],
) -> Float[Tensor, "R B O h w"]:
    """Apply a function once, with the replicas as groups of channels; see `by_replica`."""
    replicas = len(x)
    kernels = [weight.flatten(0, 1) for weight in weights]
    grouped = function(x.transpose(0, 1).flatten(1, 2), replicas, *kernels)
    return grouped.unflatten(1, (replicas, -1)).transpose(0, 1)


def one_by_one(
    function: Callable[..., Tensor],
    x: Float[Tensor, "R B C H W"],
    *weights: Float[Tensor, "R O C k k"],
) -> Float[Tensor, "R B O h w"]:
    """Apply a function to one replica after another; see `by_replica`."""
    parts = [part.unbind(0) for part in (x, *weights)]
    return torch.stack(
        [function(images, 1, *kernels) for images, *kernels in zip(*parts, strict=True)]
    )


def convolve(
    x: Float[Tensor, "R B C H W"], weight: Float[Tensor, "R O C k k"], *, stride: int = 1
) -> Float[Tensor, "R B O h w"]:
    """Convolve images, padded so that a stride of 1 keeps their size."""
    padding = weight.shape[-1] // 2
    return by_replica(
        lambda images, groups, kernels: functional.conv2d(
            images, kernels, stride=stride, padding=padding, groups=groups
        ),
        x,
        weight,
    )


def convolve_normalised(
    x: Float[Tensor, "R B C H W"],
    weight: Float[Tensor, "R O C k k"],
    *,
    stride: int = 1,
    rectified: bool = True,
) -> Float[Tensor, "R B O h w"]:
    """Rectify images (unless `rectified` is False), convolve them, and normalise every channel."""
    padding = weight.shape[-1] // 2

    def block(images: Tensor, groups: int, kernels: Tensor) -> Tensor:
        images = images.relu() if rectified else images
        mixed = functional.conv2d(images, kernels, stride=stride, padding=padding, groups=groups)
        return _normalised(mixed)

    return by_replica(block, x, weight)


def normalise(x: Float[Tensor, "R B C H W"]) -> Float[Tensor, "R B C H W"]:
    """Subtract each channel's mean and divide by its deviation, over the batch and its pixels."""
    return by_replica(lambda images, groups: _normalised(images), x)


def _normalised(x: Float[Tensor, "B C H W"]) -> Float[Tensor, "B C H W"]:
    return functional.batch_norm(x, None, None, training=True)


def average_pool(x: Float[Tensor, "R B C H W"]) -> Float[Tensor, "R B C H W"]:
    """Return the mean of each pixel and its neighbours within the image."""
    pooled = functional.avg_pool2d(x.flatten(0, 1), 3, stride=1, padding=1, count_include_pad=False)
    return pooled.unflatten(0, x.shape[:2])


def halve(x: Float[Tensor, "R B C H W"]) -> Float[Tensor, "R B C h w"]:
    """Return the means of squares of four pixels."""
    return functional.avg_pool2d(x.flatten(0, 1), 2).unflatten(0, x.shape[:2])
