"""The server gets ready as it starts: what pages open with is there before it says that it is healthy, though nobody has come."""

import json
import subprocess
import sys

import pytest

from tests.server import ROOT

START = """
import asyncio, json, sys, threading
import app
from pages.parts import startup
from streamlit import config
config.set_option("server.headless", json.loads(sys.argv[1]))
config.set_option("server.port", 8599)
early = [name for name in ("vgdash", "pandas", "altair", "pages.parts.shell") if name in sys.modules]
opened = []
startup.open_browser = opened.append

def ready():
    from pages.parts import results
    from streamlit import delta_generator
    once = "PIL.Image" in sys.modules and delta_generator._use_warning_has_been_displayed  # what Streamlit does once
    return once and all(opening._kept for opening in (results.chain, results.neuron, results.comparison, results.advice, results.phases,
                                                      results.claim, results.mistake))

async def start():
    async with app.app._user_lifespan(app.app):
        for thread in threading.enumerate():
            if thread.name == "browser":
                thread.join()
        print(json.dumps({"early": early, "opened": opened, "ready": ready()}))

asyncio.run(start())
"""


@pytest.mark.parametrize("headless", [True, False])
def test_what_a_visitor_would_wait_for_is_ready_before_one_comes(headless):
    command = [sys.executable, "-c", START, json.dumps(headless)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True, timeout=120)
    found = json.loads(done.stdout.splitlines()[-1])
    assert found == {"early": [], "opened": [] if headless else ["http://localhost:8599"], "ready": True}
