"""Layers of a classifier: their sizes, and their first weights."""

import pytest
import torch

from raysweep.estimators.noise import Noise
from raysweep.tasks.sbn.classifier.model import Classifier
from raysweep.tasks.sbn.classifier.network import build_head, build_layers, whiten_layers
from raysweep.tasks.sbn.classifier.settings import SbnClassifierSettings

CPU = torch.device("cpu")
DENSE = {"dataset": "points", "validation_examples": 0, "network": "dense", "batch_size": 10}
CONVOLUTIONAL = {
    "dataset": "digits",
    "validation_examples": 0,
    "depths": (4, 3),
    "kernels": (3, 2),
    "strides": (2, 1),
}
KINDS = {"dense": DENSE, "convolutional": CONVOLUTIONAL}


def settings_of(kind, **changes):
    return SbnClassifierSettings(**{**KINDS[kind], "dtype": "float64", **changes})


@pytest.fixture(params=KINDS)
def kind(request):
    return request.param


def test_the_papers_network_has_its_sizes():
    settings = SbnClassifierSettings()
    sides = [shape[1] for shape in settings.shapes]
    assert sides == [32, 30, 28, 13, 11, 9, 4, 2, 2]
    assert settings.units[-1] == 768
    layers = build_layers(settings, Noise(seeds=[0]), CPU)
    head = build_head(settings, Noise(seeds=[0]), CPU)
    assert head.weight.shape == (1, 768, 10)
    numbers = [p.numel() for module in (*layers, head) for p in module.parameters()]
    assert settings.parameters == sum(numbers)
    x = torch.zeros(1, 1, 3, 32, 32)
    for layer, shape in zip(layers, settings.shapes[1:], strict=True):
        x = layer(x)
        assert x.shape == (1, 1, *shape)


def test_the_points_network_has_three_layers_of_five_and_one_score():
    settings = settings_of("dense")
    assert settings.shapes == [(2,), (5,), (5,), (5,)]
    assert build_head(settings, Noise(seeds=[0]), CPU).weight.shape == (1, 5, 1)
    assert settings.parameters == 15 + 30 + 30 + 6


def first_states(settings, seeds=(0, 1)):
    """Whitened layers, their inputs and pre-activations on the examples of the pass."""
    seeds = list(seeds)
    layers = build_layers(settings, Noise(seeds=seeds, purpose="init"), CPU)
    shape = settings.shapes[0]
    x = torch.rand(len(seeds), 40, *shape, generator=torch.Generator().manual_seed(0)).double()
    whiten_layers(layers, x, Noise(seeds=seeds), settings.whitening)
    return layers, x


@pytest.mark.parametrize("whitening", ["sampled", "tanh"])
def test_pre_activations_have_mean_0_and_variance_1_over_examples_and_positions(kind, whitening):
    settings = settings_of(kind, whitening=whitening)
    layers, x = first_states(settings)
    noise = Noise(seeds=[0, 1])  # as in the pass: a request for each layer
    for layer in layers:
        a = layer(x)
        axes = (1, *range(3, a.dim()))
        torch.testing.assert_close(a.mean(axes), torch.zeros_like(a.mean(axes)), atol=1e-9, rtol=0)
        torch.testing.assert_close(a.var(axes, correction=0), torch.ones_like(a.mean(axes)))
        uniform = noise.uniform(*a.shape, dtype=a.dtype)
        x = torch.tanh(a) if whitening == "tanh" else 2.0 * (a + uniform.logit() > 0).double() - 1


def test_the_scale_of_the_first_weights_does_not_matter(kind):
    settings = settings_of(kind)
    plain, x = first_states(settings)
    scaled = build_layers(settings, Noise(seeds=[0, 1], purpose="init"), CPU)
    for layer in scaled:
        layer.weight.data *= 7
        layer.bias.data *= 7
    whiten_layers(scaled, x, Noise(seeds=[0, 1]), "sampled")
    for one, other in zip(plain, scaled, strict=True):
        torch.testing.assert_close(one.weight, other.weight)
        torch.testing.assert_close(one.bias, other.bias)


def test_a_constant_pre_activation_stays_finite():
    settings = settings_of("dense")
    layers = build_layers(settings, Noise(seeds=[0]), CPU)
    whiten_layers(layers, torch.ones(1, 30, 2).double(), Noise(seeds=[0]), "sampled")
    assert all(p.isfinite().all() for layer in layers for p in layer.parameters())
    assert layers[0](torch.ones(1, 1, 2).double()).abs().max() < 1e-9


def test_the_first_examples_are_drawn_by_each_seed_without_repetition():
    settings = settings_of("dense", whitening_examples=200)
    model = Classifier(settings, [0, 1], CPU)
    layer = model.network[0]
    a = layer(model.examples.at(torch.arange(200).expand(2, -1)))
    torch.testing.assert_close(a.var(1, correction=0), torch.ones(2, 5).double())
    few = Classifier(settings_of("dense", whitening_examples=20), [0, 1], CPU).network[0]
    ratio = few.weight / layer.weight  # the same but for the scale, which is of each seed's own
    assert not torch.allclose(ratio[0], ratio[1])


@pytest.mark.parametrize(("given", "bound"), [(None, 5**-0.5), (1.0, 1.0), (3.0, 3.0)])
def test_first_scores_have_the_bound_that_is_set(given, bound):
    settings = settings_of("dense", head_bound=given)
    head = build_head(settings, Noise(seeds=list(range(200))), CPU)
    assert 0.99 * bound < head.weight.abs().max() <= bound
    assert 0.9 * bound < head.bias.abs().max() <= bound


MISTAKES = {
    "hidden": ("dense", {"hidden": ()}, r"hidden must hold numbers from 1 on, got \[\]"),
    "lengths": ("convolutional", {"strides": (1,)}, "depths, kernels, strides must have a number"),
    "depth": ("convolutional", {"depths": (0, 3)}, r"depths must hold .* got \[0, 3\]"),
    "kernel": (
        "convolutional",
        {"kernels": (3, 4)},
        "a kernel of 4 needs inputs of at least its size, got 3 × 3; use smaller",
    ),
    "points": (
        "dense",
        {"network": "convolutional"},
        "convolutional needs images, got dataset points; set network to dense",
    ),
    "augmented points": (
        "dense",
        {"augmentation": "affine"},
        "augmentation affine needs images, got dataset points; set it to none",
    ),
    "bound": ("dense", {"head_bound": 0.0}, "head_bound must be positive, got 0"),
    "no labels": ("dense", {"dataset": "omniglot"}, "dataset must have labels, got omniglot"),
    "validation": ("dense", {"validation_examples": 200}, r"must be in 0..199 for points, got 200"),
    "evaluations": (
        "dense",
        {"evaluate_every": 30},
        "evaluate_every must be a multiple of report_every, 100, got 30",
    ),
    "whitening": ("dense", {"whitening_examples": 0}, "whitening_examples must be at least 1"),
}


@pytest.mark.parametrize("mistake", MISTAKES)
def test_settings_that_do_not_fit_are_refused(mistake):
    of, changes, message = MISTAKES[mistake]
    with pytest.raises(ValueError, match=message):
        settings_of(of, **changes)
