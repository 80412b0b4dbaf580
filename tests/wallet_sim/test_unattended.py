"""The wallet without a person: what a test suite calls, and what it gets where the wallet refuses."""

import shutil
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlsplit

import httpx
import pytest
import yaml
from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from fastapi import FastAPI

from issuer.store.tables import Delivery, Grant
from specs.encoding.placed_yaml import FileInvalid
from specs.keys.signer import generate_private_key
from specs.protocols.openid4vp import ResponseMode
from specs.trust.x509 import TrustAnchor
from tests.issuer.wallet_api.world import MDOC, SD_JWT
from tests.wallet_sim.city import ACCEPTING, City, Counter, procedures, running_counter
from tests.wallet_sim.serving import served
from verifier import Flow
from wallet_sim.web.app import create_app
from wallet_sim.web.settings import open_wallets, read_settings

JSON = {"Accept": "application/json"}


@pytest.fixture(scope="module")
def counter(city: City) -> Iterator[Counter]:
    """A verifier."""
    with running_counter(city, procedures(mode=ResponseMode.DIRECT_POST_JWT)) as running:
        yield running


@pytest.fixture(scope="module")
def settings_file(city: City, counter: Counter, provided: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two wallets: one that fills itself, and one that holds a credential from the start."""
    folder = tmp_path_factory.mktemp("unattended")
    for name in ("mila", "jon", "source"):
        shutil.copy(provided, folder / f"{name}.db")
    source = city.wallet(folder / "source.db")
    (stored,) = source.collect(city.offer(configurations=(SD_JWT,))[0], holder=ACCEPTING)
    (folder / "pass.sdjwt").write_text(stored.content)
    (folder / "pass.key").write_bytes(stored.key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))
    _pem(folder / "issuers.pem", city.anchors("iaca"))
    _pem(folder / "verifiers.pem", counter.anchors)
    settings = {
        "wallets": [
            {"name": "mila", "file": "mila.db"},
            {
                "name": "jon",
                "file": "jon.db",
                "credentials": [{"file": "pass.sdjwt", "key": "pass.key", "name": "Leipzig-Pass"}],
            },
        ],
        "issuer_anchors": ["issuers.pem"],
        "verifier_anchors": ["verifiers.pem"],
        "allow_loopback_http": True,
        "login": {"username": "mila", "password": "einfach"},
        "tx_code": "000000",
    }
    (folder / "wallet.yaml").write_text(yaml.safe_dump(settings))
    return folder / "wallet.yaml"


@pytest.fixture(scope="module")
def wallets(settings_file: Path) -> Iterator[httpx.Client]:
    """The running wallets."""

    def make(_url: str) -> FastAPI:
        return create_app(open_wallets(read_settings(settings_file)), unattended=True)

    with served(make) as url, httpx.Client(base_url=url, follow_redirects=False, timeout=30) as client:
        yield client


def _pem(path: Path, anchors: tuple[TrustAnchor, ...]) -> None:
    path.write_bytes(x509.load_der_x509_certificate(anchors[0].certificate).public_bytes(Encoding.PEM))


def _query(link: str) -> str:
    return urlsplit(link).query


@pytest.mark.parametrize("grant", list(Grant))
@pytest.mark.parametrize("delivery", list(Delivery))
def test_offer_endpoint_collects(city: City, wallets: httpx.Client, grant: Grant, delivery: Delivery) -> None:
    link, _ = city.offer(grant=grant, delivery=delivery)

    answer = wallets.get(f"/credential_offer?{_query(link)}", headers=JSON)

    assert answer.json() == {"result": "collected", "credentials": ["Leipzig-Pass", "Leipzig-Pass"]}


def test_wallet_begins_by_itself(city: City, wallets: httpx.Client) -> None:
    asked = {"credential_issuer": city.world.issuer_url(), "credential_configuration_ids": [SD_JWT, MDOC]}

    answer = wallets.get("/collect", params=asked)

    assert answer.status_code == 200
    assert 'id="done"' in answer.text


def test_authorize_endpoint_presents_what_was_put_in_and_goes_on(counter: Counter, wallets: httpx.Client) -> None:
    question = counter.verifier.ask("sd-jwt", flow=Flow.SAME_DEVICE)

    answer = wallets.get(f"/wallets/jon/authorize?{_query(question.wallet_url)}")

    assert answer.status_code == 303
    code = httpx.URL(answer.headers["location"]).params["response_code"]
    outcome = counter.verifier.result(question.id, session_secret=question.session_secret, response_code=code)
    assert outcome.verdict.accepted


def test_refusal_is_a_page_or_json(counter: Counter, wallets: httpx.Client) -> None:
    question = counter.verifier.ask("unknown", flow=Flow.CROSS_DEVICE)
    asked = f"/wallets/jon/authorize?{_query(question.wallet_url)}"

    page = wallets.get(asked, headers={"Accept-Language": "de"})
    told = wallets.get(asked, headers=JSON)

    assert page.status_code == told.status_code == 400
    assert '<p class="alarm" id="error">wallet_failure</p>' in page.text
    assert "Das geht so nicht" in page.text
    assert "unsafe" not in page.headers["content-security-policy"]
    assert told.json().keys() == {"error", "error_description"}
    outcome = counter.verifier.result(question.id, session_secret=question.session_secret)
    assert outcome.wallet_error == "access_denied"


@pytest.mark.parametrize(
    ("path", "status", "code"),
    [
        ("/authorize?client_id=x509_hash:AAAA&request_uri=http://10.0.0.1/", 400, "invalid_request"),
        ("/credential_offer?credential_offer=%7B%7D", 400, "invalid_answer"),
        ("/credential_offer", 400, "invalid_answer"),
        ("/credential_offer?credential_offer_uri=https://1.2.3.999/", 400, "wallet_failure"),
        ("/credential_offer?credential_offer_uri=https://[v1.x]/", 400, "wallet_failure"),
        ("/collect?credential_issuer=nowhere", 400, "invalid_request"),
        ("/wallets/nobody/authorize?client_id=x", 404, "not_found"),
    ],
)
def test_what_can_not_be_is_refused_with_a_code(wallets: httpx.Client, path: str, status: int, code: str) -> None:
    answer = wallets.get(path, headers=JSON)

    assert (answer.status_code, answer.json()["error"]) == (status, code)


def test_hostile_text_stays_text(wallets: httpx.Client) -> None:
    answer = wallets.get("/authorize", params={"client_id": "<script>alert(1)</script>", "request": "x"})

    assert answer.status_code == 400
    assert "<script" not in answer.text


def test_other_names_of_this_machine_are_refused(wallets: httpx.Client) -> None:
    """A stranger's page whose name resolves here would read what the wallet says."""
    assert wallets.get("/authorize", headers={"Host": "attacker.example"}).status_code == 400


@pytest.mark.parametrize("body", [b"", b"[]", b"{", b'{"origin": "https://a.example", "request": {}}'])
def test_dc_api_without_a_request_is_refused(wallets: httpx.Client, body: bytes) -> None:
    assert wallets.post("/dc-api", content=body).json()["error"] == "invalid_request"


def test_misbehaving_wallet_tells_what_came_back(city: City, settings_file: Path) -> None:
    settings = read_settings(settings_file).model_copy(update={"misbehave": "proof-nonce-wrong"})
    app = create_app(open_wallets(settings), unattended=True)

    with served(lambda _url: app) as url, httpx.Client(base_url=url) as client:
        refused = client.get(f"/credential_offer?{_query(city.offer(configurations=(SD_JWT,))[0])}", headers=JSON)
        told = client.get("/reactions").json()

    assert refused.status_code == 400
    assert told["misbehaviour"] == "proof-nonce-wrong"
    assert told["met"] == {"issuance": True}
    assert {"to": "credential", "status": 400, "error": "invalid_nonce"} in told["exchanges"]


@pytest.mark.parametrize(
    ("change", "finding"),
    [
        ({"unknown": 1}, "unknown: Extra inputs are not permitted"),
        ({"wallets": []}, "wallets: "),
        ({"wallets": [{"name": "a", "file": "a.db"}, {"name": "a", "file": "b.db"}]}, "two wallets of one name"),
        ({"wallets": [{"name": "../a", "file": "a.db"}]}, "name: "),
        ({"page_origins": ["https://portal.example/"]}, "page_origins"),
        ({"page_origins": ["null"]}, "page_origins"),
    ],
)
def test_settings_that_are_wrong_are_refused(
    settings_file: Path, tmp_path: Path, change: dict[str, object], finding: str
) -> None:
    wrong = tmp_path / "wallet.yaml"
    wrong.write_text(yaml.safe_dump({**yaml.safe_load(settings_file.read_text()), **change}))

    with pytest.raises(FileInvalid, match=finding):
        read_settings(wrong)


def test_credential_with_another_key_is_not_put_in(settings_file: Path, tmp_path: Path) -> None:
    settings = read_settings(settings_file)
    entry = settings.wallets[1]
    key = tmp_path / "other.key"
    key.write_bytes(_another_key())
    changed = entry.model_copy(
        update={
            "file": tmp_path / "fresh.db",
            "credentials": (entry.credentials[0].model_copy(update={"key": key}),),
        }
    )

    with pytest.raises(ValueError, match="bound to another key"):
        open_wallets(settings.model_copy(update={"wallets": (changed,)}))


def _another_key() -> bytes:
    return generate_private_key().private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
