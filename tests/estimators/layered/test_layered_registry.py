"""Construction, checks and replicas: what is refused, and how it is said."""

import pytest
import torch
from layered_cases import (
    cases,
    find,
    get,
    images,
    loss_of,
    loss_of_image,
    loss_of_path,
    network,
    normal,
    objective_for,
)

from raysweep import estimators
from raysweep.estimators import Noise
from raysweep.estimators.layered import (
    Convolution,
    Dense,
    General,
    Head,
    LayeredEstimate,
    LayeredEstimator,
)

SIZES = (3, 4, 2)


def estimate(method, x=None, layers=None, objective=None, **given):
    return method.estimate(
        layers or network(*SIZES),
        normal(5, 3) if x is None else x,
        objective or objective_for(method),
        Noise(),
        **given,
    )


def test_a_name_of_the_family_gives_its_estimator():
    method = estimators.get("psa", family="layered", samples=3)
    assert isinstance(method, LayeredEstimator)
    assert isinstance(method, find("psa"))
    assert method.samples == 3


def test_the_family_has_a_table_of_its_own():
    assert estimators.layered.names() == estimators.names("layered")
    method = estimators.layered.get("rebar", passes="layers")
    assert isinstance(method, find("rebar"))
    assert method.passes == "layers"


@pytest.mark.parametrize(
    ("name", "settings", "message"),
    [
        ("reinmax", {}, "estimator must be one of psa, .*, exact; got 'reinmax'"),
        ("psa", {"sample": 2}, "got 'sample'; the nearest is 'samples'"),
    ],
    ids=["name", "setting"],
)
def test_the_familys_table_refuses_what_is_not_in_it(name, settings, message):
    with pytest.raises(ValueError, match=message):
        estimators.layered.get(name, **settings)


def test_families_may_share_names():
    assert find("rebar") is not estimators.find("rebar")
    assert estimators.names("layered") != estimators.names()


def test_an_unknown_name_is_refused_with_the_nearest_of_the_family():
    with pytest.raises(ValueError, match=r"psa, .*got 'psaa'; the nearest is 'psa'"):
        get("psaa")


@pytest.mark.parametrize(
    ("name", "family", "other"), [("psa", "categorical", "layered"), ("arms", "layered", "categ")]
)
def test_a_name_of_another_family_is_refused_with_its_family(name, family, other):
    message = f"{name} is of the family {other}.*, got the family {family}; give family='{other}"
    with pytest.raises(ValueError, match=message):
        estimators.get(name, family=family)


def test_an_unknown_setting_is_refused_with_the_nearest():
    with pytest.raises(ValueError, match=r"setting of concrete must be .*nearest is 'temperature'"):
        get("concrete", temprature=1.0)


@pytest.mark.parametrize(
    ("name", "settings", "message"),
    [
        ("concrete", {"temperature": 0.0}, "temperature must be finite and > 0, got 0.0"),
        ("concrete", {"temperature": torch.tensor([1.0, -2.0])}, "finite and > 0, got -2.0"),
        ("tanh", {"slope": -1.0}, "slope must be finite and > 0, got -1.0"),
        ("nvil", {"decay": 1.0}, r"decay must be a number in \[0, 1\), got 1.0"),
        ("nvil", {"hidden": 0}, "hidden must be an integer >= 1, got 0"),
        ("muprop", {"constant": False, "linear": False}, "its linear part, got neither"),
        ("muprop", {"eta": 2.0}, "eta must be finite and > 0 and < 2, got 2.0"),
        ("muprop", {"hidden": 1.5}, "hidden must be an integer >= 1, got 1.5"),
        ("rebar", {"eta": 0.0}, "eta must be finite and > 0 and < 2, got 0.0"),
        ("rebar", {"eta": float("nan"), "learn_eta": False}, "eta must be finite, got nan"),
        ("rebar", {"temperature": -1.0}, "temperature must be finite and > 0, got -1.0"),
        ("rebar", {"relaxation": "soft"}, "relaxation must be 'concrete' or 'muprop', got 'soft'"),
        ("rebar", {"passes": "both"}, "passes must be 'single' or 'layers', got 'both'"),
        ("rebar", {"hidden": 0}, "hidden must be an integer >= 1, got 0"),
        ("reinforce", {"leave_one_out": True}, "leave_one_out needs samples >= 2, got 1"),
    ],
)
def test_a_setting_out_of_range_is_refused(name, settings, message):
    with pytest.raises(ValueError, match=message):
        get(name, **settings)


