"""Estimate of the memory of a module's activations, without examples."""

from torch import nn

POSITIONS = 256  # assumed outputs of a convolution per channel: a map of 16 x 16
ROWS = 16  # assumed rows of an example for embeddings, attention and normalisation
KEPT = 4  # tensors kept for the gradient, per layer with parameters


def activations(module: nn.Module) -> int:
    """Return roughly the numbers that the gradient of one example's loss keeps.

    A layer's outputs are counted by the first axis of its largest parameter, times the positions of
    a convolution, or the rows of a sequence where there is an embedding or attention.
    """
    parts = list(module.modules())
    sequences = any(isinstance(part, nn.Embedding | nn.MultiheadAttention) for part in parts)
    total = 0
    for part in parts:
        shapes = [one.shape for one in part.parameters(recurse=False) if one.dim()]
        if not shapes:
            continue
        outputs = max(shape[-1] if isinstance(part, nn.Embedding) else shape[0] for shape in shapes)
        is_convolution = isinstance(part, nn.modules.conv._ConvNd)
        total += outputs * (POSITIONS if is_convolution else ROWS if sequences else 1)
    return KEPT * total
