"""What a fragment writes above itself: in a run that a newer one overtakes, and while a question is asked."""

import time

from tests.pages.wire import Session, state
from tests.server import port_of, serving


def test_a_tick_that_the_next_scene_overtakes_leaves_no_error(tmp_path):
    file = tmp_path / "log.txt"
    with file.open("w") as log, \
            serving(script="tests/pages/slow_view_app.py", stdout=log, stderr=log) as address, \
            Session(port_of(address)) as visitor:
        visitor.open("training", "scene=152+layers+deep&steps=5000")
        while not visitor.page.timers:  # the run begins
            visitor.send()
        tick = visitor.message(fragment=next(iter(visitor.page.timers)))
        visitor.socket.send(tick.SerializeToString())
        time.sleep(0.2)  # of the half second in which the tick computes its view
        visitor.click("to-next")
        time.sleep(0.5)
        assert not visitor.send().exceptions
        assert visitor.page.has("skip"), "the first scene, with its question"
    assert "Error" not in file.read_text()


def test_a_notice_finds_its_place_while_a_question_is_asked(visitor):
    asked = visitor.open("initializers", "scene=ReLU")
    after = visitor.send(state(asked.widget("kernels").id, "string_value", "3-x"))
    assert after.has("skip")
    assert not after.exceptions
    assert "“x” was left out" in after.warnings[0]
