"""What goes between a wallet and an issuer, decoded while it passes."""

import json
import socket
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from specs.encoding import strict_json
from tests.issuer.wallet_api.world import SD_JWT
from tests.wallet_sim.city import ACCEPTING, City
from wallet_sim.recording_proxy import Recorded, RecordingProxy, decoded
from wallet_sim.transport import Transport
from wallet_sim.wallet import Wallet


@pytest.fixture
def recorded() -> list[Recorded]:
    """What went through."""
    return []


@pytest.fixture
def proxy(city: City, recorded: list[Recorded]) -> Iterator[RecordingProxy]:
    """A proxy to the city's issuer."""
    with RecordingProxy(city.url, tell=recorded.append) as running:
        yield running


def test_a_whole_collection_passes_and_is_told(
    city: City, wallet_file: Path, proxy: RecordingProxy, recorded: list[Recorded]
) -> None:
    client = httpx.Client(proxy=proxy.url, timeout=20)
    wallet = Wallet(wallet_file, transport=Transport(allow_loopback_http=True, client=client))

    collected = wallet.collect(city.offer(configurations=(SD_JWT,))[0], holder=ACCEPTING)

    assert len(collected) == 1
    told = "\n".join(f"{each.request.as_text('en')}\n{each.answer.as_text('en')}" for each in recorded)
    for sentence in (
        "→ POST /t/leipzig/token",
        "A wallet attestation, which says what wallet this is.",
        "A proof that an access token is one’s own (DPoP).",
    ):
        assert sentence in told
    assert "✗ The signature does not hold" not in told
    assert all(json.loads(each.as_json())["request"]["headline"] for each in recorded)


def test_it_talks_to_one_server_alone(proxy: RecordingProxy, recorded: list[Recorded]) -> None:
    through = httpx.Client(proxy=proxy.url)

    assert through.get("http://192.0.2.1/").status_code == 403
    assert httpx.get(f"{proxy.url}/healthz", headers={"Host": "attacker.example"}).status_code == 403
    assert recorded == []


def test_called_directly_it_is_the_server(city: City, proxy: RecordingProxy, recorded: list[Recorded]) -> None:
    path = "/.well-known/openid-credential-issuer/t/leipzig"

    assert httpx.get(f"{proxy.url}{path}").json() == httpx.get(f"{city.url}{path}").json()
    assert recorded[0].request.headline == f"→ GET {path}"
    assert recorded[0].answer.headline == f"← 200 {path}"


def test_body_without_a_length_is_refused(proxy: RecordingProxy) -> None:
    assert httpx.post(f"{proxy.url}/x", content=iter([b"a"])).status_code == 413


def test_length_that_is_no_number_is_refused(proxy: RecordingProxy) -> None:
    port = httpx.URL(proxy.url).port
    with socket.create_connection(("127.0.0.1", port or 0), timeout=10) as connection:
        # a superscript two, which counts as a digit
        connection.sendall(b"POST /x HTTP/1.1\r\nHost: localhost\r\nContent-Length: \xb2\r\n\r\n")
        assert b" 413 " in connection.recv(100)


def test_server_that_is_gone_is_told() -> None:
    with RecordingProxy("http://127.0.0.1:1", tell=lambda _recorded: None) as gone:
        assert httpx.get(gone.url).status_code == 502


@pytest.mark.parametrize("target", ["ftp://a.example", "nowhere", ""])
def test_target_that_is_none_is_refused(target: str) -> None:
    with pytest.raises(ValueError, match="no http or https address"):
        RecordingProxy(target, tell=lambda _recorded: None)


@pytest.mark.parametrize(
    ("media_type", "body"),
    [
        ("application/json", b"{"),
        ("application/json", b"[" * 5000),
        ("application/x-www-form-urlencoded", b"a=%ff&b=" + b"&" * 500),
        ("application/x-www-form-urlencoded", b'a={"b":{'),
        ("application/octet-stream", bytes(range(256))),
        ("", b"\x1b[2J"),
    ],
)
def test_hostile_messages_do_not_stop_it(media_type: str, body: bytes) -> None:
    decoded({"Content-Type": media_type, "DPoP": "x" * 100}, body, now=0)


def test_members_of_json_are_told_by_their_place() -> None:
    body = strict_json.dumps({"proofs": {"jwt": ["short"]}, "n": 1})

    assert decoded({"content-type": "application/json"}, body, now=0) == (("proofs/jwt/0", "short"), ("n", "1"))
