"""Formulas that a user types: their text, value, slope, kinks, and the sentences that refuse others."""

import contextlib

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.formulas import FORMULAS, second_reading
from vgdash import ACTIVATIONS, ParamError, ProbeParams, fixed_point
from vgdash.formula import LONGEST, Misread

POINTS = np.concatenate([np.linspace(-6, 6, 241) + 0.0123, [-40.0, -1e-3, 1e-5, 25.0]])


@pytest.mark.parametrize("text", FORMULAS)
def test_a_formula_has_the_value_that_python_gives_it(text):
    truth = second_reading(text)
    np.testing.assert_allclose(ACTIVATIONS[text].f(POINTS), [truth(z) for z in POINTS.tolist()],
                               rtol=1e-13, atol=1e-15)


@pytest.mark.parametrize("text", FORMULAS)
def test_its_slope_is_that_of_finite_differences(text):
    a, step = ACTIVATIONS[text], 1e-5
    z = POINTS[np.abs(np.subtract.outer(POINTS, a.kinks)).min(axis=1, initial=1.0) > 2 * step]
    middle = (a.f(z + step) - a.f(z - step)) / (2 * step)
    # error of the difference: f'''·step²/6, below 30³·1e-10/6, and rounding 1e-16/step
    np.testing.assert_allclose(a.df(z), middle, rtol=0, atol=5e-7)


@pytest.mark.parametrize("text", FORMULAS)
def test_value_and_slope_keep_float32_and_are_close_to_float64(text):
    a, z = ACTIVATIONS[text], POINTS.astype(np.float32)
    for g in (a.f, a.df):
        assert g(z).dtype == np.float32
        np.testing.assert_allclose(g(z), g(z.astype(np.float64)), rtol=2e-5, atol=3e-3)  # 1200 is rounded


@pytest.mark.parametrize("text", FORMULAS)
def test_kinks_are_found_at_their_places(text):
    np.testing.assert_allclose(ACTIVATIONS[text].kinks, FORMULAS[text], rtol=0, atol=1e-13)


def test_one_formula_has_one_spelling_and_one_record():
    for text, spelled in {
        " z * sigmoid( 1.702 * z )": "z*sigmoid(1.702*z)", "+z": "linear", "tanh((z))": "tanh",
        "leaky_relu(5)": "leaky_relu(z,5)", "leaky_relu(z, 1/100)": "leaky_relu", "elu(1.0)": "elu",
        "-z-(2-(3*z-1))": "-z-(2-(3*z-1))", "(" * 90 + "z" + ")" * 90: "linear",
        "z/(1/(z*z+3)+2**.5)": "z/(1/(z*z+3)+2**0.5)",
        "where(z >= 0, z, -z*-2)": "where(z>=0,z,-z*-2)", "(-z)**2/(1+z**2)": "(-z)**2/(1+z**2)",
    }.items():
        assert ACTIVATIONS[text].name == spelled
        assert ACTIVATIONS[spelled] is ACTIVATIONS[text]


def test_a_parameter_set_keeps_the_spelling_and_the_address_gives_it_back():
    p = ProbeParams(activation="tanh(z) + 0.1 * z")
    assert p.activation == "tanh(z)+0.1*z"
    assert hash(p) == hash(ProbeParams(activation="tanh(z)+ 0.1*z"))
    assert ProbeParams.parse_lenient(p.to_query(), text=True) == (p, [])
    typed = {"activation": ["tanh(z) 0.1*z"]}  # an address typed by hand: the plus arrives as a space
    assert ProbeParams.parse_lenient(typed, text=True) == (p, [])


