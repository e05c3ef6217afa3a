"""Every notebook is valid, runs cell by cell, and ends with the table and chart of a direct call."""

import ast
import re
from pathlib import Path

import nbformat
import numpy as np
import pandas as pd
import pytest

from vgdash import (
    INITIALIZERS,
    ChainParams,
    CompareParams,
    DescentParams,
    NeuronParams,
    ProbeParams,
    TrainParams,
    compare,
    linear_chain,
    neuron_variance,
    predict,
    probe,
    train,
)
from vgdash.codegen.notebook import LESSONS, NEEDS, notebook, to_python

TRAINING = TrainParams.uniform(4, 8, dataset="moons", steps=30, snapshots=3,
                               initializers=("zeros", "he_normal"), seeds=2)
CASES = [
    ChainParams(),
    ChainParams(kind="gaussian", depth=20, seeds=5, seed=3),
    ChainParams(kind="diagonal", factor=1.2, factor2=0.5, depth=30, x2=-2.0),
    NeuronParams(n=50, rule="2/n", activation="relu", samples=2_000),
    ProbeParams(widths=(20, *(30,) * 6, 10), activation="tanh", gamma=1.3, sigma_b2=0.05, batch=8),
    ProbeParams.uniform(3, 9, initializer="identity", batch=8),  # without theory
    CompareParams.uniform(5, 16, initializers=("zeros", "he_normal", "orthogonal"), batch=8, seeds=3),
    TRAINING,
]
cases = pytest.mark.parametrize("params", CASES, ids=lambda p: type(p).__name__)


def direct_table(p):
    if isinstance(p, TrainParams):
        return pd.concat([snapshot.frame() for snapshot in train(p)], ignore_index=True)
    compute = {ChainParams: linear_chain, NeuronParams: neuron_variance, ProbeParams: probe,
               CompareParams: compare}
    return compute[type(p)](p).frame()


def executed(params):
    """What the code cells leave behind, and what each shows; a magic line (%pip) is for Jupyter only."""
    cells = [cell for cell in nbformat.reads(notebook(params), as_version=4).cells
             if cell.cell_type == "code"]
    assert [cell.source.startswith("%") for cell in cells] == [True] + [False] * (len(cells) - 1)
    namespace, shown = {}, []
    for cell in cells[1:]:
        *body, last = ast.parse(cell.source).body
        assert isinstance(last, ast.Expr), "a cell ends with what it shows"
        exec(compile(ast.Module(body, []), "cell", "exec"), namespace)
        shown.append(eval(compile(ast.Expression(last.value), "cell", "eval"), namespace))
    return namespace, shown


def plotted(chart):
    """The rows behind a chart, as Vega-Lite receives them; Altair checks the chart against its schema."""
    return [pd.DataFrame(rows) for rows in chart.to_dict()["datasets"].values()]


def marks(spec):
    """Every mark of a chart and what stands on its y axis: {("line", "predicted"), …}."""
    inner = [layer for key in ("layer", "hconcat") for layer in spec.get(key, [])]
    own = {(spec["mark"]["type"], spec["encoding"]["y"]["field"])} if "mark" in spec else set()
    return own.union(*map(marks, inner))


@cases
def test_a_notebook_is_valid_and_carries_no_output(params):
    read = nbformat.reads(notebook(params), as_version=nbformat.NO_CONVERT)
    nbformat.validate(read, relax_add_props=False)
    assert (read.nbformat, read.nbformat_minor) == (4, 5)
    assert all(not cell.outputs and cell.execution_count is None for cell in read.cells
               if cell.cell_type == "code")


@cases
def test_a_notebook_runs_and_its_table_is_the_one_of_a_direct_call(params):
    namespace, shown = executed(params)
    assert namespace["p"] == params
    pd.testing.assert_frame_equal(namespace["table"], direct_table(params), check_exact=True)
    assert any(value is namespace["table"] for value in shown)
    assert shown[-1] is namespace["chart"]
    assert all(len(rows) for rows in plotted(namespace["chart"]))


def same(ours, theirs):
    np.testing.assert_allclose(np.asarray(ours, float), np.asarray(theirs, float), rtol=1e-12)


def test_the_chain_is_drawn_with_the_sizes_and_the_theory_of_every_layer():
    p = ChainParams(kind="gaussian", depth=20, seeds=5, seed=3)
    chart = executed(p)[0]["chart"]
    (rows,), result = plotted(chart), linear_chain(p)
    assert marks(chart.to_dict()) == {("area", "log10_low"), ("line", "log10_theory"),
                                      ("point", "log10_size")}
    drawn = rows[rows["line"] == "gradient"]
    same(drawn["log10_size"], result.log10_gradient)
    same(drawn["log10_theory"], result.log10_gradient_theory)


def test_the_chain_says_where_number_formats_break():
    _, (breaks, *_) = executed(ChainParams())
    # REFERENCES, row 1: 1.5^L; float32 only at 219
    assert dict(breaks.iloc[:, 0].dropna()) == {"float16": 28}


