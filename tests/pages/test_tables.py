"""Tables of charts: labels at the ends of lines stand apart, in order, near their lines; no mark is lost."""

import itertools

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pages.parts import charts
from pages.parts.views.initializers import WEIGHT_GRADIENT, comparison_view, shares_view
from pages.parts.views.linear_chain import chain_view
from pages.parts.views.neuron_variance import neuron_view
from pages.parts.views.phase_point import phase_view
from vgdash.linear_chain import ChainParams
from vgdash.probe.probe import CompareParams, ProbeParams, compare, probe
from vgdash.single_neuron import NeuronParams
from vgdash.theory.layerwise import predict
from vgdash.theory.phase_diagram import PhaseParams

HEIGHT = 300


@settings(deadline=None)
@given(st.lists(st.floats(-5, 5), min_size=1, max_size=8), st.floats(0.01, 2))
def test_names_are_pushed_apart_in_their_order_and_no_farther_than_all_of_them_need(places, gap):
    places = np.array(places)
    moved = charts.resolve_overlaps(places, gap, 5.0)
    order = np.argsort(places, kind="stable")
    assert (np.diff(moved[order]) >= gap * (1 - 1e-9)).all()
    assert np.abs(moved - places).max() <= gap * (len(places) - 1) + 1e-9
    if len(places) < 2 or np.diff(places[order]).min() > gap:
        assert moved == pytest.approx(places)


def lines(*ends):
    names = ("zeros", "orthogonal", "identity")
    parts = [charts.rows("line", name, [0, 1], [0.0, end]) for name, end in zip(names, ends, strict=True)]
    labels = charts.end_labels({part["series"][0]: (1, part["y"][-1]) for part in parts})
    return charts.table([*parts, *labels])


@pytest.mark.parametrize("ends", [(1.0, 1.0, 1.0), (1.0, 1.001, 0.0), (0.0, 0.0, 0.0), (-3.0, 5.0, 4.99)])
def test_names_of_lines_that_end_together_stand_a_line_apart_and_nothing_else_moves(ends):
    table = lines(*ends)
    before, after = table.to_pandas(), charts.avoid_label_overlap(table, HEIGHT, 20).to_pandas()
    names = after.part == "label"
    span = max(max(*ends, 0) - min(*ends, 0), 0.01)
    assert (np.diff(np.sort(after.y[names])) >= 20 / HEIGHT * span).all()
    assert after[~names].equals(before[~names])
    assert after.drop(columns="y").equals(before.drop(columns="y"))


def test_names_that_stand_apart_and_tables_of_other_charts_stay():
    table = lines(-1.0, 0.0, 1.0)
    assert charts.avoid_label_overlap(table, HEIGHT).equals(table)
    for other in (table.drop_columns("low"), table.to_pandas(), None):
        assert charts.avoid_label_overlap(other, HEIGHT) is other


@pytest.mark.parametrize(("factor", "depth"), [(0.9, 256), (0.9, 152), (0.5, 150), (1.5, 150), (0.8, 300)])
def test_names_of_number_formats_stand_off_the_lines_and_each_other(factor, depth):
    drawn = chain_view(ChainParams(factor=factor, depth=depth), 0.01).sizes.to_pandas()
    limits, lines = drawn[drawn.part == "limit"], drawn[drawn.part == "line"]
    assert len(limits)
    for name in limits.itertuples():
        there = lines[(lines.x - name.x).abs() < 0.06 * depth]
        assert not there.y.between(name.y, name.y + 0.04 * np.ptp(lines.y)).any(), name.text
    crowded = chain_view(ChainParams(factor=1.5, factor2=0.5, kind="diagonal"), 0.01).sizes.to_pandas()
    names = crowded[crowded.part == "limit"]
    for one, other in itertools.combinations(names.itertuples(), 2):
        apart = abs(one.y - other.y) > 0.06 * np.ptp(crowded.y.dropna())
        assert apart or abs(one.x - other.x) > 0.18 * 149, (one.text, other.text)


def test_a_line_has_as_many_points_as_it_bends():
    x = np.arange(101)
    curves = np.array([3.0 - 0.3 * x, np.sqrt(x), np.full(101, 5.0)])
    assert list(charts.simplify_polyline(curves[[0, 2]], 21, 0.01)) == [0, 100]
    kept = charts.simplify_polyline(curves, 60, 0.05)
    assert 4 < len(kept) < 20
    assert max(np.abs(np.interp(x, kept, curve[kept]) - curve).max() for curve in curves) <= 0.05
    assert len(charts.simplify_polyline(curves, 5, 1e-9)) == 5
    gaps = np.where(x < 50, curves, np.nan)
    assert list(charts.simplify_polyline(gaps, 21, 0.01)) == list(charts.evenly_spaced(101, 21))


@pytest.mark.parametrize(("depth", "name"), [(256, "correlation"), (152, "correlation"), (50, "saturated")])
def test_the_line_of_a_statistic_passes_through_what_theory_says_of_every_layer(depth, name):
    p = ProbeParams.uniform(depth, 16, "relu" if name == "correlation" else "tanh", "he_normal", batch=4)
    table = shares_view([probe(p)], name).to_pandas()
    line = table[table.part == "line"]
    layers = np.arange(1, depth + 1)
    np.testing.assert_allclose(np.interp(layers, line.x, line.y), getattr(predict(p), name), atol=0.01)


def test_the_gradient_of_the_weights_is_drawn_as_theory_and_measurement_say():
    p = ProbeParams.uniform(40, 32, "relu", "lecun_normal", batch=8)
    found, theory = probe(p), predict(p)
    table = shares_view([found], WEIGHT_GRADIENT).to_pandas()
    line, points = table[table.part == "line"], table[table.part == "point"]
    np.testing.assert_allclose(np.interp(np.arange(1, 41), line.x, line.y), theory.log10_dw2, atol=0.01)
    expected = np.log10(found.dw2).mean(axis=0)[points.x.to_numpy(int) - 1]
    np.testing.assert_allclose(points.y, expected, rtol=1e-6)


@pytest.mark.parametrize(("depth", "width", "initializer"), [
    (256, 2, "small_normal"), (50, 100, "he_normal"), (256, 2, "he_normal")])
def test_a_band_has_both_ends_wherever_there_is_a_line(depth, width, initializer):
    """Of an end that is not there a browser makes a 0, and draws a spike to it."""
    view = comparison_view([probe(ProbeParams.uniform(depth, width, "relu", initializer, batch=4))])
    for table in (view.forward.to_pandas(), view.backward.to_pandas()):
        line = table[table.part == "line"]
        assert len(line)
        assert (line.low <= line.high).all()


@pytest.mark.parametrize("found", [
    lambda: chain_view(ChainParams(), 0.01), lambda: neuron_view(NeuronParams()),
    lambda: phase_view(PhaseParams()),
    lambda: comparison_view(tuple(compare(CompareParams()).probes.values())),
], ids=["chain", "neuron", "phases", "comparison"])
def test_every_mark_of_a_layer_has_a_key_of_its_own(found):
    """A browser draws one of two marks that share a key."""
    shown = [value for value in vars(found()).values() if isinstance(value, (pa.Table, dict))]
    tables = [table for one in shown for table in (one.values() if isinstance(one, dict) else [one])]
    tables = [table for table in tables if "row_id" in table.column_names]
    assert len(tables) >= 2
    for table in tables:
        assert not table.to_pandas().duplicated(["part", "row_id"]).any()
        assert table["row_id"].null_count == 0
