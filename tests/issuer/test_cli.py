"""`stadtnachweis issuer …` as an operator types it, and several workers behind one port."""

import asyncio
import io
import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager, redirect_stderr, redirect_stdout
from dataclasses import dataclass
from pathlib import Path
from unittest import mock

import httpx
import pytest

from issuer.app import city_api_description
from stadtnachweis.__main__ import main
from tests.issuer.house import offer_body

ROOT = Path(__file__).parents[2]
DESCRIPTION = ROOT / "docs" / "city-api.openapi.json"


def free_port() -> int:
    """A port that nobody has at this moment."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def environment(folder: Path, **settings: str) -> dict[str, str]:
    """The environment of an operator on this machine."""
    own = {name: value for name, value in os.environ.items() if not name.startswith("ISSUER_")}
    return own | {
        "ISSUER_DATA_DIR": str(folder),
        "ISSUER_ALLOW_LOOPBACK_HTTP": "true",
        "PYTHONUNBUFFERED": "1",
        **settings,
    }


@dataclass(frozen=True, slots=True)
class Ended:
    """A command that came to its end."""

    returncode: int
    stdout: str
    stderr: str


def issuer(folder: Path, *arguments: str, **settings: str) -> Ended:
    """Run one command of the program in this process."""
    output, errors = io.StringIO(), io.StringIO()
    with (
        mock.patch.dict(os.environ, environment(folder, **settings), clear=True),
        redirect_stdout(output),
        redirect_stderr(errors),
    ):
        try:
            status = main(["issuer", *arguments])
        except SystemExit as end:
            status = end.code if isinstance(end.code, int) else 1
    return Ended(status, output.getvalue(), errors.getvalue())


@contextmanager
def serving(folder: Path, *, port: int, workers: int) -> Iterator["subprocess.Popen[str]"]:
    """The service while the block runs."""
    process = subprocess.Popen(
        [sys.executable, "-m", "stadtnachweis", "issuer", "serve", "--port", str(port), "--workers", str(workers)],
        cwd=ROOT,
        env=environment(folder, ISSUER_PUBLIC_URL=f"http://127.0.0.1:{port}"),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    try:
        for _ in range(300):
            try:
                if httpx.get(f"http://127.0.0.1:{port}/healthz", timeout=1).status_code == 200:
                    break
            except httpx.TransportError:
                time.sleep(0.1)
        yield process
    finally:
        if process.poll() is None:
            process.terminate()
        process.communicate(timeout=20)


@pytest.fixture
def prepared(tmp_path: Path) -> tuple[Path, str]:
    """A folder after the first steps, and an API key."""
    assert issuer(tmp_path, "init").returncode == 0
    assert issuer(tmp_path, "tenant", "add", "leipzig", "--name", "Stadt Leipzig").returncode == 0
    made = issuer(tmp_path, "api-key", "add", "leipzig", "--name", "sozialamt")
    assert made.returncode == 0
    return tmp_path, made.stdout.strip()


def test_the_first_steps_say_what_comes_next(tmp_path: Path) -> None:
    assert "stadtnachweis issuer init" in issuer(tmp_path, "serve").stderr
    assert "tenant add" in issuer(tmp_path, "init").stdout
    assert "issuer init" in issuer(tmp_path, "--help").stdout
    assert "api-key add leipzig" in issuer(tmp_path, "tenant", "add", "leipzig", "--name", "Stadt Leipzig").stdout
    assert issuer(tmp_path, "tenant", "list").stdout == "leipzig\thaip-1.0\tStadt Leipzig\n"
    assert "there is a tenant leipzig already" in issuer(tmp_path, "tenant", "add", "leipzig", "--name", "x").stderr


@pytest.mark.parametrize(
    ("arguments", "settings", "sentence"),
    [
        (("api-key", "add", "halle", "--name", "x"), {}, "there is no tenant halle"),
        (("api-key", "revoke", "none"), {}, "there is no key none"),
        (("tenant", "list"), {"ISSUER_PROT": "1"}, "unknown setting: ISSUER_PROT"),
        (("tenant", "add", "A B", "--name", "x"), {}, "lower-case letters"),
        (("catalog",), {"ISSUER_CATALOG_DIR": "nowhere"}, "no such folder"),
        (("tenant", "crl", "halle"), {}, "cannot be read"),
    ],
)
def test_what_an_operator_can_put_right_is_a_sentence(
    arguments: tuple[str, ...], settings: dict[str, str], sentence: str, tmp_path: Path
) -> None:
    issuer(tmp_path, "init")
    ended = issuer(tmp_path, *arguments, **settings)
    assert ended.returncode == 1
    assert sentence in ended.stderr
    assert "Traceback" not in ended.stderr


def test_without_a_database_a_sentence_says_how_to_make_it(tmp_path: Path) -> None:
    ended = issuer(tmp_path, "tenant", "list")
    assert (ended.returncode, ended.stdout) == (1, "")
    assert "`stadtnachweis issuer init` makes it" in ended.stderr


def test_a_taken_port_is_a_sentence(prepared: tuple[Path, str]) -> None:
    folder, _ = prepared
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        ended = issuer(folder, "serve", "--port", str(other.getsockname()[1]))
    assert ended.returncode == 1
    assert "cannot be used" in ended.stderr
    assert "Traceback" not in ended.stderr


async def _post_same(url: str, key: str, count: int) -> list[httpx.Response]:
    headers = {"Authorization": f"Bearer {key}", "Idempotency-Key": "77aa-over-workers"}
    async with httpx.AsyncClient(timeout=30, limits=httpx.Limits(max_keepalive_connections=0)) as client:
        return await asyncio.gather(
            *(client.post(f"{url}/api/v1/offers", json=offer_body(), headers=headers) for _ in range(count))
        )


def test_workers_share_one_port_one_database_and_one_idea_of_a_request(prepared: tuple[Path, str]) -> None:
    folder, key = prepared
    port = free_port()
    url = f"http://127.0.0.1:{port}"
    with serving(folder, port=port, workers=2) as process:
        answers = asyncio.run(_post_same(url, key, 24))
        assert {answer.status_code for answer in answers} == {201}
        assert len({answer.json()["id"] for answer in answers}) == 1
        client_id = key.split("_")[1]
        assert issuer(folder, "api-key", "revoke", client_id).returncode == 0
        assert {answer.status_code for answer in asyncio.run(_post_same(url, key, 4))} == {401}
        process.send_signal(signal.SIGINT)
        _, log = process.communicate(timeout=20)
    assert process.returncode == 0
    assert "Traceback" not in log
    assert "POST /api/v1/offers 201" in log
    assert "Lindenau" not in log


def test_ctrl_c_ends_one_worker_cleanly(prepared: tuple[Path, str]) -> None:
    folder, _ = prepared
    with serving(folder, port=free_port(), workers=1) as process:
        process.send_signal(signal.SIGINT)
        output, log = process.communicate(timeout=20)
    assert process.returncode == 0
    assert "listens on 127.0.0.1" in output
    assert "Traceback" not in log


def test_the_published_description_is_the_running_api() -> None:
    """If this fails: `stadtnachweis issuer openapi > docs/city-api.openapi.json`."""
    published = json.loads(DESCRIPTION.read_text(encoding="utf-8"))
    assert published == city_api_description()
    assert published["openapi"].startswith("3.1")
    assert set(published["paths"]) == {
        "/api/v1/token",
        "/api/v1/offers",
        "/api/v1/offers/{offer_id}",
        "/api/v1/offers/{offer_id}/rearm",
        "/api/v1/credentials/search",
        "/api/v1/credentials/{credential_id}",
        "/api/v1/credentials/{credential_id}/revoke",
        "/api/v1/credentials/{credential_id}/suspend",
        "/api/v1/credentials/{credential_id}/reinstate",
        "/api/v1/credentials/expiring",
        "/api/v1/credentials/{credential_id}/renew",
        "/api/v1/webhooks",
        "/api/v1/webhooks/{endpoint_id}",
        "/api/v1/webhooks/dead-letters",
        "/api/v1/webhooks/dead-letters/{delivery_id}/redeliver",
        "/api/v1/deferred",
        "/api/v1/deferred/{deferred_id}/approve",
        "/api/v1/deferred/{deferred_id}/deny",
    }
    named = set(published["components"]["schemas"])
    text = json.dumps(published)
    assert all(f"#/components/schemas/{name}" in text for name in named)
    assert text.count("#/components/schemas/") >= len(named)
