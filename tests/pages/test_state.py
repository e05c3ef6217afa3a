"""One state, three spellings: widgets, address, parameter set. Late messages of a browser change nothing."""

import types

import pytest

from pages.parts import controls as module
from pages.parts import scenes, walks
from pages.parts.controls import Controls
from pages.parts.state import Session as State
from pages.parts.state import answer_next, take_answering
from tests.pages.wire import Session, state
from vgdash.activations import ACTIVATIONS
from vgdash.linear_chain import ChainParams
from vgdash.params import Choice, Integer

BESIDE = {"scale": (Choice(("log", "linear", "steps", "learning")), "log"), "step": (Integer(0, 20), 0)}


class Rerun(Exception):
    """What ``st.rerun`` does: it ends a callback. The fragments are its arguments."""


class Query(dict):
    """The address as ``st.query_params`` gives it."""

    get_all = dict.__getitem__

    def from_dict(self, values):
        self.clear()
        self.update(values)


@pytest.fixture
def mine(monkeypatch):
    """Return the state of a visitor, in a stand-in for Streamlit."""
    def rerun(*fragments):
        raise Rerun(*fragments)

    mine = State()
    for part in (module, walks):
        monkeypatch.setattr(part, "session", lambda: mine)
    streamlit = types.SimpleNamespace(query_params=Query(), session_state={}, rerun=rerun)
    monkeypatch.setattr(module, "st", streamlit)
    return mine


@pytest.fixture
def page(mine):
    """Return the controls of a page that has been opened without a query."""
    opened = Controls("linear_chain", ChainParams, BESIDE, linked=("kind",), within=("step",))
    opened.read_address()
    return opened


def arrive(page, **query):
    """Run the page in full with this address."""
    module.st.query_params = Query({key: [value] for key, value in query.items()})
    page.read_address()
    return address()


def address():
    return {key: ",".join(texts) for key, texts in module.st.query_params.items()}


def change(page, key, value, generation=None, beside=None):
    """Have a widget's callback take a value over; return the fragments drawn again, () for the page."""
    widget = f"{key}-{module.session().generation if generation is None else generation}"
    module.st.session_state[widget] = value
    with pytest.raises(Rerun) as ended:
        page._changed(key, widget, beside)
    return tuple(*ended.value.args)


def one_further(value, up):
    return value + (1 if up else -1)


# ---- the address

def test_a_value_that_is_refused_is_said_and_the_address_is_written_without_it(page):
    assert arrive(page, factor="7", depth="9", nobody="1", x1="nan") == {"depth": "9"}
    p, said = page.params()
    assert (p.factor, p.depth) == (1.5, 9)
    assert len(said) == 3
    assert all("left out" in sentence for sentence in said)
    page.read_address()
    assert page.params()[1] == said, "the address that was written changes nothing"
    change(page, "depth", 10)
    assert page.params()[1] == []


def test_many_refusals_are_cut_short_and_a_long_text_is_not_read(page):
    arrive(page, **{f"nobody{i}": "1" for i in range(50)})
    assert len(page.params()[1]) == module.REFUSALS
    arrive(page, depth="1" * 100_000)
    (said,) = page.params()[1]
    assert len(said) < 300


def test_the_link_to_a_scene_is_its_name_and_sets_all_its_values(page, mine):
    for scene in scenes.of_page("linear_chain"):
        assert arrive(page, scene=scene.name) == {"scene": scene.name}
        assert page.params() == (scene.params, [])
        assert mine.at == ("linear_chain", scene.name)


def test_a_scene_with_another_value_is_a_state_of_its_own_and_with_its_own_values_the_scene(page):
    assert arrive(page, scene="0.9", depth="152", v="1") == {"scene": "0.9", "depth": "152", "v": "1"}
    assert page.here.scene == "0.9", "and its address, which means that, may stay"
    arrive(page, scene="0.9", depth="20")
    assert page.here.scene is None
    assert page.query() == {"factor": ["0.9"], "depth": ["20"]}
    assert (page.value("factor"), page.value("depth")) == (0.9, 20)
    assert arrive(page, factor="0.9", depth="152") == {"factor": "0.9", "depth": "152"}, "no scene"


def test_the_full_query_has_every_value_and_the_short_one_what_is_not_at_its_default(page):
    arrive(page, factor="1.5", scale="linear", depth="9", kind="gaussian")
    assert page.query() == {"scale": ["linear"], "depth": ["9"], "kind": ["gaussian"]}
    full = page.full_query()
    assert set(full) == set(page.rules)
    mine = page.params()
    arrive(page)
    module.st.query_params = Query(full)
    page.read_address()
    assert page.params() == mine
    assert page.value("scale") == "linear"


