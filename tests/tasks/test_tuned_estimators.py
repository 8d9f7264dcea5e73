"""Estimators that learn: their parameters follow their own loss, replica by replica."""

import io

import pytest
import torch
from torch import nn

from raysweep import tasks
from raysweep.estimators.base import Estimate, Estimator
from raysweep.estimators.reinforce import Reinforce

SEEDS = [4, 5, 6]
RATES = [{"lr": 1e-2}, {"lr": 1e-3}, {"lr": 1e-2}]


class LearnedBaseline(Estimator):
    """The score function less a learned constant, one per replica; keeps the losses it saw."""

    name = "learned_baseline"
    unbiased = True
    needs_gradient = False
    reference = "a test"

    def __init__(self):
        super().__init__()
        self.seen = []

    def evaluations(self, latents, categories):
        return 1

    def _build(self, latents, categories, context, replicas):
        self.baseline = nn.Parameter(torch.zeros(replicas))

    def _estimate(self, logits, objective, noise, context):
        def centred(sample):
            return objective(sample) - self.baseline.unsqueeze(-1)

        inner = Reinforce().estimate(logits, centred, noise)
        loss = inner.value + self.baseline.detach().unsqueeze(-1)
        self.seen.append(loss)
        tuning_loss = (loss - self.baseline.unsqueeze(-1)).square()
        return Estimate(inner.surrogate, loss, inner.sample, tuning_loss)


# gradient_quality asks the estimator in between, for what is measured; two take samples only
OTHERS = ("gradient_quality", "listops", "nas")
FOLLOWING = [
    name for name in tasks.names() if name not in OTHERS and tasks.get(name).family == "categorical"
]


@pytest.fixture(params=FOLLOWING)
def start(train, request):
    """Starts a pack in float64 and gives its training and its estimator."""

    def make(seeds=SEEDS, own=RATES):
        estimator = LearnedBaseline()
        settings = {"dtype": "float64", "tuning_beta2": 0.999}
        training = train(request.param, seeds, own, estimator, **settings)
        return training, estimator

    return make


def test_own_parameters_follow_adam_at_ten_times_the_rate(start):
    training, estimator = start()
    training.advance(30)
    for replica, own in enumerate(RATES):
        baseline = torch.zeros((), dtype=torch.float64, requires_grad=True)
        adam = torch.optim.Adam([baseline], lr=10 * own["lr"])
        for losses in estimator.seen:
            adam.zero_grad()
            (losses[replica] - baseline).square().mean().backward()
            adam.step()
        torch.testing.assert_close(estimator.baseline[replica], baseline, rtol=1e-12, atol=1e-12)


def test_a_tuned_run_is_the_same_alone_and_in_a_pack(start):
    pack, estimator = start()
    metrics = pack.advance(50)
    for replica, seed in enumerate(SEEDS):
        alone, own = start([seed], [RATES[replica]])
        for key, value in alone.advance(50).items():
            torch.testing.assert_close(value[0], metrics[key][replica], rtol=1e-9, atol=1e-9)
        assert (own.baseline[0] - estimator.baseline[replica]).abs() < 1e-9


def test_kept_replicas_go_on_tuning(start):
    whole, estimator = start()
    cut, kept = start()
    for training in (whole, cut):
        training.advance(7)
    cut.select(torch.tensor([2, 0]))
    expected = whole.advance(20)["train_loss"]
    torch.testing.assert_close(cut.advance(20)["train_loss"], expected[[2, 0]], rtol=1e-9, atol=0)
    torch.testing.assert_close(kept.baseline, estimator.baseline[[2, 0]], rtol=1e-9, atol=1e-9)


def test_a_restored_training_goes_on_tuning_bit_for_bit(start):
    through, estimator = start()
    through.advance(9)
    file = io.BytesIO()
    torch.save(through.state_dict(), file)
    file.seek(0)
    restored, twin = start()
    restored.load_state_dict(torch.load(file, weights_only=True))
    assert torch.equal(through.advance(9)["train_loss"], restored.advance(9)["train_loss"])
    assert torch.equal(estimator.baseline, twin.baseline)
