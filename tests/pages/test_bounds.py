"""Every cache and store keeps to its bound, however much is put in; all bounds together fit into a small machine."""

import gc
import importlib
import json
import pickle
import pkgutil
from dataclasses import dataclass, replace
from types import SimpleNamespace

import numpy as np
import pytest
from streamlit.elements import vega_charts
from streamlit.proto.NewSession_pb2 import CustomThemeConfig
from streamlit.runtime import app_session

import pages.parts
import vgdash
from pages.parts import bounds, controls
from pages.parts.charts.once import shipped
from pages.parts.controls import Controls
from pages.parts.memory import Remembered
from pages.parts.training_runs import Run, Store
from pages.parts.views import plane, trainability_map
from vgdash import bounds as package
from vgdash.activations import ACTIVATIONS
from vgdash.diagnosis.recommendation import recommend
from vgdash.linear_chain import ChainParams
from vgdash.probe.probe import ProbeParams
from vgdash.theory import phase_diagram, tabulated
from vgdash.theory.layerwise import predict
from vgdash.training import data
from vgdash.training.trainer import TrainParams

SMALL = TrainParams.uniform(2, 8, initializers=("he_normal",), steps=20, snapshots=5)
# Caches without a bound: keys are names of the vocabulary or constants of the code, never what a visitor sends
OF_THE_CODE = {
    "vgdash.training.data._digits", "vgdash.quadrature._radii", "vgdash.theory.finite_width._pair_table", "vgdash.theory.finite_width._single_table",
    "vgdash.quadrature.sector", "vgdash.theory.maps.two_rays",
    "vgdash.theory.fixed_points._scan_moments", "vgdash.theory.fixed_points._scan_slopes", "vgdash.parallel._controller", "vgdash.theory.phase_diagram._plane",
    "vgdash.theory.layerwise._saturated_zones",
    "vgdash.theory.courses._table", "vgdash.sweep.run.shipped", "vgdash.theory.tabulated._angles", "vgdash.theory.tabulated._powers",
    "pages.parts.charts.once.shipped", "pages.parts.controls._defaults", "pages.parts.heaps.begin", "pages.parts.startup.begin",
}


@dataclass(frozen=True)
class Snapshot:
    nbytes: int
    share: float = 1.0


def modules():
    for root in (vgdash, pages.parts):
        for found in pkgutil.walk_packages(root.__path__, f"{root.__name__}."):
            if not found.name.endswith("__main__"):
                yield importlib.import_module(found.name)


def caches():
    """name → cache, of every module and of what its functions close over."""
    list(modules())
    return {f"{one.__module__}.{one.__qualname__}": one for one in gc.get_objects()
            if hasattr(type(one), "__mro__") and type(one).__name__ == "_lru_cache_wrapper"
            and str(one.__module__).startswith(("vgdash.", "pages."))}


def test_a_cache_without_a_bound_holds_nothing_that_a_visitor_can_make_more_of():
    assert {name for name, one in caches().items() if one.cache_parameters()["maxsize"] is None} == OF_THE_CODE


def test_all_that_is_kept_fits_into_a_small_machine_beside_the_app_itself():
    assert bounds.KEPT < 260e6
    kinds = [one for one in vars(importlib.import_module("pages.parts.results")).values() if isinstance(one, Remembered)]
    assert len(kinds) == bounds.KINDS
    assert all(one._most == bounds.RESULT for one in kinds)


def test_results_stay_within_their_bytes_and_the_last_ones_stay():
    kept = Remembered(lambda i: np.full(10_000, i, np.float64), 1e6)
    for i in range(200):
        kept(i)
        assert kept.bytes <= 1e6
    assert len(kept._kept) == len(kept._bytes) == 12
    assert set(kept._kept) == {(i,) for i in range(188, 200)}


def test_a_result_that_is_larger_than_all_that_is_kept_is_given_and_not_kept():
    kept = Remembered(lambda i: np.zeros(200_000), 1e6)
    assert kept(1).nbytes == 1.6e6
    assert kept.bytes == len(kept._kept) == 0


def deepest(activation="tanh", **more):
    return ProbeParams.uniform(256, 64, activation, seeds=32, **more)


LARGEST = {  # cache with a bound → the bound, and entries as large as any
    "pages.parts.charts.once.once.<locals>.compiled": (bounds.SPECIFICATIONS, lambda: [*shipped().values()]),
    "pages.parts.thrift.install.<locals>.populated": (bounds.THEMES, lambda: [theme("theme"), theme("theme.light")]),
    "pages.parts.views.diagnosis._recommended": (bounds.RECOMMENDED, lambda: [recommend(deepest(name)) for name in ("relu", "tanh", "gelu")]),
    "pages.parts.views.trainability_map.small": (bounds.SMALL_MAPS, lambda: [trainability_map.small("leaky_relu", 0.123456789)]),
    "pages.parts.views.phase_plane._cells": (bounds.PLANES, lambda: [plane._cells(name) for name in ACTIVATIONS]),
    "pages.parts.views.phase_plane._standing": (bounds.STANDING, lambda: [plane._standing(name, 784, 1.0) for name in ACTIVATIONS]),
    "vgdash.probe.random_weights._draw_layer": (package.Bound(26.2e6, 65.5e3), lambda: []),
    "vgdash.training.data._load": (package.DATA_SETS, lambda: []),  # below: the digits count as the vocabulary
    "vgdash.theory.phase_diagram.landmarks": (package.LANDMARKS, lambda: [phase_diagram.landmarks(name, 256) for name in ACTIVATIONS]),
    "vgdash.theory.layerwise.predict": (bounds.PREDICTED, lambda: [predict(deepest()), predict(deepest("relu", sigma_b2=0.1))]),
    "vgdash.theory.tabulated._single_window": (package.SINGLE_WINDOWS, lambda: [tabulated._single_window(ACTIVATIONS["tanh"], 0)]),
    "vgdash.theory.tabulated._pair_window": (package.PAIR_WINDOWS, lambda: [tabulated._pair_window(ACTIVATIONS["tanh"], 0)]),
    "vgdash.theory.tabulated._pair_block": (package.PAIR_BLOCKS, lambda: [tabulated._pair_block(ACTIVATIONS["tanh"], 0)]),
}


