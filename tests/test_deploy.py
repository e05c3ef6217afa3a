"""The proxy in front of several replicas: its configuration is whole, and nginx takes it."""

import re
import runpy
import shutil
import subprocess
from pathlib import Path

import pytest

DEPLOY = Path(__file__).resolve().parents[1] / "deploy"
configuration = runpy.run_path(str(DEPLOY / "replicas.py"))["configuration"]


def test_every_replica_stands_in_it_and_no_place_is_left_empty(tmp_path):
    text = configuration([8601, 8602, 8603], "8080", tmp_path)
    assert re.findall(r"server 127\.0\.0\.1:(\d+) ", text) == ["8601", "8602", "8603"]
    assert "${" not in text.split("http {")[1]
    assert "listen 8080;" in text
    assert "$connection_upgrade" in text, "nginx's own variables must be left alone"


def test_visitors_are_told_apart_by_a_cookie_and_not_by_their_address(tmp_path):
    text = configuration([8601], "8080", tmp_path)
    assert "hash $visitor consistent;" in text
    assert "ip_hash" not in text


@pytest.mark.skipif(shutil.which("nginx") is None, reason="nginx is not installed")
def test_nginx_takes_it(tmp_path):
    (path := tmp_path / "nginx.conf").write_text(configuration([8601, 8602], "127.0.0.1:8080", tmp_path))
    checked = subprocess.run(["nginx", "-t", "-p", str(tmp_path), "-c", str(path)], capture_output=True, text=True)
    assert checked.returncode == 0, checked.stderr
