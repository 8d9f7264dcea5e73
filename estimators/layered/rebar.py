"""REBAR for layered networks: relaxed paths, with noise drawn again given the hard states."""

from collections.abc import Sequence
from functools import partial
from typing import Literal

import torch
from torch import Tensor, nn

from raysweep.estimators.carrying import is_traced
from raysweep.estimators.control import RelaxedControlSettings
from raysweep.estimators.estimate import flag, no_gradient, sample_count
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
from raysweep.estimators.learned import Baseline, Scalar, reach_only
from raysweep.estimators.relaxation import redraw_logistic


class LayeredREBAR(RelaxedControlSettings[LayeredSizes], LayeredEstimator):
    """The score function with the loss of a relaxed path as control variate.

    Unbiased, for any temperature and weights. A relaxed path has states
    `2 sigmoid((a + noise) / lambda) - 1`. With noise drawn again given the hard states, but coupled
    so that it takes the value it had, a layer's gradient is
    `(f(x) - eta_l c) score_l + eta_l (1 - d z~/d a) d c/d noise_l`. With `passes` "single", c is
    the loss of one relaxed path for all layers; with "layers" there is a path for each layer, hard
    before it and relaxed from it on, where the noise after the layer is not drawn again. The
    weights, one for each layer, and the temperature are learned to reduce the squared gradients to
    the pre-activations; a learned temperature needs an objective that torch differentiates twice
    correctly, which cannot be checked. A baseline that is given is subtracted from f and from c.

    Args:
        samples: Independent samples that the estimate averages over.
        temperature: lambda, its initial value if learned; > 0, dimensionless.
        eta: Weight of the control variate, its initial value if learned, then in (0, 2).
        learn_temperature: Whether the temperature is learned.
        learn_eta: Whether the weights are learned.
        relaxation: "concrete", or "muprop" for equation 7 of the appendix, which tends to
            `muprop(linear=False)` as the temperature grows.
        passes: "single", one relaxed path; or "layers", a path for each layer, with less variance.
        baseline: Whether to subtract a network's prediction from the context, as in `nvil`, too.
        hidden: Number of units of the baseline network.

    Raises:
        ValueError: If a setting is out of range.

    References:
        Tucker, Mnih, Maddison, Lawson, Sohl-Dickstein (2017), arXiv:1703.07370, section 3.3 and
        appendices F and G.
    """

    name = "rebar"
    version = 2
    takes_baseline = True
    reference = "Tucker, Mnih, Maddison, Lawson, Sohl-Dickstein (2017), arXiv:1703.07370"

    def __init__(  # noqa: PLR0913 - settings, given by name
        self,
        *,
        samples: int = 1,
        temperature: float | Tensor = 0.5,
        eta: float | Tensor = 1.0,
        learn_temperature: bool = True,
        learn_eta: bool = True,
        relaxation: Literal["concrete", "muprop"] = "concrete",
        passes: Literal["single", "layers"] = "single",
        baseline: bool = False,
        hidden: int = 100,
    ) -> None:
        super().__init__(
            temperature=temperature,
            eta=eta,
            learn_temperature=learn_temperature,
            learn_eta=learn_eta,
            samples=samples,
        )
        if relaxation not in ("concrete", "muprop"):
            raise ValueError(f"relaxation must be 'concrete' or 'muprop', got {relaxation!r}")
        if passes not in ("single", "layers"):
            raise ValueError(f"passes must be 'single' or 'layers', got {passes!r}")
        self.relaxation, self.passes = relaxation, passes
        self.reads_context = self.needs_context = flag("baseline", baseline)
        self.hidden = sample_count(hidden, quantity="hidden")
        self.weights: nn.ModuleList | None = None
        self.baseline: Baseline | None = None

    def evaluations(self, layers: int) -> int:
        """Count the evaluations: per sample, one hard, and one for each relaxed path."""
        return self.samples * (2 if self.passes == "single" else 1 + layers)

    def _build(self, layers: int, context: int | None, replicas: int | None) -> None:
        self._build_temperature(replicas)
        if self.learn_eta:
            self.weights = nn.ModuleList(Scalar(self.eta, replicas, "eta") for _ in range(layers))
        if self.reads_context and context is not None:
            self.baseline = Baseline(context, self.hidden, replicas, self.name)

    def _estimate(self, request: Request) -> LayeredEstimate:
        drawn = draw(request.layers, request.x, request.noise, self.samples)
        losses = request.losses(drawn.path)
        with torch.enable_grad():
            controls, slopes = self._controls(request, drawn)
            if request.baseline is not None:  # it is what to expect of relaxed losses, too
                controls = [control - request.baseline for control in controls]
            weights = [self._eta(index, losses, request) for index in range(len(controls))]
            weighted = [(eta * loss).detach() for eta, loss in zip(weights, controls, strict=True)]
            signal, baseline_loss = self._signal(request, losses.detach(), weighted)
            gradients = []
            for index, score in enumerate(drawn.scores()):
                control = per_unit(controls[index], score) * score - slopes[index]
                weight = per_unit(weights[index] * torch.ones_like(signal), score)
                gradients.append(per_unit(signal, score) * score - weight * control)
            tuning_loss = self._tuning_loss(gradients, drawn, baseline_loss)
        return drawn.estimate(gradients, losses, tuning_loss)

    def _controls(self, request: Request, drawn: Draw) -> tuple[list[Tensor], list[Tensor]]:
        """Return, for each layer, the relaxed loss `K *B`, and its part of the gradient.

        The part is `(1 - d z~/d a) d c/d noise`, z~ being the noisy pre-activation redrawn given
        its sign. Both have a graph to the temperature, where it is learned.
        """
        first = [0] if self.passes == "single" else range(len(request.layers))
        losses: list[Tensor] = []
        slopes: list[Tensor] = []
        for start in first:
            count = len(request.layers) if self.passes == "single" else 1
            wanted = drawn.noise[start : start + count]
            loss, derivatives, _ = differentiate_path(
                request,
                partial(self._relaxed_path, request, drawn, start),
                wanted,
                differentiable=self.learn_temperature,
            )
            if derivatives is None and start == 0:
                raise no_gradient(self.name, "the states")
            slopes += derivatives or [torch.zeros_like(one) for one in wanted]
            losses += [loss if self.learn_temperature else loss.detach()] * count
        parts = []
        for (a, _), logistic, slope in zip(drawn.pairs(), drawn.noise, slopes, strict=True):
            location = a.detach()
            _, by_location = redraw_logistic(location, location + logistic, None)
            parts.append((1 - by_location) * slope)
        return losses, parts

    def _relaxed_path(self, request: Request, drawn: Draw, start: int, *noise: Tensor) -> Path:
        """Return the path that is hard before a layer, and relaxed from it on.

        Pre-activations that follow from relaxed states keep their graph: a loss that reads them
        depends on the noise through them, too.

        Args:
            request: Request of the estimate.
            drawn: Hard samples of every layer.
            start: Index of the first relaxed layer.
            noise: Logistic noise of the first relaxed layers; the others have that of the samples.
        """
        states = list(drawn.states[:start])
        logits = list(drawn.path.logits[: start + 1])
        rest = drawn.noise[start + len(noise) :]
        for index, logistic in enumerate((*noise, *rest), start):
            if index > start:
                logits.append(request.layers[index](states[-1]))
            a = logits[-1]
            temperature = self._temperature(a, request)
            scaled = (a + logistic) / temperature
            if self.relaxation == "muprop":
                scaled = scaled + a * (temperature / (temperature + 1))
            states.append(torch.tanh(scaled / 2).to(a.dtype))
        return Path(tuple(states), tuple(logits))

    def _signal(
        self, request: Request, losses: Tensor, controls: Sequence[Tensor]
    ) -> tuple[Tensor, Tensor | None]:
        """Return the losses less all baselines, and the loss of the baseline network.

        Args:
            request: Request of the estimate.
            losses: Losses at hard samples, as constants.
            controls: Weighted losses of the relaxed paths, less a given baseline, one for each
                layer, as constants.
        """
        signal = losses if request.baseline is None else losses - request.baseline
        if self.baseline is None or request.context is None:
            return signal, None
        prediction = self.baseline(request.context)  # of the part that the control leaves
        control = torch.stack(list(controls)).mean(0)
        error = mean_losses((signal - control - prediction).square())
        return signal - prediction.detach(), error

    def _tuning_loss(
        self, gradients: Sequence[Tensor], drawn: Draw, baseline_loss: Tensor | None
    ) -> Tensor | None:
        parts = [] if baseline_loss is None else [baseline_loss]
        learned = [self.learned_temperature, self.weights]
        parameters = [p for module in learned if module is not None for p in module.parameters()]
        if parameters and not is_traced():  # transformed functions learn by other means
            squares = [over_units(g.mean(0).square(), drawn.batch_axes) for g in gradients]
            parts.append(reach_only(parameters, sum(squares[1:], start=squares[0])))
        return sum(parts[1:], start=parts[0]) if parts else None

    def _eta(self, index: int, losses: Tensor, request: Request) -> float | Tensor:
        """Return a layer's weight in a shape that broadcasts over losses `K *B`."""
        if self.weights is None:
            return self._over_batch("eta", request.x, losses)
        weight: Tensor = self.weights[index](losses[0])
        return weight

    def _temperature(self, logits: Tensor, request: Request) -> float | Tensor:
        """Return the temperature in a shape that broadcasts over pre-activations `K *B units`."""
        if self.learned_temperature is None:
            return self._over_batch("temperature", request.x, logits)
        return self.learned_temperature(logits[0])
