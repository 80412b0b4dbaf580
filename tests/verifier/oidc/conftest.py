"""A bridge before the real issuer and the simulated wallet, and a portal that logs people in through it."""

import base64
import hashlib
import re
import secrets
import shutil
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from html import unescape
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

import httpx
import jwt
import pytest
from cryptography.hazmat.primitives.asymmetric import ec
from fastapi import FastAPI

from specs.trust.x509 import TrustAnchor
from tests.wallet_sim.city import ACCEPTING, City, procedures, relying_party, running_city, verifier_at
from tests.wallet_sim.serving import served
from verifier import ResponseMode
from verifier.adapters.fastapi import wallet_router
from verifier.adapters.oidc import (
    ClaimSource,
    MemoryLogins,
    OidcBridge,
    OidcClient,
    bridge_procedures,
    oidc_router,
)
from verifier.adapters.oidc.logins import Logins
from verifier.subject_link import SubjectRule
from wallet_sim.wallet import Wallet

SECRET = secrets.token_urlsafe(32)
CALLBACK = "https://portal.example/callback"
ACR = "http://eidas.europa.eu/LoA/substantial"
GIVEN_NAME = ClaimSource("given_name", "pass", ("given_name",))
ENTITLED = ClaimSource("entitled", "pass", ("entitled",))


def client(name: str, **scopes: tuple[ClaimSource, ...]) -> OidcClient:
    """A registered portal."""
    return OidcClient(
        client_id=name,
        name=f"Portal {name}",
        secret_digest=hashlib.sha256(SECRET.encode()).hexdigest(),
        redirect_uris=(CALLBACK, f"{CALLBACK}?from={name}"),
        procedure="sd-jwt",
        subject=SubjectRule("pass", ("given_name",)),
        scopes=scopes,
        acr=ACR,
    )


CLIENTS = (client("portal", profile=(GIVEN_NAME,), entitlement=(ENTITLED,)), client("library", profile=(GIVEN_NAME,)))


@dataclass
class Clock:
    """Real time, and what was added to it."""

    ahead: float = 0

    def __call__(self) -> float:
        """Seconds since the epoch."""
        return time.time() + self.ahead


@dataclass(frozen=True)
class Running:
    """The bridge as its operator knows it."""

    bridge: OidcBridge
    anchor: TrustAnchor
    clock: Clock


@dataclass
class Portal:
    """A browser, a wallet, and a portal that sends one to the other."""

    running: Running
    browser: httpx.Client
    wallet: Wallet
    asked: list[tuple[str, ...]] = field(default_factory=list)
    verifier: str = field(default_factory=lambda: secrets.token_urlsafe(48))
    nonce: str = field(default_factory=secrets.token_urlsafe)
    answer: httpx.Response | None = None

    def got(self, answer: httpx.Response) -> "Portal":
        """The same portal, with what it was answered."""
        self.answer = answer
        return self

    @property
    def issuer(self) -> str:
        """The bridge's address."""
        return self.running.bridge.issuer

    def parameters(self, **changed: str | None) -> dict[str, str]:
        """An authentication request; None takes a parameter out."""
        challenge = hashlib.sha256(self.verifier.encode()).digest()
        given: dict[str, str | None] = {
            "response_type": "code",
            "client_id": "portal",
            "redirect_uri": CALLBACK,
            "scope": "openid profile",
            "state": "s t&a=te",
            "nonce": self.nonce,
            "code_challenge": base64.urlsafe_b64encode(challenge).rstrip(b"=").decode(),
            "code_challenge_method": "S256",
            **changed,
        }
        return {name: value for name, value in given.items() if value is not None}

    def authorize(self, **changed: str | None) -> httpx.Response:
        """Send the person to the bridge."""
        return self.browser.get(f"{self.issuer}/authorize", params=self.parameters(**changed))

    def page(self, **changed: str | None) -> str:
        """The page on which the person chooses a device."""
        answer = self.authorize(**changed)
        assert answer.status_code == 303, answer.text
        page = self.browser.get(answer.headers["location"])
        assert page.status_code == 200
        return page.text

    def present(self, link: str) -> str | None:
        """Answer with the wallet; where it sends the person."""

        def consent(question: object) -> bool:
            self.asked.append(tuple(name for each in question.shown for name in each.claims))  # type: ignore[attr-defined]  # QuestionShown
            return True

        return self.wallet.present(link, consent=consent).redirect_uri

    def log_in(self, **changed: str | None) -> dict[str, str]:
        """The whole way on one device; the parameters that come back to the portal."""
        found = re.search(r'id="wallet" href="([^"]+)"', self.page(**changed))
        assert found is not None
        back = self.present(unescape(found[1]))
        assert back is not None
        return returned(self.browser.get(back))

    def token(
        self, code: str, *, auth: tuple[str | bytes, str | bytes] | None = ("portal", SECRET), **changed: str
    ) -> httpx.Response:
        """Redeem a code."""
        form = {
            "grant_type": "authorization_code",
            "code": code,
            "redirect_uri": CALLBACK,
            "code_verifier": self.verifier,
            **changed,
        }
        return self.browser.post(
            f"{self.issuer}/token", data={n: v for n, v in form.items() if v}, auth=auth or httpx.USE_CLIENT_DEFAULT
        )

    def id_token(self, answer: httpx.Response, *, audience: str = "portal") -> dict[str, object]:
        """The claims of an ID token, checked by another library as a portal would."""
        keys = jwt.PyJWKSet.from_dict(self.browser.get(f"{self.issuer}/jwks").json())
        token = answer.json()["id_token"]
        key = next(each for each in keys.keys if each.key_id == jwt.get_unverified_header(token)["kid"])
        return jwt.decode(token, key, algorithms=["ES256"], audience=audience, issuer=self.issuer)


