"""Search of NATS-Bench's cells by their tabulated accuracy."""

import itertools
from pathlib import Path

import pytest
import torch

import raysweep
from raysweep import estimators, tasks
from raysweep.estimators.exact import Exact, expectation
from raysweep.estimators.noise import Noise
from raysweep.tasks.data import nats_bench
from raysweep.tasks.nas.cells import by_code
from raysweep.tasks.nas.space import EDGES, OPERATIONS, cell_text, code_of
from raysweep.tasks.nas.tabular import NasTabularModel, NasTabularSettings

CODES = list(itertools.product(range(len(OPERATIONS)), repeat=len(EDGES)))
EXAMPLE = Path(__file__).parents[2] / "examples" / "architectures.yaml"
CPU = torch.device("cpu")


def model_of(**changes):
    """A model in float64 whose logits matter, with two replicas."""
    settings = NasTabularSettings(**{"batch_size": 3, "dtype": "float64", **changes})
    model = NasTabularModel(settings, [0, 1], CPU)
    model.theta.data = model.theta.data * 1000
    return model


def one_hot(codes):
    return torch.nn.functional.one_hot(torch.tensor(codes), len(OPERATIONS)).double()


def test_every_code_is_that_of_its_text():
    texts = [cell_text(code) for code in CODES]
    assert len(set(texts)) == 15_625
    assert [code_of(text) for text in texts] == CODES


def test_the_text_of_a_cell_is_that_of_the_benchmark():
    assert cell_text((4, 2, 1, 2, 1, 1)) == (
        "|avg_pool_3x3~0|+|nor_conv_1x1~0|skip_connect~1|"
        "+|nor_conv_1x1~0|skip_connect~1|skip_connect~2|"
    )


@pytest.mark.parametrize(
    "text",
    [
        "",
        "|none~0|",
        "|none~0|+|none~0|none~1|+|none~0|none~1|conv~2|",
        "|none~0|+|none~0|none~1|+|none~0|none~1|none~1|",
        "|none~0|none~0|+|none~1|+|none~0|none~1|none~2|",
    ],
)
def test_a_text_of_no_cell_is_refused(text):
    with pytest.raises(ValueError, match="expected a cell"):
        code_of(text)


@pytest.mark.parametrize("code", [(0,) * 5, (0, 0, 0, 0, 0, 5), (0, 0, -1, 0, 0, 0)])
def test_a_code_of_no_cell_is_refused(code):
    with pytest.raises(ValueError, match="expected 6 operations"):
        cell_text(code)


def test_the_objective_of_each_cell_is_its_error():
    model = model_of()
    error = 1 - by_code("cifar10", full=False)["val_12"] / 100
    torch.testing.assert_close(model.objective(one_hot(CODES)), error, rtol=0, atol=1e-12)


def test_the_gradient_at_a_cell_has_the_difference_of_each_operation():
    model = model_of()
    sample = one_hot(CODES[4321]).requires_grad_()
    (gradient,) = torch.autograd.grad(model.objective(sample), sample)
    for edge, operation in itertools.product(range(len(EDGES)), range(len(OPERATIONS))):
        other = list(CODES[4321])
        other[edge] = operation
        error = model.objective(one_hot(other))
        torch.testing.assert_close(gradient[edge, operation], error, rtol=0, atol=1e-12)


def test_the_expected_loss_equals_enumeration_in_value_and_gradient():
    model = model_of()
    enumerated = expectation(model.theta, model.objective)
    closed = model.expected_loss()
    torch.testing.assert_close(closed, enumerated, rtol=0, atol=1e-13)
    ours, theirs = (torch.autograd.grad(one.sum(), model.theta)[0] for one in (closed, enumerated))
    torch.testing.assert_close(ours, theirs, rtol=0, atol=1e-13)


def test_exact_follows_the_gradient_of_its_enumeration():
    model = model_of(batch_size=1)
    noise = Noise(seeds=[0, 1])
    surrogate = model.losses(0, Exact(), noise).surrogate
    estimate = Exact().estimate(model.theta.unsqueeze(1), model.objective, noise)
    ours, theirs = (
        torch.autograd.grad(one.sum(), model.theta)[0] for one in (surrogate, estimate.surrogate)
    )
    torch.testing.assert_close(ours, theirs, rtol=0, atol=1e-13)


