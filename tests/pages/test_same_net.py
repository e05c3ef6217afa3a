"""From Initializers one press trains the very net, and one press leads back."""

from dataclasses import replace

import pytest

from pages.parts.views import same_net
from pages.parts.views.advice import advice_view
from tests.opened import control, opened
from vgdash.diagnosis.recommendation import recommend
from vgdash.probe.probe import CompareParams, ProbeParams, probe
from vgdash.training.params import TrainParams


def read(kind, query):
    return kind.parse_lenient({key: [value] for key, value in query.items()}, text=True)


@pytest.mark.parametrize("p", [
    CompareParams(widths=(784, 512, 256, 10), activation="tanh", initializers=("he_normal",), gamma=1.5),
    CompareParams.uniform(30, 32, "gelu", ("lecun_normal",), residual="scaled", keep=0.9, sigma_b2=0.1),
    CompareParams(widths=(3, 7), activation="linear", initializers=("zeros",))], ids=str)
def test_a_net_goes_to_training_and_back(p):
    there, refused = read(TrainParams, same_net.trained(p))
    assert not refused
    assert (there.widths[0], there.widths[-1]) == (64, 10)
    assert there.widths[1:-1] == p.widths[1:-1]
    back, refused = read(CompareParams, same_net.measured(there))
    assert not refused
    for name in same_net.SHARED:
        assert getattr(p, name) == getattr(there, name) == getattr(back, name)
    assert back.widths == there.widths


@pytest.mark.parametrize(("settings", "said"), [
    ({"widths": (64, 2048, 10)}, "widths[1] must be a whole number from 1 to 1,024"),
    ({"widths": (64, 32, 10), "kernels": (3,)}, "cannot train these convolutions"),
    ({"widths": (64, 32, 10), "kernels": (1, 5)}, "cannot train these convolutions"),
    ({"widths": (64, 32, 10), "normalization": "batch", "norm_scale": 0.0},
     "scale of the normalization must be at least 0.001 in training. It is not learned here")])
def test_a_net_that_training_does_not_take_has_a_sentence_in_place_of_a_link(settings, said):
    assert said in same_net.trained(CompareParams(**settings))
    assert isinstance(same_net.trained(CompareParams(widths=(64, 32, 10), kernels=(1,))), dict)


def test_the_page_says_that_training_has_no_convolutions():
    page = opened("initializers", widths="64-32-10", kernels="3")
    assert any("cannot train these convolutions" in one.value for one in page.caption)


def test_the_link_opens_training_with_the_widths(monkeypatch):
    from pages.parts import training_panel
    monkeypatch.setattr(training_panel, "start_when_ready", lambda: None)
    query = same_net.trained(CompareParams(widths=(784, 20, 10, 10), activation="tanh"))
    page = opened("training", **query)
    assert not page.warning
    assert control(page, "text_input", "widths").value == "64-20-10x2"


def test_each_recommended_change_of_a_net_is_one_press_away():
    p = ProbeParams((64, *(64,) * 30, 10), "sigmoid", seed=3, seeds=2, keep=0.9)
    changes, links = recommend(p).remedies, advice_view(probe(p)).changes
    assert len(changes) == 2
    assert [label for label, _ in links] == [f"See it with {one.name}" for one in changes]
    for (_, query), one in zip(links, changes, strict=True):
        there, refused = read(CompareParams, query)
        assert not refused
        assert there.probes == (replace(one.choice, seed=3, seeds=2),)
