"""A wallet of other people's libraries as a process of its own, driven a line a step."""

import contextlib
import json
import subprocess
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from threading import Timer

from specs.encoding.strict_json import JsonObject

STEP_SECONDS = 180  # only a wallet that hangs takes so long


class StepFailed(Exception):
    """The packages ended a step with an error of theirs. error, status: of the refusal that they met, if they did."""

    def __init__(self, message: str, *, error: str | None, status: int | None) -> None:
        super().__init__(message)
        self.error = error
        self.status = status


@dataclass(frozen=True, slots=True)
class ForeignWallet:
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


@contextlib.contextmanager
def running_wallet(command: Sequence[str], *, log: Path) -> Iterator[ForeignWallet]:
    """A wallet in a process of its own, ended with the block."""
    with log.open("w", encoding="utf-8") as errors:
        process = subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=errors, text=True, encoding="utf-8"
        )
    try:
        yield ForeignWallet(process, log)
    finally:
        process.communicate()  # its input ends, and with it the process
