"""What the bridge's OpenID part takes from portals and what it gives them, without wallets and pages."""

import base64
import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from urllib.parse import parse_qs, urlencode, urlsplit

import jwt
import pytest
from authlib.common.errors import AuthlibBaseError
from joserfc.jwk import ECKey

from specs.encoding.strict_json import JsonObject
from tests.verifier.desk import Clock
from tests.verifier.oidc.conftest import ACR, CALLBACK, CLIENTS, SECRET
from verifier.adapters.oidc import MemoryLogins
from verifier.adapters.oidc.logins import Granted, Logins
from verifier.adapters.oidc.server import BridgeError, BridgeServer, HttpAnswer, HttpRequest, told_to_portal

NOW = 1_800_000_000
ISSUER = "https://bridge.example"
VERIFIER = "v" * 43
CHALLENGE = base64.urlsafe_b64encode(hashlib.sha256(VERIFIER.encode()).digest()).rstrip(b"=").decode()
ASKED: Mapping[str, str] = {
    "response_type": "code",
    "client_id": "portal",
    "redirect_uri": CALLBACK,
    "scope": "openid profile",
    "state": "s t&a=te",
    "nonce": "n",
    "code_challenge": CHALLENGE,
    "code_challenge_method": "S256",
}


def text(**changed: str | None) -> str:
    """The parameters of an authentication request; None takes one out."""
    return urlencode({name: value for name, value in {**ASKED, **changed}.items() if value is not None})


@dataclass
class Openid:
    """The server, and a clock that stands."""

    clock: Clock = field(default_factory=lambda: Clock(NOW))

    def __post_init__(self) -> None:
        self.logins = Logins(MemoryLogins(), sealing_key=bytes(32), clock=self.clock)
        clients = {each.client_id: each for each in CLIENTS}
        self.server = BridgeServer(issuer=ISSUER, clients=clients, logins=self.logins, key=ECKey.generate_key("P-256"))

    def consent(self, parameters: str) -> str:
        """How a request is refused, or that it is not."""
        try:
            self.server.consent(HttpRequest("GET", {}, parameters))
        except BridgeError as error:
            return f"page: {error.error}"
        except AuthlibBaseError as error:
            return str(error.error)
        return "asked"

    def back(self, **changed: str | None) -> dict[str, str]:
        """What comes back to the portal once a person has agreed."""
        grant = self.server.consent(HttpRequest("GET", {}, text(**changed)))
        claims: JsonObject = {"sub": "pseudonym", "given_name": "Mila"}
        granted = Granted("portal", CALLBACK, "openid profile", claims, NOW - 5, "n", ACR, CHALLENGE)
        answer: HttpAnswer = self.server.create_authorization_response(grant.request, granted, grant)
        query = parse_qs(urlsplit(answer.headers["Location"]).query, strict_parsing=True)
        return {name: values[0] for name, values in query.items()}

    def token(self, code: str, **changed: str) -> HttpAnswer:
        """Redeem a code; "" takes a parameter out."""
        form = {
            "grant_type": "authorization_code",
            "code": code,
            "redirect_uri": CALLBACK,
            "code_verifier": VERIFIER,
            "client_id": "portal",
            "client_secret": SECRET,
            **changed,
        }
        body = urlencode({name: value for name, value in form.items() if value})
        answer: HttpAnswer = self.server.create_token_response(HttpRequest("POST", {}, body))
        return answer


@pytest.mark.parametrize(
    ("parameters", "end"),
    [
        (text(), "asked"),
        (text(state="s" * 2048), "asked"),
        (text(state="s" * 2049), "page: invalid_request"),
        (text() + "&x=" * 42, "page: invalid_request"),  # one name twice
        (text() + "".join(f"&x{number}=" for number in range(42)), "asked"),
        (text() + "".join(f"&x{number}=" for number in range(43)), "page: invalid_request"),
        (text(nonce=None) + "&nonce=&nonce=n", "page: invalid_request"),
        (text() + "&x=%FF", "page: invalid_request"),
        (text() + "&x=ü", "page: invalid_request"),
        (text() + "&x=%C3%BC", "asked"),
        (text(client_id=None), "page: invalid_request"),
        (text(client_id="stranger"), "page: invalid_request"),
        (text(redirect_uri=None), "page: invalid_request"),
        (text(redirect_uri=f"{CALLBACK}/"), "page: invalid_request"),
    ],
)
def test_what_is_no_request_of_a_portals_is_believed_in_nothing(parameters: str, end: str) -> None:
    """RFC 6749 §3.1, §4.1.2.1, Appendix B: each parameter once, in ASCII; nobody is sent to an unknown address."""
    assert Openid().consent(parameters) == end


