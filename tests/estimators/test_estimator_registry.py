"""Construction, checks and replicas: what is refused, and how it is said."""

import pytest
import torch
from estimator_cases import cases, categories_of
from torch import nn

from raysweep import estimators
from raysweep.estimators import Estimate, Estimator, Noise
from raysweep.testing.estimators import leaf, problem


def sum_of_squares(one_hot):
    return one_hot[..., 0].sum(-1) ** 2


class Learned(Estimator):
    """Holds a learned scale; binary only, so that the check has something to refuse."""

    name = "learned"
    unbiased = False
    binary_only = True
    needs_gradient = False
    per_replica = frozenset({"temperature"})
    reference = "none"

    def __init__(self, *, temperature: float | torch.Tensor = 1.0) -> None:
        super().__init__()
        self._keep("temperature", temperature)
        self.builds = 0

    def evaluations(self, latents, categories):
        return 1

    def _build(self, latents, categories, context, replicas):
        self.builds += 1
        shape = (latents,) if replicas is None else (replicas, latents)
        self.scale = nn.Parameter(
            torch.arange(1.0, 1 + shape[0]).view(-1, *(1,) * (len(shape) - 1)).expand(shape).clone()
        )
        self.register_buffer("moment", self.scale.detach().clone())

    def _estimate(self, logits, objective, noise, context):
        losses = objective(torch.zeros(1, *logits.shape)).squeeze(0)
        return Estimate(losses, losses, torch.zeros_like(logits))


def test_a_name_gives_its_estimator():
    method = estimators.get("reinmax", temperature=1.3)
    assert isinstance(method, estimators.find("reinmax"))
    assert method.temperature == 1.3


def test_an_unknown_name_is_refused_with_the_nearest():
    with pytest.raises(
        ValueError, match=r"straight_through, .*got 'rienmax'; the nearest is 'reinmax'"
    ):
        estimators.get("rienmax")


def test_the_family_of_a_name_is_categorical_unless_it_is_given():
    assert estimators.names() == estimators.names("categorical")
    assert estimators.find("reinmax", family="categorical") is estimators.find("reinmax")
    assert isinstance(estimators.get("arm", family="categorical"), estimators.find("arm"))


def test_an_unknown_family_is_refused_with_the_nearest():
    with pytest.raises(
        ValueError, match="family must be one of categorical, layered; got 'categorial'"
    ):
        estimators.get("reinmax", family="categorial")


def test_an_unknown_setting_is_refused_with_the_nearest():
    with pytest.raises(
        ValueError, match=r"setting of reinmax must be .* got 'temprature'; .*'temperature'"
    ):
        estimators.get("reinmax", temprature=1.0)


@pytest.mark.parametrize(
    "name", ["straight_through", "st_gumbel_softmax", "gumbel_softmax", "gumbel_rao"]
)
@pytest.mark.parametrize("value", [0.0, -1.5, float("nan"), float("inf")])
def test_a_temperature_that_is_not_positive_is_refused(name, value):
    with pytest.raises(ValueError, match=f"temperature must be finite and > 0, got {value}"):
        estimators.get(name, temperature=value)


def test_a_tensor_with_one_bad_temperature_is_refused():
    with pytest.raises(ValueError, match=r"must be finite and > 0, got -2\.0"):
        estimators.get("straight_through", temperature=torch.tensor([1.0, -2.0]))


def test_reinmax_refuses_a_temperature_below_one():
    with pytest.raises(ValueError, match=r"must be finite and >= 1, got 0\.5"):
        estimators.get("reinmax", temperature=0.5)


@pytest.mark.parametrize("value", ["hot", True, None])
def test_a_temperature_that_is_no_number_is_refused(value):
    with pytest.raises(TypeError, match=f"must be a number or a tensor `R`, got {value!r}"):
        estimators.get("reinmax", temperature=value)


@pytest.mark.parametrize("value", [torch.ones(2, 2), torch.ones(2, dtype=torch.int64)])
def test_a_temperature_tensor_of_another_kind_is_refused(value):
    with pytest.raises(ValueError, match="must be a floating point tensor `R`, got torch"):
        estimators.get("reinmax", temperature=value)


