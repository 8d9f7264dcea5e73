"""Settings of an estimator that change while a task trains."""

import io

import pytest
import torch

from raysweep import estimators, tasks
from raysweep.estimators.base import PathwiseEstimator
from raysweep.tasks.training import schedules

FIXED = {"learn_temperature": False, "learn_eta": False}
PAIRS = {  # task, estimator, its settings, those of the schedule
    "vae": ("categorical_vae", "reinmax", {"temperature": 3.0}, {"final_temperature": 1.1}),
    "gmm": ("gmm", "st_gumbel_softmax", {"temperature": 2.0}, {"final_temperature": 0.3}),
    "polynomial": ("polynomial", "gumbel_rao", {"samples": 3}, {"final_temperature": 0.2}),
    "tabular": ("nas_tabular", "gapped_st", {}, {"final_temperature": 0.2}),
    "tree": ("listops", "straight_through", {}, {"final_temperature": 0.2}),
    "rebar": ("polynomial", "rebar", FIXED, {"final_temperature": 0.2, "final_eta": 0.1}),
    "tuned": ("polynomial", "relax", {"learn_temperature": False}, {"final_temperature": 0.2}),
    "muprop": ("polynomial", "muprop", {"learn_eta": False}, {"final_eta": -0.5}),
    "layers": ("sbn_generative", "rebar", FIXED, {"final_temperature": 0.2, "final_eta": 0.1}),
    "relaxed layers": ("sbn_structured", "concrete", {}, {"final_temperature": 0.2}),
    "weighted layers": ("sbn_classifier", "muprop", {"learn_eta": False}, {"final_eta": 0.3}),
}
STEPS = 12


@pytest.fixture
def start(train):
    """Starts the training of a pair, with a schedule for each replica."""

    def begin(pair, own=(), seeds=range(2), given=None, **changes):
        task, name, options, schedule = PAIRS[pair]
        method = estimators.get(name, family=tasks.get(task).family, **{**options, **(given or {})})
        own = [{**schedule, **one} for one in own] or None
        return train(task, seeds, own, method, steps=STEPS, **{**schedule, **changes})

    return begin


def saved(training):
    file = io.BytesIO()
    torch.save(training.state_dict(), file)
    file.seek(0)
    return torch.load(file, weights_only=True)


def value_of(training, name="temperature"):
    return torch.as_tensor(getattr(training.estimator, name)).tolist()


def values_over(training, steps, name="temperature"):
    seen = []
    for _ in range(steps):
        training.advance(1)
        seen.append(value_of(training, name)[0])
    return seen


@pytest.mark.parametrize("pair", PAIRS)
def test_a_run_ends_at_its_last_value(start, pair):
    training = start(pair)
    training.advance(STEPS)
    for key, end in PAIRS[pair][3].items():
        assert value_of(training, key.removeprefix("final_")) == pytest.approx([end, end])


@pytest.mark.parametrize(
    ("shape", "course"),
    [
        ("linear", [2.0, 1.55, 1.1, 0.65, 0.2]),
        ("exponential", [2.0, 2 * 0.1**0.25, 2 * 0.1**0.5, 2 * 0.1**0.75, 0.2]),
        ("cosine", [2.0, 0.2 + 0.9 * (1 + 0.5**0.5), 1.1, 0.2 + 0.9 * (1 - 0.5**0.5), 0.2]),
    ],
)
def test_a_setting_takes_its_course_and_stays_at_its_end(train, shape, course):
    method = estimators.get("st_gumbel_softmax", temperature=2.0)
    settings = {"final_temperature": 0.2, "temperature_steps": 5, "temperature_shape": shape}
    training = train("polynomial", [0], estimator=method, steps=9, **settings)
    assert values_over(training, 9) == pytest.approx([*course, 0.2, 0.2, 0.2, 0.2])


def test_a_run_that_is_shorter_than_its_schedule_ends_within_it(train):
    method = estimators.get("st_gumbel_softmax", temperature=2.0)
    settings = {"final_temperature": 1.0, "temperature_steps": 11}
    training = train("polynomial", [0], estimator=method, steps=3, **settings)
    assert values_over(training, 3) == pytest.approx([2.0, 1.9, 1.8])


@pytest.mark.parametrize("task", ["polynomial", "categorical_vae", "gmm"])
def test_without_a_schedule_nothing_is_set(train, task):
    method = estimators.get("straight_through", temperature=1.5)
    train(task, [0, 1], estimator=method).advance(2)
    assert method.temperature == 1.5


@pytest.mark.parametrize("pair", PAIRS)
def test_a_restored_run_continues_its_schedule_bit_for_bit(start, pair):
    through, restored = start(pair), start(pair)
    through.advance(5)
    restored.load_state_dict(saved(through))
    for name in (key.removeprefix("final_") for key in PAIRS[pair][3]):
        assert value_of(restored, name) == value_of(through, name)
    for _ in range(STEPS - 5):
        ours, theirs = through.advance(1), restored.advance(1)
        assert all(torch.equal(ours[name], theirs[name]) for name in ours)
    ours, theirs = through.evaluate(), restored.evaluate()
    assert all(torch.equal(ours[name], theirs[name]) for name in ours)


