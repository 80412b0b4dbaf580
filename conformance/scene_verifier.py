"""The suite as a verifier: asks a wallet one question, by the book or with one thing wrong, and keeps the answer."""

import secrets
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from urllib.parse import urlsplit

from conformance.bent_token import Bend, opened, straight
from conformance.check import Failed
from conformance.identity import IDENTIFIER, SuiteIdentity
from conformance.suite_server import Incoming, Reply, json_reply
from specs.encoding import base64url, strict_json
from specs.encoding.strict_json import JsonObject, JsonValue
from specs.keys.jwe import DecryptionKey, decrypt, new_decryption_key
from specs.keys.signer import FileSigner
from specs.protocols.openid4vp import (
    ALL_FORMATS,
    REQUEST_OBJECT_MEDIA_TYPE,
    build_client_metadata,
    build_request_object,
)
from specs.protocols.openid4vp.client_id import dns_names, x509_hash_client_id
from specs.trust.registration import INFO_FORMAT, SERVICE_PROVIDER, build_registration_jwt
from specs.trust.registration_claims import RegisteredCredential, Registration

DIRECT_POST, DIRECT_POST_JWT = "direct_post", "direct_post.jwt"
Edit = Callable[[JsonObject], JsonObject]


def unchanged(params: JsonObject) -> JsonObject:
    """No change."""
    return params


@dataclass
class VerifierScene:
    """One question. mode: of its answer. prefix: by which the suite names itself, where its certificate allows it.
    registered: what a registration certificate that comes along says, of `registered_as`; None: none comes. edit: of
    the parameters before they are signed; bend: of the request object; link_edit: of the parameters that the wallet is
    called with. answers: what came to response_uri, errors among them.
    """

    identity: SuiteIdentity
    url: str
    query: JsonObject
    mode: str = DIRECT_POST_JWT
    prefix: str = "x509_hash"
    registered: Sequence[RegisteredCredential] | None = None
    registered_as: str = IDENTIFIER
    edit: Edit = unchanged
    bend: Bend = straight
    link_edit: Callable[[dict[str, str]], dict[str, str]] = lambda params: params
    posts: bool = False
    redirect: str | None = None
    key: DecryptionKey = field(default_factory=lambda: new_decryption_key(secrets.token_hex(4)))
    nonce: str = field(default_factory=lambda: base64url.encode(secrets.token_bytes(32)))
    answers: list[dict[str, str]] = field(default_factory=list)
    fetches: list[Incoming] = field(default_factory=list)
    arrived: list[Incoming] = field(default_factory=list)

    @property
    def client_id(self) -> str:
        """Who asks: a host name of the suite's access certificate, or its hash."""
        certificate = self.identity.verifier.identity.chain[0]
        host = urlsplit(self.url).hostname
        if self.prefix == "x509_san_dns" and host in dns_names(certificate):
            return f"x509_san_dns:{host}"
        return x509_hash_client_id(certificate).text

    @property
    def response_uri(self) -> str:
        """Where answers go."""
        return f"{self.url}/response"

    @property
    def link(self) -> dict[str, str]:
        """What the wallet's authorization endpoint is called with."""
        params = {"client_id": self.client_id, "request_uri": f"{self.url}/request"}
        return self.link_edit(params | ({"request_uri_method": "post"} if self.posts else {}))

    def params(self) -> JsonObject:
        """The question."""
        keys = [self.key.public_jwk()] if self.is_encrypted else []
        metadata = build_client_metadata(formats=ALL_FORMATS, response_keys=keys)
        registration: JsonObject = {}
        if self.registered is not None:
            registration = {"verifier_info": [{"format": INFO_FORMAT, "data": self._registration()}]}
        return self.edit(
            registration
            | {
                "client_id": self.client_id,
                "response_type": "vp_token",
                "response_mode": self.mode,
                "response_uri": self.response_uri,
                "nonce": self.nonce,
                "dcql_query": self.query,
                "client_metadata": metadata,
            }
        )

    @property
    def is_encrypted(self) -> bool:
        """Whether the answer is to be."""
        return self.mode == DIRECT_POST_JWT

    def _registration(self) -> str:
        now = int(time.time())
        registration = Registration(
            subject=self.registered_as,
            name="Conformance Verifier",
            entitlements=frozenset({SERVICE_PROVIDER}),
            issued_at=now - 60,
            expires_at=now + 3600,
            credentials=tuple(self.registered or ()),
            purpose={"de": "Prüfung der Wallet", "en": "Trial of the wallet"},
            privacy_policy="https://verifier.example/privacy",
        )
        return build_registration_jwt(registration, identity=self.identity.registrar.identity)

    def answer(self, incoming: Incoming) -> Reply:
        """See `Scene`."""
        if incoming.step == "request":
            self.fetches.append(incoming)
            return Reply(200, self._object(incoming.form.get("wallet_nonce")).encode(), REQUEST_OBJECT_MEDIA_TYPE)
        if incoming.step == "response" and incoming.method == "POST":
            self.answers.append(incoming.form)
            return json_reply({} if self.redirect is None else {"redirect_uri": self.redirect})
        if incoming.step == "done":
            self.arrived.append(incoming)
            return Reply(200, b"<!doctype html><title>done</title>", "text/html")
        return Reply(404)

    def _object(self, wallet_nonce: str | None) -> str:
        identity = self.identity.verifier.identity
        params = self.params()
        token = build_request_object(
            {"client_id": self.client_id}, identity=identity, issued_at=int(time.time()), lifetime=300
        )
        assert isinstance(identity.signer, FileSigner)
        built = opened(token, identity.signer)
        claims: JsonObject = {name: value for name, value in built.claims.items() if name in ("aud", "iat", "exp")}
        if wallet_nonce is not None:
            claims["wallet_nonce"] = wallet_nonce
        whole = built.without(*built.claims).claim(iss=params.get("client_id"), **(claims | params))
        return str(self.bend(whole))

    # what came back

    @property
    def response(self) -> JsonObject:
        """The one answer, opened.

        Raises:
            Failed: there is none, or it is not encrypted to the question's key.
        """
        if not self.answers:
            raise Failed("an answer at response_uri", "none")
        form = self.answers[-1]
        if "response" not in form:
            return {name: _read(value) for name, value in form.items()}
        return strict_json.parse_object(decrypt(form["response"], keys={self.key.kid: self.key}).payload)

    @property
    def has_token(self) -> bool:
        """Whether a vp_token came."""
        return any("response" in form or "vp_token" in form for form in self.answers)

    def presentations(self, query_id: str) -> list[str]:
        """The presentations for a credential of the question.

        Raises:
            Failed: there are none, or more than this one.
        """
        token = self.response.get("vp_token")
        if not isinstance(token, dict) or not isinstance(token.get(query_id), list):
            raise Failed(f"vp_token with a list for {query_id}", "something else")
        found = token[query_id]
        return [str(each) for each in found] if isinstance(found, list) else []


def _read(value: str) -> JsonValue:
    try:
        return strict_json.parse(value)
    except ValueError:
        return value
