"""Every categorical estimator trains every task of its family, in packs as alone; it resumes."""

import io

import pytest
import torch

from raysweep import estimators, tasks
from raysweep.estimators.base import PathwiseEstimator

SEEDS = [4, 5, 6]
RATES = [{"lr": 1e-2}, {"lr": 1e-3}, {"lr": 1e-2}]
FAMILIES = {task: tasks.get(task).family for task in tasks.names()}
BINARY = {name for name in estimators.names() if estimators.get(name).check(6, 5) is not None}
PATHWISE = {"listops", "nas"}  # tasks that need samples that carry the gradient
PAIRS = [
    (task, name)
    for task, family in FAMILIES.items()
    for name in estimators.names(family)
    if task not in ("nas_tabular", "nas")
    or name not in BINARY  # their variables have five categories
    if task not in PATHWISE or isinstance(estimators.get(name, family), PathwiseEstimator)
    if estimators.find(name, family).target in tasks.get(task).targets
]
LEARNING = [
    (task, name)
    for task, name in PAIRS
    if name in ("muprop", "rebar", "relax", "double_cv", "rodeo", "nvil")
]
each_pair = pytest.mark.parametrize("pair", PAIRS, ids="-".join)


@pytest.fixture
def start(train):
    """Starts a pack in float64 with an estimator of its own; gives both."""

    def make(pair, seeds=SEEDS, own=RATES, **settings):
        task, name = pair
        method = estimators.get(name, FAMILIES[task])
        if task == "categorical_vae" and method.check(4, 3) is not None:
            settings["categories"] = 2
        if task == "categorical_vae" and method.target == "bound":
            settings["divergence"] = "sampled"
        return train(task, seeds, own, method, dtype="float64", **settings), method

    return make


def same(a, b, tolerance=1e-9):
    torch.testing.assert_close(a, b, rtol=tolerance, atol=tolerance)


@each_pair
def test_a_run_is_the_same_alone_and_in_a_pack(start, pair):
    pack, together = start(pair)
    metrics = {**pack.advance(25), **pack.evaluate()}
    for replica in (0, 2):
        alone, own = start(pair, [SEEDS[replica]], [RATES[replica]])
        for key, value in {**alone.advance(25), **alone.evaluate()}.items():
            same(value[0], metrics[key][replica])
        for key, value in own.state_dict().items():
            same(value[0], together.state_dict()[key][replica])


@each_pair
def test_a_restored_run_goes_on_bit_for_bit(start, pair):
    through, method = start(pair)
    through.advance(7)
    file = io.BytesIO()
    torch.save(through.state_dict(), file)
    file.seek(0)
    restored, twin = start(pair)
    restored.load_state_dict(torch.load(file, weights_only=True))
    assert torch.equal(through.advance(7)["train_loss"], restored.advance(7)["train_loss"])
    for key, value in method.state_dict().items():
        assert torch.equal(value, twin.state_dict()[key])


@each_pair
def test_kept_replicas_go_on(start, pair):
    whole, _ = start(pair)
    cut, _ = start(pair)
    for training in (whole, cut):
        training.advance(5)
    cut.select(torch.tensor([2, 0]))
    same(cut.advance(10)["train_loss"], whole.advance(10)["train_loss"][[2, 0]])


@pytest.mark.parametrize("pair", LEARNING, ids="-".join)
def test_what_is_learned_moves_at_its_own_rate(start, pair):
    moved = []
    for rate in (None, 1e-9):
        training, method = start(pair, tuning_lr=rate)
        before = {key: value.clone() for key, value in method.named_parameters()}
        training.advance(3)
        changes = [(value - before[key]).abs().max() for key, value in method.named_parameters()]
        moved.append(max(changes, default=torch.tensor(0.0)).item())
    if pair in (("polynomial", "nvil"), ("gmm", "nvil"), ("nas_tabular", "nvil")):
        assert method.baseline is None  # these tasks give no context
        return
    assert moved[0] > 1e-3
    assert moved[1] < 1e-8


@pytest.mark.parametrize("beta2", [0.5, 0.999])
@pytest.mark.parametrize("task", [task for task in FAMILIES if (task, "double_cv") in PAIRS])
def test_what_is_learned_follows_adam_with_its_own_decay(start, task, beta2):
    _, plain = start((task, "double_cv"))
    training, method = start((task, "double_cv"), tuning_beta2=beta2, tuning_lr=0.01)
    seen = []
    estimate = method.estimate

    def spy(*arguments, **keywords):
        out = estimate(*arguments, **keywords)
        if not torch.is_grad_enabled() or not arguments[0].requires_grad or arguments[0].is_leaf:
            return out  # gradient_quality measures
        seen.append(
            torch.autograd.grad(
                out.tuning_loss.mean(1).sum(), method.alpha.parameter, retain_graph=True
            )[0]
        )
        return out

    method.estimate = spy
    training.advance(8)
    alpha = plain.alpha.parameter
    adam = torch.optim.Adam([alpha], lr=0.01, betas=(0.9, beta2))
    for gradient in seen:
        alpha.grad = gradient
        adam.step()
    same(method.alpha.parameter, alpha)


@pytest.mark.parametrize("link", ["softmax", "probit"])
def test_metrics_are_those_of_the_law_that_is_sampled(train, link):
    """The mean over many samples in training agrees with the exact expectation of the task."""
    method = estimators.get("rebar", link=link, samples=8)
    settings = {"batch_size": 4000, "targets": "linear", "p": 3.0, "dtype": "float64"}
    training = train("polynomial", SEEDS, RATES, method, **settings)
    training.advance(60)
    metrics = training.advance(5)
    same(metrics["train_loss"], metrics["expected_loss"], 3e-3)


@pytest.mark.parametrize("name", ["polynomial", "gmm", "nas_tabular"])
def test_a_baseline_without_a_context_is_refused_before_anything_starts(name):
    task = tasks.get(name)
    method = estimators.get("muprop", baseline=True)
    assert "needs a context for its baseline" in task.check(task.settings(), method)
    other = tasks.get("categorical_vae")
    assert other.check(other.settings(), method) is None
