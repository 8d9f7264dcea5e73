"""Estimates of layered networks inside `torch.func`."""

import torch
from layered_cases import cases, get, gradients, network, normal, objective_for
from torch.func import functional_call, grad, grad_and_value, stack_module_state, vmap

from raysweep.estimators import Noise
from raysweep.estimators.layered import Dense
from raysweep.testing.estimators import randomise

SIZES = (3, 2, 2)


class Expected(torch.nn.Module):
    """The expected loss of a network's paths, estimated for one batch."""

    def __init__(self, name, settings):
        super().__init__()
        self.layers = torch.nn.ModuleList(network(*SIZES))
        method = get(name, **settings)
        method.build(len(self.layers))
        randomise(method)
        # running means, which training moves, cannot be moved inside a transformation
        self.method = method.double().eval()

    def forward(self, x):
        objective = objective_for(self.method)
        out = self.method.estimate(list(self.layers), x, objective, Noise(seed=1))
        return out.surrogate.sum()

    def parameters_of_layers(self):
        return {name: p.detach() for name, p in self.layers.named_parameters(prefix="layers")}


@cases()
def test_torch_func_grad_is_the_gradient_to_the_layers(name, settings):
    module, x = Expected(name, settings), normal(7, 3)
    expected = gradients(module.layers, module(x))
    found, total = grad_and_value(lambda state: functional_call(module, state, (x,)))(
        module.parameters_of_layers()
    )
    torch.testing.assert_close(tuple(found.values()), expected)
    torch.testing.assert_close(total, module(x).detach())


@cases()
def test_vmap_gives_the_gradient_of_every_example(name, settings):
    """With as many rows of equal inputs, per-row gradients vary as those of one batch do."""
    module, rows = Expected(name, settings), 400
    x = normal(1, 3).expand(rows, 3)

    def loss(state, row):
        return functional_call(module, state, (row.unsqueeze(0),))

    per_row = vmap(grad(loss), in_dims=(None, 0), randomness="different")
    found = per_row(module.parameters_of_layers(), x)
    one = gradients_of_draws(module, rows)
    for key, expected in one.items():
        error = (found[key].var(0) + expected.var(0)).div(rows).sqrt() + 1e-9
        assert ((found[key].mean(0) - expected.mean(0)).abs() < 6 * error).all()


@cases()
def test_vmap_over_replicas_gives_the_gradient_of_each_alone(name, settings):
    """As users of `torch.func.stack_module_state` train an ensemble, with one stream of noise."""
    modules = [Expected(name, settings) for _ in range(3)]
    for index, module in enumerate(modules):
        for parameter in module.parameters():
            parameter.data += 0.1 * index
    x = normal(3, 7, 3)
    parameters, buffers = stack_module_state(modules)
    fixed = {**{name: p.detach() for name, p in parameters.items()}, **buffers}

    def value(state, others, batch):
        return functional_call(modules[0], {**others, **state}, (batch,))

    layers = {key: fixed[key] for key in modules[0].parameters_of_layers()}
    found = vmap(grad(value), randomness="same")(layers, fixed, x)
    for index, module in enumerate(modules):
        alone = gradients(module.layers, module(x[index]))
        torch.testing.assert_close(tuple(g[index] for g in found.values()), alone)


def gradients_of_draws(module, rows):
    """Gradients of as many draws, from a pack of equal replicas."""
    layers = [
        Dense(*(p.detach().expand(rows, *p.shape).clone() for p in layer.parameters()))
        for layer in module.layers
    ]
    method = module.method
    out = method.estimate(layers, normal(1, 3).expand(rows, 1, 3), objective_for(method), Noise())
    found = gradients(layers, out.surrogate)
    names = [name for name, _ in module.layers.named_parameters(prefix="layers")]
    return dict(zip(names, found, strict=True))
