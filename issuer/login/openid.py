"""Login at an OpenID Provider, such as a state's citizen account: code flow with PKCE, state, nonce (OpenID Connect).

The provider's description and keys are fetched under our own rules and kept for an hour; keys are asked for again at
most once a minute when an unknown one turns up. What the provider says counts only as its signed ID token.
"""

import base64
import secrets
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from urllib.parse import quote, urlencode, urlsplit

from joserfc import jwt
from joserfc.errors import InvalidKeyIdError, JoseError
from joserfc.jwk import KeySet
from joserfc.jwt import JWTClaimsRegistry

from issuer.http.outgoing import Outgoing
from issuer.login import Person
from issuer.tenant_file import OpenIdLogin
from specs.encoding import Malformed, strict_json
from specs.encoding.strict_json import JsonObject, JsonValue
from specs.keys.jose import build_jws
from specs.keys.signer import load_signer
from specs.protocols.oauth import code_challenge, new_code_verifier
from verifier.fetch import FetchFailed

ALGS = ("RS256", "RS384", "RS512", "PS256", "PS384", "PS512", "ES256", "ES384", "ES512", "EdDSA")
_DEADLINE = 5.0  # seconds of one call
_MAX_BYTES = 512 * 1024
_KEEP = 3600  # seconds that description and keys are kept
_COOL = 60  # seconds between two fetches of keys because of an unknown one
_MAX_REFERENCE = 200
_ENDPOINTS = ("authorization_endpoint", "token_endpoint", "jwks_uri")


class ProviderUnavailable(Exception):
    """The provider does not answer, or not as one does."""


