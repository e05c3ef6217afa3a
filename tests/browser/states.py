"""States far from the defaults, and what a page must show of the state that its address names."""

from __future__ import annotations

import re
import urllib.parse
from collections.abc import Callable, Mapping
from functools import cache
from importlib import import_module
from typing import Any
from unittest import mock

from pages.parts import names, results, shell
from pages.parts.questions import QUESTIONS
from pages.parts.scenes import KINDS, SCENE_BY_NAME, Scene
from vgdash.initializers import INITIALIZERS
from vgdash.params import Integers, Params, Rule

State = dict[str, str | list[str]]

STATES: dict[str, list[State]] = {
    "linear_chain": [
        {"factor": "0.37", "depth": "9", "scale": "linear", "learning_rate": "0.02"},
        {"kind": "gaussian", "depth": "100", "width": "5", "sigma2": "3.7", "seeds": "7", "seed": "12345"},
        {"kind": "diagonal", "factor": "1.21", "factor2": "0.55", "x1": "-2", "x2": "0.125"},
    ],
    "neuron_variance": [
        {"n": "12345", "rule": "2/n", "activation": "relu"},
        {"mean": "1.5", "std": "0.015", "correlation": "0.35"},
    ],
    "initializers": [
        {"depth": "17", "width": "33", "initializers": ["zeros", "he_uniform", "orthogonal"],
         "activation": "gelu", "look": "dead", "of": "zeros"},
        {"widths": "100-50x3-10", "gamma": "1.25", "batch": "10", "seeds": "5", "sigma_b2": "0.001",
         "seed": "4"},
        {"depth": "12", "width": "20", "normalization": "layer", "keep": "0.9",
         "initializers": ["pytorch_default"]},
    ],
    "training": [
        {"steps": "20", "depth": "3", "width": "7", "initializers": ["zeros", "he_normal"],
         "learning_rate": "0.07", "batch": "17", "activation": "tanh", "of": "zeros"},
        {"steps": "30", "depth": "2", "width": "8", "initializers": ["orthogonal"], "dataset": "spirals",
         "optimizer": "adam", "clip": "0.5", "label_noise": "0.1", "seeds": "2", "seed": "3",
         "gamma": "0.125"},
    ],
    "trainable_depth": [
        {"activation": "gelu", "sigma_w2": "1.7654", "sigma_b2": "0.0123", "fan_in": "100",
         "depth": "31", "gamma": "1.05"},
        {"activation": "relu", "sigma_w2": "2", "sigma_b2": "0", "fan_in": "77"},
    ],
}


def link(stem: str, state: State) -> str:
    return f"{stem}?{urllib.parse.urlencode(state, doseq=True)}"


def texts(state: State) -> dict[str, list[str]]:
    """The state as an address is read."""
    return {key: value if isinstance(value, list) else [value] for key, value in state.items()}


def headline(scene: Scene, asked: bool = True) -> str:
    """Return the title of a scene: its question, or its message where it has none or it is answered."""
    return QUESTIONS[scene.question].text if asked and scene.question else scene.say


# ---- what an address means, and what contradicts it

VERDICTS: dict[str, Callable[[Any, Mapping[str, Any]], str]] = {
    "linear_chain": lambda p, values: results.chain(p, values["learning_rate"]).verdict,
    "neuron_variance": lambda p, values: results.neuron(p).verdict,
    "initializers": lambda p, values: results.comparison(p).verdict,
    "trainable_depth": lambda p, values: results.phases(p).verdict,
}


@cache
def page_of(stem: str) -> tuple[str, dict[str, Rule], dict[str, Any]]:
    """Return a page's question, the rules of its controls, and their defaults."""
    with mock.patch.object(shell, "show"):
        module = import_module(f"pages.{stem}")
    own, usual, beside = KINDS[stem].keys(), KINDS[stem](), getattr(module, "BESIDE", {})
    defaults = {key: None if isinstance(rule, Integers) else getattr(usual, key) for key, rule in own.items()}
    defaults |= {key: value for key, (_, value) in beside.items()}
    rules = {**own, **{key: rule for key, (rule, _) in beside.items()}}
    return module.__doc__.split(". ", 1)[1], rules, defaults