@pytest.mark.parametrize(("text", "said"), {
    "9**9**9*z": "Column 7: a power is a number from -8 to 8", "z*-": "Column 4: this is not a formula",
    "z.real": "Column 1: only numbers", "__import__('os')": "Column 1: `__import__` is not a known function",
    "2*foo(z)": "Column 3: `foo` is not a known function. Known", "tanh(x)": "Column 6: `x` is not known",
    "z+": "this is not a formula", "z*(2": "Column 3: this is not a formula", "": "Column 1",
    "1e999*z": "Column 1: this is not a finite number", "z+1/0": "Column 3: this is not a finite number",
    "sin(3)": "must depend on z", "z*[1]": "Column 3: only numbers", "(lambda: z)()": "Column 1",
    "z\x00": "Column 2: write plain letters", "z²": "Column 2: write plain letters",
    "z if z>0 else 0": "Column 1: only numbers", "tanh(z,2)": "Column 1: `tanh` takes 1 value",
    "where(z,1,2)": "Column 1: write `where", "True*z": "Column 1: only", "1j*z": "Column 1: only numbers",
    "z" + "+z" * LONGEST: "at most 200 characters", "+".join("z" * 60): "at most 80 numbers",
    "tanh(" * 30 + "z" + ")" * 30: "nested too deeply",
}.items())
def test_other_text_is_refused_with_the_place_of_the_mistake(text, said):
    with pytest.raises(ParamError, match=said):
        ProbeParams(activation=text)


@pytest.mark.parametrize(("text", "said"), {
    "z**2": "grows faster", "exp(z)": "grows faster", "z*log(1+abs(z))": "grows faster",
    "relu(z)**1.1": "grows faster", "z*exp(-z)": "grows faster", "sin(z*z)": "oscillates ever faster",
    "where(z>0,1,0)": "jumps at z = 0", "sign(z-2)*z": "jumps at z = 2", "1/(z-0.3)": "slope is",
    "sqrt(abs(z))": "slope is inf", "log(z)": "At z = 0 it is not a finite", "1e5*z": "slope is 1e.05 at",
    "1e-9*z": "slope is 0", "z+1e6": "At z = 0 it is 1e.06",
    "(exp(z)-exp(-z))/(exp(z)+exp(-z))": "overflows: write it with tanh",
}.items())
def test_a_function_without_a_bounded_slope_is_refused_with_a_sentence(text, said):
    with pytest.raises(ParamError, match=said):
        fixed_point(text, 1.0, 0.0)


PIECES = st.sampled_from([*"z()+-*/,.<>=19e \x00[]'{}:²", "**", "z", "sin(", "exp(", "max(", "where(",
                          "relu(", "elu(", "lambda ", "__class__", "if ", " else ", "9**9**9", "1e400", "\n"])


@settings(max_examples=300, deadline=None)
@given(st.one_of(st.text(max_size=60), st.lists(PIECES, max_size=40).map("".join)))
def test_any_text_is_a_formula_or_refused(text):
    with contextlib.suppress(Misread):
        a = ACTIVATIONS[text]
        assert np.isfinite(a.f(POINTS) + a.df(POINTS)).all()


def tree(inner):
    one = st.sampled_from(["sin", "exp", "tanh", "abs", "sqrt", "log1p", "relu", "erf", "sign", "mish", "-"])
    two = st.sampled_from(["({}+{})", "({}-{})", "({}*{})", "({}/{})", "max({},{})", "where({}>0,{},1)"])
    return st.one_of(st.builds("{}({})".format, one, inner), st.builds(str.format, two, inner, inner),
                     st.builds("({})**{}".format, inner, st.sampled_from([2, -1, 0.5, 3])))


@settings(max_examples=100, deadline=None)
@given(st.recursive(st.sampled_from(["z", "z", "2", "0.1", "pi"]), tree, max_leaves=8))
def test_a_random_formula_is_right_or_refused(text):
    """Any tree is refused with a sentence, or has finite values and the averages of its theory."""
    with contextlib.suppress(Misread):
        a = ACTIVATIONS[text]
        assert ACTIVATIONS[a.name] is a
        assert np.isfinite(a.f(POINTS) + a.df(POINTS)).all()
        assert np.isfinite(a.forward_gain)
