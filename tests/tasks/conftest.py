"""Fixtures of the tasks' tests. No `__init__.py` here: this folder must not shadow `tasks`."""

import pytest
import torch

from raysweep import estimators, tasks
from raysweep.estimators.noise import Noise
from raysweep.tasks.base import Replica
from raysweep.tasks.data import nats_bench
from raysweep.tasks.nas import cells

SMALL = {
    "polynomial": {"latents": 6, "batch_size": 8, "steps": 200},
    "categorical_vae": {
        "dataset": "digits",
        "categories": 3,
        "latents": 4,
        "hidden": (24, 12),
        "batch_size": 16,
        "steps": 200,
    },
    "bernoulli_vae": {
        "dataset": "digits",
        "validation_examples": 100,
        "latents": 6,
        "hidden": (24, 12),
        "batch_size": 16,
        "prior": "learned",
        "prior_lr": 0.1,
        "center_input": True,
        "output_bias_from_data": True,
        "gradient_variance": True,
        "steps": 200,
    },
    "structured_prediction": {
        "dataset": "digits",
        "latents": 6,
        "hidden": (12,),
        "batch_size": 16,
        "steps": 200,
    },
    "gradient_quality": {
        "dataset": "digits",
        "categories": 2,
        "latents": 3,
        "hidden": (12,),
        "batch_size": 16,
        "evaluation_examples": 4,
        "evaluation_samples": 30,
        "report_every": 10,
        "steps": 200,
    },
    "sbn_gradient_quality": {
        "units": 3,
        "layers": 2,
        "draws": 10,
        "trained_by": "estimator",
        "report_every": 10,
        "steps": 200,
    },
    "gmm": {"dimensions": 2, "examples": 20, "steps": 200},
    "listops": {
        "training_set": "generated",
        "test_set": "generated",
        "training_examples": 60,
        "validation_examples": 10,
        "evaluation_examples": 150,
        "max_tokens": 25,
        "buckets": 2,
        "embedding_units": 5,
        "hidden_units": 6,
        "classifier_units": 7,
        "batch_size": 4,
        "report_every": 10,
        "steps": 200,
    },
    "sbn_generative": {
        "dataset": "digits",
        "validation_examples": 100,
        "latents": (4,),
        "hidden": (7,),
        "batch_size": 16,
        "gradient_variance": True,
        "steps": 200,
    },
    "sbn_structured": {
        "dataset": "digits",
        "validation_examples": 100,
        "latents": (4, 3),
        "hidden": (7,),
        "batch_size": 16,
        "steps": 200,
    },
    "sbn_classifier": {
        "dataset": "digits",
        "validation_examples": 100,
        "augmentation": "affine",
        "depths": (2, 3),  # few enough units to enumerate their states
        "kernels": (3, 2),
        "strides": (3, 1),
        "whitening_examples": 20,
        "evaluation_examples": 30,
        "batch_size": 8,
        "steps": 200,
    },
    "nas_tabular": {"batch_size": 4, "steps": 200},
    "nas": {
        "dataset": "digits",
        "benchmark": "cifar10",
        "architecture_examples": 100,
        "augmentation": "none",
        "channels": 2,
        "cells": 1,
        "evaluation_examples": 20,
        "batch_size": 4,
        "steps": 200,
    },
}


@pytest.fixture(autouse=True)
def accuracies(request, monkeypatch):
    """Accuracies of cells that are made up, so that most tests need no file."""
    if "real_accuracies" in request.fixturenames:
        return
    numbers = Noise(purpose="accuracies").uniform(4, cells.CELLS, dtype=torch.float64)
    columns = dict(zip(nats_bench.FULL_COLUMNS, 100 * numbers, strict=True))

    def read(data_set, full, root):
        names = nats_bench.FULL_COLUMNS if full else nats_bench.COLUMNS
        return {name: columns[name] for name in names}

    monkeypatch.setattr(cells, "read_by_code", read)


@pytest.fixture
def real_accuracies(data_folder, monkeypatch):
    """The folder with NATS-Bench's accuracies, which is that of the data sets."""
    if not (data_folder / nats_bench.TABLE).is_file():
        pytest.skip(f"no {nats_bench.TABLE} in {data_folder}; set RAYSWEEP_DATA")
    monkeypatch.setenv("RAYSWEEP_DATA", str(data_folder))
    return data_folder


@pytest.fixture(autouse=True, scope="session")
def one_thread():
    """Tensors are small, and tests share the machine."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


@pytest.fixture
def small():
    """Settings of a small version of every task."""
    return SMALL


@pytest.fixture
def train():
    """Starts a training of a small version of a task, with replicas' own settings if given."""

    def start(name, seeds, own=None, estimator=None, **settings):
        task = tasks.get(name)
        own = own or [{} for _ in seeds]
        replicas = [
            Replica(f"run-{index}", seed, values)
            for index, (seed, values) in enumerate(zip(seeds, own, strict=True))
        ]
        settings = task.settings(**{**SMALL[name], **settings})
        method = estimator or estimators.get("straight_through", family=task.family)
        return task.start(settings, replicas, method, torch.device("cpu"))

    return start


@pytest.fixture
def build_model():
    """The model of a small version of a task, linear and in float64, with weights that matter."""

    def build(name, seeds=(0, 1), link="softmax", scale=3.0, **changes):
        linear = {"dataset": "digits", "batch_size": 10, "hidden": (), "dtype": "float64"}
        task = tasks.get(name)
        settings = task.settings(**{**linear, **changes})
        cpu = torch.device("cpu")
        model = task.model(settings, list(seeds), cpu, link)
        generator = torch.Generator().manual_seed(0)
        for key, value in model.named_parameters():
            noise = torch.randn(value.shape, generator=generator, dtype=value.dtype)
            value.data = noise if key.startswith("prior") else value.data * scale + noise / 10
        return model

    return build


@pytest.fixture(scope="session")
def data_folder(data_folder):
    """The folder with MNIST's files."""
    if not (data_folder / "MNIST" / "raw").is_dir():
        pytest.skip(f"no MNIST/raw in {data_folder}; set RAYSWEEP_DATA")
    return data_folder


@pytest.fixture(scope="session")
def listops_folder(data_folder):
    """The folder with ListOps's official test set."""
    if not list((data_folder / "ListOps").glob("test_d20s.tsv*")):
        pytest.skip(f"no ListOps/test_d20s.tsv in {data_folder}; set RAYSWEEP_DATA")
    return data_folder
