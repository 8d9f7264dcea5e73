"""Classification of expressions by a tree that is sampled, or greedy in evaluations."""

import math
from collections.abc import Mapping, Sequence

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor, nn
from torch.nn.functional import one_hot

from raysweep.estimators.base import PathwiseEstimator
from raysweep.estimators.noise import Noise
from raysweep.tasks.base import DTYPES
from raysweep.tasks.listops.batches import BucketSampler
from raysweep.tasks.listops.examples import Evaluated, load
from raysweep.tasks.listops.expressions import DIGITS, TOKENS
from raysweep.tasks.listops.greedy import agreement, greedy
from raysweep.tasks.listops.metrics import DEPTHS, VALIDATED, nested_operators
from raysweep.tasks.listops.settings import ListOpsSettings
from raysweep.tasks.listops.tree import MASKED, LeafLSTM, TreeLSTM, normal
from raysweep.tasks.pauses import pause
from raysweep.tasks.training.classification import cross_entropy
from raysweep.tasks.training.evaluation import LastEvaluation
from raysweep.tasks.training.layers import select
from raysweep.tasks.training.loop import Losses, Model
from raysweep.tasks.training.plateau import Plateau

EVALUATION_TOKENS = 8192
"""Tokens, with padding, that an evaluation holds per replica at a time."""
CLASSES = len(DIGITS)


class TreeClassifier(nn.Module):
    """Embeddings, both LSTMs, and a classifier with one hidden layer.

    Args:
        settings: Settings of the task.
        seeds: Seed of each replica.
        device: Device of the weights.
    """

    def __init__(
        self, settings: ListOpsSettings, seeds: Sequence[int], device: torch.device
    ) -> None:
        super().__init__()
        dtype = DTYPES[settings.dtype]
        noise = Noise(seeds=list(seeds), purpose="init")
        units, hidden = settings.hidden_units, settings.classifier_units
        self.leaves = LeafLSTM(settings.embedding_units, units, noise, dtype, device)
        self.tree = TreeLSTM(units, noise, dtype, device)
        replicas = len(seeds)
        values = {
            "embedding": normal(noise, len(TOKENS), settings.embedding_units) * 0.01,
            "hidden": normal(noise, units, hidden) * math.sqrt(2 / units),
            "hidden_bias": torch.zeros(replicas, 1, hidden),
            "output": noise.uniform(replicas, hidden, CLASSES, dtype=torch.float64) * 0.004 - 0.002,
            "output_bias": torch.zeros(replicas, 1, CLASSES),
        }
        for name, value in values.items():
            self.register_parameter(name, nn.Parameter(value.to(device, dtype)))

    def states(
        self, tokens: Int[Tensor, "R B T"], dropped: Noise | None = None, rate: float = 0.0
    ) -> Float[Tensor, "R B T 2D"]:
        """Return the states of the tokens; dropout if there is a noise for it."""
        table = self.get_parameter("embedding")
        chosen = one_hot(tokens.flatten(1), len(TOKENS)).to(table.dtype)
        x = torch.bmm(chosen, table).unflatten(1, tokens.shape[1:])
        return self.leaves(_dropout(x, dropped, rate))

    def classify(
        self, root: Float[Tensor, "R B D"], dropped: Noise | None = None, rate: float = 0.0
    ) -> Float[Tensor, "R B 10"]:
        """Return the scores of the values; dropout if there is a noise for it."""
        x = _dropout(root, dropped, rate)
        bias, output_bias = self.get_parameter("hidden_bias"), self.get_parameter("output_bias")
        x = torch.baddbmm(bias, x, self.get_parameter("hidden")).relu()
        x = _dropout(x, dropped, rate)
        return torch.baddbmm(output_bias, x, self.get_parameter("output"))


def _dropout(x: Float[Tensor, "R *"], noise: Noise | None, rate: float) -> Float[Tensor, "R *"]:
    if noise is None or rate == 0:
        return x
    kept = noise.uniform(*x.shape, dtype=x.dtype, device=x.device) >= rate
    return x * kept / (1 - rate)


