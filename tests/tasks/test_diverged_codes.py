import pytest
import torch

from raysweep import estimators


@pytest.mark.parametrize("estimator", ["straight_through", "reinforce", "disarm", "nvil"])
def test_an_encoder_that_is_no_number_shows_in_training(train, estimator):
    training = train("structured_prediction", range(2), estimator=estimators.get(estimator))
    with torch.no_grad():
        training.state_dict()["model"]["encoder.layers.0.weight"][0] = torch.nan
    metrics = training.advance(1)
    assert metrics["train_loss"].isfinite().tolist() == [False, True]
    assert metrics["train_neg_log_likelihood"].isfinite().tolist() == [False, True]


@pytest.mark.parametrize("estimator", estimators.names("layered"))
@pytest.mark.parametrize("task", ["sbn_generative", "sbn_structured"])
def test_a_layer_that_is_no_number_shows_in_training(train, task, estimator):
    method = estimators.get(estimator, family="layered")
    training = train(task, range(2), estimator=method, latents=(4,))
    with torch.no_grad():
        training.state_dict()["model"]["inference.0.weight"][0] = torch.nan
    assert training.advance(1)["train_loss"].isfinite().tolist() == [False, True]
