"""Training of a function of a test, saved and finished."""

import pytest
import torch

from raysweep.estimators.none import NoEstimator
from raysweep.tasks.base import Replica
from raysweep.tasks.functions.task import task

CPU = torch.device("cpu")
LOSS = {"train_loss": "min"}


@pytest.fixture
def start():
    """Start the training of a function, and close it at the end."""
    begun = []

    def make(function, metrics=LOSS, seed=0, state=None, **settings):
        made = task(metrics=metrics)(function)
        values = made.settings(**settings)
        training = made.start(values, [Replica("id", seed, {})], NoEstimator(), CPU)
        begun.append(training)
        if state is not None:
            training.load_state_dict(state)
        training.length()
        return training

    yield make
    for training in begun:
        training.close()
