"""A program of other people's JavaScript packages as a process of its own, driven a line a step."""

import contextlib
import json
import shutil
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from threading import Timer

from specs.encoding.strict_json import JsonObject
from tests.availability import missing
from tests.services import node

STEP_SECONDS = 60


class StepFailed(Exception):
    """The packages ended a step with an error of theirs. error, status: of the refusal that they met, if they did."""

    def __init__(self, message: str, *, error: str | None, status: int | None) -> None:
        super().__init__(message)
        self.error = error
        self.status = status


@dataclass(frozen=True, slots=True)
class JavascriptWallet:
    """A running wallet; `do` is one step of it."""

    process: "subprocess.Popen[str]"
    log: Path

    def do(self, step: str, **task: object) -> JsonObject:
        """What a step brought.

        Raises:
            StepFailed: the packages refused, or met a refusal.
        """
        assert self.process.stdin is not None
        assert self.process.stdout is not None
        self.process.stdin.write(json.dumps({"do": step, **task}) + "\n")
        self.process.stdin.flush()
        watch = Timer(STEP_SECONDS, self.process.kill)
        watch.start()
        try:
            line = self.process.stdout.readline()
        finally:
            watch.cancel()
        assert line, f"the wallet ended: {self.log.read_text(encoding='utf-8')[-2000:]}"
        answer = json.loads(line)
        if "failed" in answer:
            raise StepFailed(str(answer["failed"]), error=answer.get("error"), status=answer.get("status"))
        done: JsonObject = answer["done"]
        return done


def node_program() -> str:
    """The path of Node, with the packages installed; a skip where that can't be had."""
    program = shutil.which("node")
    why = "no Node to run JavaScript wallets with" if program is None else node.install()
    return program if program is not None and why is None else missing(why or "")


@contextlib.contextmanager
def running_wallet(folder: Path) -> Iterator[JavascriptWallet]:
    """A wallet in a process of its own, ended with the block."""
    log = folder / "wallet.log"
    with log.open("w", encoding="utf-8") as errors:
        process = subprocess.Popen(
            [node_program(), str(node.FOLDER / "wallet.mjs")],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=errors,
            text=True,
            encoding="utf-8",
        )
    try:
        yield JavascriptWallet(process, log)
    finally:
        process.communicate()  # its input ends, and with it the process


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
