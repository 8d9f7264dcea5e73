"""An autoencoder of digits whose code is categorical: a function that takes an estimator."""

import torch
from sklearn.datasets import load_digits
from torch import Tensor, nn
from torch.nn.functional import one_hot

import raysweep

CATEGORIES = 8


@raysweep.task(metrics={"train_loss": "min", "final_error": "min"}, family="categorical")
def categorical_code(
    run: raysweep.Run,
    *,
    latents: int = 8,
    lr: float = 3e-3,
    batch_size: int = 64,
    steps: int = 500,
) -> dict[str, float]:
    """Reconstruct the digits from a code of categorical variables."""
    images = load_digits().images.reshape(-1, 64) / 16
    x = torch.tensor(images, dtype=torch.float32, device=run.device)
    encoder = nn.Linear(64, latents * CATEGORIES).to(run.device)
    decoder = nn.Linear(latents * CATEGORIES, 64).to(run.device)
    optimizer = torch.optim.Adam([*encoder.parameters(), *decoder.parameters()], lr=lr)
    run.track(encoder=encoder, decoder=decoder, optimizer=optimizer)

    def error(code: Tensor, wanted: Tensor) -> Tensor:
        """Return the squared errors of decoded one-hot codes, with a leading axis of samples."""
        return (decoder(code.flatten(-2)) - wanted).square().mean(-1)

    for _ in run.steps(steps):
        batch = x[torch.randint(len(x), (batch_size,))]
        logits = encoder(batch).unflatten(-1, (latents, CATEGORIES))
        out = run.estimator.estimate(logits, lambda code, batch=batch: error(code, batch))
        optimizer.zero_grad()
        out.surrogate.mean().backward()
        optimizer.step()
        run.report(train_loss=out.value.mean())

    with torch.no_grad():
        logits = encoder(x).unflatten(-1, (latents, CATEGORIES))
        likely = one_hot(logits.argmax(-1), CATEGORIES).to(x)
        return {"final_error": error(likely, x).mean().item()}
