"""Networks of half precision, and under autocast: noise has the digits of float32."""

import contextlib

import pytest
import torch
from layered_cases import cases, get, gradients, network, normal, objective_for

from raysweep.estimators import Noise
from raysweep.estimators.layered import Dense, Head


@pytest.mark.parametrize("kind", ["autocast", "weights"])
@cases()
def test_gradients_are_near_those_of_float32(name, settings, kind):
    sizes, found = (3, 2, 2), []
    for dtype in (torch.float32, torch.bfloat16):
        is_half = dtype == torch.bfloat16
        layers = network(*sizes, dtype=dtype if kind == "weights" else torch.float32)
        method = get(name, **settings)
        method.build(len(layers))
        x = normal(400, 3, dtype=layers[0].weight.dtype)
        context = (
            torch.autocast("cpu", torch.bfloat16)
            if is_half and kind == "autocast"
            else contextlib.nullcontext()
        )
        with context:
            out = method.estimate(layers, x, objective_for(method), Noise(seed=1))
            if is_half:
                assert all(state.dtype == torch.bfloat16 for state in out.states)
        found.append([one.float() for one in gradients(layers, out.surrogate / 400)])
    # few states change their sign, by rounded pre-activations
    for exact, half in zip(*found, strict=True):
        assert (exact - half).abs().max() < 0.15 * exact.abs().max() + 0.02


def test_rare_states_are_as_frequent_as_they_should_be():
    """Uniform numbers of eight bits never reach a probability of 0.25 %."""
    layer = Dense(torch.zeros(1, 1).bfloat16(), torch.tensor([-6.0]).bfloat16())
    rows = 400_000
    seen = []

    def loss(state):
        seen.append((state > 0).float().mean().item())
        return state.float().squeeze(-1)

    get("reinforce").estimate([layer], torch.zeros(rows, 1).bfloat16(), Head(loss), Noise(seed=3))
    p = torch.sigmoid(torch.tensor(-6.0)).item()
    assert abs(seen[0] - p) < 5 * (p / rows) ** 0.5
