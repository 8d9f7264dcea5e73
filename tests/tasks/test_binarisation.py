"""Grey images turned into bits, and the images that are kept to validate with."""

import hashlib
import io

import numpy as np
import pytest
import torch

from raysweep.tasks import data
from raysweep.tasks.data import binarized_mnist
from raysweep.tasks.images.batches import Images
from raysweep.tasks.vae.categorical import CategoricalVaeSettings

CPU = torch.device("cpu")


def original():
    """The digits in grey."""
    return data.load("digits", dtype=torch.float64)


@pytest.fixture
def images():
    """The images of a pack, in float64."""

    def build(binarisation, seeds=(0, 1, 2), **changes):
        settings = {"dataset": "digits", "batch_size": 50, "dtype": "float64", **changes}
        settings = CategoricalVaeSettings(**settings, binarisation=binarisation)
        return Images(settings, list(seeds), CPU)

    return build


def close_to_odds(bits, grey, errors=5):
    """Whether sums of bits are what their probabilities say, in all and pixel by pixel."""
    bits, grey = bits.flatten(0, -2), grey.flatten(0, -2)
    variance = (grey * (1 - grey)).sum(0)
    difference = (bits - grey).sum(0)
    limit = errors * variance.sqrt().clamp(min=1e-12)
    whole = errors * variance.sum().sqrt()
    return bool((difference.abs() < limit).all()) and bool(difference.sum().abs() < whole)


def test_without_binarisation_images_are_grey(images):
    for part in ("train", "test"):
        found = getattr(images("none"), part)
        assert torch.equal(found, getattr(original(), part))
        assert torch.equal(found * 16, (found * 16).round())
        assert len(found.unique()) == 17


def test_threshold_is_one_above_a_half(images):
    for part in ("train", "test"):
        grey = getattr(original(), part)
        assert (grey == 0.5).any()
        assert torch.equal(getattr(images("threshold"), part), (grey > 0.5).double())


@pytest.mark.parametrize("part", ["train", "test"])
def test_static_bits_have_the_grey_values_as_probabilities(images, part):
    grey, bits = getattr(original(), part), getattr(images("static"), part)
    assert bits.unique().tolist() == [0, 1]
    assert close_to_odds(bits, grey)
    assert not close_to_odds((grey > 0.5).double(), grey)  # the test above has power
    sure = (grey == 0) | (grey == 1)
    assert torch.equal(bits[sure], grey[sure])


def test_static_bits_are_the_same_for_every_seed_and_format(images):
    found = images("static", seeds=[0])
    other = images("static", seeds=[5, 6], dtype="float32")
    assert torch.equal(other.train.double(), found.train)
    assert torch.equal(other.test.double(), found.test)
    assert other.train.dtype == torch.float32


def test_static_bits_do_not_depend_on_the_cut(images):
    whole, cut = images("static"), images("static", validation_examples=200)
    assert torch.equal(torch.cat((cut.train, cut.valid)), whole.train)
    assert torch.equal(cut.test, whole.test)


def test_training_and_test_images_are_drawn_apart(images, monkeypatch):
    grey = torch.full((300, 64), 8.0)
    read, fetch = (lambda root: (grey, grey)), (lambda root: None)
    source = data.base.Source("halves", 300, 300, 64, 16, read, fetch)
    monkeypatch.setattr(data, "SOURCES", {"halves": source})
    found = data.load("halves", binarisation="static")
    assert ((found.train == found.test).float().mean() - 0.5).abs() < 5 * 0.5 / (300 * 64) ** 0.5


def test_static_batches_are_the_same_bits_whenever_they_come(images):
    found = images("static", seeds=[3])
    per_epoch = found.steps_per_epoch
    for epoch in range(2):
        seen = torch.zeros(1500, 64, dtype=torch.float64)
        for step in range(per_epoch):
            number = epoch * per_epoch + step
            seen[found.order.batch(number)[0]] = found.batch(number)[0]
        assert torch.equal(seen, found.train)


def test_dynamic_training_images_stay_grey_and_the_others_are_drawn_once(images):
    found, static = (images(each, validation_examples=200) for each in ("dynamic", "static"))
    assert torch.equal(found.train, original().train[:1300])
    assert torch.equal(found.valid, static.valid)
    assert torch.equal(found.test, static.test)


def test_dynamic_batches_are_bits_with_the_grey_values_as_probabilities(images):
    found = images("dynamic")
    bits = torch.stack([found.batch(step) for step in range(60)])
    grey = torch.stack([found.train[found.order.batch(step)] for step in range(60)])
    assert bits.unique().tolist() == [0, 1]
    assert bits.dtype == torch.float64
    assert close_to_odds(bits, grey)


def test_an_image_is_drawn_anew_for_every_step_and_seed(images):
    """With one batch of all images, only the order changes, which is undone here."""
    found = images("dynamic", batch_size=1500)
    draws = []
    for step in range(2):
        order = found.order.batch(step)
        draws += [bits[rows.argsort()] for bits, rows in zip(found.batch(step), order, strict=True)]
    unsure = (original().train > 0) & (original().train < 1)
    grey = original().train[unsure]
    expected = (grey.square() + (1 - grey).square()).mean()  # of two independent draws
    for index, one in enumerate(draws):
        for other in draws[:index]:
            agreement = (one == other)[unsure].double().mean()
            assert abs(agreement - expected) < 5 * 0.5 / len(grey) ** 0.5