@pytest.mark.parametrize("name", estimators.names("layered"))
@pytest.mark.parametrize("value", [0, 1.5, True, "4"])
def test_samples_that_are_no_positive_integer_are_refused(name, value):
    with pytest.raises(ValueError, match=f"samples must be an integer >= 1, got {value!r}"):
        get(name, samples=value)


FLAGS = [
    ("psa", "head_enhancement"),
    ("reinforce", "leave_one_out"),
    ("nvil", "normalise"),
    *(("muprop", flag) for flag in ("constant", "linear", "learn_eta", "baseline")),
    *(("rebar", flag) for flag in ("learn_eta", "learn_temperature", "baseline")),
]


@pytest.mark.parametrize(("name", "setting"), FLAGS)
@pytest.mark.parametrize("value", ["off", 0, None])
def test_a_setting_that_is_neither_on_nor_off_is_refused(name, setting, value):
    with pytest.raises(ValueError, match=f"{setting} must be True or False, got {value!r}"):
        get(name, **{setting: value})


def test_settings_change_what_an_instance_declares():
    assert get("nvil").unbiased
    assert not get("nvil", normalise=True).unbiased
    assert get("muprop").needs_gradient
    assert not get("muprop", linear=False).needs_gradient
    for name in ("muprop", "rebar"):
        assert not get(name).needs_context
        assert get(name, baseline=True).needs_context
        assert get(name, baseline=True).reads_context


def test_a_network_without_layers_is_refused():
    with pytest.raises(ValueError, match="layers must hold at least one layer, got none"):
        get("psa").estimate([], normal(5, 3), Head(loss_of), Noise())


@cases()
def test_an_integer_input_is_refused(name, settings):
    with pytest.raises(TypeError, match=r"the input must be floating point, got torch\.int64"):
        estimate(get(name, **settings), torch.zeros(5, 3, dtype=torch.int64))


def test_an_input_with_too_few_axes_is_refused():
    with pytest.raises(ValueError, match=r"`\*B inputs` with one axis of inputs, got shape \(\)"):
        estimate(get("arm"), torch.zeros(()))
    with pytest.raises(ValueError, match=r"`\*B inputs` with 3 axes of inputs, got shape \(5, 5\)"):
        estimate(get("arm"), torch.zeros(5, 5), images())


@cases(lambda method: method.needs_head)
def test_an_objective_of_all_layers_is_refused_where_a_head_is_needed(name, settings):
    message = f"{name} needs an objective of the last layer's states alone, as a Head"
    with pytest.raises(ValueError, match=f"{message}; use an estimator for .* such as rebar"):
        estimate(get(name, **settings), objective=loss_of_path)


@cases(lambda method: method.needs_head)
def test_with_one_layer_any_objective_reads_the_last_states(name, settings):
    layers = network(3, 4)
    one, other = (
        estimate(get(name, **settings), layers=layers, objective=objective)
        for objective in (loss_of_path, Head(loss_of))
    )
    assert one.surrogate.shape == other.surrogate.shape == (5,)


@cases(lambda method: method.needs_head)
def test_a_head_of_other_axes_than_the_last_layers_is_refused(name, settings):
    x = normal(2, 1, 5, 5)
    with pytest.raises(ValueError, match="units have 3 axes, but the head reads units of 1; give"):
        estimate(get(name, **settings), x, images(), Head(loss_of_image))


@cases(lambda method: method.needs_moments)
def test_layers_without_moments_are_refused_where_they_are_needed(name, settings):
    layers = [*network(3, 4), General(torch.nn.Linear(4, 2).double())]
    with pytest.raises(ValueError, match=f"{name} needs linear layers, whose moments are known"):
        estimate(get(name, **settings), layers=layers)


@cases()
def test_an_objective_that_drops_an_axis_is_refused(name, settings):
    objective = Head(lambda state: state.sum((0, -1)))
    with pytest.raises(ValueError, match=r"losses `K \*B` \(\d+, 5\), got \(5,\); keep the sample"):
        estimate(get(name, **settings), objective=objective)