def test_an_address_of_an_earlier_state_wins_and_its_own_address_changes_nothing(page, mine):
    arrive(page, factor="1.2")
    change(page, "factor", 1.3)
    page.write_address()
    assert address() == {"factor": "1.3"}
    generation = mine.generation
    page.read_address()
    assert (page.value("factor"), mine.generation) == (1.3, generation)
    assert arrive(page, factor="1.2") == {"factor": "1.2"}, "Back"
    assert page.value("factor") == 1.2
    assert mine.generation == generation + 1, "all controls are drawn anew"
    assert arrive(page) == {}, "and to the beginning"
    assert page.params()[0] == ChainParams()


def test_a_page_opened_from_the_menu_shows_what_it_showed_and_with_a_query_what_that_says(page, mine):
    arrive(page, factor="1.2", present="true")
    mine.page = "training"  # the visitor has been elsewhere
    assert arrive(page) == {"factor": "1.2", "present": "true"}
    mine.page = "training"
    assert arrive(page, depth="9") == {"depth": "9"}
    assert mine.present is False


def test_the_run_that_answers_a_widget_does_not_read_an_address_that_is_late(page, mine):
    arrive(page, factor="1.2")
    answer_next()
    page.here.values["depth"] = 20
    assert arrive(page, factor="1.2") == {"factor": "1.2", "depth": "20"}
    assert arrive(page, factor="1.2") == {"factor": "1.2"}, "the next run does"
    answer_next()
    mine.page = "training"
    assert arrive(page, factor="1.4") == {"factor": "1.4"}, "and one that comes from another page"


def test_what_starts_with_a_scene_or_a_link_does_not_start_from_the_menu_nor_again(mine):
    started = []
    page = Controls("linear_chain", ChainParams, BESIDE, then=lambda: started.append(1))
    arrive(page)
    assert len(started) == 0
    arrive(page, factor="1.2")
    arrive(page, factor="1.2")
    assert len(started) == 1
    page.enter(scenes.of_page("linear_chain")[0])
    assert len(started) == 2


# ---- changes

def test_a_change_draws_results_again_and_the_page_if_other_controls_change_or_a_scene_ends(page):
    assert change(page, "factor", 1.2) == ("results",)
    assert change(page, "kind", "gaussian") == ()
    page.read_address()
    assert arrive(page, scene="0.9") == {"scene": "0.9"}
    assert change(page, "factor", 1.2) == ()
    assert take_answering()
    assert page.here.scene is None


def test_a_step_further_stays_in_its_scene_and_its_address_leads_there(page):
    assert arrive(page, scene="step by step") == {"scene": "step by step"}
    assert change(page, "step", 3) == ("results",)
    assert page.here.scene == "step by step"
    page.write_address()
    assert address() == {"scene": "step by step", "step": "3"}
    page.read_address()
    assert (page.here.scene, page.value("step"), page.value("scale")) == ("step by step", 3, "steps")
    assert change(page, "depth", 12) == (), "another value leaves it"
    assert page.here.scene is None
    assert page.query() == {"factor": ["0.5"], "depth": ["12"], "scale": ["steps"], "step": ["3"]}


def test_a_value_out_of_range_is_refused_and_the_default_counts_until_there_is_another(page):
    change(page, "factor", 1.2)
    change(page, "factor", 7.0)
    (said,) = page.params()[1]
    assert said.startswith("factor c must be")
    assert page.value("factor") == 1.5
    change(page, "depth", 20)
    assert page.params()[1] == [said]
    change(page, "factor", 1.4)
    assert page.params()[1] == []


@pytest.mark.parametrize("value", [
    float("nan"), float("inf"), "x" * 100_000, None, [1.2], b"1", {"a": 1}, True, 10**400],
    ids=lambda value: str(value)[:9])
def test_a_value_of_any_kind_is_refused_in_a_short_sentence(page, value):
    change(page, "factor", value)
    assert page.value("factor") == 1.5
    assert page.params()[0] == ChainParams()
    (said,) = page.params()[1]
    assert len(said) < 300


def test_values_of_an_earlier_generation_change_nothing(page, mine):
    arrive(page, scene="0.9")
    assert change(page, "factor", 1.2, generation=mine.generation - 1) == ()
    assert page.here.scene == "0.9"
    assert page.value("factor") == 0.9
    assert take_answering(), "the page is drawn again as it is"


def test_the_next_step_is_one_further_on_the_slider_that_moved(page):
    assert list(page.next_params()) == []
    change(page, "depth", 151, beside=one_further)
    assert [p.depth for p in page.next_params()] == [152]
    change(page, "depth", 140, beside=one_further)
    assert [p.depth for p in page.next_params()] == [139]
    change(page, "depth", 1, beside=one_further)
    assert list(page.next_params()) == [], "there is none"
    change(page, "depth", 9, beside=one_further)
    arrive(page, scene="0.9")
    assert list(page.next_params()) == [], "a scene, no slider"


