"""Worker processes of the issuer, as an operator starts them: several that share one address and one database."""

import asyncio
import contextlib
import os
import signal
import socket
import ssl
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import httpx

from tests.issuer.wallet_api.world import World, build_world, environment

WORKERS = 4
_START_SECONDS = 150


@contextlib.contextmanager
def running_workers(folder: Path, *, database_url: str = "", catalog_dir: Path | None = None) -> Iterator[World]:
    """An issuer of four processes. Each takes its share of connections that are opened at once."""
    port = _free_port()
    public_url = f"http://127.0.0.1:{port}"
    world = asyncio.run(build_world(folder, public_url=public_url, database_url=database_url))
    if catalog_dir is not None:
        world.use_types(catalog_dir)
    command = [
        *(sys.executable, "-m", "uvicorn", "--factory", "issuer.app:app_from_environment"),
        *("--host", "127.0.0.1", "--port", str(port), "--workers", str(WORKERS), "--no-access-log"),
        *("--log-level", "warning", "--timeout-worker-healthcheck", "60"),  # a loaded machine is no dead worker
    ]
    log = (folder / "workers.log").open("wb")
    process = subprocess.Popen(
        command, env=os.environ | environment(world.settings), stdout=log, stderr=log, start_new_session=True
    )
    try:
        _wait_until_up(world.settings.public_url, process, folder / "workers.log")
        yield world
    finally:
        process.terminate()
        try:
            process.wait(20)
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()
        log.close()


def clients(count: int) -> list[httpx.AsyncClient]:
    """Clients with a connection each, so that the workers share the requests."""
    no_tls = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)  # one for all: making a full one for each takes seconds
    return [httpx.AsyncClient(timeout=60, verify=no_tls) for _ in range(count)]


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def _wait_until_up(url: str, process: "subprocess.Popen[bytes]", log: Path) -> None:
    deadline = time.monotonic() + _START_SECONDS
    while time.monotonic() < deadline:
        if process.poll() is not None:
            break
        with contextlib.suppress(httpx.TransportError):
            if httpx.get(f"{url}/healthz").status_code == 200:
                return
        time.sleep(0.1)
    raise RuntimeError(f"the workers did not start: {log.read_text(encoding='utf-8', errors='replace')[-2000:]}")
