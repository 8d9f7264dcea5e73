"""How good each estimator's gradients are at the same parameters of an 8 x 4 MNIST-VAE.

`python -m benchmarks.same_parameters --data DIR --trainer reinmax --steps 3000 --seeds 3`
"""

import argparse
import os

import torch

from raysweep import estimators, tasks
from raysweep.estimators.base import Estimator
from raysweep.tasks.base import Replica
from raysweep.tasks.gradient_quality.task import GradientQualitySettings, MeasuredModel

# Table 8 of Liu et al. (2023), arXiv:2304.08612, for 8 x 4; and temperature 1.
TUNED = {
    "STGS, 0.5": ("st_gumbel_softmax", {"temperature": 0.5}),
    "GR-MCK 100, 0.5": ("gumbel_rao", {"temperature": 0.5, "samples": 100}),
    "GST-1.0, 0.7": ("gapped_st", {"temperature": 0.7}),
    "ST, 1.3": ("straight_through", {"temperature": 1.3}),
    "ST, 1": ("straight_through", {}),
    "ReinMax, 1.3": ("reinmax", {"temperature": 1.3}),
    "ReinMax, 1": ("reinmax", {}),
    "RLOO 4": ("reinforce_loo", {"samples": 4}),
}
TRAINERS = {"reinmax": "ReinMax, 1.3", "stgs": "STGS, 0.5", "gr-mck": "GR-MCK 100, 0.5"}
SHOWN = ("cosine_1", "cosine_100", "cosine_1000", "relative_bias", "relative_variance")


def make(label: str) -> Estimator:
    name, settings = TUNED[label]
    return estimators.get(name, **settings)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", help="folder of the data sets")
    parser.add_argument("--trainer", choices=TRAINERS, default="reinmax")
    parser.add_argument("--steps", type=int, default=3000)
    parser.add_argument("--seeds", type=int, default=3)
    asked = parser.parse_args()
    if asked.data:
        os.environ["RAYSWEEP_DATA"] = asked.data
    torch.set_num_threads(1)
    torch.set_flush_denormal(True)
    settings = GradientQualitySettings(
        lr={"stgs": 3e-4}.get(asked.trainer, 5e-4), steps=asked.steps, report_every=asked.steps
    )
    replicas = [Replica(str(seed), seed, {}) for seed in range(asked.seeds)]
    trainer = make(TRAINERS[asked.trainer])
    training = tasks.get("gradient_quality").start(settings, replicas, trainer, torch.device("cpu"))
    training.advance(asked.steps)
    problem = training.model.problem
    print(f"trained by {TRAINERS[asked.trainer]}, {asked.steps} steps, {asked.seeds} seeds")
    print("| estimator | " + " | ".join(SHOWN) + " |")
    print("| --- |" + " ---: |" * len(SHOWN))
    for label in TUNED:
        estimator = make(label)
        estimator.build(settings.latents, settings.categories, replicas=asked.seeds)
        found = MeasuredModel(problem, estimator, settings, list(range(asked.seeds))).evaluate()
        cells = [f"{found[name].mean():.3f} ± {found[name].std():.3f}" for name in SHOWN]
        print(f"| {label} | " + " | ".join(cells) + " |", flush=True)


if __name__ == "__main__":
    main()
