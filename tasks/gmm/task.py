"""Maximum likelihood of a Gaussian mixture, with a discrete variable per example."""

from collections.abc import Mapping
from typing import ClassVar

import torch

from raysweep.estimators.base import Estimator
from raysweep.tasks.base import DTYPES, Metric, Replica, Task, Training
from raysweep.tasks.gmm.expectation_maximisation import ExpectationMaximisation
from raysweep.tasks.gmm.mixture import METRICS
from raysweep.tasks.gmm.models import EstimatedMixture, MixtureModel, RelaxedMixture
from raysweep.tasks.gmm.settings import COMPONENTS, GmmSettings
from raysweep.tasks.training.loop import GradientTraining, training_bytes


class Gmm(Task[Estimator]):
    """Minimisation of mean_i -log sum_c p_c N(x_i; mean_c, covariance_c), a mixture's likelihood.

    There are two components, with full covariances. The class weights' logits `R C` are those of
    one categorical variable per example, whose gradient the estimator gives; its objective is
    linear, so straight-through is unbiased too. Weights are a softmax; with the probit link the
    second component's is Phi(theta_1 - theta_0), and a component that lost its weight hardly
    regains it. Fits by EM and by the score function of the relaxed model have the same start, and
    all report the same exact likelihood.

    Departures from the published derivation: the denominator is exact, not sampled; one function
    gives the class weight in sampling, scores and reports, where the published signs disagree.
    Departures from its code: theta's score keeps samples and examples apart and is not divided by
    1000; densities have the covariances that data are drawn with; the relaxed fit is that of
    appendix E.6; EM and gradients are measured by one likelihood; rates do not decay.

    References:
        Andrzejczuk, Bielecki, Orłowski, "Project REBAR", section 4, appendices E.5 and E.6.
        Tucker et al. (2017), arXiv:1703.07370, for REBAR itself.
    """

    name: ClassVar[str] = "gmm"
    version: ClassVar[int] = 1
    settings: ClassVar[type] = GmmSettings
    metrics: ClassVar[Mapping[str, Metric]] = METRICS
    family: ClassVar[str] = "categorical"

    def check(self, settings: GmmSettings, estimator: Estimator) -> str | None:
        """Return the reason why this pair cannot run, or None; other fits accept only `exact`."""
        if settings.fit != "estimator" and estimator.name != "exact":
            return (
                f"fit {settings.fit!r} uses no estimator and needs the estimator exact, "
                f"got {estimator.name}"
            )
        if estimator.needs_context:
            return estimator.context_is_missing
        return estimator.check(1, COMPONENTS)

    def replica_bytes(self, settings: GmmSettings, estimator: Estimator) -> int:
        """Return the bytes of the parameters, their optimizer's state, densities and samples."""
        parameters = COMPONENTS * (1 + settings.dimensions + settings.dimensions**2)
        samples = COMPONENTS * estimator.evaluations(1, COMPONENTS)
        if settings.fit == "relaxed_reinforce":
            samples = 6 * settings.relaxed_samples
        densities = COMPONENTS * (2 + settings.dimensions)
        return training_bytes(parameters, settings.examples * (densities + samples), settings)

    def start(
        self,
        settings: GmmSettings,
        replicas: list[Replica],
        estimator: Estimator,
        device: torch.device,
    ) -> Training:
        """Build the training of a pack at step 0."""
        if settings.fit == "em":
            return ExpectationMaximisation(settings, replicas, device)
        seeds = [replica.seed for replica in replicas]
        model: MixtureModel
        if settings.fit == "relaxed_reinforce":
            model = RelaxedMixture(settings, seeds, device)
        else:
            model = EstimatedMixture(settings, seeds, device, estimator.link)
        estimator.build(1, COMPONENTS, replicas=len(replicas))
        estimator.to(device, DTYPES[settings.dtype])
        return GradientTraining(model, estimator, settings, replicas, default_window=1)