# ---- a scene that brings A along

def test_a_scene_brings_its_a_along_and_takes_it_away_again(page):
    assert arrive(page, scene="ResNet 152") == {"scene": "ResNet 152"}
    assert page.here.kept == "depth=152"
    page.enter(scenes.SCENE_BY_NAME["linear_chain", "0.9"])
    assert page.here.kept == ""
    page.enter(scenes.SCENE_BY_NAME["linear_chain", "ResNet 152"])
    assert page.here.kept == "depth=152"
    change(page, "factor", 1.1)
    assert arrive(page, **address()) == {"factor": "1.1", "depth": "152", "held": "depth=152"}
    assert page.here.kept == "depth=152", "what is changed stands beside the A of the scene"


def test_what_a_viewer_keeps_goes_before_the_a_of_a_scene(page):
    assert arrive(page, scene="ResNet 152", held="factor=0.5")["held"] == "factor=0.5"
    page.enter(scenes.SCENE_BY_NAME["linear_chain", "0.9"])
    assert page.here.kept == "factor=0.5"
    assert arrive(page, scene="ResNet 152", held="") == {"scene": "ResNet 152", "held": ""}
    assert page.here.kept == "", "forgotten"


# ---- over the wire

def test_every_control_and_every_way_to_a_state_leads_to_its_address(visitor):
    page = visitor.open("linear_chain", "factor=1.2&depth=9&nobody=1")
    assert visitor.query == "factor=1.2&depth=9"
    assert len(page.warnings) == 1
    page = visitor.send(state(page.widget("factor").id, "double_array_value", [1.3]))
    assert visitor.query == "depth=9&factor=1.3"
    assert not page.warnings
    visitor.send(state(visitor.page.widget("scene").id, "string_array_value", ["halves"]))
    assert visitor.query == "scene=halves"
    visitor.click("to-next")
    assert visitor.query == "scene=step+by+step"
    visitor.click("to-previous")
    visitor.query = "factor=1.2&depth=9"  # Back
    assert "×1.20 a layer" in visitor.send().verdict
    assert visitor.query == "factor=1.2&depth=9"


def test_a_late_message_brings_no_earlier_state_back(visitor):
    """A browser that shows an old scene still sends the values of its controls, and its address."""
    before = visitor.open("linear_chain", "scene=1.2")
    old = state(before.widget("factor").id, "double_array_value", [1.7])
    pills = state(before.widget("scene").id, "string_array_value", ["1.2"])
    switch = state(before.widget("present").id, "bool_value", True)
    visitor.click("to-next")
    for late in ((old,), (pills,), (switch,), (old, pills, switch)):
        for fragment in ("", before.fragment(old.id)):
            visitor.query = "scene=1.2"
            page = visitor.send(*late, fragment=fragment)
            assert not page.exceptions
            assert visitor.query == "scene=ResNet+152"
            assert "×1.0066 a layer**: C¹⁵¹x" in page.verdict
    page = visitor.send(state(page.widget("factor").id, "double_array_value", [1.4]), old, pills)
    assert "×1.40 a layer" in page.verdict, "what is new counts"


def test_a_slider_keeps_a_value_that_another_control_takes_from_its_options(visitor):
    page = visitor.open("trainable_depth")
    page = visitor.send(state(page.widget("sigma_w2").id, "string_array_value", ["0.8"]))
    for activation in ("sigmoid", "relu"):
        page = visitor.send(state(page.widget("activation").id, "string_value", activation))
        assert not page.exceptions
        nets = f"{ACTIVATIONS[activation].said} nets"
        assert page.verdict.startswith(f"## With σw² = 0.8 and σb² = 0.05, {nets}")


def test_a_click_on_the_plane_leaves_every_control_of_the_page_usable(visitor):
    page = visitor.open("trainable_depth")
    picked = '{"selection": {"picked": [{"sigma_w2": 2.5, "sigma_b2": 0.05}]}}'
    page = visitor.send(state(page.widget("plane").id, "string_value", picked))
    page = visitor.send(state(page.widget("gamma").id, "double_value", 1.5))
    assert visitor.query == "sigma_w2=2.5&gamma=1.5"
    assert "σw² = 2.5" in page.verdict


def test_two_sessions_have_a_state_each(port):
    with Session(port) as one, Session(port) as other:
        one.open("linear_chain", "factor=1.2")
        other.open("linear_chain", "factor=1.3")
        assert "×1.20" in one.send().verdict
        assert "×1.30" in other.send().verdict
