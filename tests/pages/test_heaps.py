"""The server's memory: few heaps, and what is free in them goes back to the machine."""

import platform
import subprocess
import sys
from xml.etree import ElementTree

import pytest

from tests.server import ROOT

pytestmark = pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="only glibc has heaps to share")

SHARED = """
import ctypes, sys, threading
from pages.parts import heaps
heaps.begin()
together = threading.Barrier(9)

def allocate():
    together.wait()
    kept = [bytearray(600 + more) for more in range(200)]
    together.wait()

for _ in range(8):
    threading.Thread(target=allocate).start()
together.wait()
together.wait()
libc = ctypes.CDLL(None)
libc.fopen.restype = ctypes.c_void_p
told = ctypes.c_void_p(libc.fopen(sys.argv[1].encode(), b"w"))
libc.malloc_info(0, told)
libc.fclose(told)
"""
GIVEN_BACK = """
import time
from pathlib import Path
from pages.parts import heaps

def resident():
    return int(Path("/proc/self/statm").read_text().split()[1]) * 4096

heaps.EVERY = 0.2
heaps.begin()
held = [bytearray(10_000) for _ in range(5_000)]
full, held[:-1] = resident(), []
time.sleep(1)
print(full, resident())
"""


def told_by(program, *arguments):
    done = subprocess.run([sys.executable, "-c", program, *arguments], cwd=ROOT, check=True, capture_output=True, text=True, timeout=60)
    return done.stdout.split()


def test_all_threads_share_two_heaps(tmp_path):
    told = tmp_path / "malloc.xml"
    told_by(SHARED, str(told))
    assert len(ElementTree.parse(told).findall("heap")) <= 2


def test_what_is_free_below_what_is_held_is_given_back():
    full, after = (int(number) for number in told_by(GIVEN_BACK))
    assert full - after > 40e6