@cases(lambda method: method.needs_gradient)
def test_an_objective_without_a_gradient_is_refused_where_one_is_needed(name, settings):
    head = Head(lambda state: state.detach().sign().sum(-1))
    with pytest.raises(ValueError, match=f"{name} needs an objective that is diff.*as reinforce"):
        estimate(get(name, **settings), objective=head)


@cases(lambda method: method.name in ("muprop", "rebar") and method.needs_gradient)
def test_parameters_of_the_objective_do_not_hide_a_missing_gradient(name, settings):
    weight = torch.ones((), dtype=torch.float64, requires_grad=True)
    head = Head(lambda state: state.detach().sign().sum(-1) * weight)
    with pytest.raises(ValueError, match=f"{name} needs an objective that is diff.*as reinforce"):
        estimate(get(name, **settings), objective=head)


def test_rebar_takes_a_loss_of_the_first_layer_alone():
    """Whose relaxed paths from later layers on have no derivative."""
    for passes in ("single", "layers"):
        out = estimate(get("rebar", passes=passes), objective=lambda path: loss_of(path.states[0]))
        assert out.surrogate.shape == (5,)


@cases()
@pytest.mark.parametrize("shape", [(5, 1, 4), (1, 4), (4,), (6, 4)], ids=str)
def test_a_context_of_another_batch_is_refused(name, settings, shape):
    with pytest.raises(ValueError, match=r"the input's batch \(5,\), got shape .*; expand it"):
        estimate(get(name, **settings), context=torch.zeros(shape))


@cases(lambda method: not method.takes_baseline)
def test_a_baseline_is_refused_where_none_is_used(name, settings):
    with pytest.raises(ValueError, match=f"{name} takes no baseline; leave it out"):
        estimate(get(name, **settings), baseline=torch.zeros(5))


@cases(lambda method: method.takes_baseline)
@pytest.mark.parametrize("shape", [(), (1,), (5, 1)], ids=str)
def test_a_baseline_of_another_batch_is_refused(name, settings, shape):
    with pytest.raises(ValueError, match=r"baseline must be `\*B` \(5,\), got shape"):
        estimate(get(name, **settings), baseline=torch.zeros(shape))


@cases(lambda method: bool(method.per_replica))
def test_inputs_of_another_number_of_replicas_are_refused(name, settings):
    ones = dict.fromkeys(find(name).per_replica, torch.ones(3))
    method = get(name, **{**settings, **ones})
    message = (
        r"(temperature|slope|eta) (must hold 2 replicas, got 3|holds 3 replicas)|3 replicas, so"
    )
    with pytest.raises(ValueError, match=message):
        estimate(method, normal(2, 4, 3), network(*SIZES, replicas=(2,)))
    method = get(name, **{**settings, **ones})
    with pytest.raises(
        ValueError, match=r"3 replicas, so inputs must lead with .*, got shape \(5,"
    ):
        estimate(method)


@pytest.mark.parametrize("name", ["nvil", "muprop", "rebar"])
def test_a_network_of_another_depth_than_was_built_for_is_refused(name):
    method = get(name)
    method.build(3)
    with pytest.raises(
        ValueError, match=f"{name} was built for 3 layers, no context, no rep.*got 2"
    ):
        estimate(method)


@pytest.mark.parametrize("name", ["nvil", "muprop", "rebar"])
def test_inputs_that_do_not_lead_with_the_built_replicas_are_refused(name):
    method = get(name)
    method.build(2, replicas=3)
    with pytest.raises(ValueError, match=f"{name} was built for 3 replicas, so inputs must lead"):
        estimate(method)


CONTEXTUAL = [("nvil", {}), ("muprop", {"baseline": True}), ("rebar", {"baseline": True})]
contextual = pytest.mark.parametrize(("name", "settings"), CONTEXTUAL)


