"""Leading axes of a batch: samples, replicas and examples, in the order that an operation needs."""

from torch import Tensor


class Lead:
    """The leading axes of a batch, which a layer's operation needs in another order.

    Args:
        shape: Leading axes, `*K R B` with replicas, and any without.
        has_replicas: Whether the last but one is R.
    """

    def __init__(self, shape: tuple[int, ...], has_replicas: bool) -> None:
        self._shape, self._has_replicas = shape, has_replicas

    def fold(self, x: Tensor, axes: int) -> Tensor:
        """Return `R rows units`, or `rows units` without replicas."""
        units = x.shape[x.ndim - axes :]
        if not self._has_replicas:
            return x.reshape(-1, *units)
        return x.movedim(len(self._shape) - 2, 0).reshape(self._shape[-2], -1, *units)

    def unfold(self, x: Tensor, axes: int) -> Tensor:
        """Undo `fold`."""
        units = x.shape[x.ndim - axes :]
        if not self._has_replicas:
            return x.reshape(*self._shape, *units)
        *samples, replicas, batch = self._shape
        return x.reshape(replicas, *samples, batch, *units).movedim(0, len(samples))

    def channels(self, x: Tensor) -> Tensor:
        """Return images `rows R*C H W`."""
        if not self._has_replicas:
            return x.reshape(-1, *x.shape[-3:])
        *samples, replicas, _ = self._shape
        images = x.transpose(len(samples), len(samples) + 1)
        return images.reshape(-1, replicas * x.shape[-3], *x.shape[-2:])

    def from_channels(self, x: Tensor) -> Tensor:
        """Undo `channels`, for any number of channels."""
        if not self._has_replicas:
            return x.reshape(*self._shape, *x.shape[-3:])
        *samples, replicas, batch = self._shape
        channels = x.shape[-3] // replicas
        images = x.reshape(*samples, batch, replicas, channels, *x.shape[-2:])
        return images.transpose(len(samples), len(samples) + 1)


def lead_of(replicas: int | None, x: Tensor, axes: int) -> Lead:
    """Return the leading axes of `x`, after checking them.

    Raises:
        ValueError: If the layer's parameters lead with another number of replicas.
    """
    shape = tuple(x.shape[: x.ndim - axes])
    if replicas is not None and (len(shape) < 2 or shape[-2] != replicas):
        raise ValueError(
            f"the layer's parameters lead with {replicas} replicas, so its input must be "
            f"`*K {replicas} B units`, got shape {tuple(x.shape)}"
        )
    return Lead(shape, replicas is not None)
