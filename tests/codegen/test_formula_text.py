"""Formulas as JAX and TensorFlow text, read by Python, with NumPy in place of the two libraries.

They are not installed here. Brackets, the order of arguments and every name are tested; that the two compute
what their documentation says is not.
"""

from types import SimpleNamespace

import numpy as np
import pytest
from scipy import special

from tests.formulas import FORMULAS
from vgdash.activations import ACTIVATIONS
from vgdash.codegen.formula_source import formula_source

PLAIN = {name: getattr(np, name) for name in (
    "abs", "cos", "exp", "maximum", "minimum", "sign", "sin", "sqrt", "tanh", "where")}
LOGS = {"log": np.log, "log1p": np.log1p, "expm1": np.expm1}
NAMED = {name: ACTIVATIONS[name].f for name in ("relu", "selu", "sigmoid", "silu", "softplus")}
RULES = {"elu": lambda z, alpha=1.0: np.where(z > 0, z, alpha * np.expm1(np.minimum(z, 0)))}


def leaky(z, slope):
    return np.where(z > 0, z, slope * z)


def gelu(z, approximate):
    return ACTIVATIONS["gelu"].f(z) if approximate else z * special.ndtr(z)


STAND_INS = {
    "jax": {
        "jnp": SimpleNamespace(**PLAIN, **LOGS, arctan=np.arctan),
        "jax": SimpleNamespace(lax=SimpleNamespace(erf=special.erf), nn=SimpleNamespace(
            **NAMED, **RULES, soft_sign=ACTIVATIONS["softsign"].f, mish=ACTIVATIONS["mish"].f, gelu=gelu,
            leaky_relu=lambda z, negative_slope: leaky(z, negative_slope)))},
    "tensorflow": {
        "tf": SimpleNamespace(**PLAIN, atan=np.arctan, math=SimpleNamespace(**LOGS, erf=special.erf),
                              sigmoid=special.expit, nn=SimpleNamespace(
            **NAMED, elu=ACTIVATIONS["elu"].f, softsign=ACTIVATIONS["softsign"].f, tanh=np.tanh, gelu=gelu,
            leaky_relu=lambda z, alpha: leaky(z, alpha)))},
}


@pytest.mark.parametrize("framework", STAND_INS)
@pytest.mark.parametrize("text", [*FORMULAS, "max(z,gelu(z))-min(mish(2*z),0.1*z)", "leaky_relu(2*z,0.3)**1",
                                  "selu(z)+softsign(-z)+where(1>z,0.2*z,0.2)", "z*softplus(z)/(1+abs(z))"])
def test_the_text_computes_the_formula(framework, text):
    record, z = ACTIVATIONS[text], np.linspace(-8, 8, 401)
    source = formula_source(record.tree, framework)
    with np.errstate(all="ignore"):  # the side of a where that is not taken
        found = eval(source, {"z": z, **STAND_INS[framework]})
    np.testing.assert_allclose(found, record.f(z), rtol=1e-9, atol=1e-12, err_msg=source)
