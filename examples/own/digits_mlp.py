"""A network of one hidden layer on scikit-learn's digits: a plain PyTorch loop as a task."""

import torch
from sklearn.datasets import load_digits
from sklearn.model_selection import train_test_split
from torch import nn
from torch.nn.functional import cross_entropy

import raysweep


@raysweep.task(metrics={"train_loss": "min", "test_accuracy": "max"})
def digits_mlp(
    run: raysweep.Run,
    *,
    hidden: int = 64,
    dropout: float = 0.0,
    lr: float = 1e-3,
    batch_size: int = 64,
    steps: int = 500,
) -> dict[str, float]:
    """Classify the digits."""
    split = train_test_split(*load_digits(return_X_y=True), test_size=0.25, random_state=0)
    x, x_test = (
        torch.tensor(part, dtype=torch.float32, device=run.device) / 16 for part in split[:2]
    )
    y, y_test = (torch.tensor(part, device=run.device) for part in split[2:])

    model = nn.Sequential(
        nn.Linear(64, hidden), nn.ReLU(), nn.Dropout(dropout), nn.Linear(hidden, 10)
    ).to(run.device)
    optimizer = torch.optim.Adam(model.parameters(), lr=lr)
    run.track(model=model, optimizer=optimizer)

    for _ in run.steps(steps):
        batch = torch.randint(len(x), (batch_size,))
        loss = cross_entropy(model(x[batch]), y[batch])
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        run.report(train_loss=loss)

    model.eval()
    with torch.no_grad():
        accuracy = (model(x_test).argmax(1) == y_test).float().mean()
    return {"test_accuracy": accuracy.item()}
