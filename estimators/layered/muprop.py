"""MuProp for layered networks: a first-order expansion around the deterministic pass."""

import torch
from torch import Tensor, nn

from raysweep.estimators.control import ExpansionSettings
from raysweep.estimators.estimate import no_gradient
from raysweep.estimators.layered.base import (
    LayeredEstimate,
    LayeredEstimator,
    LayeredSizes,
    Request,
    differentiate_path,
    mean_losses,
    per_unit,
)
from raysweep.estimators.layered.objective import Path
from raysweep.estimators.layered.sampling import Draw, draw, over_units
from raysweep.estimators.learned import Scalar


class LayeredMuProp(ExpansionSettings[LayeredSizes], LayeredEstimator):
    """The score function with a first-order expansion around the mean-field pass as control.

    Unbiased for any weights. The mean-field pass feeds each layer's mean, `mu = tanh(a / 2)`, to
    the next. With g_l the total derivative of the loss to layer l's states along it, layer l has
    the signal `f(x) - eta f(mu) - eta_l <g_l, x_l - mu_l>`, and the gradient `eta_l g_l m_l'` is
    added, m_l being the mean given the states that were drawn before, not mu_l. The weights, one
    for the constant part and one for each layer's linear part, are learned to reduce the squared
    gradients to the pre-activations, each in (0, 2).

    Args:
        samples: Independent samples that the estimate averages over.
        constant: Whether to use the loss at the mean-field states.
        linear: Whether to use its gradient there.
        eta: Weight of all parts, its initial value if learned, then in (0, 2).
        learn_eta: Whether the weights are learned.
        baseline: Whether to subtract a network's prediction from the context, as in `nvil`, too.
        hidden: Number of units of the baseline network.

    Raises:
        ValueError: If both parts are off, `eta` is out of range, or `samples` or `hidden` is not
            at least 1.

    References:
        Gu, Levine, Sutskever, Mnih (2016), arXiv:1511.05176; weights as in Tucker et al. (2017),
        arXiv:1703.07370, appendix G.1; baselines that are given as in Shekhovtsov, Yanush, Flach
        (2020), arXiv:2006.03143, appendix C.1.
    """

    name = "muprop"
    version = 2
    takes_baseline = True
    reference = "Gu, Levine, Sutskever, Mnih (2016), arXiv:1511.05176"
    linear_weight: nn.ModuleList | None

    def evaluations(self, layers: int) -> int:
        """Count the evaluations: one per sample, and one at the mean-field states."""
        return self.samples + 1

    def _build(self, layers: int, context: int | None, replicas: int | None) -> None:
        def weigh() -> nn.ModuleList:
            return nn.ModuleList(Scalar(self.eta, replicas, "eta") for _ in range(layers))

        self._build_parts(context, replicas, weigh)

    def _estimate(self, request: Request) -> LayeredEstimate:
        drawn = draw(request.layers, request.x, request.noise, self.samples)
        losses = request.losses(drawn.path)
        mean_loss, means, slopes = self._expand(request, drawn)
        with torch.enable_grad():
            signal, tuning_losses = losses.detach(), []
            if request.baseline is not None:  # in place of the constant part: both are alike
                signal = signal - request.baseline
            elif self.constant:
                eta = self._weight(self.constant_weight, mean_loss, request)
                signal = signal - eta * mean_loss
            if self.baseline is not None and request.context is not None:
                prediction = self.baseline(request.context)
                tuning_losses.append(mean_losses((signal.detach() - prediction).square()))
                signal = signal - prediction.detach()
            gradients = self._gradients(request, drawn, signal, (means, slopes))
            if self.learn_eta:
                squares = [over_units(g.mean(0).square(), drawn.batch_axes) for g in gradients]
                total = sum(squares[1:], start=squares[0])
                if total.requires_grad:  # not where a given baseline leaves no weight in use
                    tuning_losses.append(total)
        tuning = sum(tuning_losses[1:], start=tuning_losses[0]) if tuning_losses else None
        return drawn.estimate(gradients, losses, tuning)

    def _expand(
        self, request: Request, drawn: Draw
    ) -> tuple[Tensor, list[Tensor], list[Tensor] | None]:
        """Return the loss at the mean-field states, `1 *B`, these states, and its derivatives."""

        def mean_field(*offsets: Tensor) -> Path:
            means: list[Tensor] = []
            logits: list[Tensor] = []
            for index, layer in enumerate(request.layers):
                a = layer(means[-1]) if index else drawn.logits[0].detach().unsqueeze(0)
                mean = torch.tanh(a / 2)
                means.append(mean + offsets[index] if offsets else mean)
                logits.append(a)
            return Path(tuple(means), tuple(logits))

        if not self.linear:
            with torch.no_grad():
                path = mean_field()
                return request.losses(path), list(path.states), None
        # the derivative to an offset of 0 is the one to the mean
        zeros = [torch.zeros_like(state[:1]) for state in drawn.states]
        losses, slopes, path = differentiate_path(request, mean_field, zeros)
        if slopes is None:
            raise no_gradient(self.name, "the states")
        return losses.detach(), [mean.detach() for mean in path.states], slopes

    def _gradients(
        self,
        request: Request,
        drawn: Draw,
        signal: Tensor,
        expansion: tuple[list[Tensor], list[Tensor] | None],
    ) -> list[Tensor]:
        """Return the gradients to all pre-activations.

        Args:
            request: Request of the estimate.
            drawn: Hard samples of every layer.
            signal: Losses minus all that does not depend on the layer, `K *B`.
            expansion: Mean-field states, and the loss's derivatives there.
        """
        means, slopes = expansion
        gradients = []
        for index, score in enumerate(drawn.scores()):
            if slopes is None:
                gradients.append(per_unit(signal, score) * score)
                continue
            weight = None if self.linear_weight is None else self.linear_weight[index]
            lead = 1 + drawn.batch_axes
            moved = over_units(slopes[index] * (drawn.states[index] - means[index]), lead)
            eta = self._weight(weight, moved, request)
            conditional = torch.tanh(drawn.logits[index].detach() / 2)
            steepness = (1 - conditional.square()) / 2
            exact = per_unit(eta * torch.ones_like(moved), score) * slopes[index] * steepness
            gradients.append(per_unit(signal - eta * moved, score) * score + exact)
        return gradients

    def _weight(
        self, learned: nn.Module | None, losses: Tensor, request: Request
    ) -> float | Tensor:
        """Return a weight in a shape that broadcasts over losses `K *B`."""
        if learned is None:
            return self._over_batch("eta", request.x, losses)
        weight: Tensor = learned(losses[0])
        return weight
