"""Every estimator of the layered family under its settings, and small networks to try them on."""

import itertools

import torch
from case_tables import as_parameters
from torch.nn.functional import logsigmoid

from raysweep import estimators
from raysweep.estimators.layered import Convolution, Dense, Head

SOFT = {"temperature": 0.3, "samples": 2}
FIXED = {"learn_eta": False, "learn_temperature": False}
CASES = {
    "psa": ("psa", {}),
    "psa K 2": ("psa", {"samples": 2}),
    "psa enhanced": ("psa", {"head_enhancement": True}),
    "psa enhanced K 2": ("psa", {"head_enhancement": True, "samples": 2}),
    "straight_through": ("straight_through", {}),
    "straight_through K 2": ("straight_through", {"samples": 2}),
    "hard_st": ("hard_st", {}),
    "hard_st K 2": ("hard_st", {"samples": 2}),
    "tanh": ("tanh", {}),
    "tanh of the mean": ("tanh", {"slope": 0.5, "samples": 2}),
    "concrete": ("concrete", {}),
    "concrete K 2": ("concrete", SOFT),
    "adf": ("adf", {}),
    "adf K 2": ("adf", {"samples": 2}),
    "local_reparam": ("local_reparam", {}),
    "local_reparam K 2": ("local_reparam", {"samples": 2}),
    "reinforce": ("reinforce", {}),
    "reinforce K 3": ("reinforce", {"samples": 3}),
    "reinforce leave-one-out": ("reinforce", {"samples": 3, "leave_one_out": True}),
    "nvil": ("nvil", {}),
    "nvil K 2": ("nvil", {"samples": 2}),
    "muprop": ("muprop", {}),
    "muprop K 2": ("muprop", {"samples": 2}),
    "muprop constant": ("muprop", {"linear": False}),
    "muprop linear": ("muprop", {"constant": False, "learn_eta": False, "eta": 0.6}),
    "rebar": ("rebar", {}),
    "rebar K 2": ("rebar", SOFT),
    "rebar eq 7": ("rebar", {"relaxation": "muprop", "temperature": 2.0}),
    "rebar layers": ("rebar", {"passes": "layers"}),
    "rebar layers eq 7": ("rebar", {"passes": "layers", "relaxation": "muprop", **SOFT}),
    "rebar fixed": ("rebar", {**FIXED, "eta": 0.4}),
    "arm": ("arm", {}),
    "arm K 2": ("arm", {"samples": 2}),
    "arm fresh": ("arm", {"shared_noise": False}),
    "arm fresh K 2": ("arm", {"samples": 2, "shared_noise": False}),
    "exact": ("exact", {"samples": 2}),
}
CONTEXT_CASES = {
    "nvil normalise": ("nvil", {"normalise": True}),
    "muprop baseline": ("muprop", {"baseline": True}),
    "rebar baseline": ("rebar", {"baseline": True}),
}


def get(name, **settings):
    return estimators.get(name, family="layered", **settings)


def find(name):
    return estimators.find(name, family="layered")


def cases(keep=lambda method: True, more=None):
    """The cases whose estimator passes a test, as parameters: a name and settings."""
    return as_parameters({**CASES, **(more or {})}, get, keep)


def is_unbiased(method):
    return method.unbiased


def learns(method):
    """Whether it has parameters of its own, once built for a context."""
    method.build(2, 5)
    return bool(list(method.parameters()))


def normal(*shape, seed=0, dtype=torch.float64):
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed), dtype=dtype)


def random_signs(*shape, seed=0, dtype=torch.float64):
    generator = torch.Generator().manual_seed(seed)
    return torch.randint(0, 2, shape, generator=generator).to(dtype) * 2 - 1


def network(*sizes, replicas=(), seed=0, scale=1.0, dtype=torch.float64):
    """Dense layers between numbers of units, the first of them inputs."""
    return [
        Dense(
            scale * normal(*replicas, *pair, seed=seed + 2 * index, dtype=dtype),
            scale * normal(*replicas, pair[1], seed=seed + 2 * index + 1, dtype=dtype),
        )
        for index, pair in enumerate(itertools.pairwise(sizes))
    ]


def images(*, replicas=(), seed=0, dtype=torch.float64):
    """Two convolutions, of images `1 5 5` and of their states `2 4 4`."""
    return [
        Convolution(
            normal(*replicas, 2, 1, 2, 2, seed=seed, dtype=dtype),
            normal(*replicas, 2, seed=seed + 1, dtype=dtype),
        ),
        Convolution(
            normal(*replicas, 2, 2, 2, 2, seed=seed + 2, dtype=dtype),
            normal(*replicas, 2, seed=seed + 3, dtype=dtype),
            stride=2,
        ),
    ]


def loss_of(state):
    """A smooth loss of the last states alone."""
    weight = torch.linspace(-1, 2, state.shape[-1], dtype=state.dtype, device=state.device)
    score = state @ weight
    return score.tanh() + 0.2 * score**2


def loss_of_image(state):
    return loss_of(state.flatten(-3))


def loss_of_path(path):
    """A smooth loss of all states and pre-activations."""
    scores = torch.stack([state.mean(-1) for state in path.states]).sum(0)
    log_p = [logsigmoid(x * a).sum(-1) for x, a in zip(*path, strict=True)]
    return scores.tanh() + scores**2 + loss_of(path.states[-1]) + 0.2 * torch.stack(log_p).sum(0)


def objective_for(method):
    """The objective of all layers where the estimator takes it, else a head."""
    return Head(loss_of) if method.needs_head else loss_of_path


def gradients(layers, surrogate, weight=None):
    """The gradients to every parameter of the layers, with weights of the surrogates."""
    parameters = [parameter for layer in layers for parameter in layer.parameters()]
    weight = torch.ones_like(surrogate) if weight is None else weight
    return torch.autograd.grad(
        surrogate, parameters, weight, retain_graph=True, allow_unused=True, materialize_grads=True
    )
