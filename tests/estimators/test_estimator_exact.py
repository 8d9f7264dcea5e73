"""Enumeration against sums written out, and its chunks against the whole."""

import pytest
import torch

from raysweep import estimators
from raysweep.estimators import exact
from raysweep.testing.estimators import leaf, problem

EXACT = {"rtol": 0, "atol": 1e-12}


def written_out(p, objective):
    """The expectation over two latents, by two loops."""
    total = 0
    for i in range(p.shape[-1]):
        for j in range(p.shape[-1]):
            one_hot = torch.zeros_like(p)
            one_hot[0, i] = one_hot[1, j] = 1
            total = total + p[0, i] * p[1, j] * objective(one_hot[None])[0]
    return total


@pytest.mark.parametrize("categories", [2, 3, 5])
def test_expectation_is_the_sum_over_states(categories):
    small = problem(2, categories)
    target = written_out(small.logits.softmax(-1), small.objective)
    got = exact.expectation(small.logits, small.objective)
    torch.testing.assert_close(got, target, **EXACT)
    torch.testing.assert_close(small.gradients(got), small.gradients(target), **EXACT)


def test_probit_link_takes_the_normal_distribution():
    small = problem(2, 2)
    second = torch.special.ndtr(small.logits[:, 1] - small.logits[:, 0])
    target = written_out(torch.stack((1 - second, second), -1), small.objective)
    got = exact.expectation(small.logits, small.objective, link="probit")
    torch.testing.assert_close(got, target, **EXACT)
    torch.testing.assert_close(small.gradients(got), small.gradients(target), **EXACT)


def test_rows_of_a_batch_are_their_own_expectations():
    rows = problem(2, 3).copies(4)
    got = exact.expectation(rows.logits, rows.objective)
    single = problem(2, 3)
    target = exact.expectation(single.logits, single.objective)
    torch.testing.assert_close(got, target.expand(4), **EXACT)


@pytest.mark.parametrize("numbers", [1, 100, 250])
def test_chunks_of_states_add_up(numbers, monkeypatch):
    small = problem(4, 3).copies(2)
    whole = exact.expectation(small.logits, small.objective)
    expected = small.gradients(whole)
    monkeypatch.setattr(exact, "CHUNK_NUMBERS", numbers)
    chunked = exact.expectation(small.logits, small.objective)
    torch.testing.assert_close(chunked, whole, **EXACT)
    torch.testing.assert_close(small.gradients(chunked), expected, **EXACT)


def test_chunks_without_gradients_add_up(monkeypatch):
    small = problem(4, 3)
    whole = exact.expectation(small.logits, small.objective).detach()
    monkeypatch.setattr(exact, "CHUNK_NUMBERS", 30)
    with torch.no_grad():
        torch.testing.assert_close(exact.expectation(small.logits, small.objective), whole, **EXACT)


def test_value_of_the_estimator_is_the_expectation():
    rows = problem(3, 3).copies(20)
    out = estimators.get("exact").estimate(rows.logits, rows.objective, estimators.Noise())
    torch.testing.assert_close(
        out.surrogate, exact.expectation(rows.logits, rows.objective), **EXACT
    )


def test_second_derivatives_are_exact():
    logits = leaf(problem(2, 2).logits)
    objective = problem(2, 2).objective
    value = exact.expectation(logits, objective)
    (first,) = torch.autograd.grad(value, logits, create_graph=True)
    (second,) = torch.autograd.grad(first.square().sum(), logits)
    assert second.abs().max() > 0


def test_an_unknown_link_is_refused():
    with pytest.raises(ValueError, match="link must be 'softmax' or 'probit', got 'logit'"):
        exact.expectation(torch.zeros(2, 2), lambda one_hot: one_hot.sum((-2, -1)), link="logit")


def test_the_probit_link_needs_two_categories():
    with pytest.raises(ValueError, match="probit link needs 2 categories, got 3"):
        exact.expectation(torch.zeros(2, 3), lambda one_hot: one_hot.sum((-2, -1)), link="probit")


def test_logits_without_categories_are_refused():
    with pytest.raises(ValueError, match=r"logits must be `\*B L C`, got shape \(3,\)"):
        exact.expectation(torch.zeros(3), lambda one_hot: one_hot)


def test_second_derivatives_of_the_expectation_can_be_mapped_over_rows():
    small = problem(2, 3)
    theta = torch.stack([small.logits.detach() + shift for shift in (0.0, 0.5)])
    theta[1, 0, 0] -= 1

    def value(logits):
        return exact.expectation(logits, small.objective).sum()

    of_row = torch.func.jacrev(torch.func.jacrev(lambda row: value(row.unsqueeze(0))))
    whole = torch.autograd.functional.hessian(value, theta)
    own = torch.stack([whole[i, :, :, i] for i in range(len(theta))])
    torch.testing.assert_close(torch.func.vmap(of_row)(theta), own)
