"""Steps through runs: makes each plan, starts its modules one after another, does what a waiting module waits for."""

import asyncio
import contextlib
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import httpx

from conformance.oidf.plans import Run, configuration_of
from conformance.oidf.suite import FINISHED, INTERRUPTED, WAITING, Module, Plan, Suite
from conformance.oidf.targets import TargetDriver
from conformance.oidf.verdicts import Verdict, findings_of, verdict_key
from specs.encoding.strict_json import JsonObject

_PAUSE = 1.0  # seconds between two looks at a module that waits for its own browser
_WRITING = 15  # looks at a module that has ended, until that is written down


@dataclass(frozen=True, slots=True)
class Step:
    """What the driver is told to do.

    only: names of modules, all if empty. done: keys of verdicts that need not be had again. evidence: a folder for the
    plans' logs.
    """

    run: Run
    target: JsonObject
    driver: TargetDriver
    only: frozenset[str]
    done: frozenset[str]
    evidence: Path | None
    patience: float


async def drive(suite: Suite, steps: Sequence[Step], *, jobs: int, tell: Callable[[Verdict], None]) -> list[Verdict]:
    """All steps; each has an alias of its own, so several may go on at a time."""
    version, places = await suite.version(), asyncio.Semaphore(jobs)

    async def one(step: Step) -> list[Verdict]:
        async with places:
            return await _drive_plan(suite, step, version=version, tell=tell)

    return [verdict for verdicts in await asyncio.gather(*(one(step) for step in steps)) for verdict in verdicts]


async def _drive_plan(suite: Suite, step: Step, *, version: str, tell: Callable[[Verdict], None]) -> list[Verdict]:
    run = step.run
    plan = await suite.make_plan(run.plan, variant=run.variant, configuration=configuration_of(run, step.target))
    verdicts: list[Verdict] = []
    for module in plan.modules:
        if module.name in run.without or (step.only and module.name not in step.only):
            continue
        if verdict_key(run.id, module.name, _variant(run, module)) in step.done:
            continue
        verdict = await _drive_module(suite, step, plan, module, version=version)
        tell(verdict)
        verdicts.append(verdict)
    if step.evidence is not None:
        step.evidence.mkdir(parents=True, exist_ok=True)
        (step.evidence / f"{run.id}.zip").write_bytes(await suite.evidence(plan))
    return verdicts


async def _drive_module(suite: Suite, step: Step, plan: Plan, module: Module, *, version: str) -> Verdict:
    test = await suite.start(plan, module)
    until, step_driver = time.monotonic() + step.patience, step.driver.for_module(step.run, module)
    while True:
        state = await suite.state(test, wanted=(WAITING, FINISHED))
        if state in (FINISHED, INTERRUPTED):
            break
        if time.monotonic() > until:
            await suite.stop(test)
            break
        if state == WAITING:
            with contextlib.suppress(httpx.HTTPError):  # a slow answer; the test's state says what came of it
                await step_driver.act(suite, test)
            await asyncio.sleep(_PAUSE)
    state, result = await _settled(suite, test)
    log = await suite.log(test)
    findings = findings_of(log)
    if state != FINISHED:
        result, findings = "FAILED", (*findings, f"the module ended as {state}")
    return Verdict(
        run=step.run.id,
        module=module.name,
        variant=_variant(step.run, module),
        result=result,
        findings=findings,
        log=f"{suite.url}/log-detail.html?log={test}",
        suite=version,
        day=datetime.now(UTC).date().isoformat(),
    )


async def _settled(suite: Suite, test: str) -> tuple[str, str]:
    """State and result, once they are written down: a test says that it has ended a moment before."""
    state, result = await suite.result(test)
    for _ in range(_WRITING):
        if state in (FINISHED, INTERRUPTED):
            break
        await asyncio.sleep(_PAUSE)
        state, result = await suite.result(test)
    return state, result


def _variant(run: Run, module: Module) -> str:
    """What tells two modules of one name within a plan apart."""
    telling = ["vci_credential_encryption"]
    if run.role == "wallet":
        telling += ["vci_credential_issuance_mode", "request_method"]
    return " ".join(module.variant[name] for name in telling if name in module.variant)