def test_straight_through_is_local_expectation_as_the_loss_is_multilinear():
    model = model_of()
    gradients = []
    for name in ("straight_through", "local_expectation"):
        losses = model.losses(0, estimators.get(name), Noise(seeds=[0, 1]))
        gradients.append(torch.autograd.grad(losses.surrogate.sum(), model.theta)[0])
    torch.testing.assert_close(*gradients, rtol=0, atol=1e-13)


def test_final_metrics_are_those_of_the_most_probable_cell():
    model = model_of(searched="test_12")
    columns = by_code("cifar10", full=False)
    best = int(columns["test_12"].argmax())
    model.theta.data[0] = one_hot(CODES[best])
    model.theta.data[1] = one_hot(CODES[7])
    metrics = model.evaluate()
    assert metrics["final_regret"].tolist()[0] == 0
    assert metrics["final_regret"].tolist() == metrics["final_regret_test_12"].tolist()
    for name, column in columns.items():
        accuracy = [column[best].item(), column[7].item()]
        assert metrics[f"final_accuracy_{name}"].tolist() == accuracy
        regret = [column.max().item() - value for value in accuracy]
        assert metrics[f"final_regret_{name}"].tolist() == regret


@pytest.mark.parametrize("name", ["arm", "disarm", "arms"])
def test_an_estimator_of_binary_variables_is_refused(name):
    task = tasks.get("nas_tabular")
    assert "needs 2 categories, got 5" in task.check(task.settings(), estimators.get(name))


def test_a_column_that_the_table_lacks_is_refused():
    with pytest.raises(ValueError, match="val_200 is not in the accuracy table; set full"):
        NasTabularSettings(searched="val_200")


@pytest.mark.parametrize("dataset", nats_bench.DATA_SETS)
def test_the_text_of_every_code_is_one_of_the_table(real_accuracies, dataset):
    cells, _ = nats_bench.load(dataset)
    assert sorted(cells) == sorted(cell_text(code) for code in CODES)


def test_accuracies_are_those_of_the_table_for_every_code(real_accuracies):
    for dataset in nats_bench.DATA_SETS:
        cells, columns = nats_bench.load(dataset)
        rows = {cell: row for row, cell in enumerate(cells)}
        order = [rows[cell_text(code)] for code in CODES]
        ours = by_code(dataset, full=False)
        assert {name: ours[name].tolist() for name in ours} == {
            name: column[order].tolist() for name, column in columns.items()
        }


def test_estimators_rank_by_regret_with_exact_first_and_reinforce_last(real_accuracies, train):
    means, errors = {}, {}
    for name in ("exact", "straight_through", "reinforce"):
        settings = {"batch_size": 1, "lr": 0.1, "steps": 200}
        training = train("nas_tabular", range(20), estimator=estimators.get(name), **settings)
        training.advance(200)
        regret = training.evaluate()["final_regret"]
        means[name], errors[name] = regret.mean(), regret.std() / 20**0.5
    assert means["exact"] == 0
    difference = means["reinforce"] - means["straight_through"]
    assert difference > 5 * torch.hypot(errors["reinforce"], errors["straight_through"])


def test_the_example_trains_every_estimator(real_accuracies, tmp_path):
    results = raysweep.run(EXAMPLE, store=tmp_path, inline=True, smoke=True, quiet=True)
    runs = results.runs().to_pylist()
    assert {run["status"] for run in runs} == {"done"}
    assert len({(run["estimator"], run["task"]) for run in runs}) == 33


@pytest.mark.parametrize("dataset", nats_bench.DATA_SETS)
def test_exact_gradient_ascent_reaches_the_best_cell(real_accuracies, train, dataset):
    training = train("nas_tabular", range(5), estimator=Exact(), dataset=dataset, lr=0.3, steps=200)
    training.advance(200)
    assert training.evaluate()["final_regret"].tolist() == [0] * 5
