"""Servers in processes of their own, and the CPU time that they and their children have used."""

import contextlib
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

import httpx

_TICK_MS = 1000 / os.sysconf("SC_CLK_TCK")
_START_SECONDS = 60


def cpu_ms(pid: int) -> float:
    """Milliseconds of CPU that a process, its living descendants and its reaped children have used so far."""
    return sum(_own_cpu_ms(each) for each in _family(pid))


def _own_cpu_ms(pid: int) -> float:
    try:
        fields = Path(f"/proc/{pid}/stat").read_text(encoding="ascii", errors="replace").rpartition(")")[2].split()
    except (FileNotFoundError, ProcessLookupError):
        return 0.0
    return sum(int(ticks) for ticks in fields[11:15]) * _TICK_MS  # utime, stime, cutime, cstime


def _family(pid: int) -> list[int]:
    found, waiting = [], [pid]
    while waiting:
        parent = waiting.pop()
        found.append(parent)
        for task in Path(f"/proc/{parent}/task").glob("*/children"):
            with contextlib.suppress(FileNotFoundError, ProcessLookupError):
                waiting.extend(int(child) for child in task.read_text(encoding="ascii").split())
    return found


def free_port() -> int:
    """A port that nobody listens on at this moment."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@contextlib.contextmanager
def running(
    arguments: Sequence[str], *, environment: Mapping[str, str], url: str, path: str, log: Path
) -> Iterator[int]:
    """A Python program that serves at `url`, ready once `path` answers; yields its process id and ends it."""
    with log.open("ab") as output:
        process = subprocess.Popen(
            [sys.executable, *arguments],
            env=os.environ | dict(environment),
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=output,
            start_new_session=True,
        )
    try:
        _wait_until_up(f"{url}{path}", process, log)
        yield process.pid
    finally:
        process.send_signal(signal.SIGINT)
        try:
            process.wait(20)
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()


def _wait_until_up(url: str, process: "subprocess.Popen[bytes]", log: Path) -> None:
    deadline = time.monotonic() + _START_SECONDS
    while process.poll() is None and time.monotonic() < deadline:
        with contextlib.suppress(httpx.TransportError):
            if httpx.get(url, timeout=5).status_code == 200:
                return
        time.sleep(0.1)
    raise RuntimeError(f"no server at {url}: {log.read_text(encoding='utf-8', errors='replace')[-2000:]}")
