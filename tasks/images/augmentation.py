"""Random changes of training images, a whole batch at once."""

import math
from typing import Literal

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor
from torch.nn import functional

from raysweep.estimators.noise import Noise

Augmentation = Literal["none", "affine", "flip_crop"]

MOST_SHIFT = 0.05  # of the image's width and height
MOST_ANGLE = math.radians(10)
PADDING = 4  # pixels on every side


def augment(
    images: Float[Tensor, "R B C H W"], augmentation: Augmentation, noise: Noise
) -> Float[Tensor, "R B C H W"]:
    """Change images at random, with three numbers for each.

    Args:
        images: Images of every replica.
        augmentation: `"affine"` or `"flip_crop"`; `"none"` returns the images.
        noise: Noise of the replicas, at the step of the batch.
    """
    if augmentation == "none":
        return images
    lead, flat = images.shape[:2], images.flatten(0, 1)
    uniform = noise.uniform(*lead, 3, dtype=images.dtype, device=images.device).flatten(0, 1)
    if augmentation == "affine":
        changed = move(flat, *draw_move(uniform))
    else:
        changed = flip_and_crop(flat, *draw_crop(uniform))
    return changed.unflatten(0, lead)


def draw_move(
    uniform: Float[Tensor, "N 3"],
) -> tuple[Float[Tensor, "N 2"], Float[Tensor, " N"]]:
    """Return shifts, as shares of width and height, and angles in radians."""
    centred = 2 * uniform - 1
    return MOST_SHIFT * centred[:, :2], MOST_ANGLE * centred[:, 2]


def move(
    images: Float[Tensor, "N C H W"],
    shift: Float[Tensor, "N 2"],
    angle: Float[Tensor, " N"],
) -> Float[Tensor, "N C H W"]:
    """Rotate images about their centre, then shift them; linear between pixels, 0 outside.

    The published experiment rounds shifts to whole pixels and pixels to whole grey values; here
    both are continuous.

    Args:
        images: Images of any number of channels.
        shift: Shifts to the right and down, as shares of width and height.
        angle: Angles in radians, clockwise as seen.
    """
    height, width = images.shape[-2:]
    cos, sin = angle.cos(), angle.sin()
    # Coordinates of sampled points are from -1 to 1 along both sides, so that a shift by a share s
    # of a side is 2 s, and rotations mix sides of different lengths.
    across, down = 2 * shift.unbind(1)[0], 2 * shift.unbind(1)[1]
    wide, high = sin * (height / width), sin * (width / height)
    rows = [
        torch.stack((cos, wide, -(cos * across + wide * down)), -1),
        torch.stack((-high, cos, high * across - cos * down), -1),
    ]
    grid = functional.affine_grid(torch.stack(rows, 1), list(images.shape), align_corners=False)
    return functional.grid_sample(
        images, grid, mode="bilinear", padding_mode="zeros", align_corners=False
    )


def draw_crop(uniform: Float[Tensor, "N 3"]) -> tuple[Bool[Tensor, " N"], Int[Tensor, "N 2"]]:
    """Return which images to mirror, and the first row and column of each padded image to keep."""
    start = (uniform[:, 1:] * (2 * PADDING + 1)).long()
    return uniform[:, 0] < 0.5, start.clamp(max=2 * PADDING)  # a product may be rounded up


def flip_and_crop(
    images: Float[Tensor, "N C H W"], is_mirrored: Bool[Tensor, " N"], start: Int[Tensor, "N 2"]
) -> Float[Tensor, "N C H W"]:
    """Mirror images from left to right, then pad them with zeros and keep a part of their size.

    Args:
        images: Images of any number of channels.
        is_mirrored: Whether to mirror each of them.
        start: First row and column of the part, from 0 to twice the padding.
    """
    height, width = images.shape[-2:]
    mirrored = torch.where(is_mirrored[:, None, None, None], images.flip(-1), images)
    padded = functional.pad(mirrored, [PADDING] * 4)
    rows = start[:, :1] + torch.arange(height, device=images.device)
    columns = start[:, 1:] + torch.arange(width, device=images.device)
    number = torch.arange(len(images), device=images.device)
    kept = padded[number[:, None, None], :, rows[:, :, None], columns[:, None, :]]
    return kept.movedim(-1, 1)
