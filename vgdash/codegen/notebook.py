"""Write a parameter set as a Jupyter notebook that computes it with ``vgdash``: table and chart."""

from __future__ import annotations

import json
import textwrap
from dataclasses import dataclass, fields

from vgdash.codegen.recipe import COLUMNS, spell_list
from vgdash.linear_chain import ChainParams
from vgdash.params import Integers, Params
from vgdash.probe.params import CompareParams, ProbeParams
from vgdash.single_neuron import NeuronParams
from vgdash.training.params import TrainParams

NEEDS = ("numpy", "pandas", "threadpoolctl", "altair")
SHORT = {"altair": "alt", "numpy": "np", "pandas": "pd"}  # names in the cells
INSTALL = ("Install `vgdash` once, with `pip install .` in the folder of its repository: then this notebook "
           "runs anywhere. The next cell installs what else it needs.")
AGAIN = "Change a number in `p` and run the cells again; a value that is not allowed says what is."


@dataclass(frozen=True)
class Lesson:
    """A question, its answer (Markdown), names from ``vgdash``, and code cells that end with a value to show.

    The first cell finds ``p``; together they define ``table`` and ``chart``.
    """

    question: str
    why: str
    names: str
    cells: tuple[str, ...]

    @property
    def imports(self) -> str:
        """First lines of the notebook."""
        used = [f"import {name} as {short}" for name, short in SHORT.items()
                if any(f"{short}." in cell for cell in self.cells)]
        return "\n".join([*used, "", f"from vgdash import {self.names}"])


def notebook(params: Params) -> str:
    """Text of an .ipynb file (nbformat 4.5) that computes ``params`` and shows ``table`` and ``chart``.

    For the keys of ``LESSONS``; raises ``ValueError`` for others.
    Format: nbformat.readthedocs.io/en/latest/format_description.html
    """
    lesson = LESSONS.get(type(params))
    if lesson is None:
        known = ", ".join(kind.__name__ for kind in LESSONS)
        raise ValueError(f"params must be one of {known}, received {type(params).__name__}. "
                         "Other pages have no notebook.")
    first, *rest = (cell.strip() for cell in lesson.cells)
    start = f"{lesson.imports}\n\np = {to_python(params)}\n{first}"
    cells = [_markdown(f"# {lesson.question}\n\n{lesson.why.strip()}\n\n{INSTALL}"),
             *map(_code, (f"%pip install -q {' '.join(NEEDS)}", start, *rest)), _markdown(AGAIN)]
    for number, cell in enumerate(cells, start=1):
        cell["id"] = f"cell-{number}"
    kernel = {"display_name": "Python 3", "language": "python", "name": "python3"}
    metadata = {"kernelspec": kernel, "language_info": {"name": "python"}}
    return json.dumps({"cells": cells, "metadata": metadata, "nbformat": 4, "nbformat_minor": 5},
                      ensure_ascii=False, indent=1) + "\n"


def to_python(params: Params) -> str:
    """Python that makes ``params``: its class and the fields that are not at their default."""
    name, rules, arguments = type(params).__name__, params.rules(), []
    for field in fields(params):
        if (value := getattr(params, field.name)) != field.default:
            numbers = isinstance(rules[field.name], Integers)
            arguments.append(f"{field.name}={spell_list(value) if numbers else repr(value)}")
    line = f"{name}({', '.join(arguments)})"
    if len(line) < COLUMNS - len("p = "):
        return line
    lines = [textwrap.fill(f"{argument},", COLUMNS, initial_indent=" " * 4, subsequent_indent=" " * 8)
             for argument in arguments]
    return "\n".join([f"{name}(", *lines, ")"])


def _markdown(source: str) -> dict:
    return {"cell_type": "markdown", "metadata": {}, "source": source.splitlines(keepends=True)}


def _code(source: str) -> dict:
    return {**_markdown(source), "cell_type": "code", "execution_count": None, "outputs": []}


CHAIN = Lesson(
    "Multiply by W a hundred times: what is left?",
    r"""
Each layer multiplies by the same factor, so the size of the activations is a straight line on a log axis, and
every slope but 0 is fatal. The gradient is the same line read from the other end:

$$a^{[l]} = c^{\,l} x, \qquad \frac{\partial \hat y}{\partial a^{[l]}} = c^{\,L-l}$$

For random matrices the line is the typical growth, the Lyapunov exponent; the band holds 80 % of the seeds.
""",
    "ChainParams, linear_chain",
    ("""
result = linear_chain(p)
pd.Series(result.breaks, name="first layer that overflows or is zero", dtype="Int64").to_frame()
""", """
table = result.frame()
table
""", """
base = alt.Chart(table).encode(alt.X("layer:Q"), color="line:N")
size = alt.Y("log10_low:Q", title="log10 of the size")
chart = (base.mark_area(opacity=0.2).encode(size, y2="log10_high:Q")
         + base.mark_line().encode(alt.Y("log10_theory:Q"))
         + base.mark_point(size=15, filled=True).encode(alt.Y("log10_size:Q"))).properties(width=600)
chart
"""))

