"""Notices of what was left out, where a question hides the results."""

from tests.pages.wire import state


def test_a_notice_finds_its_place_while_a_question_is_asked(visitor):
    asked = visitor.open("initializers", "scene=ReLU")
    after = visitor.send(state(asked.widget("kernels").id, "string_value", "3-x"))
    assert after.has("skip")
    assert not after.exceptions
    assert "“x” was left out" in after.warnings[0]
