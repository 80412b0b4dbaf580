"""The story as a newcomer plays it: a process of its own, to its end, and what it says when it can't."""

import os
import pty
import select
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent.parent


def demo(*arguments: str) -> list[str]:
    """The command."""
    return [sys.executable, "-m", "demo", *arguments]


def test_a_taken_port_gives_a_sentence() -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        done = subprocess.run(
            demo("--port", str(port)),
            cwd=ROOT,
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
            stdin=subprocess.DEVNULL,
        )
    assert done.returncode == 1
    assert f"port {port} on this machine is taken" in done.stderr
    assert "Traceback" not in done.stdout + done.stderr


def test_without_a_terminal_the_demo_ends_after_a_story_whose_steps_all_hold() -> None:
    done = subprocess.run(
        demo("--port", "0", "--city-port", "0"),
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=180,
        check=False,
        stdin=subprocess.DEVNULL,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert done.stdout.count("✓") == 8
    assert "✗" not in done.stdout
    assert "stay open" not in done.stdout


@pytest.mark.long
@pytest.mark.parametrize("moment", ["stay open", "issuer and city service listen"])
def test_ctrl_c_ends_it_cleanly(moment: str) -> None:
    terminal, inside = pty.openpty()
    process = subprocess.Popen(
        demo("--port", "0", "--city-port", "0"), cwd=ROOT, stdin=inside, stdout=inside, stderr=inside
    )
    os.close(inside)
    shown = ""
    until = time.monotonic() + 150
    while moment not in shown and time.monotonic() < until:
        if select.select([terminal], [], [], 1)[0]:
            shown += os.read(terminal, 65536).decode(errors="replace")
    assert moment in shown
    children = subprocess.run(
        ["ps", "--ppid", str(process.pid), "-o", "pid="], capture_output=True, text=True, check=False
    )
    process.send_signal(signal.SIGINT)
    assert process.wait(30) == 0
    os.close(terminal)
    assert "Traceback" not in shown
    for child in children.stdout.split():
        assert not Path(f"/proc/{child}").exists(), "a server outlived the demonstration"