@pytest.mark.parametrize(
    ("changed", "error"),
    [
        ({"code_challenge": None}, "invalid_request"),
        ({"code_challenge_method": None}, "invalid_request"),  # RFC 7636 §4.3: it would be plain
        ({"code_challenge_method": "plain"}, "invalid_request"),
        ({"code_challenge": CHALLENGE[:-1]}, "invalid_request"),
        ({"code_challenge": CHALLENGE[:-1] + "="}, "invalid_request"),
        ({"nonce": None}, "invalid_request"),
        ({"scope": None}, "invalid_scope"),
        ({"scope": "profile"}, "invalid_scope"),
        ({"response_type": None}, "unsupported_response_type"),
        ({"response_type": "code id_token"}, "unsupported_response_type"),
        ({"response_type": 'ü"'}, "unsupported_response_type"),
        ({"prompt": "none"}, "login_required"),
        ({"prompt": "none login"}, "invalid_request"),
        ({"request": "eyJ"}, "request_not_supported"),
        ({"request_uri": "https://portal.example/request"}, "request_uri_not_supported"),
        ({"registration": "{}"}, "registration_not_supported"),
    ],
)
def test_a_request_that_breaks_a_rule_is_told_the_portal(changed: dict[str, str | None], error: str) -> None:
    """OpenID Connect Core §3.1.2.6, §6, §7.2.1; RFC 7636 §4.4.1.

    A `response_type` with letters that no description of an error may have was an error of the server; a request object
    was passed over, as if what it says had not been asked.
    """
    assert Openid().consent(text(**changed)) == error


def test_a_code_becomes_a_token_that_says_who_came_when_and_for_whom() -> None:
    openid = Openid()
    back = openid.back()
    assert back["state"] == "s t&a=te"
    answer = openid.token(back["code"])
    assert answer.status == 200
    access = answer.body["access_token"]
    assert {name: answer.body[name] for name in ("token_type", "expires_in", "scope")} == {
        "token_type": "Bearer",
        "expires_in": 300,
        "scope": "openid profile",
    }
    public = jwt.PyJWK.from_dict({**openid.server.key.as_dict(private=False), "alg": "ES256"})
    found = jwt.decode_complete(
        answer.body["id_token"],
        public,
        algorithms=["ES256"],
        audience="portal",
        options={"verify_exp": False, "verify_iat": False},
    )
    assert found["header"] == {"alg": "ES256", "kid": openid.server.kid, "typ": "JWT"}
    assert found["payload"] == {
        "iss": ISSUER,
        "sub": "pseudonym",
        "aud": "portal",
        "iat": NOW,
        "exp": NOW + 300,
        "auth_time": NOW - 5,
        "nonce": "n",
        "acr": ACR,
        "at_hash": base64.urlsafe_b64encode(hashlib.sha256(access.encode()).digest()[:16]).rstrip(b"=").decode(),
        "given_name": "Mila",
    }
    assert openid.logins.claims(access) == {"sub": "pseudonym", "given_name": "Mila"}


@pytest.mark.parametrize(
    ("changed", "error"),
    [
        ({"code_verifier": ""}, "invalid_request"),
        ({"code_verifier": "v" * 42}, "invalid_request"),
        ({"code_verifier": "w" * 43}, "invalid_grant"),
        ({"redirect_uri": f"{CALLBACK}?from=portal"}, "invalid_grant"),
        ({"redirect_uri": ""}, "invalid_grant"),
        ({"client_id": "library"}, "invalid_grant"),
        ({"client_id": "stranger"}, "invalid_client"),
        ({"client_secret": "guess"}, "invalid_client"),
        ({"client_secret": ""}, "invalid_client"),
        ({"grant_type": "password"}, "unsupported_grant_type"),
        ({"grant_type": 'ü"'}, "unsupported_grant_type"),
        ({"code": ""}, "invalid_request"),
        ({"code": "another"}, "invalid_grant"),
    ],
)
def test_a_code_is_nothing_without_all_that_belongs_to_it(changed: dict[str, str], error: str) -> None:
    """RFC 6749 §4.1.3, §5.2; RFC 7636 §4.6."""
    openid = Openid()
    answer = openid.token(**{"code": openid.back()["code"], **changed})
    assert answer.body["error"] == error


@pytest.mark.parametrize(("state", "told"), [(None, {}), ("s&", {"state": "s&"})])
def test_an_error_is_told_with_the_state_and_who_tells_it(state: str | None, told: dict[str, str]) -> None:
    """RFC 6749 §4.1.2.1, RFC 9207 §2."""
    error = AuthlibBaseError("access_denied", "said to nobody")
    assert told_to_portal(error, state=state, issuer=ISSUER) == {"error": "access_denied", "iss": ISSUER, **told}
