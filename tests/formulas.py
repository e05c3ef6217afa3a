"""Formulas of many kinds, with their kinks, and a second reading of them by Python and ``math``."""

import math

FORMULAS = {  # text → kinks
    "z*sigmoid(1.702*z)": (), "tanh(z)+0.1*z": (), "sin(30*z)": (), "sin(z)": (), "z+sin(z)**2": (),
    "z*(1+erf(z/sqrt(2)))/2": (), "exp(-z**2)": (), "z*exp(-z**2/2)": (), "atan(3*z)": (),
    "z/sqrt(1+z**2)": (), "log(1+exp(z))-log(2)": (), "z*tanh(log1p(exp(z)))": (), "z/(1+exp(-z))": (),
    "tanh(z-3)": (), "cos(2*z)*exp(-z**2/8)": (), "sqrt(1+z**2)-1": (), "0.7*z+0.3*sin(5*z)": (),
    "sigmoid(z)-0.5": (), "where(z*z>0,sin(z)/z,1)": (),
    "leaky_relu(z,5)": (0.0,), "leaky_relu(z,-1)": (0.0,), "elu(z,0.5)": (0.0,),
    "max(-1,min(z,1))": (-1.0, 1.0), "where(z>0.3,2*z-0.3,z)": (0.3,), "abs(z)/(1+abs(z))": (0.0,),
    "z*min(max(z+3,0),6)/6": (-3.0, 3.0), "relu(z)-0.2*relu(z-1)": (0.0, 1.0), "abs(z-1/3)": (1 / 3,),
    "sign(z)*log(1+abs(z))": (0.0,), "relu(z-1)": (1.0,), "min(relu(z),6)": (0.0, 6.0),
    "abs(sin(z))": tuple(k * math.pi for k in range(-19, 20)),
}


def sigmoid(u):
    return 1 / (1 + math.exp(-u))


NAMES = {
    "sigmoid": sigmoid, "relu": lambda u: max(u, 0.0), "where": lambda test, a, b: a if test else b,
    "sign": lambda u: (u > 0) - (u < 0), "leaky_relu": lambda u, slope: u if u > 0 else slope * u,
    "elu": lambda u, alpha: u if u > 0 else alpha * math.expm1(u),
    "max": max, "min": min, "abs": abs,
    "exp": math.exp, "log": math.log, "log1p": math.log1p, "sqrt": math.sqrt, "sin": math.sin,
    "cos": math.cos, "tanh": math.tanh, "atan": math.atan, "erf": math.erf,
}


def second_reading(text):
    """Return f of one float: Python reads the text, and ``math`` computes it."""
    return eval(f"lambda z: {text}", dict(NAMES))