class LoginRefused(Exception):
    """What came back proves nobody. reason: which check did not hold; for the log."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


@dataclass(frozen=True, slots=True)
class Started:
    """One login on its way. What the browser must bring back is kept on our side only."""

    state: str = field(repr=False)
    nonce: str = field(repr=False)
    verifier: str = field(repr=False)

    def to_json(self) -> JsonObject:
        """To be sealed."""
        return {"state": self.state, "nonce": self.nonce, "verifier": self.verifier}

    @classmethod
    def from_json(cls, value: Mapping[str, JsonValue]) -> "Started":
        """What was sealed."""
        return cls(str(value["state"]), str(value["nonce"]), str(value["verifier"]))


@dataclass(slots=True)
class _Known:
    """What one provider said about itself. Times by a clock that only goes forward."""

    description: JsonObject
    keys: KeySet
    described_at: float
    keys_at: float


class OpenIdProviders:
    """The providers that tenants log people in at."""

    def __init__(self, outgoing: Outgoing, *, skew: int, monotonic: Callable[[], float] = time.monotonic) -> None:
        self._outgoing = outgoing
        self._skew = skew
        self._monotonic = monotonic
        self._known: dict[str, _Known] = {}

    async def begin(self, login: OpenIdLogin, *, redirect_uri: str, handle: str) -> tuple[str, Started]:
        """Where the browser goes, and what must come back. handle: names our own login, as the state's first part.

        Raises:
            ProviderUnavailable: see there.
        """
        known = await self._describe(login)
        started = Started(f"{handle}.{secrets.token_urlsafe(32)}", secrets.token_urlsafe(32), new_code_verifier())
        query = {
            "response_type": "code",
            "client_id": login.client_id,
            "redirect_uri": redirect_uri,
            "scope": " ".join(dict.fromkeys(("openid", *login.scopes))),
            "state": started.state,
            "nonce": started.nonce,
            "code_challenge": code_challenge(started.verifier),
            "code_challenge_method": "S256",
        }
        if login.acr:
            query["acr_values"] = " ".join(login.acr)
        endpoint = str(known.description["authorization_endpoint"])
        return f"{endpoint}{'&' if urlsplit(endpoint).query else '?'}{urlencode(query)}", started

    async def finish(
        self, login: OpenIdLogin, started: Started, *, code: str, iss: str | None, redirect_uri: str, now: int
    ) -> Person:
        """The person whom the provider names for this code. iss: of the answer (RFC 9207). now: seconds.

        Raises:
            LoginRefused: a check does not hold. ProviderUnavailable: see there.
        """
        known = await self._describe(login)
        is_announced = known.description.get("authorization_response_iss_parameter_supported") is True
        if iss != login.issuer and (iss is not None or is_announced):
            raise LoginRefused("iss")
        id_token = await self._redeem(login, known, started, code=code, redirect_uri=redirect_uri, now=now)
        claims = await self._verified(login, known, id_token, nonce=started.nonce, now=now)
        return person_of(login, claims)

    async def _redeem(
        self, login: OpenIdLogin, known: _Known, started: Started, *, code: str, redirect_uri: str, now: int
    ) -> str:
        endpoint = str(known.description["token_endpoint"])
        form = {
            "grant_type": "authorization_code",
            "code": code,
            "redirect_uri": redirect_uri,
            "code_verifier": started.verifier,
        }
        headers = {"Content-Type": "application/x-www-form-urlencoded", "Accept": "application/json"}
        if login.private_key_file is not None:
            form |= _assertion(login, audience=login.issuer, now=now)
        elif login.client_secret_file is not None:
            secret = login.client_secret_file.read_text(encoding="utf-8").strip()
            pair = f"{quote(login.client_id, safe='')}:{quote(secret, safe='')}"
            headers["Authorization"] = f"Basic {base64.b64encode(pair.encode()).decode()}"
        try:
            answer = await self._outgoing.post(
                endpoint, urlencode(form).encode(), headers=headers, deadline=_DEADLINE, max_bytes=_MAX_BYTES
            )
        except FetchFailed as error:
            raise ProviderUnavailable(str(error)) from None
        if answer.http_status >= 500:
            raise ProviderUnavailable(f"status {answer.http_status}")
        if answer.http_status != 200:
            raise LoginRefused("code")
        try:
            id_token = strict_json.parse_object(answer.body).get("id_token")
        except Malformed:
            raise LoginRefused("token_answer") from None
        if not isinstance(id_token, str):
            raise LoginRefused("id_token")
        return id_token

    async def _verified(
        self, login: OpenIdLogin, known: _Known, id_token: str, *, nonce: str, now: int
    ) -> Mapping[str, JsonValue]:
        """OpenID Connect Core §3.1.3.7."""
        try:
            token = jwt.decode(id_token, known.keys, algorithms=ALGS)
        except InvalidKeyIdError:
            token = await self._with_fresh_keys(login, known, id_token)
        except (JoseError, ValueError, TypeError) as error:
            raise LoginRefused(f"id_token: {type(error).__name__}") from None
        registry = JWTClaimsRegistry(
            now=now,
            leeway=self._skew,
            iss={"essential": True, "value": login.issuer},
            sub={"essential": True},
            aud={"essential": True, "value": login.client_id},
            exp={"essential": True},
            iat={"essential": True},
            nonce={"essential": True, "value": nonce},
        )
        claims: Mapping[str, JsonValue] = token.claims
        try:
            registry.validate(token.claims)
        except JoseError as error:
            raise LoginRefused(f"id_token: {getattr(error, 'claim', error.error)}") from None
        audience, authorized = claims["aud"], claims.get("azp")
        others = isinstance(audience, list) and len(audience) > 1
        if authorized != login.client_id and (others or authorized is not None):
            raise LoginRefused("azp")
        if login.acr and claims.get("acr") not in login.acr:
            raise LoginRefused("acr")
        return claims

    async def _with_fresh_keys(self, login: OpenIdLogin, known: _Known, id_token: str) -> jwt.Token:
        if self._monotonic() - known.keys_at < _COOL:
            raise LoginRefused("key")
        known.keys = await self._keys(str(known.description["jwks_uri"]))
        known.keys_at = self._monotonic()
        try:
            return jwt.decode(id_token, known.keys, algorithms=ALGS)
        except (JoseError, ValueError, TypeError):
            raise LoginRefused("key") from None

    async def _describe(self, login: OpenIdLogin) -> _Known:
        """OpenID Connect Discovery §4.3: the description must be of this very issuer."""
        known, now = self._known.get(login.issuer), self._monotonic()
        if known is not None and now - known.described_at < _KEEP:
            return known
        description = await self._json(f"{login.issuer.rstrip('/')}/.well-known/openid-configuration")
        if description.get("issuer") != login.issuer:
            raise ProviderUnavailable("another issuer")
        if not all(isinstance(description.get(name), str) for name in _ENDPOINTS):
            raise ProviderUnavailable("an endpoint is missing")
        methods = description.get("code_challenge_methods_supported")
        if isinstance(methods, list) and "S256" not in methods:
            raise ProviderUnavailable("no S256")
        keys = await self._keys(str(description["jwks_uri"]))
        self._known[login.issuer] = known = _Known(description, keys, now, now)
        return known

    async def _keys(self, url: str) -> KeySet:
        document = await self._json(url)
        entries = document.get("keys")
        signing = [key for key in entries if _is_signing_key(key)] if isinstance(entries, list) else []
        try:
            return KeySet.import_key_set({"keys": signing})  # type: ignore[typeddict-item]
        except (JoseError, ValueError, KeyError):
            raise ProviderUnavailable("no keys") from None

    async def _json(self, url: str) -> JsonObject:
        try:
            answer = await self._outgoing.get(url, accept="application/json", deadline=_DEADLINE, max_bytes=_MAX_BYTES)
            if answer.http_status != 200:
                raise ProviderUnavailable(f"status {answer.http_status}")
            return strict_json.parse_object(answer.body)
        except FetchFailed as error:
            raise ProviderUnavailable(str(error)) from None
        except Malformed:
            raise ProviderUnavailable("not JSON") from None


def person_of(login: OpenIdLogin, claims: Mapping[str, JsonValue]) -> Person:
    """The person behind an ID token, by the tenant's own mapping.

    Raises:
        LoginRefused: the claim that names the person is missing or not a printable text.
    """
    reference = _at(claims, login.reference)
    if not isinstance(reference, str) or not 0 < len(reference) <= _MAX_REFERENCE or not reference.isprintable():
        raise LoginRefused("reference")
    known: dict[str, dict[str, JsonValue]] = {}
    for credential_type, mapping in login.claims.items():
        values = {ours: _at(claims, theirs) for ours, theirs in mapping.items()}
        known[credential_type] = {ours: value for ours, value in values.items() if value is not None}
    return Person(reference, known)


def _at(claims: Mapping[str, JsonValue], path: str) -> JsonValue:
    """The value at a path such as `address.locality`; None if there is none."""
    value: JsonValue = dict(claims)
    for part in path.split("."):
        value = value.get(part) if isinstance(value, dict) else None
    return value


def _is_signing_key(key: JsonValue) -> bool:
    return isinstance(key, dict) and key.get("kty") in ("RSA", "EC", "OKP") and key.get("use", "sig") == "sig"


def _assertion(login: OpenIdLogin, *, audience: str, now: int) -> dict[str, str]:
    """`private_key_jwt` (OpenID Connect Core §9)."""
    assert login.private_key_file is not None
    signer = load_signer(login.private_key_file.read_bytes())
    payload: JsonObject = {
        "iss": login.client_id,
        "sub": login.client_id,
        "aud": audience,
        "iat": now,
        "exp": now + 60,
        "jti": secrets.token_urlsafe(16),
    }
    return {
        "client_id": login.client_id,
        "client_assertion_type": "urn:ietf:params:oauth:client-assertion-type:jwt-bearer",
        "client_assertion": build_jws(strict_json.dumps(payload), signer=signer, typ="JWT"),
    }
