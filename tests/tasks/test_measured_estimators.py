import torch

from raysweep import estimators
from raysweep.estimators.nvil import NVIL

SETTINGS = {"problem": "coupled", "categories": 2, "evaluation_samples": 100, "report_every": 1}


def measurement(train, estimator):
    return train("gradient_quality", range(2), estimator=estimator, **SETTINGS).advance(1)


def test_a_measurement_does_not_move_running_means(train):
    # At the first step nvil's running mean is 0, and without a context it is the plain score
    # function: also in the last of a hundred estimates.
    nvil, plain = (measurement(train, estimators.get(name)) for name in ("nvil", "reinforce"))
    for name in ("cosine_1", "cosine_100", "relative_bias", "relative_variance"):
        assert torch.allclose(nvil[name], plain[name])


def test_training_moves_running_means(train):
    estimator = NVIL()
    train("gradient_quality", range(2), estimator=estimator, **SETTINGS).advance(1)
    assert (estimator.running_mean != 0).all()
