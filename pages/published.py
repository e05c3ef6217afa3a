"""Published. Do we agree with the literature?"""

import time

import streamlit as st

from pages.parts import charts, elements, page, results, shell
from pages.parts.controls import Controls
from pages.parts.views import published as views
from vgdash.params import Params
from vgdash.published.records import Outcome

PATIENCE = 0.3  # seconds until there is a progress bar


def draw() -> None:
    controls = Controls("published", Params)

    def row() -> None:
        st.button("Recompute", icon=":material/refresh:", on_click=_recompute, key="recompute")

    page.show(controls, "Do we agree with the literature?", _results, row)


def _recompute() -> None:
    results.recompute()
    st.rerun("results")


def _results(shown: page.Results) -> None:
    said = st.empty()
    outcomes, mistakes = _computed(said)
    shown.verdict(views.verdict(outcomes))
    with page.stage():
        spec = charts.curves("published numbers, in the order of the tables", "difference / allowed",
                             decades=False, height=150, parts="band line point")
        elements.chart(views.agreement(outcomes), spec, "agreement",
                       "Every number of ours minus the published one, as a share of what may differ")
    said.empty()
    st.caption(views.remarks(outcomes))
    with st.container(height=430, key="claims"):
        st.markdown(views.sections(outcomes))
    elements.table_and_download(lambda: views.frame(outcomes), "published-claims", "published")
    st.markdown("### Mistakes that circulate", anchors=False)
    for first in range(0, len(mistakes), 2):
        for column, (key, mistake) in zip(st.columns(2), mistakes[first:first + 2], strict=False):
            with column.container(border=True, height="stretch"):
                _card(key, mistake)


def _computed(place) -> tuple[dict[str, Outcome], list[tuple[str, views.MistakeView]]]:
    """Return the outcome of every claim and every mistake, with progress in ``place`` if that takes long."""
    start, outcomes, mistakes = time.monotonic(), {}, []
    total = len(views.CLAIMS) + len(views.CORRECTED)
    for key in [*views.CLAIMS, *views.CORRECTED]:
        if time.monotonic() - start > PATIENCE:
            done = len(outcomes) + len(mistakes)
            place.progress(done / total, f"Computing number {done + 1} of {total}: {key}")
        if key in views.CLAIMS:
            outcomes[key] = results.claim(key)
        else:
            mistakes.append((key, results.mistake(key)))
    return outcomes, mistakes


def _card(key: str, shown: views.MistakeView) -> None:
    st.markdown(shown.words)
    if shown.table is not None:
        spec = charts.curves("layer", shown.quantity, height=210, mirrored=shown.mirrored, fine=True)
        elements.chart(shown.table, spec, f"mistake {key}",
                       f"{shown.quantity} by layer: the mistaken curve and the right one as lines, "
                       "measured nets as points")


shell.show(draw)
