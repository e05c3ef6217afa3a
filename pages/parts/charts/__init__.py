"""Charts as specifications: authored in Altair, compiled once, filled with a tidy table on every draw.

No Streamlit here. A specification never holds a number that changes, or the browser would rebuild the chart: numbers come
in the table, whose columns are

    part    which layers of the chart draw the row: line (and its band), point (and its interval), label, limit, bar
    nth     which row of its part it is: its mark is kept, and moved, while there is such a row
    x, y    position; on a ``decades`` axis y is log10 of the quantity
    low, high   the ends of the line's band, of the point's interval; of a bar along x
    series  name in ``series_style.SERIES_STYLES``: dash and marker; ``slot`` its colour
    text    what a label or a tooltip says

The browser interprets every expression of a specification for every row: filters are as short as they can be.
"""

from pages.parts.charts.heatmaps import decision, heat_map, measured_map
from pages.parts.charts.histograms import histogram, scrubbed_histograms, spectrum
from pages.parts.charts.lines import curves, depth_profiles, draggable_chain, scrubbed_lines
from pages.parts.charts.phase_plane import phase_plane, plane_rows, plane_table
from pages.parts.charts.spec import ENLARGED, HEIGHT, enlarged
from pages.parts.charts.tables import (
    LEAST,
    NAME,
    Rows,
    apart,
    bends,
    end_labels,
    on_decades,
    pushed_apart,
    rows,
    spread,
    table,
    with_room_for,
    with_room_in_each,
)

__all__ = [
    "ENLARGED", "HEIGHT", "LEAST", "NAME", "Rows", "apart", "bends", "curves", "decision", "depth_profiles", "draggable_chain",
    "end_labels", "enlarged", "heat_map", "histogram", "measured_map", "on_decades", "phase_plane", "plane_rows", "plane_table",
    "pushed_apart", "rows", "scrubbed_histograms", "scrubbed_lines", "spectrum", "spread", "table", "with_room_for",
    "with_room_in_each",
]
