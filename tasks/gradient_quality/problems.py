"""Problems whose latent states can be enumerated, so that gradients are known exactly."""

from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from typing import NamedTuple

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn
from torch.nn import functional

from raysweep.estimators.categorical import Link, softmax_logits
from raysweep.estimators.estimate import Objective
from raysweep.estimators.noise import Noise
from raysweep.tasks.training.layers import select
from raysweep.tasks.vae.model import EncoderDecoder

WIDTH = 16  # hidden units of the coupled problem


class Batch(NamedTuple):
    """Examples for an estimator and for enumeration.

    Args:
        logits: Logits of the code, `R B L C`.
        objective: Objective as estimators take it.
        state_losses: Function that returns the objective at each of the S = C**L states,
            `R B S`, in the order of `all_states`.
        direct: Part of the loss that is known exactly, `R B`, or None.
        context: Context of the estimator, `R B F`, or None.
    """

    logits: Float[Tensor, "R B L C"]
    objective: Objective
    state_losses: Callable[[], Float[Tensor, "R B S"]]
    direct: Float[Tensor, "R B"] | None = None
    context: Float[Tensor, "R B F"] | None = None


class Problem(nn.Module, ABC):
    """Problem of parameters that lead with `R`, and examples to train and to measure on."""

    @abstractmethod
    def batch(self, step: int) -> Batch:
        """Return the examples of a step, counted from 0."""

    @abstractmethod
    def measured(self) -> Batch:
        """Return the examples that gradients are measured on, always the same."""

    @abstractmethod
    def select(self, keep: Tensor) -> None:
        """Drop replicas."""


class VaeProblem(Problem):
    """Variational autoencoder whose gradients are measured on its first training images.

    Args:
        model: Model of the autoencoder.
        examples: Number of images to measure on; all if None.
    """

    def __init__(self, model: EncoderDecoder, examples: int | None) -> None:
        super().__init__()
        self.model = model
        self._examples = examples

    def batch(self, step: int) -> Batch:
        """Return the images of a step."""
        return self._batch(self.model.images.batch(step))

    def measured(self) -> Batch:
        """Return the first training images."""
        x = self.model.images.first(self._examples)
        return self._batch(
            x.expand(len(self.model.encoder.layers[0].get_parameter("weight")), -1, -1)
        )

    def _batch(self, images: Float[Tensor, "R B D"]) -> Batch:
        x, target = self.model.split(images)
        terms = self.model.terms(x, target)

        def state_losses() -> Float[Tensor, "R B S"]:
            states = all_states(self.model.code.latents, self.model.code.categories, x)
            pixels = self.model.decoder(self.model.code.features(states).expand(len(x), -1, -1))
            losses = functional.softplus(pixels).sum(-1).unsqueeze(1) - target @ pixels.mT
            per_state = terms.of_code(states.view(-1, 1, 1, *states.shape[1:]))
            return losses + (per_state.movedim(0, -1) if isinstance(per_state, Tensor) else 0)

        return Batch(terms.logits, terms.objective, state_losses, terms.direct, x)

    def select(self, keep: Tensor) -> None:
        """Drop replicas."""
        self.model.select(keep)


class SyntheticProblem(Problem):
    """Problem of free logits and a given function of the code.

    Args:
        function: Function of one-hot or relaxed codes, `*B L C` to `*B`.
        sizes: Numbers of latent variables and categories, L and C.
        batch_size: Number of copies of the logits at a step.
        seeds: Seed of each replica; logits start uniform in ±0.01.
        dtype: Floating point format of the logits.
        device: Device of the logits.
    """

    theta: Float[Tensor, "R L C"]

    def __init__(
        self,
        function: Callable[[Tensor], Tensor],
        sizes: tuple[int, int],
        batch_size: int,
        seeds: Sequence[int],
        *,
        dtype: torch.dtype,
        device: torch.device,
    ) -> None:
        super().__init__()
        noise = Noise(seeds=list(seeds), purpose="init")
        uniform = noise.uniform(len(seeds), *sizes, dtype=dtype, device=device)
        self.theta = nn.Parameter(uniform.mul(0.02).sub(0.01))
        self._function, self._batch_size = function, batch_size

    def batch(self, step: int) -> Batch:
        """Return copies of the logits."""
        return self._batch(self._batch_size)

    def measured(self) -> Batch:
        """Return the logits, once."""
        return self._batch(1)

    def _batch(self, copies: int) -> Batch:
        logits = self.theta.unsqueeze(1).expand(-1, copies, -1, -1)

        def state_losses() -> Float[Tensor, "R B S"]:
            _, latents, categories = self.theta.shape
            states = all_states(latents, categories, self.theta)
            return self._function(states).expand(*logits.shape[:2], -1)

        return Batch(logits, self._function, state_losses)

    def select(self, keep: Tensor) -> None:
        """Drop replicas."""
        select(self, keep)


def coupled(
    latents: int, categories: int, seed: int, *, dtype: torch.dtype, device: torch.device
) -> Callable[[Tensor], Tensor]:
    """Return a random network of 16 tanh units over the code, which couples all variables.

    Args:
        latents: Number of latent variables, L.
        categories: Number of categories, C.
        seed: Seed of the weights, uniform in ±sqrt(3) with the inputs' scaled by 1/sqrt(L).
        dtype: Floating point format of the weights.
        device: Device of the weights.
    """
    noise = Noise(seed=seed, purpose="coupled")
    first = noise.uniform(latents * categories, WIDTH, dtype=torch.float64)
    second = noise.uniform(WIDTH, dtype=torch.float64)
    inner = ((first * 2 - 1) * (3 / latents) ** 0.5).to(device, dtype)
    outer = ((second * 2 - 1) * 3**0.5).to(device, dtype)
    return lambda code: (code.flatten(-2) @ inner).tanh() @ outer


def all_states(latents: int, categories: int, like: Tensor) -> Float[Tensor, "S L C"]:
    """Return every one-hot code, in a tensor's format; the last variable varies fastest."""
    return functional.one_hot(state_numbers(latents, categories, like.device), categories).to(
        like.dtype
    )


def state_numbers(latents: int, categories: int, device: torch.device) -> Int[Tensor, "S L"]:
    """Return every code as L category numbers."""
    axis = torch.arange(categories, device=device)
    return torch.cartesian_prod(*[axis] * latents).view(-1, latents)


def expectation(batch: Batch, link: Link) -> Float[Tensor, "R B"]:
    """Return the exact expectation of the objective, differentiable, in float64."""
    log_p = softmax_logits(batch.logits.double(), link).log_softmax(-1)
    latents, categories = log_p.shape[-2:]
    numbers = state_numbers(latents, categories, log_p.device)
    log_q = sum(log_p[..., latent, numbers[:, latent]] for latent in range(latents))
    return (log_q.exp() * batch.state_losses()).sum(-1)  # type: ignore[union-attr]


def exact_gradient(batch: Batch, link: Link) -> Float[Tensor, "R B L C"]:
    """Return the expected objective's gradient with respect to the logits, in float64."""
    logits = batch.logits.detach().double().requires_grad_()
    with torch.enable_grad():
        value = expectation(batch._replace(logits=logits), link).sum()
        return torch.autograd.grad(value, logits)[0]