def returned(answer: httpx.Response) -> dict[str, str]:
    """The parameters of a redirect to the portal."""
    assert answer.status_code == 303, answer.text
    location = answer.headers["location"]
    assert location.startswith(CALLBACK)
    return {name: values[0] for name, values in parse_qs(urlsplit(location).query, strict_parsing=True).items()}


@pytest.fixture(scope="module")
def filled_city(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[City, Path]]:
    """An issuer, and the file of a wallet that collected from it."""
    path = tmp_path_factory.mktemp("wallet") / "wallet.db"
    with running_city(tmp_path_factory.mktemp("city"), Wallet(path).provider.anchor_pem()) as running:
        link, _ = running.offer()
        running.wallet(path).collect(link, holder=ACCEPTING)
        yield running, path


@pytest.fixture(scope="module")
def running(filled_city: tuple[City, Path]) -> Iterator[Running]:
    """The bridge behind a real port."""
    city, _ = filled_city
    found: list[Running] = []

    def make(url: str) -> FastAPI:
        url, clock = url.replace("127.0.0.1", "localhost"), Clock()
        asker, anchor = relying_party()
        issuer = f"{url}/oidc"
        base = procedures(mode=ResponseMode.DIRECT_POST_JWT)
        asked = bridge_procedures(CLIENTS, procedures=base, return_url=f"{issuer}/return")
        verifier = verifier_at(city, f"{url}/wallet", relying_party=asker, procedures=asked)
        app = FastAPI()
        app.include_router(wallet_router(verifier), prefix="/wallet")
        bridge = OidcBridge(
            issuer=issuer,
            verifier=verifier,
            clients=CLIENTS,
            logins=Logins(MemoryLogins(), sealing_key=secrets.token_bytes(32), clock=clock),
            key=ec.generate_private_key(ec.SECP256R1()),
            subject_key=secrets.token_bytes(32),
        )
        app.include_router(oidc_router(bridge), prefix="/oidc")
        found.append(Running(bridge, anchor, clock))
        return app

    with served(make):
        yield found[0]


@pytest.fixture
def new_portal(filled_city: tuple[City, Path], running: Running, tmp_path: Path) -> Iterator[Callable[[], Portal]]:
    """Makes portals, each with a browser of its own."""
    city, filled = filled_city
    shutil.copy(filled, tmp_path / "wallet.db")
    wallet = city.wallet(tmp_path / "wallet.db", verifier_anchors=(running.anchor,))
    browsers: list[httpx.Client] = []

    def make() -> Portal:
        browsers.append(httpx.Client())
        return Portal(running, browsers[-1], wallet)

    yield make
    running.clock.ahead = 0
    for browser in browsers:
        browser.close()


@pytest.fixture
def portal(new_portal: Callable[[], Portal]) -> Portal:
    """A portal."""
    return new_portal()
