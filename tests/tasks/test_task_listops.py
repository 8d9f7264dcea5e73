"""The task listops: its sets of expressions, batches, validations and refusals."""

import gzip
import hashlib
from pathlib import Path
from types import SimpleNamespace

import pytest
import torch

from raysweep import estimators, tasks
from raysweep.tasks.data import listops, vision
from raysweep.tasks.listops import examples
from raysweep.tasks.listops.batches import BucketSampler
from raysweep.tasks.listops.expressions import tokenise

CPU = torch.device("cpu")
TASK = tasks.get("listops")


@pytest.fixture
def empty(tmp_path, monkeypatch):
    """An empty data folder."""
    monkeypatch.setenv("RAYSWEEP_DATA", str(tmp_path))
    listops.read.cache_clear()
    yield tmp_path
    listops.read.cache_clear()


@pytest.fixture
def settings(small):
    return lambda **changes: TASK.settings(**{**small["listops"], **changes})


def texts(expressions):
    return {
        tuple(tokens[:length].tolist())
        for tokens, length in zip(expressions.tokens, expressions.lengths, strict=True)
    }


@pytest.mark.parametrize("part", ["train", "valid", "test"])
def test_the_meaning_of_a_metric_names_the_setting_that_says_which_expressions_they_are(part):
    setting = {"train": "training_set", "valid": "validation_set", "test": "test_set"}[part]
    meanings = [about.meaning for name, about in TASK.metrics.items() if name.startswith(part)]
    assert all(meaning.endswith(f": {setting}") for meaning in meanings)


@pytest.mark.parametrize("name", estimators.names())
def test_estimators_without_samples_that_carry_the_gradient_are_refused(settings, name):
    reason = TASK.check(settings(), estimators.get(name))
    if hasattr(estimators.get(name), "sample"):
        assert reason is None
    else:
        assert reason == (
            "listops needs samples that carry the gradient, as those of reinmax or "
            f"st_gumbel_softmax, got {name}"
        )


def test_several_samples_are_refused_but_not_several_draws_for_one(settings):
    reason = TASK.check(settings(), estimators.get("reinmax", samples=3))
    assert reason == "listops draws one tree per expression and needs samples 1, got samples 3"
    assert TASK.check(settings(), estimators.get("gumbel_rao", samples=3)) is None


def test_a_batch_larger_than_the_training_set_is_refused(settings):
    reason = TASK.check(settings(batch_size=61), estimators.get("reinmax"))
    assert reason == "batch_size must be at most 60, training_examples, got 61"


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"dropout": 1.0}, r"dropout must be in \[0, 1\), got 1"),
        ({"gradient_clip": 0.0}, "gradient_clip must be positive, got 0"),
        ({"lr_factor": 1.5}, r"lr_factor must be in \(0, 1\], got 1.5"),
        ({"lr_patience": -1}, "lr_patience must be >= 0, got -1"),
        ({"max_tokens": 100}, r"max_tokens must be in 17\.\.99, got 100"),
        ({"max_tokens": 7}, r"max_tokens must be in 17\.\.99, got 7"),  # too few are distinct
        ({"validate_every": 15}, "validate_every must be a multiple of report_every, 10, got 15"),
        ({"hidden_units": 0}, "hidden_units must be at least 1, got 0"),
    ],
)
def test_settings_out_of_range_are_refused(settings, changes, message):
    with pytest.raises(ValueError, match=message):
        settings(**changes)


def test_sets_have_no_expression_in_common(settings):
    sets = examples.load(settings(), CPU)
    parts = [texts(part) for part in (sets.train, sets.valid.expressions, sets.test.expressions)]
    assert [len(part) for part in parts] == [60, 10, 150]
    assert len(set.union(*parts)) == 220


def test_generated_sets_read_no_files(settings, empty):
    TASK.prepare(settings(), empty)
    examples.load(settings(data_seed=1), CPU)
    assert not list(empty.iterdir())


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"training_set": "regenerated"}, "the regenerated set of listops needs .*90k.tsv, .gz"),
        ({"validation_set": "official_subset"}, "the official_subset set of listops needs"),
    ],
)
def test_a_missing_file_is_refused_by_name(settings, empty, changes, message):
    with pytest.raises(FileNotFoundError, match=message) as refused:
        TASK.prepare(settings(**changes), empty)
    assert "\n" not in str(refused.value)


def test_official_sets_are_downloaded_where_they_are_missing(settings, empty, monkeypatch):
    def refuse(url, folder, md5):
        raise OSError(f"no network for {md5}")

    module = SimpleNamespace(utils=SimpleNamespace(download_url=refuse))
    monkeypatch.setattr(vision, "datasets", lambda: module)
    official = listops.FILES["official"]
    with pytest.raises(FileNotFoundError, match=rf"train_d20s\.tsv from {official.url}") as refused:
        TASK.prepare(settings(training_set="official"), empty)
    assert f"(no network for {official.md5})" in str(refused.value)


def test_a_downloaded_file_is_kept_where_its_content_is_the_published_one(empty, monkeypatch):
    content = b"7\t7\n"
    file = listops.File(
        "tiny.tsv", hashlib.md5(content).hexdigest(), "https://example.org/tiny.tsv"
    )
    monkeypatch.setattr(listops, "FILES", {"tiny": file})
    utils = SimpleNamespace(
        download_url=lambda url, folder, md5: (Path(folder) / "tiny.tsv").write_bytes(content)
    )
    monkeypatch.setattr(vision, "datasets", lambda: SimpleNamespace(utils=utils))
    listops.fetch("tiny", empty)
    assert [path.name for path in (empty / "ListOps").iterdir()] == ["tiny.tsv"]
    assert listops.read("tiny", empty) == ((7, "7"),)


