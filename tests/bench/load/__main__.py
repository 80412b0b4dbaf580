"""`make load`: run whole flows on PostgreSQL, print what they cost, write build/load.json.

A missed target is printed and fails nothing.
"""

import argparse
import asyncio
import json
import os
import ssl
import sys
import tempfile
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import httpx

from tests.bench.__main__ import machine
from tests.bench.load import presentation
from tests.bench.load.floor import Unavoidable
from tests.bench.load.issuance import HAIP, PLAIN, Collecting, Furnished, furnish
from tests.bench.load.processes import free_port, running
from tests.bench.load.rounds import Flow, Plan, Weighed, weigh
from tests.issuer.wallet_api.world import environment
from tests.services import postgresql

OUTPUT = Path("build") / "load.json"


@dataclass(frozen=True, slots=True)
class Row:
    """One kind of flow. results: of each. targets: milliseconds a result, now and next; none where nobody set any."""

    id: str
    flow: Flow
    unavoidable: Unavoidable
    results: int = 1
    targets: tuple[float, float] | None = None


def main(arguments: Sequence[str] | None = None) -> int:
    """Weigh all rows, each on the same servers."""
    parser = argparse.ArgumentParser(prog="make load", description="CPU of server and database for each whole flow")
    parser.add_argument("--flows", type=int, default=200, help="flows a round (default %(default)s)")
    parser.add_argument("--rounds", type=int, default=5, help="rounds for each row (default %(default)s)")
    parser.add_argument("--at-once", type=int, default=4, help="flows at one time (default %(default)s)")
    parser.add_argument("--workers", type=int, default=1, help="processes of the issuer (default %(default)s)")
    parser.add_argument("--only", help="rows whose id begins so")
    parser.add_argument("--output", type=Path, default=OUTPUT, help="where the numbers go (default %(default)s)")
    options = parser.parse_args(arguments)
    plan = Plan(flows=options.flows, rounds=options.rounds, at_once=options.at_once, warm_up=options.flows // 4 + 10)
    database = postgresql.start()
    try:
        with (
            postgresql.database(database, "load") as url,
            tempfile.TemporaryDirectory(prefix="stadtnachweis-load-") as folder,
        ):
            rows = asyncio.run(
                _rows(Path(folder), url, database.pid, plan=plan, workers=options.workers, only=options.only or "")
            )
    finally:
        postgresql.stop(database)
    print(_table(rows))
    for row in rows:
        if isinstance(row["target_ms"], float) and float(str(row["cpu_ms"])) > row["target_ms"]:
            print(f"above its target: {row['id']} {row['cpu_ms']} ms > {row['target_ms']} ms")
    options.output.parent.mkdir(parents=True, exist_ok=True)
    written = {"machine": machine(), "plan": vars(options) | {"output": str(options.output)}, "rows": rows}
    options.output.write_text(json.dumps(written, indent=2) + "\n", encoding="utf-8")
    return 0


async def _rows(
    folder: Path, database_url: str, database: int, *, plan: Plan, workers: int, only: str
) -> list[dict[str, object]]:
    no_tls = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    async with httpx.AsyncClient(timeout=60, verify=no_tls, limits=httpx.Limits(max_connections=plan.at_once)) as http:
        nothing_ms = await _nothing(http, folder, plan)
        measured: list[dict[str, object]] = []

        async def measure(rows: Sequence[Row], server: int) -> None:
            for row in rows:
                if row.id.startswith(only):
                    weighed = await weigh(row.flow, plan=plan, server=server, database=database)
                    measured.append(_reported(row, weighed, plan=plan, nothing_ms=nothing_ms))

        for prepare in (_issuing, _presenting):
            await prepare(http, folder, database_url, workers, measure)
        return measured


Measure = Callable[[Sequence[Row], int], Awaitable[None]]


async def _issuing(http: httpx.AsyncClient, folder: Path, database_url: str, workers: int, measure: Measure) -> None:
    furnished: Furnished = await furnish(folder, database_url=database_url)
    settings = furnished.settings
    port = settings.public_url.rpartition(":")[2]
    arguments = ["-m", "stadtnachweis", "issuer", "serve", "--port", port, "--workers", str(workers)]
    rows = [
        Row(
            "pre_authorized",
            Collecting(furnished, http, tenant=PLAIN).plain,
            Unavoidable(requests=4, signatures=1, verifications=1),
            targets=(8.0, 4.0),
        ),
        Row(
            "batch_of_ten",
            Collecting(furnished, http, tenant=PLAIN, copies=10).plain,
            Unavoidable(requests=4, signatures=10, verifications=10),
            results=10,
            targets=(1.0, 0.5),
        ),
        Row(
            "pre_authorized_haip",
            Collecting(furnished, http, tenant=HAIP).haip,
            # proofs: attestation, its possession, DPoP twice, the holder's key
            Unavoidable(requests=6, signatures=1, verifications=5),
        ),
    ]
    log = folder / "issuer.log"
    with running(
        arguments, environment=environment(settings), url=settings.public_url, path="/healthz", log=log
    ) as pid:
        await measure(rows, pid)


async def _presenting(http: httpx.AsyncClient, folder: Path, database_url: str, workers: int, measure: Measure) -> None:
    with presentation.furnished(folder / "verifier", database_url=database_url) as furnished:
        presenting = presentation.Presenting(furnished, http)
        # the question signed; the list's signature is remembered, the chain's, too
        unavoidable = Unavoidable(requests=4, signatures=1, verifications=2, agreements=1)
        rows = [
            Row("present_sd_jwt", presenting.sd_jwt, unavoidable, targets=(8.0, 4.0)),
            Row("present_mdoc", presenting.mdoc, unavoidable, targets=(8.0, 4.0)),
        ]
        arguments = ["-m", "stadtnachweis", "verifier", "serve", "--workers", str(workers)]
        log, url = folder / "verifier.log", furnished.public_url
        with running(arguments, environment=furnished.environment(), url=url, path="/healthz", log=log) as pid:
            await measure(rows, pid)


async def _nothing(http: httpx.AsyncClient, folder: Path, plan: Plan) -> float:
    """Milliseconds of CPU of a request that does nothing, through the same server stack."""
    url = f"http://127.0.0.1:{free_port()}"
    arguments = [
        *("-m", "uvicorn", "--factory", "tests.bench.load.floor:app", "--port", url.rpartition(":")[2]),
        *("--no-access-log", "--log-level", "warning"),
    ]

    async def flow() -> int:
        return int((await http.post(f"{url}/nothing", json={"grant": "nothing"})).status_code == 200)

    with running(arguments, environment=os.environ, url=url, path="/nothing", log=folder / "floor.log") as pid:
        return (await weigh(flow, plan=plan, server=pid, database=None)).cpu_ms


def _reported(row: Row, weighed: Weighed, *, plan: Plan, nothing_ms: float) -> dict[str, object]:
    expected = plan.flows * plan.rounds * row.results
    if weighed.results != expected:
        raise RuntimeError(f"{row.id}: {weighed.results} results held, {expected} were asked for")
    floor = row.unavoidable.requests * nothing_ms + row.unavoidable.cryptography_ms()
    return {
        "id": row.id,
        "cpu_ms": round(weighed.cpu_ms / row.results, 2),
        "target_ms": row.targets[0] if row.targets else None,
        "next_target_ms": row.targets[1] if row.targets else None,
        "server_ms": round(weighed.server_ms / row.results, 2),
        "database_ms": round(weighed.database_ms / row.results, 2),
        "floor_ms": round(floor / row.results, 2),
        "flows_per_second": round(weighed.flows_per_second, 1),
        "p50_ms": round(weighed.p50_ms, 1),
        "p95_ms": round(weighed.p95_ms, 1),
        "p99_ms": round(weighed.p99_ms, 1),
        "results": weighed.results,
    }


def _table(rows: Sequence[dict[str, object]]) -> str:
    columns = {
        "cpu_ms": "CPU ms",
        "target_ms": "target",
        "server_ms": "server",
        "database_ms": "database",
        "floor_ms": "floor",
        "flows_per_second": "flows/s",
        "p50_ms": "p50 ms",
        "p95_ms": "p95 ms",
        "p99_ms": "p99 ms",
        "results": "results",
    }
    lines = [f"{'CPU a result':<22}" + "".join(f"{title:>10}" for title in columns.values())]
    for row in rows:
        cells = ("–" if row[name] is None else str(row[name]) for name in columns)
        lines.append(f"{row['id']:<22}" + "".join(f"{cell:>10}" for cell in cells))
    return "\n".join(lines)


if __name__ == "__main__":
    sys.exit(main())