def test_the_neuron_is_drawn_with_its_histogram_and_says_what_was_predicted():
    p = NeuronParams(n=50, rule="2/n", activation="relu", samples=2_000)
    namespace, (numbers, *_) = executed(p)
    rows, *_ = plotted(namespace["chart"])
    result = neuron_variance(p)
    same(rows["measured"], result.density)
    same(rows["predicted"], result.predicted_density)
    assert marks(namespace["chart"].to_dict()) == {("rect", "measured"), ("line", "predicted")}
    same(numbers["predicted"], [2, 1])
    same(numbers["measured"], [result.measured, result.measured_a2])
    same(numbers["standard error"], [result.stderr, result.stderr_a2])


@pytest.mark.parametrize("p", [case for case in CASES if isinstance(case, CompareParams | ProbeParams)],
                         ids=lambda p: type(p).__name__)
def test_layers_are_drawn_measured_and_predicted_forward_and_backward(p):
    chart = executed(p)[0]["chart"]
    forward, backward = plotted(chart)
    assert marks(chart.to_dict()) == {("line", "predicted"), ("point", "measured")}
    probes = {p.initializer: probe(p)} if isinstance(p, ProbeParams) else compare(p).probes
    for rows, name in ((forward, "q"), (backward, "grad2")):
        for initializer, one in probes.items():
            drawn = rows[rows["initializer"] == INITIALIZERS[initializer].short]
            theory = getattr(predict(one.params), f"log10_{name}")
            assert drawn["layer"].tolist() == list(range(1, p.depth + 1))
            same(drawn["measured"], one.log10(name).mean(axis=0))
            same(drawn["predicted"], np.where(np.isfinite(theory), theory, np.nan))


def test_training_is_drawn_as_the_mean_over_seeds_of_loss_and_accuracy():
    chart = executed(TRAINING)[0]["chart"]
    rows, *_ = plotted(chart)
    assert marks(chart.to_dict()) == {("line", "log10_loss"), ("line", "held_out")}
    last = list(train(TRAINING))[-1]
    drawn = rows[rows["step"] == 30].set_index("initializer")
    for i, initializer in enumerate(INITIALIZERS[name].short for name in TRAINING.initializers):
        assert 10 ** drawn.loc[initializer, "log10_loss"] == pytest.approx(last.loss[i].mean(), rel=1e-12)
        assert drawn.loc[initializer, "held_out"] == pytest.approx(last.held_out[i].mean(), rel=1e-12)


EIGHT = ("zeros", "small_normal", "standard_normal", "lecun_normal", "glorot_normal", "he_normal",
         "orthogonal", "pytorch_default")


@pytest.mark.parametrize("params", [
    CompareParams.uniform(256, 16, initializers=EIGHT, batch=2, seeds=2),
    ChainParams(depth=1_000, kind="diagonal"),
    TrainParams.uniform(2, 4, dataset="moons", steps=400, snapshots=400, batch=8, seeds=2,
                        initializers=EIGHT),
], ids=lambda p: type(p).__name__)
def test_the_largest_settings_stay_below_the_rows_that_altair_draws(params):
    rows = plotted(executed(params)[0]["chart"])  # beyond 5,000 rows Altair raises MaxRowsError
    assert max(map(len, rows)) > 1_500


@cases
def test_parameters_are_spelled_as_python_and_only_where_they_are_not_the_default(params):
    spelled = to_python(params)
    assert eval(spelled) == params
    call = ast.parse(spelled, mode="eval").body
    defaults = {name: field.default for name, field in type(params).__dataclass_fields__.items()}
    changed = {name for name in defaults if getattr(params, name) != defaults[name]}
    assert {keyword.arg for keyword in call.keywords} == changed


def test_many_widths_are_spelled_on_short_lines():
    various = ProbeParams(widths=tuple(range(4, 200)), batch=2, activation="tanh")
    assert eval(to_python(various)) == various
    assert max(map(len, to_python(various).splitlines())) <= 100


def test_the_packages_that_a_notebook_installs_are_requirements_of_vgdash():
    text = (Path(__file__).parents[2] / "requirements.txt").read_text(encoding="utf-8")
    required = re.findall(r"^[a-z0-9-]+", text, re.MULTILINE)
    assert set(NEEDS) <= set(required)
    modules = {word for lesson in LESSONS.values()
               for word in re.findall(r"^(?:import|from) (\w+)", lesson.imports, re.MULTILINE)}
    assert {"altair", "vgdash"} <= modules <= {*NEEDS, "vgdash"}


def test_what_has_no_notebook_is_refused_by_name():
    with pytest.raises(ValueError,
                       match=r"params must be one of ChainParams, .*TrainParams, received DescentParams"):
        notebook(DescentParams())


def test_the_same_parameters_give_the_same_file_to_the_byte():
    assert notebook(TRAINING) == notebook(TRAINING)
    assert notebook(TRAINING) != notebook(ChainParams())
