"""A network of one layer is a row of binary variables: both families agree, noise for noise."""

import pytest
import torch
from layered_cases import get, gradients, loss_of, network, normal

from raysweep import estimators
from raysweep.estimators import Noise
from raysweep.estimators.layered import Head
from raysweep.testing.estimators import standard_errors

SAME = {"rtol": 1e-10, "atol": 1e-12}
FIXED = {"learn_eta": False, "learn_temperature": False}
PAIRS = {
    "reinforce": (("reinforce", {}), ("reinforce", {})),
    "reinforce K 3": (("reinforce", {"samples": 3}), ("reinforce", {"samples": 3})),
    "leave-one-out": (
        ("reinforce", {"samples": 3, "leave_one_out": True}),
        ("reinforce_loo", {"samples": 3}),
    ),
    "nvil": (("nvil", {"samples": 2}), ("nvil", {"samples": 2})),
    "muprop": (("muprop", {"samples": 2}), ("muprop", {"samples": 2})),
    "muprop constant": (("muprop", {"linear": False}), ("muprop", {"linear": False})),
    "muprop fixed": (
        ("muprop", {"learn_eta": False, "eta": 0.6}),
        ("muprop", {"learn_eta": False, "eta": 0.6}),
    ),
    "rebar": (("rebar", {}), ("rebar", {})),
    "rebar layers": (("rebar", {"passes": "layers", "samples": 2}), ("rebar", {"samples": 2})),
    "rebar eq 7": (
        ("rebar", {"relaxation": "muprop", "temperature": 1.4, "eta": 0.3}),
        ("rebar", {"relaxation": "muprop", "temperature": 1.4, "eta": 0.3}),
    ),
    "rebar fixed": (("rebar", {**FIXED, "eta": 0.6}), ("rebar", {**FIXED, "eta": 0.6})),
    "arm": (("arm", {}), ("arm", {})),
    "arm fresh": (("arm", {"shared_noise": False}), ("arm", {})),
    "arm of two pairs": (("arm", {"samples": 2}), ("arm", {"samples": 4})),
    "straight_through": (("straight_through", {}), ("straight_through", {})),
    "psa": (("psa", {}), ("local_expectation", {})),
    "psa enhanced": (("psa", {"head_enhancement": True}), ("local_expectation", {})),
    "exact": (("exact", {}), ("exact", {})),
}


def as_categorical(layer, x):
    """Logits of two categories, whose difference is the pre-activation."""
    a = layer(x)
    return torch.stack((torch.zeros_like(a), a), -1)


def loss_of_one_hot(one_hot):
    return loss_of(one_hot[..., 1] - one_hot[..., 0])


def loss_of_state(path):
    return loss_of(path.states[0])


@pytest.mark.parametrize("objective", [Head(loss_of), loss_of_state], ids=["head", "path"])
@pytest.mark.parametrize(("layered", "categorical"), PAIRS.values(), ids=PAIRS)
def test_both_families_agree_sample_by_sample(layered, categorical, objective):
    layers, x = network(3, 4), normal(20, 3)
    method, other = get(layered[0], **layered[1]), estimators.get(categorical[0], **categorical[1])
    out = method.estimate(layers, x, objective, Noise(seed=3))
    target = other.estimate(as_categorical(layers[0], x), loss_of_one_hot, Noise(seed=3))
    for index in range(len(x)):
        found, expected = (gradients(layers, one.surrogate[index]) for one in (out, target))
        torch.testing.assert_close(found, expected, **SAME)
    if categorical[0] == "exact":
        return  # its samples are others
    if categorical[0] != "arm":  # whose categorical value is the mean of each pair
        torch.testing.assert_close(out.value, target.value, **SAME)
    assert torch.equal(out.states[0], target.sample[..., 1] - target.sample[..., 0])


@pytest.mark.parametrize(
    ("layered", "categorical"),
    [PAIRS["muprop"], PAIRS["rebar"], PAIRS["rebar eq 7"]],
    ids=["muprop", "rebar", "rebar eq 7"],
)
def test_learned_parts_follow_the_same_loss(layered, categorical):
    """The categorical family counts the squared gradient to both logits."""
    layers, x = network(3, 4), normal(20, 3)
    method, other = get(layered[0], **layered[1]), estimators.get(categorical[0], **categorical[1])
    out = method.estimate(layers, x, Head(loss_of), Noise(seed=3))
    target = other.estimate(as_categorical(layers[0], x), loss_of_one_hot, Noise(seed=3))
    torch.testing.assert_close(2 * out.tuning_loss, target.tuning_loss, **SAME)
    slopes = [
        torch.stack(torch.autograd.grad(one.tuning_loss.sum(), list(of.parameters()))).sort()[0]
        for one, of in ((out, method), (target, other))
    ]
    torch.testing.assert_close(2 * slopes[0], slopes[1], rtol=1e-5, atol=1e-7)


def test_concrete_is_gumbel_softmax_in_law():
    rows = 20_000
    layers = network(3, 4)
    x = normal(1, 3).expand(rows, -1)
    soft = get("concrete", temperature=0.7).estimate(layers, x, Head(loss_of), Noise(seed=1))
    other, seen = estimators.get("gumbel_softmax", temperature=0.7), []

    def spy(one_hot):
        losses = loss_of_one_hot(one_hot)
        seen.append(losses[0])  # the relaxed sample comes first
        return losses

    other.estimate(as_categorical(layers[0], x), spy, Noise(seed=2))
    target = seen[0]
    difference = soft.relaxed - target.detach()
    assert standard_errors(difference, torch.zeros(())) < 5
    assert soft.relaxed.std() == pytest.approx(target.detach().std(), rel=0.05)


def test_rebar_at_a_high_temperature_of_equation_7_is_muprop_without_slope():
    """In every layer, as its single relaxed path tends to the mean-field one."""
    layers, x = network(3, 4, 2, 3), normal(50, 3)
    for passes in ("single", "layers"):
        rebar = get("rebar", relaxation="muprop", temperature=1e8, passes=passes, **FIXED)
        mean_field = get("muprop", linear=False, learn_eta=False)
        found, target = (
            gradients(layers, method.estimate(layers, x, Head(loss_of), Noise(seed=3)).surrogate)
            for method in (rebar, mean_field)
        )
        same = zip(found, target, strict=True) if passes == "single" else [(found[0], target[0])]
        for one, other in same:
            torch.testing.assert_close(one, other, rtol=1e-5, atol=1e-5)
