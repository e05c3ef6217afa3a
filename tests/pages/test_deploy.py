"""Replicas behind nginx: how every server starts, and what replaces a replica that serves no page."""

import asyncio
import os
import re
import signal
import time
import tomllib
from pathlib import Path

import pytest

from deploy.probe import SCRIPT_FINISHED, field_numbers, page_served
from deploy.replicas import keep_serving, nginx_configuration, running, start_command
from tests.debian import program
from tests.server import ROOT, completed, free_port

SCRIPT = """
import os, pathlib, streamlit as st
new = pathlib.Path(os.environ["PROCESSES"], f"{os.getpid()}")
new.write_text(f"{os.getpid()}")
new.replace(new.with_name(f"{st.get_option('server.port')}"))
st.write("served")
"""
VISITORS = 20
LIMITS = {"period": 0.2, "timeout": 1.5, "failures": 2, "starting": 60.0}


# ---- how servers start

def test_every_server_starts_by_the_command_of_the_readme_with_port_and_address_and_nothing_else():
    _, _, *command = start_command(1234)
    assert " ".join(command) == ("streamlit run app.py --server.port 1234 --server.address 127.0.0.1"
                                 " --server.headless true")
    assert ".venv/bin/streamlit run app.py\n" in (ROOT / "README.md").read_text(encoding="utf-8")
    here = [path for folder in ("deploy", "tests") for path in (ROOT / folder).rglob("*")
            if path.is_file() and path.suffix in (".py", ".yaml", "")]
    starting = [path for path in here if re.search(r'streamlit",\s*"run"', path.read_text(encoding="utf-8"))]
    assert starting == [ROOT / "deploy" / "replicas.py"], "tests, benchmarks and container use start_command"


def test_the_configuration_alone_says_that_files_are_not_watched():
    settings = tomllib.loads((ROOT / ".streamlit" / "config.toml").read_text(encoding="utf-8"))
    assert settings["server"]["fileWatcherType"] == "none"
    code = [*(ROOT / "deploy").rglob("*.py"), *(ROOT / "tests").rglob("*.py")]
    named = [path for path in code if "fileWatcher" in path.read_text(encoding="utf-8")]
    assert named == [Path(__file__)]


# ---- the probe, and what replaces a replica

def test_the_numbers_of_a_messages_fields_are_those_that_streamlit_reads():
    from streamlit.proto.ForwardMsg_pb2 import ForwardMsg

    message = ForwardMsg(hash="x" * 300, script_finished=ForwardMsg.FINISHED_EARLY_FOR_RERUN)
    message.metadata.delta_path.extend([0, 200, 3])
    assert field_numbers(message.SerializeToString()) == {field.number for field, _ in message.ListFields()}
    assert ForwardMsg.DESCRIPTOR.fields_by_name["script_finished"].number == SCRIPT_FINISHED
    message.navigation.page_script_hash = "0"
    assert SCRIPT_FINISHED not in field_numbers(message.SerializeToString())


def test_nobody_serves_where_nobody_listens():
    assert not completed(page_served(free_port(), 1))


def test_a_frozen_replica_is_killed_and_started_again_while_nginx_goes_on_serving(tmp_path):
    nginx = program(["nginx"], ["nginx-light"]) or pytest.skip("no nginx, and only root can install it")
    (tmp_path / "bare.py").write_text(SCRIPT)
    ports, front = [free_port(), free_port()], free_port()
    (path := tmp_path / "nginx.conf").write_text(nginx_configuration(ports, f"127.0.0.1:{front}", tmp_path))
    environment = {**os.environ, "PROCESSES": str(tmp_path)}

    def process_of(port):
        return int((tmp_path / str(port)).read_text())

    async def served():  # without a cookie nginx sends each to a replica by chance
        return sum(await asyncio.gather(*(page_served(front, 1) for _ in range(VISITORS))))

    async def wait_for(condition, seconds=60):
        end = time.monotonic() + seconds
        while not await condition():
            assert time.monotonic() < end, "it did not happen in time"
            await asyncio.sleep(0.1)

    async def everyone():
        return await served() == VISITORS

    async def both():
        return all(await asyncio.gather(*(page_served(port, 1) for port in ports)))

    async def replaced():
        return process_of(ports[0]) != frozen

    async def freeze_one():
        nonlocal frozen
        async with asyncio.TaskGroup() as group:
            commands = [start_command(port, str(tmp_path / "bare.py")) for port in ports]
            tasks = [group.create_task(keep_serving(port, command, environment, **LIMITS))
                     for port, command in zip(ports, commands, strict=True)]
            await wait_for(both)
            async with running(nginx, "-p", str(tmp_path), "-c", str(path), "-g", "daemon off;"):
                await wait_for(everyone)
                frozen = process_of(ports[0])
                os.kill(frozen, signal.SIGSTOP)
                assert 0 < await served() < VISITORS, "the other replica serves its visitors"
                await wait_for(replaced)
                with pytest.raises(ProcessLookupError):
                    os.kill(frozen, 0)
                await wait_for(everyone)
            for task in tasks:
                task.cancel()

    frozen = None
    completed(freeze_one())
    for port in ports:
        with pytest.raises(ProcessLookupError):
            os.kill(process_of(port), 0)


# ---- nginx's configuration

def test_every_replica_stands_in_it_and_no_place_is_left_empty(tmp_path):
    text = nginx_configuration([8601, 8602, 8603], "8080", tmp_path)
    assert re.findall(r"server 127\.0\.0\.1:(\d+) ", text) == ["8601", "8602", "8603"]
    assert "${" not in text.split("http {")[1]
    assert "listen 8080;" in text
    assert "$connection_upgrade" in text, "nginx's own variables must be left alone"
    assert "hash $visitor consistent;" in text, "visitors are told apart by a cookie and not by their address"
    assert "ip_hash" not in text