@cases()
@pytest.mark.parametrize("value", [0, 1.5, True, "4"])
def test_samples_that_are_no_positive_integer_are_refused(name, settings, value):
    with pytest.raises(ValueError, match=f"samples.* >= [12], got {value!r}"):
        estimators.get(name, **{**settings, "samples": value})


def test_leave_one_out_needs_two_samples():
    with pytest.raises(ValueError, match="leave-one-out needs samples >= 2, got 1"):
        estimators.get("reinforce_loo", samples=1)


def test_an_unknown_baseline_is_refused():
    with pytest.raises(ValueError, match="baseline must be 'expected' or 'uniform', got 'mean'"):
        estimators.get("reinmax", baseline="mean")


@pytest.mark.parametrize("temperature", [1.5, torch.tensor([1.0, 1.5])])
def test_the_uniform_baseline_needs_temperature_one(temperature):
    with pytest.raises(ValueError, match=r"uniform baseline needs temperature 1, got .*1\.5"):
        estimators.get("reinmax", baseline="uniform", temperature=temperature)


@cases()
def test_logits_without_categories_are_refused(name, settings):
    with pytest.raises(ValueError, match=r"logits must be `\*B L C`, got shape \(3,\)"):
        estimators.get(name, **settings).estimate(torch.zeros(3), sum_of_squares, Noise())


@cases()
def test_integer_logits_are_refused(name, settings):
    logits = torch.zeros(2, 3, dtype=torch.int64)
    with pytest.raises(TypeError, match=r"floating point, got torch.int64"):
        estimators.get(name, **settings).estimate(logits, sum_of_squares, Noise())


@cases()
def test_a_single_category_is_refused(name, settings):
    with pytest.raises(ValueError, match="at least 2 categories, got 1"):
        estimators.get(name, **settings).estimate(torch.zeros(2, 1), sum_of_squares, Noise())


@cases()
def test_an_objective_that_drops_an_axis_is_refused(name, settings):
    with pytest.raises(ValueError, match=r"must return losses `K \*B` \(\d+, 4\), got \(4,\)"):
        estimators.get(name, **settings).estimate(
            torch.zeros(4, 2, categories_of(name, settings)),
            lambda one_hot: one_hot.sum((0, -2, -1)),
            Noise(),
        )


@cases(lambda method: bool(method.per_replica))
def test_logits_of_another_number_of_replicas_are_refused(name, settings):
    ones = dict.fromkeys(estimators.find(name).per_replica, torch.ones(3))
    categories = categories_of(name, settings)
    method = estimators.get(name, **{**settings, **ones})
    with pytest.raises(
        ValueError, match=r"3 replicas, so logits must .* got shape \(2, 4, 2, \d\)"
    ):
        method.estimate(torch.zeros(2, 4, 2, categories), sum_of_squares, Noise())


def test_a_binary_estimator_refuses_more_categories():
    with pytest.raises(ValueError, match="learned needs 2 categories, got 3"):
        Learned().estimate(torch.zeros(4, 2, 3), sum_of_squares, Noise())


def test_check_says_why_in_words():
    assert Learned().check(2, 2) is None
    assert "needs 2 categories" in Learned().check(2, 3)
    assert "at most 1048576 states, got 2**21" in estimators.get("exact").check(21, 2)
    assert estimators.get("exact").check(20, 2) is None
    assert "at most 3**2 = 9, got 10" in estimators.get("unordered_set", samples=10).check(2, 3)
    assert estimators.get("unordered_set", samples=9).check(2, 3) is None


def test_too_many_states_are_refused():
    with pytest.raises(ValueError, match=r"at most 1048576 states, got 4\*\*16"):
        estimators.exact.expectation(torch.zeros(16, 4), sum_of_squares)


def test_learned_parts_are_built_once_by_the_first_estimate():
    method = Learned()
    for _ in range(2):
        method.estimate(torch.zeros(4, 3, 2), sum_of_squares, Noise())
    method.build(3, 2)
    assert method.builds == 1
    assert method.scale.shape == (3,)