def theme(section):
    message = CustomThemeConfig()
    app_session._populate_theme_msg(message, section)
    return message


@pytest.mark.parametrize("name", LARGEST)
def test_a_cache_holds_as_many_entries_as_its_bytes_allow_and_none_is_larger_than_was_thought(name):
    bound, largest = LARGEST[name]
    assert caches()[name].cache_parameters()["maxsize"] == bound.entries
    assert all(len(pickle.dumps(one)) <= bound.largest for one in largest())


def test_every_cache_has_a_bound_in_bytes():
    assert caches().keys() == OF_THE_CODE | LARGEST.keys()
    authors = [one for one in gc.get_objects() if type(one).__name__ == "_lru_cache_wrapper"
               and f"{one.__module__}.{one.__qualname__}" == "pages.parts.charts.once.once.<locals>.compiled"]
    assert len(authors) == bounds.AUTHORS


def test_specifications_that_streamlit_has_read_stay_within_their_bytes():
    assert vega_charts._stabilize_vega_json_spec.cache_parameters()["maxsize"] == bounds.READ.entries
    for specification in shipped().values():
        text = json.dumps(specification)
        assert len(text) + len(vega_charts._stabilize_vega_json_spec(text)) <= bounds.READ.largest


def test_data_sets_stay_within_their_bytes():
    digits = {id(array) for array in vars(data.load()).values()}
    for seed in range(100):
        data.load("gaussians", seed)
        data.load("digits", seed, label_noise=0.3)
    assert data._load.cache_info().currsize * package.DATA_SETS.largest <= package.DATA_SETS.total
    for name in data.DATASETS:
        own = [array for array in vars(data.load(name, 99, label_noise=0.3)).values() if isinstance(array, np.ndarray)]
        assert sum(array.nbytes for array in own if id(array) not in digits) <= package.DATA_SETS.largest


def test_the_tables_of_the_vocabulary_stay_within_their_bytes():
    planes = sum(len(pickle.dumps(phase_diagram.plane(name))) for name in ACTIVATIONS)
    moments = sum(sum(part.nbytes for part in importlib.import_module("vgdash.theory.courses")._table(name)) for name in ACTIVATIONS)
    assert planes + moments + len(pickle.dumps(data._digits())) <= package.VOCABULARY


def test_a_run_counts_what_was_made_of_it_and_keeps_the_last_looks_only():
    run = Run(SMALL)
    empty = run.bytes
    run.add(Snapshot(5_000))
    made = [run.viewed(i, lambda i=i: bytes(1_000) + bytes([i])) for i in range(50)]
    assert len(run._views) == bounds.VIEWS
    assert empty + 5_000 + bounds.VIEWS * 1_000 < run.bytes < empty + 5_000 + bounds.VIEWS * 1_100
    assert run.viewed(49, lambda: b"anew") == made[49]
    assert run.viewed(0, lambda: b"anew") == b"anew"


def test_the_store_of_runs_stays_within_its_bytes_whatever_is_looked_at():
    class Done:
        def __init__(self, p):
            pass

        def __iter__(self):
            yield Snapshot(400_000)

    store = Store(running=1, kept_bytes=3e6, make=Done)
    for seed in range(30):
        p = replace(SMALL, seed=seed)
        run = store.ask(p, f"visitor {seed}")
        while not run.over:
            store.look(p, f"visitor {seed}")
        run.viewed("looked", lambda: bytes(400_000))
        store.look(p, "later")
        assert sum(run.bytes for run in store._runs.values()) <= 3e6
    assert len(store._runs) == 3


def test_a_visitor_who_leaves_a_run_keeps_no_copy_of_it():
    store = Store(make=lambda p: iter(()))
    run = store._runs[SMALL] = Run(SMALL, state="running")
    run.watchers |= {"first": 1e18, "second": 1e18}
    run.add(Snapshot(1, 0.2))
    left = store.leave(SMALL, "first")
    run.add(Snapshot(1, 0.4))
    assert len(pickle.dumps(left)) < 2_000
    assert (store.left(left).state, store.left(left).progress) == ("stopped", 0.2)
    del store._runs[SMALL]
    assert store.left(left) is None


def test_a_slider_remembers_the_last_of_the_values_that_links_asked_for(monkeypatch):
    monkeypatch.setattr(controls, "st", SimpleNamespace(session_state={}))
    one = Controls("linear_chain", ChainParams)
    for depth in range(1, 500):
        one._offer("depth", depth)
    assert one.options("depth", [1]) == sorted({1, ChainParams().depth, *range(500 - bounds.OFFERED, 500)})
