"""Advice and verdicts against training: the table that ships, and some nets trained afresh."""

from dataclasses import replace

import numpy as np
import pytest

from tests.benchmarks.advice_nets import (
    LADDERS,
    NAMED,
    NETS,
    TUNED,
    Outcome,
    as_probed,
    drawn,
    find,
    net_of,
    outcomes,
    read,
    train_starts,
    write,
)
from tests.benchmarks.bench_advice import (
    changed_nets,
    judge_advice,
    judge_verdicts,
    judge_words,
    share,
    verdict,
)
from vgdash.diagnosis.recommendation import recommend
from vgdash.training.trainer import train

AFRESH = [(net, user) for net, user in drawn(2, 60) if net.depth <= 8][:6]  # of a draw that is in no table
MISSES = {(draw, net, "") for draw, nets in {  # weights alone regret more than 5 points
    0: (9, 10, 47, 130, 141, 144, 146), 1: (22, 25), 4: (3, 8, 38), 5: (16, 37, 43)}.items() for net in nets}
SAMPLE = 3  # every so many nets are judged, and all of draw 5; ``bench_advice`` without a number judges all


@pytest.fixture(scope="module")
def table():
    return read()


@pytest.fixture(scope="module")
def verdicts(table):
    """Optimizer, True if it learned, and outlook of every start."""
    some = {key: found for key, found in table.items() if key[1] % SAMPLE == 1}
    return [(net.optimizer, learned, seen) for _, net, _, learned, seen in judge_verdicts(some)]


def test_the_table_holds_every_named_initializer_of_its_nets(table):
    assert len(NETS) >= 200
    assert all({name for name, _ in table[key]} >= set(NAMED) for key in NETS)


def test_what_is_recommended_regrets_little_and_is_no_worse_than_what_users_had(table):
    """With the change of the net that is named first, where one is; draw 5 was seen by no rule.

    Theory that moves asks for gammas that the table lacks; another processor may break a tie in another way.
    """
    some = {key: table[key] for key in NETS if key[0] == 5 or key[1] % SAMPLE == 1}
    changed = {key: found for key, found in table.items() if (*key[:2], "") in some}
    judged = judge_advice(some | changed)
    assert len(judged) >= 0.95 * len(some)
    for draw in (None, 5):
        mine = [one for key, one in judged.items() if draw in (None, key[0])]
        assert share(one.regret_changed <= 0.02 for one in mine) >= 0.95
        assert share(one.regret_changed <= 0.05 for one in mine) >= 0.99
        assert max(one.below_user_changed for one in mine) <= 0.02

    weights_alone = judged.values()
    assert share(one.regret <= 0.02 for one in weights_alone) >= 0.925
    assert len({key for key, one in judged.items() if one.regret > 0.05} - MISSES) <= 1
    assert {key for key, one in judged.items() if one.below_user > 0.02} <= {(5, 16, "")}

    for most, gains in ((0.08, [one.changed for one in judged.values()]),
                        (0.06, [one.changed[:1] for one in judged.values()])):
        found = np.array([gain - one.accuracy for one, some in zip(judged.values(), gains, strict=True)
                          for gain in some])
        assert len(found) > 30
        assert share(found > 0.05) > 0.65
        assert share(found < -0.02) < most


def test_verdicts_agree_with_what_was_learned(verdicts):
    judged = [(optimizer, learned, verdict(seen, optimizer)) for optimizer, learned, seen in verdicts]
    definite = [(optimizer, learned == word) for optimizer, learned, word in judged if word is not None]
    assert share(agrees for _, agrees in definite) >= 0.95
    assert all(share(agrees for one, agrees in definite if one == optimizer) >= 0.95 for optimizer in LADDERS)
    assert len(definite) >= 0.75 * len(judged)


def test_words_agree_with_what_was_learned(table):
    """Vanishes, explodes, cannot: not learned. Holds, settles, shrinks, still trains: learned."""
    for optimizer in LADDERS:
        some = [key for key in table if net_of(key).optimizer == optimizer][::20]
        judged = [(learned, word) for *_, learned, word in judge_words({key: table[key] for key in some})]
        definite = [(learned, word) for learned, word in judged if word is not None]
        assert share(learned == word for learned, word in definite) >= 0.95, optimizer
        assert {word for _, word in definite} == {True, False}
        assert len(definite) >= 0.6 * len(judged)


def test_adam_rescues_starts_that_sgd_cannot_use(verdicts):
    """Of the starts of which it is said, most learned; with SGD hardly any did."""
    rescued = [(optimizer, learned) for optimizer, learned, seen in verdicts
               if seen.learns is False and seen.adam_learns]
    assert share(learned for optimizer, learned in rescued if optimizer == "adam") > 0.7
    assert share(learned for optimizer, learned in rescued if optimizer == "sgd") < 0.15


def test_nets_trained_afresh_regret_as_little():
    regrets, below = [], []
    for net, user in AFRESH:
        choice = recommend(as_probed(net, user)).choice
        advised = choice.initializer, choice.gamma
        found = outcomes(net, list(dict.fromkeys([user, advised, ("he_normal", 1.0)])))
        ours, chance = found[advised], 1 / net.widths[-1]
        regrets.append(max(one.mean(chance) - ours.mean(chance) - np.hypot(one.error, ours.error)
                           for one in found.values()))
        below.append(found[user].mean(chance) - ours.mean(chance) - np.hypot(found[user].error, ours.error))
    assert share(np.array(regrets) <= 0.02) >= 5 / 6
    assert max(below) <= 0.02


def test_a_change_that_is_recommended_wins_as_the_table_says(table):
    """8 layers of sigmoids, trained afresh with each change."""
    net, user = NETS[1, 25, ""]
    found = recommend(as_probed(net, user))
    plain = find(table[1, 25, ""], (found.initializer, found.gamma)).mean(0.1)
    assert len(found.remedies) == 3
    for key, start in changed_nets((1, 25, "")):
        (outcome,) = outcomes(net_of(key), [start]).values()
        assert outcome.mean(0.1) > plain + 0.05, key
        assert outcome.mean(0.1) == pytest.approx(find(table[key], start).mean(0.1), abs=0.02)


def test_a_start_is_trained_as_train_does():
    net, _ = drawn(0, 1)[0]
    *_, last = train(replace(net, learning_rate=0.00013, initializers=("orthogonal",), seeds=1))
    found = train_starts(net, [("orthogonal", 1.0, 0.00013, 0)])
    assert found["orthogonal", 1.0, 0.00013, 0] == pytest.approx(last.held_out[0, 0], abs=1e-6)
    assert last.held_out[0, 0] > 0.5


def test_a_table_is_read_as_it_was_written(tmp_path):
    table = {(0, 3, ""): {("he_normal", 1.0): Outcome(0.05, (0.5, 0.25, 0.75, 1.0)),
                          TUNED[0]: Outcome(0.3, ())},
             (0, 3, "residual=scaled"): {("orthogonal", 1.0): Outcome(0.05, (1.0, 0.75))}}
    write(table, tmp_path / "table.csv.gz")
    assert read(tmp_path / "table.csv.gz") == table
    found = table[0, 3, ""]
    assert found[TUNED[0]].mean(0.1) == 0.1
    assert found["he_normal", 1.0].error == pytest.approx(np.std((0.5, 0.25, 0.75, 1.0), ddof=1) / 2)
    assert find(found, ("lecun_normal", 0.51)) is found[TUNED[0]]
    assert find(found, ("lecun_normal", 0.6)) is None