def test_building_again_for_other_sizes_is_refused():
    method = Learned()
    method.build(3, 2, replicas=4)
    with pytest.raises(ValueError, match="4 replicas; got L = 3, C = 2, no context, 5 rep"):
        method.build(3, 2, replicas=5)


def test_building_for_a_refused_size_is_refused():
    with pytest.raises(ValueError, match="learned needs 2 categories, got 3"):
        Learned().build(3, 3)


def test_building_for_another_number_of_replicas_is_refused():
    with pytest.raises(ValueError, match="temperature must hold 3 replicas, got 2"):
        Learned(temperature=torch.ones(2)).build(3, 2, replicas=3)


@pytest.mark.parametrize(
    "keep", [torch.tensor([True, False, True]), torch.tensor([0, 2])], ids=["mask", "indices"]
)
def test_select_keeps_the_rows_of_settings_and_learned_parts(keep):
    method = Learned(temperature=torch.tensor([1.0, 2.0, 3.0]))
    method.build(4, 2, replicas=3)
    scale = method.scale
    method.select(keep)
    assert method.temperature.tolist() == [1.0, 3.0]
    assert method.scale is scale
    assert method.scale[:, 0].tolist() == method.moment[:, 0].tolist() == [1.0, 3.0]
    method.build(4, 2, replicas=2)
    assert method.builds == 1


def test_select_leaves_parts_without_replicas_alone():
    method = Learned()
    method.build(4, 2)
    method.select(torch.tensor([0]))
    assert method.scale.shape == (4,)
    assert method.temperature == 1.0


@cases(lambda method: bool(method.per_replica))
def test_a_selected_replica_goes_on_as_before(name, settings):
    values = torch.tensor([1.0, 1.0] if "baseline" in settings else [1.2, 1.6])
    fixed = {**settings, **dict.fromkeys(estimators.find(name).per_replica, values)}
    categories = categories_of(name, settings)
    logits = leaf(problem(2, categories).logits.expand(2, 4, 2, categories))
    whole, cut = (estimators.get(name, **fixed) for _ in range(2))
    noise, cut_noise = Noise(seeds=[1, 2]), Noise(seeds=[1, 2])
    keep = torch.tensor([False, True])
    cut.select(keep)
    cut_noise.select(keep)
    expected = whole.estimate(logits, sum_of_squares, noise).surrogate[1].sum()
    got = cut.estimate(logits[1:], sum_of_squares, cut_noise).surrogate.sum()
    (a,), (b,) = torch.autograd.grad(expected, logits), torch.autograd.grad(got, logits)
    torch.testing.assert_close(a, b, rtol=1e-12, atol=1e-12)


def test_temperatures_move_with_the_module_but_stay_out_of_its_state():
    method = estimators.get("reinmax", temperature=torch.tensor([1.0, 2.0]))
    assert method.state_dict() == {}
    assert method.to(torch.float64).temperature.dtype == torch.float64


@pytest.mark.parametrize("name", ["arm", "disarm", "arms"])
def test_binary_estimators_refuse_more_categories(name):
    with pytest.raises(ValueError, match=f"{name} needs 2 categories, got 3; use an estimator for"):
        estimators.get(name).estimate(torch.zeros(4, 2, 3), sum_of_squares, Noise())


@pytest.mark.parametrize("name", ["arm", "disarm", "disarm_sb", "disarm_iw", "disarm_tree"])
@pytest.mark.parametrize("samples", [3, 5])
def test_an_odd_number_of_antithetic_samples_is_refused(name, samples):
    with pytest.raises(ValueError, match=f"{name} needs an even number .*, got {samples}"):
        estimators.get(name, samples=samples)


@pytest.mark.parametrize("name", ["arm", "disarm", "arms", "double_cv", "rodeo", "vimco"])
def test_a_single_sample_is_refused_where_two_are_needed(name):
    with pytest.raises(ValueError, match=f"{name} needs samples >= 2, got 1"):
        estimators.get(name, samples=1)