def test_a_file_with_other_content_is_refused(settings, empty):
    (empty / "ListOps").mkdir()
    path = empty / "ListOps" / "test_d20s.tsv.gz"
    path.write_bytes(gzip.compress(b"1\t1\n"))
    with pytest.raises(ValueError, match=r"test_d20s.tsv.gz must have MD5 a533eeca"):
        TASK.prepare(settings(test_set="official"), empty)
    path.write_bytes(b"no archive")
    with pytest.raises(ValueError, match=r"test_d20s.tsv.gz is damaged \(Not a gzipped file"):
        TASK.prepare(settings(test_set="official"), empty)


def test_regenerated_sets_are_read_and_share_nothing_with_the_official_ones(
    settings, listops_folder, monkeypatch
):
    monkeypatch.setenv("RAYSWEEP_DATA", str(listops_folder))
    if not list((listops_folder / "ListOps").glob("train_regenerated_90k.tsv*")):
        pytest.skip("no regenerated training set")
    chosen = settings(
        training_set="regenerated",
        test_set="official",
        validation_set="official_subset",
        validation_examples=1000,
        evaluation_examples=None,
        training_examples=500,
        max_tokens=99,
    )
    TASK.prepare(chosen, None)
    sets = examples.load(chosen, CPU)
    parts = [texts(part) for part in (sets.train, sets.valid.expressions, sets.test.expressions)]
    assert [len(part) for part in parts] == [500, 857, 8689]
    assert not parts[0] & (parts[1] | parts[2])
    rows = listops.read("regenerated", listops_folder)
    kept = [(value, len(tokenise(text))) for value, text in rows[:20]]
    expected = [(value, length) for value, length in kept if length < 100]
    found = zip(sets.train.labels.tolist(), sets.train.lengths.tolist(), strict=True)
    assert list(found)[: len(expected)] == expected


def sampler(seeds, lengths=None):
    lengths = torch.arange(60) % 20 + 1 if lengths is None else lengths
    return BucketSampler(lengths, seeds, 4, 3)


def test_batches_of_a_step_have_one_width_and_every_example_is_used_once():
    lengths = torch.arange(60) % 20 + 1
    batches = sampler([0, 1])
    seen = [batches.batch(step) for step in range(batches.steps_per_epoch)]
    for rows, width in seen:
        assert rows.shape == (2, 4)
        assert lengths[rows].max() <= width
    for replica in range(2):
        used = torch.cat([rows[replica] for rows, _ in seen])
        assert used.sort().values.tolist() == list(range(60))
    assert len({width for _, width in seen}) == 3


def test_batches_depend_on_a_replicas_seed_and_the_step_alone():
    together, alone = sampler([0, 1]), sampler([1])
    for step in (40, 3, 17):
        rows, width = together.batch(step)
        single, same = alone.batch(step)
        assert torch.equal(rows[1], single[0])
        assert width == same
    assert not torch.equal(*together.batch(0)[0])
    assert torch.equal(*sampler([2, 2]).batch(5)[0])


def test_dropout_is_off_in_evaluations(train):
    with_dropout, without = (train("listops", [0, 1], dropout=rate) for rate in (0.9, 0.0))
    for name, value in without.evaluate().items():
        assert torch.equal(with_dropout.evaluate()[name], value)
    losses = [each.advance(1)["train_loss"] for each in (with_dropout, without)]
    assert not torch.equal(*losses)


def test_rates_fall_where_the_accuracy_stays_and_are_restored(train):
    settings = {"validate_every": 10, "lr_patience": 0, "lr_factor": 0.1, "report_every": 5}
    through = train("listops", [0, 1], lr=1e-9, **settings)
    through.advance(31)
    assert through.model.schedule.factors.tolist() == pytest.approx([0.01, 0.01])
    restored = train("listops", [0, 1], lr=1e-9, **settings)
    restored.load_state_dict(through.state_dict())
    assert torch.equal(restored.model.schedule.factors, through.model.schedule.factors)


def test_a_curve_has_the_validation_of_the_interval(train):
    followed, plain = (train("listops", [0, 1], validate_every=10) for _ in range(2))
    followed.advance(10)
    plain.advance(10)
    expected = plain.evaluate()
    found = followed.advance(10)
    for name in ("valid_loss", "valid_accuracy", "valid_f1"):
        torch.testing.assert_close(found[name], expected[name], rtol=1e-12, atol=0)


def test_a_test_set_without_deep_expressions_is_refused(train):
    message = "test_accuracy_depth_4_up needs test expressions with 4 or more nested operators, got"
    with pytest.raises(ValueError, match=message):
        train("listops", [0], evaluation_examples=10)


def test_a_missing_depth_is_named_with_its_own_number_of_operators(train):
    message = "test_accuracy_depth_1 needs test expressions with 0 or 1 nested operators, got"
    with pytest.raises(ValueError, match=message):
        train("listops", [0], evaluation_examples=1, data_seed=3)


def test_the_majority_is_the_share_of_the_most_frequent_test_value(train, settings):
    labels = examples.load(settings(), CPU).test.expressions.labels.tolist()
    most = max(labels.count(value) for value in range(10))
    found = train("listops", [0, 1]).evaluate()["test_majority"]
    assert found.tolist() == pytest.approx([most / len(labels)] * 2)


def test_memory_covers_an_evaluation_where_batches_are_small(settings):
    chosen = settings(hidden_units=64, max_tokens=30, batch_size=2)
    # In an evaluation, 8,192 tokens have their states, a pair's children, gates and composition.
    numbers = 8192 * 64 * (2 + 2 + 5 + 2)
    assert TASK.replica_bytes(chosen, estimators.get("reinmax")) > 4 * numbers
