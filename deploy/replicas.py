"""N replicas of the app behind nginx on this machine: python deploy/replicas.py 3 --port 8080

Each replica is one process with one interpreter lock; all share one cookie secret. A replica that dies is started again, and its
visitors go on with another meanwhile: what they see is in the address. Needs nginx on the path (Debian: apt-get install nginx-light).
"""

from __future__ import annotations

import argparse
import os
import secrets
import signal
import string
import subprocess
import sys
import tempfile
import time
from pathlib import Path

HERE = Path(__file__).resolve().parent
FIRST_PORT = 8601


def configuration(ports: list[int], listen: str, folder: Path) -> str:
    """nginx.conf for replicas on these ports of this machine."""
    servers = "\n        ".join(f"server 127.0.0.1:{port} max_fails=1 fail_timeout=10s;" for port in ports)
    text = (HERE / "nginx.conf").read_text()
    values = {"REPLICAS": servers, "LISTEN": listen, "CACHE": str(folder / "cache"), "RUN": str(folder)}
    return string.Template(text.replace("$", "$$").replace("$${", "${")).substitute(values)


def replica(port: int, secret: str) -> subprocess.Popen:
    """One process of the app, reachable from this machine only."""
    return subprocess.Popen(
        [sys.executable, "-m", "streamlit", "run", "app.py", "--server.port", str(port), "--server.address", "127.0.0.1",
         "--server.headless", "true", "--server.fileWatcherType", "none"],
        cwd=HERE.parent, env={**os.environ, "STREAMLIT_SERVER_COOKIE_SECRET": secret}, stdout=subprocess.DEVNULL)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("count", type=int, nargs="?", default=os.cpu_count() or 1, help="replicas; one a core is right")
    parser.add_argument("--port", default="8080", help="port that nginx listens on, or address:port")
    given = parser.parse_args()
    if given.count < 1:
        parser.error(f"count must be at least 1, received {given.count}. One replica a core is right.")
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))

    secret = os.environ.get("STREAMLIT_SERVER_COOKIE_SECRET") or secrets.token_hex(32)
    ports = [FIRST_PORT + k for k in range(given.count)]
    running = {port: replica(port, secret) for port in ports}
    with tempfile.TemporaryDirectory(prefix="vgdash-nginx-") as folder:
        Path(folder).chmod(0o755)
        (path := Path(folder) / "nginx.conf").write_text(configuration(ports, given.port, Path(folder)))
        nginx = subprocess.Popen(["nginx", "-p", folder, "-c", str(path), "-g", "daemon off;"])
        try:
            while nginx.poll() is None:
                time.sleep(1)
                for port, process in running.items():
                    if process.poll() is not None:
                        print(f"the replica on port {port} ended ({process.returncode}) and is started again", flush=True)
                        running[port] = replica(port, secret)
        finally:
            for process in (nginx, *running.values()):
                process.terminate()
            for process in (nginx, *running.values()):
                process.wait(timeout=20)


if __name__ == "__main__":
    main()