class ListOpsModel(Model):
    """Expressions and the classifier, with losses at sampled trees.

    Args:
        settings: Settings of the pack.
        seeds: Seed of each replica.
        device: Device of parameters and expressions.
    """

    def __init__(
        self, settings: ListOpsSettings, seeds: Sequence[int], device: torch.device
    ) -> None:
        super().__init__()
        self._settings = settings
        self._sets = load(settings, device)
        _check_depths(self._sets.test)
        self._batches = BucketSampler(
            self._sets.train.lengths, seeds, settings.batch_size, settings.buckets
        )
        every, half = settings.report_every, math.ceil(self._batches.steps_per_epoch / 2)
        self._interval = settings.validate_every or every * math.ceil(half / every)
        self.net = TreeClassifier(settings, seeds, device)
        self.largest_norm = settings.gradient_clip
        self.schedule = Plateau(len(seeds), settings.lr_factor, settings.lr_patience)
        self._validation = LastEvaluation(VALIDATED, len(seeds), device)

    @property
    def steps_per_epoch(self) -> int:
        """Number of batches in an epoch."""
        return self._batches.steps_per_epoch

    def losses(self, step: int, estimator: PathwiseEstimator, noise: Noise) -> Losses:
        """Return losses at sampled trees, and metrics of the last validation."""
        if step % self._interval == 0:
            self._validate(step)
        rows, width = self._batches.batch(step)
        train = self._sets.train
        seeds = list(noise.seeds or ())
        # a noise of the step: requests differ in width between steps, and are not worth a block
        merges = Noise(seeds=seeds, purpose=f"merges {step}")
        dropped = Noise(seeds=seeds, purpose=f"dropout {step}")
        scores = self.sampled_scores(
            train.tokens[:, :width][rows], train.lengths[rows], estimator, (merges, dropped)
        )
        losses = cross_entropy(scores, train.labels[rows])
        train_loss = losses.detach().mean(1)
        right = (scores.argmax(-1) == train.labels[rows]).to(train_loss.dtype).mean(1)
        metrics = {
            "train_loss": train_loss,
            "train_accuracy": torch.add(right, train_loss, alpha=0),
            **self._validation.metrics(),
        }
        return Losses(losses, None, metrics)

    def sampled_scores(
        self,
        tokens: Int[Tensor, "R B T"],
        lengths: Int[Tensor, "R B"],
        estimator: PathwiseEstimator,
        noises: tuple[Noise, Noise],
    ) -> Float[Tensor, "R B 10"]:
        """Return the scores of the values at trees that an estimator samples.

        Args:
            tokens: Numbers of the tokens.
            lengths: Numbers of tokens.
            estimator: Estimator, whose samples carry the gradient to the scores of merges.
            noises: Noise of the merges, and that of dropout.
        """
        merges, dropped = noises

        def choose(
            scores: Float[Tensor, "R B P"], present: Bool[Tensor, "R B P"]
        ) -> Float[Tensor, "R B P"]:
            # the first merge comes last: where probabilities sum to less than 1 by rounding, the
            # last category is drawn, which must not be a masked one
            logits = torch.where(present, scores, MASKED).flip(-1).unsqueeze(-2)
            return estimator.sample(logits, merges).squeeze(-2).flip(-1)

        rate = self._settings.dropout
        states = self.net.states(tokens, dropped, rate)
        return self.net.classify(self.net.tree(states, lengths, choose), dropped, rate)

    def evaluate(self) -> Mapping[str, Float[Tensor, " R"]]:
        """Return metrics of greedy trees of validation and test expressions, without dropout."""
        valid = self._evaluated(self._sets.valid)
        test = self._evaluated(self._sets.test)
        return {
            **{name: valid[name.removeprefix("valid_")] for name in VALIDATED},
            **{f"test_{name}": value for name, value in test.items()},
        }

    @torch.no_grad()
    def _validate(self, step: int) -> None:
        """Measure validation expressions; the schedule takes all but the first measurement."""
        valid = self._evaluated(self._sets.valid)
        self._validation.hold({name: valid[name.removeprefix("valid_")] for name in VALIDATED})
        if self.schedule is not None and step > 0:
            self.schedule.observe(valid["accuracy"])

    def _evaluated(self, examples: Evaluated) -> dict[str, Float[Tensor, " R"]]:
        expressions, trees = examples.expressions, examples.trees
        parts = [self._measured(examples, rows) for rows in _chunks(expressions.lengths)]
        losses, right, binary, constituents = (
            torch.cat([part[index] for part in parts], 1) for index in range(4)
        )
        loss = losses.mean(1)
        metrics = {
            "accuracy": right.mean(1),
            "majority": torch.full_like(loss, _majority(expressions.labels)),
            "f1": binary.sum(1) / (trees.binary >= 0).sum().clamp(min=1),
            "constituents": constituents.sum(1) / (trees.constituents >= 0).sum().clamp(min=1),
        }
        for group, (least, most) in DEPTHS.items():
            within = (trees.depths >= least) & (trees.depths <= most)
            metrics[f"accuracy_depth_{group}"] = right[:, within].mean(1)
        # adding 0 times the loss makes the metrics of a diverged run NaN
        return {
            "loss": loss,
            **{name: torch.add(value, loss, alpha=0) for name, value in metrics.items()},
        }

    def _measured(self, examples: Evaluated, rows: slice) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        """Return losses, right values, and spans shared with true trees, `R B` in float64."""
        pause()
        expressions, trees = examples.expressions, examples.trees
        replicas = len(self.net.leaves.weight)
        lengths = expressions.lengths[rows]
        width = int(lengths[-1])
        tokens = expressions.tokens[rows, :width].expand(replicas, -1, -1)
        labels = expressions.labels[rows].expand(replicas, -1)
        root, spans = greedy(self.net.tree, self.net.states(tokens), lengths.expand(replicas, -1))
        scores = self.net.classify(root)
        right = (scores.argmax(-1) == labels).double()
        return cross_entropy(scores, labels).double(), right, *agreement(spans, trees.rows(rows))

    def select(self, keep: Tensor) -> None:
        """Drop replicas."""
        select(self, keep)
        self._batches.select(keep)


def _majority(labels: Int[Tensor, " N"]) -> float:
    """Return the share of the most frequent value."""
    return float(labels.bincount().max()) / len(labels)


def _chunks(lengths: Int[Tensor, " N"]) -> list[slice]:
    """Divide expressions, from short to long, into parts of a limited number of tokens."""
    sizes = lengths.tolist()
    chunks, start = [], 0
    for row, size in enumerate(sizes):
        if (row + 1 - start) * size > EVALUATION_TOKENS and row > start:
            chunks.append(slice(start, row))
            start = row
    return [*chunks, slice(start, len(sizes))]


def _check_depths(test: Evaluated) -> None:
    """Check that every group of depths has test expressions.

    Raises:
        ValueError: If one has none.
    """
    for group, (least, most) in DEPTHS.items():
        if not ((test.trees.depths >= least) & (test.trees.depths <= most)).any():
            raise ValueError(
                f"test_accuracy_depth_{group} needs test expressions with "
                f"{nested_operators(group)}, got none in {len(test.expressions)}; evaluate more "
                "expressions"
            )