def meaning(address: str) -> tuple[str, str | None, Params, dict[str, Any]]:
    """Return the page, the scene, the parameter set, and every control's value that an address names."""
    parts = urllib.parse.urlsplit(address)
    stem, query = parts.path.strip("/"), urllib.parse.parse_qs(parts.query, keep_blank_values=True)
    _, rules, defaults = page_of(stem)
    scene = query.get("scene", [None])[-1]
    said = {key: rules[key].parse(key, texts) for key, texts in query.items() if key in rules}
    assert not (scene and said), f"{address} names a scene and other values"
    values = said if scene is None else dict(SCENE_BY_NAME[stem, scene].values)
    p, refused = KINDS[stem].parse_lenient(values)
    assert not refused, refused
    return stem, scene, p, {**defaults, **values}


def same_value(shown: str | None, spelled: str) -> bool:
    """Return True if a control's text is that of an address, which may write a number differently."""
    try:
        return float(shown) == float(spelled)
    except (TypeError, ValueError):
        return shown == spelled


def as_shown(key: str, texts: list[str]) -> str:
    """Return a value of an address as its control shows it."""
    return ",".join(names.value(key, text) for text in texts)


def contradictions(shown: Mapping[str, Any]) -> list[str]:
    """Compare what is shown (``Visitor.state``) with its address; return a sentence for each difference.

    A page opened in a hurry may have the scene of the page before in its address, for a second or two.
    """
    address = urllib.parse.urlsplit(shown["address"])
    named = urllib.parse.parse_qs(address.query).get("scene", [None])[-1]
    if named and (address.path.strip("/"), named) not in SCENE_BY_NAME:
        return [f"the address names the scene {named!r} of another page"]
    stem, scene, p, values = meaning(shown["address"])
    question, rules, _ = page_of(stem)
    known = SCENE_BY_NAME.get((stem, scene))
    found = []
    if shown["headline"] != (headline(known, bool(shown["question"])) if known else question):
        found.append(f"the headline is {shown['headline']!r}")
    if shown["pills"] != ([known.label] if known else []):
        found.append(f"the pills {shown['pills']} are selected")
    for key, text in shown["controls"].items():
        value = values.get(key)
        if key == "of" and value not in p.initializers:  # the last one stands for it
            value = p.initializers[-1]
        spelled = "" if value is None else as_shown(key, rules[key].to_query(value))
        if key in rules and not same_value(text, spelled):
            found.append(f"{key} shows {text}, and is {spelled}")
    if shown["question"]:
        if not (known and known.question and QUESTIONS[known.question].options[0] in shown["question"]):
            found.append(f"{shown['question'][:80]!r} is asked")
        return found
    if stem in VERDICTS:
        verdict = plain(VERDICTS[stem](p, values))
        if plain(shown["verdict"]) != verdict:
            found.append(f"the verdict is {shown['verdict']!r}, and should be {verdict!r}")
        if stem in ("linear_chain", "initializers"):  # the others leave room for names
            left_out = stem == "linear_chain" and p.kind != "gaussian"  # W[L], of another shape
            ends = set(shown["deepest"]) - {None, p.depth - left_out}
            found += [f"a chart ends at layer {end}" for end in ends]
    elif stem == "training" and "previous settings" not in shown["bar"]:
        found += _of_another_run(shown, p)
    return found


def _of_another_run(shown: Mapping[str, Any], p: Any) -> list[str]:
    """Compare a run on screen, where it is not marked as the run before, with the page's parameter set."""
    steps = re.search(r"of ([\d,]*\d)|([\d,]+) steps in", shown["bar"])
    found = []
    if steps and next(filter(None, steps.groups())) != f"{p.steps:,}":
        found.append(f"the bar says {shown['bar']!r}, and a run has {p.steps:,} steps")
    said = shown["verdict"]
    for one in sorted(INITIALIZERS.values(), key=lambda one: -len(one.short)):  # He uniform before He
        said, times = re.subn(rf"(?<!\w){re.escape(one.short)}(?!\w)", "", said)
        if times and one.name not in p.initializers:
            found.append(f"the verdict names {one.short}, and {p.initializers} are trained")
    return found


def plain(words: str) -> str:
    """Return Markdown as the text that a browser shows."""
    return " ".join(re.sub(r"\*\*|\\(?=\W)", "", words).split())
