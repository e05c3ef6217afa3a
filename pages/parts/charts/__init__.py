"""Charts as Vega-Lite specifications: authored in Altair, compiled once, filled with a tidy table per draw.

Nothing here imports Streamlit. A specification holds no number that changes, or the browser would build the
chart anew: numbers are in the table, whose columns are

    part    which layers draw the row: line (and its band), point (and its interval), value, label, limit,
            mark, bar; extent: none does, but the axes reach it
    row_id  number of the row in its part: the browser moves the mark of the row that had this number before
    x, y    position; on a ``decades`` axis y is log10 of the quantity
    low, high   the ends of the line's band, of the point's interval; of a bar along x
    series  name in ``series_style.SERIES_STYLES``: dash and marker; ``slot`` its colour
    text    what a label or a tooltip says

The browser evaluates every expression of a specification for every row: filters are as short as they can be.
"""

from pages.parts.charts.heatmaps import decision, heat_map, measured_map
from pages.parts.charts.histograms import histogram, scrubbed_histograms, spectrum
from pages.parts.charts.layer_strip import layer_strip, strip_table
from pages.parts.charts.lines import curves, depth_profiles, draggable_chain, scrubbed_lines
from pages.parts.charts.phase_plane import phase_plane, plane_rows, plane_table
from pages.parts.charts.spec import HEIGHT, LARGE, enlarge
from pages.parts.charts.tables import (
    LABEL_SIZE,
    LEAST_RANGE,
    NAME_HEIGHT,
    Rows,
    avoid_label_overlap,
    end_labels,
    evenly_spaced,
    free_places,
    on_decades,
    resolve_overlaps,
    rows,
    simplify_polyline,
    table,
    with_extent_of,
    with_extent_of_layers,
)
