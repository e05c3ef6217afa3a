"""What Streamlit works out for every run, though it depends on so little that it is nearly always as before: kept.

The theme, which leads the answer to every change, and the specification of a chart, which is read and written again to look for
names that Altair counts.
"""

from __future__ import annotations

from functools import lru_cache, wraps

from streamlit.elements import vega_charts
from streamlit.proto.NewSession_pb2 import CustomThemeConfig
from streamlit.runtime import app_session

from pages.parts import bounds


def install() -> None:
    """Put both in place, once for the whole server."""
    populate, stabilize = app_session._populate_theme_msg, vega_charts._stabilize_vega_json_spec
    if hasattr(populate, "__wrapped__"):
        return

    @lru_cache(bounds.THEMES.entries)
    def populated(section: str) -> CustomThemeConfig:
        message = CustomThemeConfig()
        populate(message, section)
        return message

    @wraps(populate)
    def copied(message: CustomThemeConfig, section: str = "theme") -> None:
        message.MergeFrom(populated(section))

    app_session._populate_theme_msg = copied
    vega_charts._stabilize_vega_json_spec = lru_cache(bounds.READ.entries)(stabilize)
