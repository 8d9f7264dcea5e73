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
