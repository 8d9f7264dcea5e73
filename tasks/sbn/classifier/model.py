"""Losses and metrics of a classifier."""

import math
from collections.abc import Mapping, Sequence
from functools import partial

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn
from torch.nn import functional

from raysweep.estimators.layered import Layer, LayeredEstimator, LinearHead
from raysweep.estimators.layered.sampling import draw
from raysweep.estimators.noise import Noise
from raysweep.tasks.pauses import pause
from raysweep.tasks.sbn.classifier.examples import Examples
from raysweep.tasks.sbn.classifier.network import build_head, build_layers, whiten_layers
from raysweep.tasks.sbn.classifier.settings import SbnClassifierSettings
from raysweep.tasks.training.evaluation import LastEvaluation
from raysweep.tasks.training.layers import select
from raysweep.tasks.training.loop import Losses, Model

SAMPLES = 10  # of the network per evaluated example, as in the paper
EVALUATION_ROWS = 10  # examples at a time: bounds memory, and evaluation noise depends on it
BASELINE_DECAY = 0.9  # appendix C.3

EVALUATED = ("loss", "accuracy_1", "accuracy_10", "neg_log_likelihood_10")
"""Metrics of evaluated examples; of training examples, the last two, as steps report the others."""


class Classifier(Model):
    """Layers of stochastic binary units, a linear head, and the examples.

    Args:
        settings: Settings of the task.
        seeds: Seed of each replica.
        device: Device of parameters and examples.
    """

    running_loss: Float[Tensor, "R N"] | None

    def __init__(
        self, settings: SbnClassifierSettings, seeds: Sequence[int], device: torch.device
    ) -> None:
        super().__init__()
        self._settings = settings
        self.examples = Examples(settings, seeds, device)
        init = Noise(seeds=list(seeds), purpose="init")
        layers = build_layers(settings, init, device)
        self.layers = nn.ModuleList(layers)
        self.head = build_head(settings, init, device)
        whitening = Noise(seeds=list(seeds), purpose="whiten")
        first = self._first_examples(whitening, len(seeds))
        whiten_layers(layers, first, whitening, settings.whitening)
        self.register_buffer("running_loss", self._start_of_baseline(len(seeds)))
        self._noises = {
            part: Noise(seeds=list(seeds), purpose=f"evaluate {part}")
            for part in self.examples.parts
        }
        self._latest: LastEvaluation | None = None
        if settings.evaluate_every is not None:
            names = [name for part in self._noises for name in evaluated_names(part)]
            self._latest = LastEvaluation(names, len(seeds), device)

    @property
    def network(self) -> list[Layer]:
        """Layers of stochastic units, first to last."""
        return [layer for layer in self.layers if isinstance(layer, Layer)]

    def _first_examples(self, noise: Noise, replicas: int) -> Float[Tensor, "R n *shape"]:
        """Draw the examples that pre-activations are whitened on, without repetition."""
        keys = noise.uniform(replicas, len(self.examples), dtype=torch.float64)
        indices = keys.argsort(dim=1, stable=True)[:, : self._settings.whitening_examples]
        return self.examples.at(indices.to(self.head.weight.device))

    def _start_of_baseline(self, replicas: int) -> Float[Tensor, "R N"] | None:
        """Return the loss of uniform predictions for every training example, if it is used."""
        if self._settings.baseline == "none":
            return None
        start = math.log(max(2, self._settings.scores))
        return self.head.weight.new_full((replicas, len(self.examples)), start)

    def losses(self, step: int, estimator: LayeredEstimator, noise: Noise) -> Losses:
        """Return the losses of a batch; they are measured at hard samples for every method."""
        evaluated = self._evaluated(step)
        x, labels, indices = self.examples.batch(step)
        baseline = None if self.running_loss is None else self.running_loss.gather(1, indices)
        estimate = estimator.estimate(
            self.network,
            x,
            self.objective(labels),
            noise,
            context=x.flatten(2),
            baseline=baseline,
        )
        if self.running_loss is not None and baseline is not None:
            moved = torch.lerp(baseline, estimate.value, 1 - BASELINE_DECAY)
            self.running_loss.scatter_(1, indices, moved)
        with torch.no_grad():
            state = estimate.states[-1].unsqueeze(0)
            is_right = self._predict(self.objective(labels).scores(state)[0]) == labels
        loss = estimate.value.mean(1)
        broken = loss * 0  # NaN where pre-activations are, which still give states
        metrics = {"train_loss": loss, "train_objective": loss}
        if estimate.relaxed is not None:
            relaxed = estimate.relaxed.mean(1) + broken
            metrics |= {"train_objective": relaxed, "train_relaxed_loss": relaxed}
        metrics["train_accuracy"] = is_right.to(loss.dtype).mean(1) + broken
        return Losses(estimate.surrogate, estimate.tuning_loss, {**metrics, **evaluated})

    def objective(self, labels: Int[Tensor, "R B"]) -> LinearHead:
        """Return the loss of the last states, -log p(label | states)."""
        axes = len(self._settings.shapes[-1])
        return LinearHead(self.head, partial(self.neg_log_likelihood, labels), axes)

    def neg_log_likelihood(
        self, labels: Int[Tensor, "R B"], scores: Float[Tensor, "*K R B C"]
    ) -> Float[Tensor, "*K R B"]:
        """Return the cross entropy of scores, or the logistic loss of one score per example."""
        if scores.shape[-1] == 1:
            return functional.softplus(scores.squeeze(-1) * (1 - 2 * labels))
        index = labels.expand(scores.shape[:-1]).unsqueeze(-1)
        return scores.logsumexp(-1) - scores.gather(-1, index).squeeze(-1)

    def log_probabilities(self, scores: Float[Tensor, "*B C"]) -> Float[Tensor, "*B classes"]:
        """Return the log-probability of every class."""
        if scores.shape[-1] == 1:
            return functional.logsigmoid(torch.cat((-scores, scores), -1))
        return scores.log_softmax(-1)

    def _predict(self, scores: Float[Tensor, "*B C"]) -> Int[Tensor, "*B"]:
        """Return the most probable class."""
        return self.log_probabilities(scores).argmax(-1)

    def _evaluated(self, step: int) -> Mapping[str, Float[Tensor, " R"]]:
        """Return the last evaluation, made at the first step of an interval."""
        if self._latest is None or self._settings.evaluate_every is None:
            return {}
        if step % self._settings.evaluate_every == 0:
            with torch.no_grad():
                self._latest.hold(self.evaluate())
        return self._latest.metrics()

    def evaluate(self) -> Mapping[str, Float[Tensor, " R"]]:
        """Return the metrics of test examples, and of the others that are evaluated."""
        parameters = [*self.layers.parameters(), *self.head.parameters()]
        broken = 0 * torch.stack(
            [p.flatten(1).sum(1, dtype=torch.float64) for p in parameters]
        ).sum(0)
        metrics = {}
        for part in self._noises:
            values = dict(zip(EVALUATED, self._evaluate(part), strict=True))
            for name in evaluated_names(part):
                metrics[name] = values[name.partition("_")[2]] + broken
        return metrics

    def _evaluate(self, part: str) -> Float[Tensor, "4 R"]:
        """Return means over the examples of a part; the noise of some rows is at their index."""
        rows, labels = self.examples.parts[part]
        replicas = len(self.head.weight)
        total = torch.zeros(4, replicas, dtype=torch.float64, device=rows.device)
        chunks = zip(rows.split(EVALUATION_ROWS), labels.split(EVALUATION_ROWS), strict=True)
        for index, (some, classes) in enumerate(chunks):
            pause()
            x = self.examples.inputs(some).expand(replicas, -1, *self._settings.shapes[0])
            total += self._evaluate_rows(x, classes.expand(replicas, -1), self._noises[part], index)
        return total / len(rows)

    def _evaluate_rows(
        self,
        x: Float[Tensor, "R n *shape"],
        labels: Int[Tensor, "R n"],
        noise: Noise,
        index: int,
    ) -> Float[Tensor, "4 R"]:
        """Return sums over some examples."""
        noise.at(index)
        objective = self.objective(labels)
        state = draw(self.network, x, noise, SAMPLES).states[-1]
        log_p = self.log_probabilities(objective.scores(state)).double()  # K R n classes
        together = log_p.logsumexp(0) - math.log(SAMPLES)
        label = labels.unsqueeze(-1)
        rows = (
            -log_p.gather(-1, label.expand(SAMPLES, *label.shape)).squeeze(-1).mean(0),
            (log_p.argmax(-1) == labels).double().mean(0),
            (together.argmax(-1) == labels).double(),
            -together.gather(-1, label).squeeze(-1),
        )
        return torch.stack(rows).sum(-1)

    def select(self, keep: Tensor) -> None:
        """Drop replicas."""
        select(self, keep)
        for layer in (*self.network, self.head):
            if layer.replicas != len(self.head.weight):
                layer.replicas = len(self.head.weight)
        self.examples.select(keep)
        for noise in self._noises.values():
            noise.select(keep)


def evaluated_names(part: str) -> list[str]:
    """Return the names of the metrics of evaluated examples.

    Args:
        part: `train`, `valid` or `test`.
    """
    names = EVALUATED[2:] if part == "train" else EVALUATED
    return [f"{part}_{name}" for name in names]