def test_replicas_draw_with_numbers_of_their_own(images):
    found = images("dynamic")
    found.train = torch.full_like(found.train, 0.5)  # bits are then those of the numbers alone
    first, second, third = found.batch(0)
    for one, other in ((first, second), (second, third), (first, third)):
        agreement = (one == other).double().mean()
        assert abs(agreement - 0.5) < 5 * 0.5 / one.numel() ** 0.5


def test_a_dynamic_batch_is_a_function_of_seed_and_step(images):
    forward, backward = images("dynamic"), images("dynamic")
    expected = [forward.batch(step) for step in range(70)]
    for step in reversed(range(70)):
        assert torch.equal(backward.batch(step), expected[step])


def test_dynamic_batches_are_the_same_alone_and_in_a_pack(images):
    pack, alone = images("dynamic", seeds=[4, 5, 6]), images("dynamic", seeds=[5])
    for step in (0, 1, 33, 60):
        assert torch.equal(pack.batch(step)[1], alone.batch(step)[0])


def test_kept_replicas_go_on_with_their_own_draws(images):
    whole, cut = images("dynamic", seeds=[4, 5, 6]), images("dynamic", seeds=[4, 5, 6])
    cut.batch(0)
    cut.select(torch.tensor([True, False, True]))
    for step in (1, 2, 40):
        assert torch.equal(cut.batch(step), whole.batch(step)[[0, 2]])


def test_a_restored_training_goes_on_with_the_same_draws(train):
    through, restored = (train("bernoulli_vae", [0, 1], binarisation="dynamic") for _ in range(2))
    through.advance(5)
    file = io.BytesIO()
    torch.save(through.state_dict(), file)
    file.seek(0)
    restored.load_state_dict(torch.load(file, weights_only=True))
    for _ in range(3):
        expected, found = through.advance(1), restored.advance(1)
        assert torch.equal(found["train_loss"], expected["train_loss"])


@pytest.mark.parametrize("binarisation", ["none", "threshold", "static", "dynamic"])
def test_the_first_images_are_what_is_trained_on_or_one_draw_of_it(images, binarisation):
    found = images(binarisation, validation_examples=200)
    same = images("static" if binarisation == "dynamic" else binarisation).train
    assert torch.equal(found.first(7), same[:7])
    assert torch.equal(found.first(None), same[:1300])


@pytest.mark.parametrize("binarisation", ["none", "dynamic"])
def test_the_mean_image_is_that_of_what_is_trained_on(images, binarisation):
    found = images(binarisation, validation_examples=200).mean()
    torch.testing.assert_close(found, original().train[:1300].mean(0))


def test_the_last_training_images_validate_and_are_not_trained_on(images):
    found = images("none", seeds=[0], validation_examples=150)
    assert torch.equal(found.train, original().train[:1350])
    assert torch.equal(found.valid, original().train[1350:])
    rows = torch.cat([found.order.batch(step)[0] for step in range(found.steps_per_epoch)])
    assert sorted(rows.tolist()) == list(range(1350))


def test_no_more_validation_images_are_looked_at_than_asked(images):
    found = images("none", validation_examples=150, evaluation_examples=20)
    assert torch.equal(found.valid, original().train[1350:1370])
    assert len(found.train) == 1350


def test_without_validation_images_there_are_none(images):
    assert images("static").valid.shape == (0, 64)
    assert len(images("static").train) == 1500


@pytest.mark.parametrize(
    ("dataset", "count", "most"),
    [("digits", 1500, 1499), ("digits", -1, 1499), ("binarized_mnist", 10_001, 10_000)],
)
def test_more_validation_images_than_there_are_is_refused(dataset, count, most):
    message = rf"validation_examples must be in 0..{most} for {dataset}, got {count}"
    with pytest.raises(ValueError, match=message):
        CategoricalVaeSettings(dataset=dataset, validation_examples=count)


@pytest.fixture
def few_bits(monkeypatch, tmp_path):
    """A data folder with a binarised MNIST of six images."""
    bits = np.random.default_rng(0).integers(0, 2, (3, 6, 784), dtype=np.uint8)
    packed = dict(zip(("train", "valid", "test"), np.packbits(bits, axis=2), strict=True))
    digests = {part: hashlib.sha256(each.tobytes()).hexdigest() for part, each in packed.items()}
    monkeypatch.setattr(binarized_mnist, "DIGESTS", digests)
    monkeypatch.setenv("RAYSWEEP_DATA", str(tmp_path))
    path = tmp_path / "BinarizedMNIST" / "binarized_mnist_packed.npz"
    path.parent.mkdir()
    np.savez(path, **packed)
    return torch.from_numpy(bits).double()


@pytest.mark.parametrize("binarisation", ["none", "threshold", "static", "dynamic"])
def test_a_data_sets_own_validation_images_are_used(few_bits, images, binarisation):
    """And bits stay what they are in any case."""
    found = images(binarisation, dataset="binarized_mnist", batch_size=2, validation_examples=4)
    assert torch.equal(found.train, few_bits[0])
    assert torch.equal(found.valid, few_bits[1, :4])
    assert torch.equal(found.test, few_bits[2])
    assert torch.equal(found.batch(0), few_bits[0][found.order.batch(0)])


def test_own_validation_images_cost_no_training_images():
    settings = CategoricalVaeSettings(dataset="binarized_mnist", validation_examples=10_000)
    assert settings.training_examples == 50_000
    assert CategoricalVaeSettings(validation_examples=10_000).training_examples == 50_000
