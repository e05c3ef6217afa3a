"""Home moves by itself, stands still for whoever asks for less motion, and leads to the first scene."""

from pages.parts.scenes import SCENES

SEEN = """() => { const find = root => root.querySelector('.film') ?? [...root.querySelectorAll('*')]
    .map(one => one.shadowRoot && find(one.shadowRoot)).find(found => found);
  const film = find(document);
  return film && film.querySelector('canvas') && {said: film.querySelector('output').textContent,
    names: [...film.querySelectorAll('canvas')].map(one => one.getAttribute('aria-label')),
    pictures: [...film.querySelectorAll('canvas')].map(one => one.toDataURL())}; }"""


def film(visitor):
    visitor.page.wait_for_function(f"({SEEN})()?.said")
    return visitor.page.evaluate(SEEN)


def test_the_nets_learn_before_the_eyes_of_a_visitor_and_then_stand_still(on):
    visitor = on(reduced_motion="no-preference").open("", quiet=False)
    first = film(visitor)
    visitor.page.wait_for_function(f"({SEEN})().said.endsWith('step 2,000')")
    end = visitor.page.evaluate(SEEN)
    assert first["pictures"] != end["pictures"]
    assert ["100 % right" in name or "99 % right" in name for name in end["names"]] == [False, True, True]
    visitor.page.wait_for_timeout(300)
    assert visitor.page.evaluate(SEEN) == end


def test_less_motion_shows_the_end_and_the_slider_chooses_the_scale(on):
    visitor = on(reduced_motion="reduce").open("")
    end = film(visitor)
    visitor.page.wait_for_timeout(300)
    assert visitor.page.evaluate(SEEN) == end
    assert end["said"] == "weights ×1 · step 2,000"
    visitor.page.get_by_label("How large do the weights start?").press("End")
    largest = film(visitor)
    assert largest["said"] == "weights ×2 · step 2,000"
    assert ["blew up" in name for name in largest["names"]] == [False, True, True]


def test_the_key_n_starts_the_walk(on):
    visitor = on(reduced_motion="reduce").open("")
    visitor.page.keyboard.press("n")
    visitor.page.wait_for_url(f"**/{SCENES[0].page}?scene={SCENES[0].name}")
    visitor.settle()


def test_the_chain_to_drag_counts_as_its_page_does(on):
    said = on(reduced_motion="reduce").open("").page.get_by_text("c = 0.70: ×8.3·10⁻²⁴")
    said.first.wait_for()
    assert "8.3·10⁻²⁴" in on().open("linear_chain?factor=0.7").verdict()