@pytest.mark.parametrize(
    ("name", "settings", "message"),
    [
        ("gapped_st", {"gap": -1.0}, "gap must be a number >= 0 or 'expected', got -1.0"),
        ("gapped_st", {"gap": "mean"}, "gap must be a number >= 0 or 'expected', got 'mean'"),
        ("gapped_st", {"temperature": 0.0}, "temperature must be finite and > 0, got 0.0"),
        ("nvil", {"decay": 1.0}, r"decay must be a number in \[0, 1\), got 1.0"),
        ("nvil", {"hidden": 0}, "hidden must be an integer >= 1, got 0"),
        (
            "muprop",
            {"constant": False, "linear": False},
            "its linear part, got neither",
        ),
        ("muprop", {"eta": 2.0}, "eta must be finite and > 0 and < 2, got 2.0"),
        ("rebar", {"eta": 0.0}, "eta must be finite and > 0 and < 2, got 0.0"),
        ("rebar", {"eta": float("nan"), "learn_eta": False}, "eta must be finite, got nan"),
        ("rebar", {"temperature": -1.0}, "temperature must be finite and > 0, got -1.0"),
        ("rebar", {"link": "logit"}, "link must be 'softmax' or 'probit', got 'logit'"),
        ("rebar", {"relaxation": "soft"}, "relaxation must be 'concrete' or 'muprop', got 'soft'"),
        ("rebar", {"link": "probit", "relaxation": "muprop"}, "'muprop' needs the softmax link"),
        ("relax", {"hidden": 1.5}, "hidden must be an integer >= 1, got 1.5"),
        ("unordered_set", {"samples": 1}, "baseline of unordered_set needs samples >= 2, got 1"),
        ("unordered_set", {"baseline": 1}, "baseline must be True or False, got 1"),
        ("vimco", {"mean": "harmonic"}, "'geometric' or 'arithmetic', got 'harmonic'"),
        ("ars", {"pivot": 0}, "pivot must be 'random' or 'first', got 0"),
        ("ars_plus", {"bounds": "wide"}, "bounds must be 'full' or 'paper', got 'wide'"),
    ],
)
def test_a_setting_out_of_range_is_refused(name, settings, message):
    with pytest.raises(ValueError, match=message):
        estimators.get(name, **settings)


def test_the_probit_link_refuses_more_categories():
    with pytest.raises(ValueError, match="probit link needs 2 categories, got 3; use link 'soft"):
        estimators.get("rebar", link="probit").build(4, 3)


@pytest.mark.parametrize("name", ["muprop", "rebar", "relax", "double_cv", "rodeo"])
def test_an_objective_without_a_gradient_is_refused_where_one_is_needed(name):
    def steps(one_hot):
        return one_hot.argmax(-1).sum(-1).double()

    with pytest.raises(ValueError, match=f"{name} needs an objective that is differ.*as reinforce"):
        estimators.get(name).estimate(torch.zeros(4, 2, 3).double(), steps, Noise())


@pytest.mark.parametrize("name", ["muprop", "rebar"])
def test_inference_mode_is_refused_where_the_objective_is_differentiated(name):
    with (
        torch.inference_mode(),
        pytest.raises(ValueError, match=f"{name} differentiates .* use torch.no_grad"),
    ):
        estimators.get(name).estimate(torch.zeros(4, 2, 3), lambda x: x.sum((-2, -1)), Noise())


@pytest.mark.parametrize(
    ("name", "setting"),
    [
        ("nvil", "normalise"),
        ("muprop", "constant"),
        ("muprop", "linear"),
        ("muprop", "learn_eta"),
        ("muprop", "baseline"),
        ("rebar", "coupled"),
        ("rebar", "learn_eta"),
        ("relax", "learn_temperature"),
        ("relax", "coupled"),
    ],
)
@pytest.mark.parametrize("value", ["off", 0, None])
def test_a_setting_that_is_neither_on_nor_off_is_refused(name, setting, value):
    with pytest.raises(ValueError, match=f"{setting} must be True or False, got {value!r}"):
        estimators.get(name, **{setting: value})
