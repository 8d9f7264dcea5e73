"""A small convolutional network on MNIST, with a DataLoader: a turn of the loop is an epoch."""

import torch
from torch import nn
from torch.nn.functional import cross_entropy
from torch.utils.data import DataLoader, TensorDataset

import raysweep
from raysweep.tasks import data


@raysweep.task(metrics={"train_loss": "min", "test_error": "min"})
def mnist_cnn(
    run: raysweep.Run,
    *,
    channels: int = 16,
    lr: float = 0.05,
    schedule: bool = False,
    batch_size: int = 128,
    examples: int = 60_000,
    epochs: int = 5,
) -> None:
    """Classify MNIST; the data set is downloaded to `run.data` unless it is there."""
    images, labels = data.load("mnist"), data.load_labels("mnist")
    train = TensorDataset(images.train[:examples].reshape(-1, 1, 28, 28), labels.train[:examples])
    x_test, y_test = images.test[:2000].reshape(-1, 1, 28, 28), labels.test[:2000]
    loader = DataLoader(train, batch_size=batch_size, shuffle=True)

    model = nn.Sequential(
        nn.Conv2d(1, channels, 5, stride=2),
        nn.ReLU(),
        nn.Conv2d(channels, 2 * channels, 5, stride=2),
        nn.ReLU(),
        nn.Flatten(),
        nn.Linear(2 * channels * 4 * 4, 10),
    ).to(run.device)
    optimizer = torch.optim.SGD(model.parameters(), lr=lr, momentum=0.9)
    if schedule:
        scheduler = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, epochs)
    else:
        scheduler = torch.optim.lr_scheduler.ConstantLR(optimizer, factor=1)
    run.track(model=model, optimizer=optimizer, scheduler=scheduler)

    for _ in run.steps(epochs):
        model.train()
        for x, y in loader:
            loss = cross_entropy(model(x.to(run.device)), y.to(run.device))
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            run.report(train_loss=loss)
        scheduler.step()
        model.eval()
        with torch.no_grad():
            wrong = model(x_test.to(run.device)).argmax(1).cpu() != y_test
        run.report(test_error=wrong.float().mean())
