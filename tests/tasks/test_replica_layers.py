import pytest
import torch
from torch import nn

from raysweep.estimators.noise import Noise
from raysweep.tasks.training.layers import MLP, Linear, fold_samples, select, unfold_samples

SEEDS = [3, 1, 4]


def init(seeds=SEEDS):
    return Noise(seeds=seeds, purpose="init")


def torch_twin(layer, replica):
    """The same affine map as a `torch.nn.Linear`."""
    _, inputs, outputs = layer.weight.shape
    twin = nn.Linear(inputs, outputs, dtype=layer.weight.dtype)
    with torch.no_grad():
        twin.weight.copy_(layer.weight[replica].T)
        twin.bias.copy_(layer.bias[replica, 0])
    return twin


@pytest.mark.parametrize("leading", [(), (1,), (5,)], ids=["no-samples", "one", "five"])
def test_linear_equals_torch_for_every_replica(leading):
    layer = Linear(4, 6, init(), dtype=torch.float64)
    x = torch.randn(*leading, 3, 7, 4, dtype=torch.float64)
    y = layer(x)
    assert y.shape == (*leading, 3, 7, 6)
    for replica in range(3):
        expected = torch_twin(layer, replica)(x[..., replica, :, :])
        torch.testing.assert_close(y[..., replica, :, :], expected)


@pytest.mark.parametrize("leading", [(), (5,)], ids=["no-samples", "five"])
def test_mlp_equals_torch_for_every_replica(leading):
    mlp = MLP([4, 8, 5, 2], init(), dtype=torch.float64)
    x = torch.randn(*leading, 3, 7, 4, dtype=torch.float64)
    y = mlp(x)
    for replica in range(3):
        first, second, third = (torch_twin(layer, replica) for layer in mlp.layers)
        twin = nn.Sequential(first, nn.ReLU(), second, nn.ReLU(), third)
        torch.testing.assert_close(y[..., replica, :, :], twin(x[..., replica, :, :]))


def test_gradients_equal_torch_for_every_replica():
    mlp = MLP([4, 8, 2], init(), dtype=torch.float64)
    x = torch.randn(3, 7, 4, dtype=torch.float64)
    gradients = torch.autograd.grad(mlp(x).square().sum(), list(mlp.parameters()))
    for replica in range(3):
        first, second = (torch_twin(layer, replica) for layer in mlp.layers)
        twin = nn.Sequential(first, nn.ReLU(), second)
        expected = torch.autograd.grad(twin(x[replica]).square().sum(), list(twin.parameters()))
        torch.testing.assert_close(gradients[0][replica], expected[0].T)
        torch.testing.assert_close(gradients[3][replica, 0], expected[3])


def test_variance_scaling_is_a_truncated_normal_of_variance_two_over_inputs():
    layer = Linear(400, 300, init(), initialisation="variance_scaling", dtype=torch.float64)
    scaled = layer.weight.detach() * (400 / 2.6) ** 0.5
    assert scaled.abs().max() <= 2
    assert (scaled.abs() > 1.99).any()
    assert abs(scaled.mean()) < 5 * 0.88 / scaled.numel() ** 0.5
    assert abs(scaled.square().mean() - 0.7737) < 0.005
    assert (scaled.abs() < 1).double().mean().sub(0.6827 / 0.9545).abs() < 0.005
    assert (layer.bias == 0).all()


def test_initial_numbers_depend_on_the_own_seed_only():
    pack = MLP([4, 8, 2], init())
    for replica, seed in enumerate(SEEDS):
        alone = MLP([4, 8, 2], init([seed]))
        for shared, own in zip(pack.parameters(), alone.parameters(), strict=True):
            assert torch.equal(shared[replica], own[0])


def test_initial_numbers_are_uniform_in_torchs_bounds():
    layer = Linear(400, 100, init([0]))
    bound = 1 / 20
    # The standard error of the mean of 40,000 such numbers is bound / sqrt(3 * 40,000).
    assert layer.weight.abs().max() <= bound
    assert layer.weight.abs().max() > 0.999 * bound
    assert layer.weight.mean().abs() < 5 * bound / (3 * 40_000) ** 0.5
    assert layer.bias.abs().max() <= bound


def test_select_keeps_the_chosen_replicas_in_order():
    mlp = MLP([4, 8, 2], init())
    before = [parameter.detach().clone() for parameter in mlp.parameters()]
    select(mlp, torch.tensor([True, False, True]))
    for parameter, old in zip(mlp.parameters(), before, strict=True):
        assert parameter.is_leaf
        assert parameter.requires_grad
        assert torch.equal(parameter, old[[0, 2]])


@pytest.mark.parametrize("samples", [1, 4])
def test_folded_samples_unfold_again(samples):
    x = torch.randn(samples, 3, 5, 2)
    assert torch.equal(unfold_samples(fold_samples(x), samples), x)


def test_layer_refuses_a_noise_without_replicas():
    with pytest.raises(ValueError, match="one seed per replica, got a noise of a single seed"):
        Linear(4, 6, Noise(seed=0))