OWN = ({}, {"final_temperature": 1.7, "temperature_steps": 7}, {"final_temperature": None})


@pytest.mark.parametrize("pair", ["vae", "polynomial", "tabular", "rebar"])
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_a_run_in_a_pack_of_schedules_is_the_run_alone_bit_for_bit(start, pair, dtype):
    firsts = torch.tensor([2.0, 3.3, 1.2], dtype=getattr(torch, dtype))
    pack = start(pair, OWN, range(3), {"temperature": firsts}, dtype=dtype)
    alone = [
        start(pair, OWN[i : i + 1], [i], {"temperature": firsts[i].item()}, dtype=dtype)
        for i in range(2)
    ]
    for _ in range(STEPS):
        together, single = pack.advance(1), [one.advance(1) for one in alone]
        assert value_of(pack)[:2] == [value_of(one)[0] for one in alone]
    for index, metrics in enumerate(single):
        for name, value in metrics.items():
            assert value[0] == together[name][index], name


@pytest.mark.parametrize("keep", [[0], [2], [1, 0], [True, False, True]])
def test_runs_that_outlived_their_neighbours_are_restored_bit_for_bit(start, keep):
    firsts = torch.tensor([2.0, 3.3, 1.2])
    cut = start("polynomial", OWN, range(3), {"temperature": firsts})
    cut.advance(4)
    kept = torch.tensor(keep)
    cut.select(kept)
    left = torch.arange(3)[kept].tolist()
    temperature = firsts[left] if len(left) > 1 else firsts[left[0]].item()
    own = [OWN[index] for index in left]
    restored = start("polynomial", own, left, {"temperature": temperature})
    restored.load_state_dict(saved(cut))
    for _ in range(STEPS - 4):
        ours, theirs = cut.advance(1), restored.advance(1)
        assert value_of(cut) == value_of(restored)
        assert all(torch.equal(ours[name], theirs[name]) for name in ours)


@pytest.mark.parametrize("name", estimators.names())
def test_every_pathwise_estimator_can_have_a_schedule(train, name):
    method = estimators.get(name)
    if isinstance(method, PathwiseEstimator):
        training = train("polynomial", [0], estimator=method, final_temperature=2.0, steps=3)
        assert values_over(training, 3) == [1.0, 1.5, 2.0]


@pytest.mark.parametrize(
    ("name", "options", "changes", "message"),
    [
        ("reinforce", {}, {"final_temperature": 0.5}, "final_temperature needs an estimator whose"),
        (
            "reinmax",
            {},
            {"final_eta": 0.5},
            "final_eta needs an estimator whose eta can be set, got 0.5",
        ),
        (
            "reinmax",
            {"temperature": 2.0},
            {"final_temperature": 0.5},
            "final_temperature with reinmax: temperature must be finite and >= 1, got 0.5",
        ),
        ("rebar", {}, {"final_temperature": 0.5}, "temperature is learned .* learn_temperature to"),
        ("relax", {}, {"final_eta": 0.5}, "eta is learned and cannot be set; set learn_eta to"),
        ("muprop", {}, {"final_eta": 0.5}, "final_eta with muprop: eta is learned"),
        ("rebar", {"eta": 0.0, **FIXED}, {"final_eta": 0.5}, "final_eta with rebar: eta 0 leaves"),
        (
            "muprop",
            {"learn_eta": False},
            {"final_eta": -0.5, "eta_shape": "exponential"},
            "eta_shape exponential needs values above 0, got eta from 1 to -0.5; use linear",
        ),
    ],
)
def test_an_estimator_that_cannot_follow_is_refused(name, options, changes, message):
    settings = tasks.get("polynomial").settings(**changes)
    with pytest.raises(ValueError, match=message):
        schedules.check(settings, estimators.get(name, **options))


def test_a_last_value_of_one_replica_is_checked_as_well(train):
    method = estimators.get("reinmax", temperature=2.0)
    own = [{"final_temperature": 1.0}, {"final_temperature": 0.5}]
    with pytest.raises(ValueError, match=r"final_temperature with reinmax: .* got 0.5"):
        train("polynomial", [0, 1], own, method)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"temperature_steps": 5}, "temperature_steps 5 needs final_temperature, which is not"),
        ({"eta_shape": "cosine"}, "eta_shape cosine needs final_eta, which is not set"),
        ({"final_eta": 1.0, "eta_steps": 1}, "eta_steps must be at least 2, got 1"),
        ({"final_temperature": 0.0}, "final_temperature must be positive, got 0"),
    ],
)
def test_schedules_that_make_no_sense_are_refused(changes, message):
    with pytest.raises(ValueError, match=message):
        tasks.get("polynomial").settings(**changes)