@contextual
@pytest.mark.parametrize(("given", "shown"), [(None, "no context"), (4, "a context of 4 features")])
def test_another_context_than_was_built_for_is_refused(name, settings, given, shown):
    method = get(name, **settings)
    method.build(2, context=5)
    context = None if given is None else torch.zeros(5, given)
    with pytest.raises(ValueError, match=f"{name} was built .* 5 features, .*; got .*{shown}"):
        estimate(method, context=context)


@contextual
@pytest.mark.parametrize("dtype", [torch.uint8, torch.bool, torch.float32])
def test_a_context_may_have_any_format(name, settings, dtype):
    out = estimate(get(name, **settings), context=torch.ones(5, 4, dtype=dtype))
    assert out.tuning_loss.dtype == torch.float64


@pytest.mark.parametrize("name", ["muprop", "rebar"])
def test_a_baseline_network_needs_a_context(name):
    with pytest.raises(ValueError, match=f"{name} needs a context for its baseline, got none; set"):
        get(name, baseline=True).build(2)


@pytest.mark.parametrize("sizes", [(0, None, None), (2, 0, None), (2, None, -1)])
def test_building_for_nothing_is_refused(sizes):
    with pytest.raises(ValueError, match=r"(layers|context|replicas) must be at least 1, got"):
        get("nvil").build(*sizes)


def test_building_again_for_other_sizes_is_refused():
    method = get("rebar")
    method.build(2, replicas=4)
    with pytest.raises(ValueError, match="4 replicas; got 2 layers, no context, 5 replicas; make"):
        method.build(2, replicas=5)


def test_temperatures_move_with_the_module_but_stay_out_of_its_state():
    method = get("concrete", temperature=torch.tensor([1.0, 2.0, 3.0]))
    assert method.state_dict() == {}
    assert method.to(torch.float64).temperature.dtype == torch.float64
    method.select(torch.tensor([False, True, True]))
    assert method.temperature.tolist() == [2.0, 3.0]


LAYERS = {
    "dense": (lambda: Dense(torch.zeros(2, 3), torch.zeros(2)), r"\(2, 3\) and \(2,\)"),
    "dense replicas": (lambda: Dense(torch.zeros(4, 2, 3), torch.zeros(3)), r"\(4, 2, 3\) and"),
    "dense axes": (lambda: Dense(torch.zeros(2), torch.zeros(())), r"\(2,\) and \(\)"),
    "convolution": (
        lambda: Convolution(torch.zeros(2, 3, 1, 1), torch.zeros(3)),
        r"\(2, 3, 1, 1\) and \(3,\)",
    ),
    "stride": (
        lambda: Convolution(torch.zeros(2, 3, 1, 1), torch.zeros(2), stride=0),
        "stride must be an integer >= 1, got 0",
    ),
    "axes": (lambda: General(torch.nn.Tanh(), input_axes=0), "input_axes must be an integer >= 1"),
    "units": (lambda: network(3, 4)[0](normal(5, 2)), r"maps 3 units, got .*shape \(5, 2\)"),
    "channels": (lambda: images()[0](normal(5, 2, 3, 3)), r"`\*B 1 H W` of at least 2 × 2, got"),
    "height": (lambda: images()[0](normal(5, 1, 1, 3)), r"got an input of shape \(5, 1, 1, 3\)"),
    "replicas": (
        lambda: network(3, 4, replicas=(2,))[0](normal(5, 4, 3)),
        r"lead with 2 replicas, so its input must be `\*K 2 B units`, got shape \(5, 4, 3\)",
    ),
    "no batch": (
        lambda: network(3, 4, replicas=(2,))[0](normal(2, 3)),
        r"lead with 2 replicas, so its input must be",
    ),
}


@pytest.mark.parametrize(("make", "message"), LAYERS.values(), ids=LAYERS)
def test_shapes_that_do_not_belong_together_are_refused_by_layers(make, message):
    with pytest.raises(ValueError, match=message):
        make()


class Constant(LayeredEstimator):
    """An estimator of a user's own."""

    name = "constant"
    unbiased = False
    needs_gradient = False
    reference = "none"

    def _estimate(self, request):
        zeros = request.x.sum(-1) * 0
        return LayeredEstimate(zeros, zeros, ())


def test_an_estimator_of_a_users_own_needs_one_method():
    assert estimate(Constant()).value.shape == (5,)
    assert Constant().evaluations(3) == 1