NEURON = Lesson(
    "How large may a weight be?",
    r"""
$z$ is a sum of $n$ terms $w_i x_i$ with mean 0, so variances add:

$$\mathrm{Var}(z) = n\,\mathrm{Var}(w)\,E[x^2]$$

To keep it at $E[x^2]$, $\mathrm{Var}(w) = \tfrac1n$. ReLU throws half of $E[z^2]$ away, hence $\tfrac2n$.
""",
    "NeuronParams, neuron_variance",
    ("""
result = neuron_variance(p)
pd.DataFrame({"predicted": [result.predicted, result.predicted_a2],
              "measured": [result.measured, result.measured_a2],
              "standard error": [result.stderr, result.stderr_a2]}, index=["Var(z)", "E[a²]"])
""", """
table = result.frame()
table
""", """
bars = alt.Chart(table).mark_rect(opacity=0.45).encode(
    alt.X("z_low:Q", title="z"), alt.Y("measured:Q", title="density"), x2="z_high:Q", y2=alt.datum(0))
middle = alt.Chart(table).transform_calculate(z="(datum.z_low + datum.z_high) / 2").mark_line(color="#D55E00")
chart = (bars + middle.encode(x="z:Q", y="predicted:Q")).properties(width=600)
chart
"""))

_LAYERS = r"""
Forward a layer multiplies the mean square of the signal, backward that of the gradient:

$$\frac{q_{l+1}}{q_l} = n_{in}\,\mathrm{Var}(w)\,\frac{E[f(z)^2]}{q_l}, \qquad
\frac{E[\delta_{l}^2]}{E[\delta_{l+1}^2]} = n_{out}\,\mathrm{Var}(w)\,E[f'(z)^2]$$

Each must be 1. Points are measured, the mean over seeds; lines are mean-field theory.
"""
_LAYERS_CHART = """
def course(name):
    \"\"\"log10 of a statistic by layer, measured and predicted.\"\"\"
    return pd.concat([pd.DataFrame({
        "initializer": INITIALIZERS[initializer].short, "layer": np.arange(1, p.depth + 1),
        "measured": one.log10(name).mean(axis=0),
        "predicted": getattr(predict(one.params), f"log10_{name}")}) for initializer, one in probes.items()])


def drawn(name, title):
    base = alt.Chart(course(name)).encode(alt.X("layer:Q"), color="initializer:N")
    theory = base.mark_line().encode(alt.Y("predicted:Q", title=title))
    return theory + base.mark_point().encode(alt.Y("measured:Q"))


chart = drawn("q", "log10 E[z²], the signal") | drawn("grad2", "log10 E[δ²], the gradient")
chart
"""
_SURVIVE = "Do signal and gradient survive a deep net?"

_DIAGNOSES = """
found = {name: diagnose(one.params, one) for name, one in probes.items()}
pd.DataFrame([(INITIALIZERS[name].short, said) for name, one in found.items()
              for said in (one.sentence, *one.details)],
             columns=["initializer", "diagnosis"])
"""

PROBE = Lesson(_SURVIVE, _LAYERS, "INITIALIZERS, ProbeParams, diagnose, predict, probe", ("""
probes = {p.initializer: probe(p)}
table = probes[p.initializer].frame()
table
""", _DIAGNOSES, _LAYERS_CHART))

COMPARE = Lesson(_SURVIVE, _LAYERS, "INITIALIZERS, CompareParams, compare, diagnose, predict", ("""
result = compare(p)
probes = result.probes
table = result.frame()
table
""", _DIAGNOSES, _LAYERS_CHART))

TRAIN = Lesson(
    "Who learns, who stands still, who blows up?",
    r"""
A weight moves by $\Delta w = -\eta\,\partial C/\partial w$. A gradient of $10^{-12}$ moves a weight of 0.1 by
nothing; one of $10^{12}$ throws it away. A net that knows nothing answers $1/K$ for each of $K$ classes: its
loss is $\ln K$.
""",
    "INITIALIZERS, TrainParams, train",
    ("""
snapshots = list(train(p))
table = pd.concat([snapshot.frame() for snapshot in snapshots], ignore_index=True)
table
""", """
curves = table.groupby(["step", "initializer"], as_index=False)[["loss", "held_out"]].mean()  # over seeds
curves["initializer"] = [INITIALIZERS[name].short for name in curves["initializer"]]
curves["log10_loss"] = np.log10(curves["loss"].where(curves["loss"] > 0))
base = alt.Chart(curves).mark_line(point=True).encode(alt.X("step:Q"), color="initializer:N")
chart = (base.encode(alt.Y("log10_loss:Q", title="log10 of the training loss"))
         | base.transform_filter("isValid(datum.held_out)").encode(
             alt.Y("held_out:Q", title="held-out accuracy", scale=alt.Scale(domain=[0, 1]))))
chart
"""))

LESSONS: dict[type[Params], Lesson] = {
    ChainParams: CHAIN, NeuronParams: NEURON, ProbeParams: PROBE, CompareParams: COMPARE, TrainParams: TRAIN}
