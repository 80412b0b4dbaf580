"""Programs of other people's JavaScript packages, each as a process of its own."""

import contextlib
import json
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path
from threading import Timer

from specs.encoding.strict_json import JsonObject
from tests.availability import missing
from tests.interop.foreign_wallet import STEP_SECONDS
from tests.services import node


def node_program() -> str:
    """The path of Node, with the packages installed; a skip where that can't be had."""
    program = shutil.which("node")
    why = "no Node to run JavaScript wallets with" if program is None else node.install()
    return program if program is not None and why is None else missing(why or "")


@contextlib.contextmanager
def running_program(name: str, task: JsonObject, *, folder: Path) -> Iterator[JsonObject]:
    """A server of `node/` in a process of its own, ended with the block; what it said of itself once it listened."""
    log = folder / f"{name}.log"
    with log.open("w", encoding="utf-8") as errors:
        process = subprocess.Popen(
            [node_program(), str(node.FOLDER / f"{name}.mjs"), json.dumps(task)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=errors,
            text=True,
            encoding="utf-8",
        )
    try:
        assert process.stdout is not None
        watch = Timer(STEP_SECONDS, process.kill)
        watch.start()
        try:
            line = process.stdout.readline()
        finally:
            watch.cancel()
        assert line, log.read_text(encoding="utf-8")[-2000:]
        said: JsonObject = json.loads(line)
        yield said
    finally:
        process.communicate()  # its input ends, and with it the process
