"""Settings that share what does not vary: their texts are those of plain dictionaries."""

import itertools
import json
import pickle

from hypothesis import given
from hypothesis import strategies as st

from raysweep.sweep.packs import PlannedRun
from raysweep.sweep.runs import Configuration
from raysweep.sweep.settings import Settings, SharedSettings, canonical_json

KEYS = ("task.size", "training.steps", "estimator.t", "training.lr", "training.alpha")
VALUES = (None, True, 1, 10, 1.0, 0.1, 1e-7, -0.0, 0.0, "a", "é", 'a"', (), (1, 2), (1, "b"))
values = st.sampled_from(VALUES)


@st.composite
def shares(draw):
    """What is shared, with some settings that vary."""
    varied = draw(st.sets(st.sampled_from(KEYS)))
    defaults = {key: draw(values) for key in KEYS}
    fixed = {key: draw(values) for key in KEYS if key not in varied}
    return SharedSettings(fixed, KEYS, defaults)


@st.composite
def several(draw, count):
    """Settings that share the same."""
    shared = draw(shares())
    return [Settings(shared, [draw(values) for _ in shared.varied]) for _ in range(count)]


def of_dictionary(settings):
    """The same settings, which share nothing."""
    return Settings.of(dict(settings), settings.shared.defaults)


@given(several(1))
def test_the_text_of_changes_leaves_out_defaults(found):
    (settings,) = found
    defaults = settings.shared.defaults
    assert settings.changed_text == canonical_json(
        {
            key: value
            for key, value in settings.items()
            if canonical_json(value) != canonical_json(defaults[key])
        }
    )


@given(several(1))
def test_the_whole_texts_are_canonical(found):
    (settings,) = found
    training = {key: value for key, value in settings.items() if key.startswith("training.")}
    assert settings.sort_texts() == (canonical_json(training), canonical_json(dict(settings)))


@given(several(6))
def test_short_texts_have_the_order_of_whole_ones(found):
    for a, b in itertools.permutations(found, 2):
        whole = zip(a.sort_texts(), b.sort_texts(), strict=True)
        short = zip(a.sort_texts(short=True), b.sort_texts(short=True), strict=True)
        assert [(x < y, x == y) for x, y in whole] == [(x < y, x == y) for x, y in short]


@given(several(1))
def test_what_is_shared_does_not_change_the_identity(found):
    (settings,) = found
    ids = {
        Configuration("t", 1, "e", 1, each, settings.shared.defaults).run_id(3)
        for each in (settings, of_dictionary(settings), dict(settings))
    }
    assert len(ids) == 1


@given(several(1))
def test_settings_are_a_mapping_in_the_order_of_the_keys(found):
    (settings,) = found
    assert list(settings) == list(KEYS)
    assert settings == dict(settings) == {key: settings[key] for key in KEYS}


def test_a_planned_run_is_plain_data_for_a_worker():
    settings = Settings(SharedSettings({"task.a": 1}, ("task.a", "task.b"), {}), (2,))
    run = PlannedRun("r", "c", 0, "t", "e", settings)
    assert json.loads(json.dumps(run.to_json()))["settings"] == {"task.a": 1, "task.b": 2}


def test_settings_can_be_sent_to_another_process():
    settings = Settings(SharedSettings({"task.a": 1}, ("task.a", "task.b"), {}), (2,))
    assert pickle.loads(pickle.dumps(settings)) == settings
