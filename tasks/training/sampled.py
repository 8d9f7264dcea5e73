"""Tasks whose network contains samples: the estimators that can train them."""

from raysweep.estimators.base import Estimator, PathwiseEstimator


def refusal(
    task: str, drawn: str, estimator: Estimator, latents: int, categories: int
) -> str | None:
    """Return the reason why an estimator cannot train a network that contains its samples.

    Args:
        task: Name of the task.
        drawn: What it draws once, for example "tree per expression".
        estimator: Estimator that the user chose.
        latents: Number of variables of a draw.
        categories: Number of their categories.
    """
    if not isinstance(estimator, PathwiseEstimator):
        return (
            f"{task} needs samples that carry the gradient, as those of reinmax or "
            f"st_gumbel_softmax, got {estimator.name}"
        )
    if estimator.samples > 1 and estimator.evaluations(1, 2) > 1:
        return f"{task} draws one {drawn} and needs samples 1, got samples {estimator.samples}"
    return estimator.check(latents, categories)
