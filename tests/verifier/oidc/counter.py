"""A bridge before a verifier whose clock stands, a browser before it, and the wallet that answers."""

import hashlib
from dataclasses import dataclass, field, replace
from urllib.parse import parse_qs, urlsplit

import httpx
from cryptography.hazmat.primitives.asymmetric import ec
from fastapi import FastAPI
from fastapi.testclient import TestClient

from specs.encoding import base64url, strict_json
from specs.encoding.strict_json import JsonObject
from tests.verifier.desk import SD_JWT, Asking, Clock, Desk, handle_of
from tests.verifier.oidc.conftest import ACR, CALLBACK, SECRET
from tests.verifier.oidc.test_openid import CHALLENGE, VERIFIER
from verifier.adapters.oidc import (
    ClaimSource,
    MemoryLogins,
    OidcBridge,
    OidcClient,
    bridge_procedures,
    oidc_router,
)
from verifier.adapters.oidc.logins import Asked, Login, Logins
from verifier.subject_link import SubjectRule

ISSUER = "https://bridge.example/oidc"
CITY = ClaimSource("city", "pid", ("address", "locality"))
PORTAL = OidcClient(
    client_id="portal",
    name="Portal <der> Stadt",
    secret_digest=hashlib.sha256(SECRET.encode()).hexdigest(),
    redirect_uris=(CALLBACK, f"{CALLBACK}?from=portal"),
    procedure=SD_JWT,
    subject=SubjectRule("pid", ("family_name",)),
    scopes={"address": (CITY,)},
    acr=ACR,
)
LIBRARY = replace(PORTAL, client_id="library", scopes={"place": (CITY,)}, acr=None)


@dataclass
class Counter:
    """A bridge, a browser before it, and the wallet that answers."""

    issuer: str = ISSUER
    desk: Desk = field(default_factory=Desk)
    store: MemoryLogins = field(default_factory=MemoryLogins)
    clients: tuple[OidcClient, ...] = (PORTAL, LIBRARY)

    def __post_init__(self) -> None:
        self.clock = Clock(self.desk.world.now)  # of logins; the questions have the desk's
        self.logins = Logins(self.store, sealing_key=bytes(32), clock=self.clock)
        asked = bridge_procedures(self.clients, procedures=self.desk.procedures, return_url=f"{self.issuer}/return")
        self.desk.procedures.update(asked)
        key = ec.generate_private_key(ec.SECP256R1())
        self.bridge = OidcBridge(self.issuer, self.desk.verifier, self.clients, self.logins, key, bytes(32))
        app = FastAPI()
        app.include_router(oidc_router(self.bridge), prefix="/oidc")
        self.browser = TestClient(app, base_url=self.issuer.removesuffix("/oidc"), follow_redirects=False)

    def authorize(self, **changed: str) -> httpx.Response:
        """A portal sends a person."""
        answer: httpx.Response = self.browser.get("/oidc/authorize", params=parameters(**changed))
        return answer

    def begun(self, **changed: str) -> Login:
        """A login under way."""
        assert self.authorize(**changed).status_code == 303
        login = self.logins.login(self.browser.cookies["oidc_login"])
        assert login is not None
        return login

    def asking(self, link: str) -> Asking:
        """What the wallet reads of a question."""
        token = self.desk.verifier.request_object(handle_of(link))
        params = strict_json.parse_object(base64url.decode(token.split(".")[1]))
        return Asking(None, handle_of(link), params, self.desk.relying_party.client_id.text)  # type: ignore[arg-type]  # the wallet has no more

    def answered(self, asked: Asked) -> str | None:
        """The wallet answers; where it goes then."""
        asking = self.asking(asked.wallet_url)
        receipt = self.desk.receive(asking, self.desk.answer(asking))
        found = receipt.body.get("redirect_uri")
        return None if found is None else str(found)

    def logged_in(self, **changed: str) -> dict[str, str]:
        """The whole way on one device; what comes back to the portal."""
        back = self.answered(self.begun(**changed).here)
        assert back is not None
        return returned(self.browser.get(back))

    def token(self, code: str) -> JsonObject:
        """What a portal gets for its code."""
        form = {
            "grant_type": "authorization_code",
            "code": code,
            "redirect_uri": CALLBACK,
            "code_verifier": VERIFIER,
        }
        answer = self.browser.post("/oidc/token", data=form, auth=("portal", SECRET))
        assert answer.status_code == 200, answer.text
        assert (answer.headers["cache-control"], answer.headers["pragma"]) == ("no-store", "no-cache")  # RFC 6749 §5.1
        return answer.json()  # type: ignore[no-any-return]  # JSON


def parameters(**changed: str) -> dict[str, str]:
    """An authentication request."""
    return {
        "response_type": "code",
        "client_id": "portal",
        "redirect_uri": CALLBACK,
        "scope": "openid address",
        "state": "s&",
        "nonce": "n",
        "code_challenge": CHALLENGE,
        "code_challenge_method": "S256",
        **changed,
    }


def returned(answer: httpx.Response) -> dict[str, str]:
    """The parameters of a redirect to the portal, after which this browser's login is over."""
    assert answer.status_code == 303, answer.text
    assert 'oidc_login=""' in answer.headers["set-cookie"]
    assert answer.headers["cache-control"] == "no-store"
    assert answer.headers["referrer-policy"] == "no-referrer"
    return {name: values[0] for name, values in parse_qs(urlsplit(answer.headers["location"]).query).items()}


def is_error(answer: httpx.Response, error: str, *, status: int) -> bool:
    """Whether a page tells a person this."""
    assert answer.headers["cache-control"] == "no-store"
    assert "frame-ancestors 'none'" in answer.headers["content-security-policy"]
    return answer.status_code == status and f'data-error="{error}"' in answer.text
