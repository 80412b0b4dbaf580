"""The wallet that the suite plays before an issuer: everything by the book, each piece open to one change.

OpenID4VCI 1.0 §4 to §8, RFC 9126, RFC 9449, draft-ietf-oauth-attestation-based-client-auth-07.
"""

import secrets
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TypeAlias
from urllib.parse import parse_qs, urlencode, urlsplit

from conformance.bent_token import Bend, Token, opened, straight
from conformance.check import NotApplicable
from conformance.exchange import JSON, Answer
from conformance.identity import CLIENT_ID
from conformance.issuer_target import IssuerTarget, Offered, OfferWish
from conformance.login import Arrived, Browser
from specs.encoding import base64url, strict_json
from specs.encoding.strict_json import JsonObject, JsonValue
from specs.keys.signer import FileSigner, SigningIdentity, generate_signer
from specs.protocols.client_attestation import (
    ATTEST_JWT_CLIENT_AUTH,
    ATTESTATION_CHALLENGE_HEADER,
    ATTESTATION_HEADER,
    ATTESTATION_POP_HEADER,
    USE_ATTESTATION_CHALLENGE,
    build_client_attestation,
    build_client_attestation_pop,
    parse_challenge_answer,
)
from specs.protocols.credential_offer import CredentialOffer, OfferReference, parse_credential_offer, parse_offer_link
from specs.protocols.dpop import DPOP_HEADER, DPOP_NONCE_HEADER, USE_DPOP_NONCE, build_dpop_proof
from specs.protocols.key_attestation import build_key_attestation
from specs.protocols.key_proof import build_key_proof
from specs.protocols.oauth import AUTHORIZATION_CODE, PRE_AUTHORIZED_CODE, code_challenge, new_code_verifier
from specs.protocols.openid4vci import parse_nonce_answer

_RANDOM = 16
_LIFETIME = 300  # seconds, of attestations
HIGH = ("iso_18045_high",)
Pairs: TypeAlias = Sequence[tuple[str, str]]


@dataclass(frozen=True, slots=True)
class Bends:
    """What is changed in one request. dpop_headers: the DPoP headers made of the one good proof."""

    attestation: Bend = straight
    pop: Bend = straight
    dpop: Bend = straight
    attestation_headers: Callable[[Pairs], Pairs] = lambda pairs: pairs
    dpop_headers: Callable[[str], Pairs] = lambda proof: [(DPOP_HEADER, proof)]


BY_THE_BOOK = Bends()


@dataclass
class Grant:
    """A token answer, and the id of the configuration that it is for."""

    configuration: str
    answer: JsonObject
    offer_link: str | None = None

    @property
    def access_token(self) -> str:
        """The token."""
        return str(self.answer.get("access_token"))

    @property
    def identifier(self) -> str | None:
        """The credential identifier that came with the token, which must be used then (§6.2, §8.2)."""
        details = self.answer.get("authorization_details")
        for detail in details if isinstance(details, list) else ():
            names = detail.get("credential_identifiers") if isinstance(detail, dict) else None
            if isinstance(names, list) and names and detail.get("credential_configuration_id") == self.configuration:  # type: ignore[union-attr]
                return str(names[0])
        return None


@dataclass
class IssuerPeer:
    """One wallet instance with fresh keys. client_id: the suite's unless another is wanted."""

    target: IssuerTarget
    client_id: str = ""
    instance: FileSigner = field(default_factory=generate_signer)
    dpop: FileSigner = field(default_factory=generate_signer)
    dpop_nonces: dict[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.client_id = self.client_id or CLIENT_ID

    @property
    def now(self) -> int:
        """Seconds since the epoch."""
        return int(time.time())

    @property
    def is_attested(self) -> bool:
        """Whether the authorization server takes client attestations."""
        return self.target.supports("token_endpoint_auth_methods_supported", ATTEST_JWT_CLIENT_AUTH)

    @property
    def is_bound(self) -> bool:
        """Whether the authorization server binds tokens to keys."""
        return self.target.supports("dpop_signing_alg_values_supported", "ES256")

    def endpoint(self, name: str) -> str:
        """An endpoint of the authorization server.

        Raises:
            NotApplicable: there is none.
        """
        return self.target.endpoint(self.target.server, name)

    # who the wallet is

    def attestation_headers(self, bends: Bends, challenge: str | None) -> Pairs:
        """Both headers of client attestation, or none where the server takes no attestation."""
        if not self.is_attested:
            return ()
        attester: SigningIdentity = self.target.wallet.provider.identity
        attestation = opened(
            build_client_attestation(
                attester=attester,
                client_id=self.client_id,
                instance_key=self.instance.public_key,
                now=self.now,
                lifetime=_LIFETIME,
                attester_name="https://wallet.example",
            ),
            _file_signer(attester),
        )
        pop = opened(
            build_client_attestation_pop(
                signer=self.instance,
                client_id=self.client_id,
                audience=str(self.target.server.get("issuer")),
                now=self.now,
                challenge=challenge,
            ),
            self.instance,
        ).claim(nbf=self.now - 5, exp=self.now + 300)
        pairs = [
            (ATTESTATION_HEADER, str(bends.attestation(attestation))),
            (ATTESTATION_POP_HEADER, str(bends.pop(pop))),
        ]
        return bends.attestation_headers(pairs)

    def challenge(self) -> str | None:
        """A fresh challenge, where the server gives some."""
        if "challenge_endpoint" not in self.target.server:
            return None
        answer = self.target.send("POST", self.endpoint("challenge_endpoint"), headers={"Accept": JSON}, body=b"")
        return parse_challenge_answer(answer.body)

    def dpop_pairs(
        self, url: str, bends: Bends, *, role: str, access_token: str | None = None, method: str = "POST"
    ) -> Pairs:
        """The DPoP header of one request, or none where tokens are not bound."""
        if not self.is_bound:
            return ()
        proof = build_dpop_proof(
            signer=self.dpop,
            method=method,
            url=url,
            now=self.now,
            access_token=access_token,
            nonce=self.dpop_nonces.get(role),
        )
        return bends.dpop_headers(str(bends.dpop(opened(proof, self.dpop))))

    def post_form(self, url: str, form: Mapping[str, str], bends: Bends = BY_THE_BOOK) -> Answer:
        """POST to the authorization server; tried again if all it wants is its nonce or challenge."""

        def send(challenge: str | None) -> Answer:
            headers = [*self.attestation_headers(bends, challenge), *self.dpop_pairs(url, bends, role="server")]
            return self._noted(self.target.post_form(url, form, headers), "server")

        answer = send(self.challenge())
        for _ in range(2):
            if answer.error not in (USE_DPOP_NONCE, USE_ATTESTATION_CHALLENGE) or answer.is_good:
                break
            answer = send(answer.headers.get(ATTESTATION_CHALLENGE_HEADER) or self.challenge())
        return answer

    # authorization

    def authorization_form(
        self, verifier: str, *, configuration: str, state: str | None, issuer_state: str | None
    ) -> dict[str, str]:
        """The members of an authorization request."""
        described = self.target.configurations[configuration]
        form = {
            "response_type": "code",
            "client_id": self.client_id,
            "redirect_uri": self.target.redirect_uri,
            "code_challenge": code_challenge(verifier),
            "code_challenge_method": "S256",
        }
        if state is not None:
            form["state"] = state
        if issuer_state is not None:
            form["issuer_state"] = issuer_state
        if isinstance(described.get("scope"), str):
            form["scope"] = str(described["scope"])
        else:
            detail: JsonObject = {"type": "openid_credential", "credential_configuration_id": configuration}
            form["authorization_details"] = strict_json.dumps([detail]).decode()
        return form

    def push(self, form: Mapping[str, str], bends: Bends = BY_THE_BOOK) -> Answer:
        """A pushed authorization request (RFC 9126 §2)."""
        return self.post_form(self.endpoint("pushed_authorization_request_endpoint"), form, bends)

    def visit(self, query: Mapping[str, str], *, refuse: bool = False, looks_only: bool = False) -> Arrived:
        """Open the authorization endpoint in a browser of its own, log in and decide."""
        login = self.target.login
        if login is None:
            raise NotApplicable("the settings name nobody who may log in")
        endpoint = self.endpoint("authorization_endpoint")
        url = f"{endpoint}{'&' if '?' in endpoint else '?'}{urlencode(query)}"
        browser = Browser(self.target.caller, self.target.redirect_uri)
        return browser.open(url, None if looks_only else login, refuse=refuse)

    def needs_login(self) -> None:
        """Raises NotApplicable unless a login by pushed requests can be tried."""
        if self.target.login is None:
            raise NotApplicable("the settings name nobody who may log in")
        self.endpoint("authorization_endpoint")
        self.endpoint("pushed_authorization_request_endpoint")

    # tokens

    def token(self, form: Mapping[str, str], bends: Bends = BY_THE_BOOK) -> Answer:
        """A token request."""
        members = {**form} if self._is_anonymous(form) else {"client_id": self.client_id, **form}
        return self.post_form(self.endpoint("token_endpoint"), members, bends)

    def _is_anonymous(self, form: Mapping[str, str]) -> bool:
        is_open = self.target.server.get("pre-authorized_grant_anonymous_access_supported") is True
        return is_open and not self.is_attested and form.get("grant_type") == PRE_AUTHORIZED_CODE

    def offer(self, wish: OfferWish) -> tuple[Offered, CredentialOffer]:
        """A fresh offer, read as a wallet does.

        Raises:
            NotApplicable: the settings tell no way to get one.
        """
        if self.target.offers is None:
            raise NotApplicable("the settings tell no way to get an offer")
        offered = self.target.offers(wish)
        allowed = self.target.allow_loopback_http
        parsed = parse_offer_link(offered.link, allow_loopback_http=allowed)
        if isinstance(parsed, OfferReference):
            parsed = parse_credential_offer(self.target.get(parsed.url).body, allow_loopback_http=allowed)
        return offered, parsed

    def pre_authorized_form(self, wish: OfferWish) -> tuple[dict[str, str], str]:
        """The members of a token request for a fresh offer, and the configuration that it is for."""
        offered, offer = self.offer(wish)
        if offer.pre_authorized_code is None:
            raise NotApplicable("the offer carries no pre-authorized code")
        form = {"grant_type": PRE_AUTHORIZED_CODE, "pre-authorized_code": offer.pre_authorized_code.code}
        if offer.pre_authorized_code.tx_code is not None:
            if offered.tx_code is None:
                raise NotApplicable("the offer wants a transaction code, and the settings name none")
            form["tx_code"] = offered.tx_code
        return form, offer.configuration_ids[0]

    def code_form(self, configuration: str, *, bends: Bends = BY_THE_BOOK, **changes: str) -> dict[str, str]:
        """Push, log in, agree; the members of the token request for the code."""
        self.needs_login()
        verifier, state = new_code_verifier(), base64url.encode(secrets.token_bytes(_RANDOM))
        form = self.authorization_form(verifier, configuration=configuration, state=state, issuer_state=None) | changes
        pushed = self.push(form, bends)
        if pushed.status != 201:
            raise NotApplicable(f"the pushed request was refused: {pushed.described}")
        arrived = self.visit({"client_id": self.client_id, "request_uri": str(pushed.json_object().get("request_uri"))})
        code = members_of(arrived.url or "").get("code")
        if code is None:
            raise NotApplicable(f"the login brought no code but {arrived.described}")
        return {
            "grant_type": AUTHORIZATION_CODE,
            "code": code,
            "redirect_uri": form["redirect_uri"],
            "code_verifier": verifier,
        }

    def granted(self, configuration: str, *, prefer: str = PRE_AUTHORIZED_CODE) -> Grant:
        """An access token for a configuration, by an offer or a login, whichever there is; the preferred one first.

        Raises:
            NotApplicable: neither is possible, or the token was refused.
        """
        ways = [PRE_AUTHORIZED_CODE, AUTHORIZATION_CODE]
        reasons: list[str] = []
        for way in sorted(ways, key=lambda each: each != prefer):
            try:
                if way == PRE_AUTHORIZED_CODE:
                    form, configuration = self.pre_authorized_form(OfferWish(configuration))
                else:
                    form = self.code_form(configuration)
            except NotApplicable as reason:
                reasons.append(str(reason))
                continue
            answer = self.token(form)
            if answer.status == 200:
                return Grant(configuration, answer.json_object())
            reasons.append(f"the token was refused: {answer.described}")
        raise NotApplicable("; ".join(reasons))

    # credentials

    def nonce(self) -> str | None:
        """A fresh `c_nonce`, where the issuer has an endpoint for them."""
        if "nonce_endpoint" not in self.target.metadata:
            return None
        answer = self.target.send("POST", self.target.endpoint(self.target.metadata, "nonce_endpoint"), body=b"")
        return parse_nonce_answer(answer.body)

    def proof_kind(self, configuration: str) -> str | None:
        """The proof type that the suite uses for a configuration; None if it binds no key."""
        offered = self.target.configurations[configuration].get("proof_types_supported")
        if not isinstance(offered, dict):
            return None
        return next((kind for kind in ("jwt", "attestation") if kind in offered), None)

    def wants_key_attestation(self, configuration: str) -> bool:
        """Whether keys must be attested."""
        offered = self.target.configurations[configuration].get("proof_types_supported")
        support = offered.get("jwt") if isinstance(offered, dict) else None
        return isinstance(support, dict) and "key_attestations_required" in support

    def key_attestation(self, keys: Sequence[FileSigner], nonce: str | None, bend: Bend = straight) -> str:
        """What the wallet provider says about keys (App. D)."""
        attester = self.target.wallet.provider.identity
        token = build_key_attestation(
            attester=attester,
            keys=[key.public_key for key in keys],
            now=self.now,
            lifetime=_LIFETIME,
            nonce=nonce,
            key_storage=HIGH,
            user_authentication=HIGH,
        )
        return str(bend(opened(token, _file_signer(attester))))

    def proofs(
        self,
        configuration: str,
        keys: Sequence[FileSigner],
        *,
        nonce: str | None,
        bend: Bend = straight,
        attestation: Bend = straight,
    ) -> JsonObject | None:
        """The `proofs` member for these keys. bend: changes each jwt proof; attestation: the key attestation."""
        kind = self.proof_kind(configuration)
        if kind is None:
            return None
        if kind == "attestation":
            return {"attestation": [self.key_attestation(keys, nonce, attestation)]}
        attested = self.key_attestation(keys, nonce, attestation) if self.wants_key_attestation(configuration) else None
        anonymous = (
            self.target.server.get("pre-authorized_grant_anonymous_access_supported") is True and not self.is_attested
        )
        made: list[JsonValue] = []
        for key in keys:
            proof = build_key_proof(
                signer=key,
                audience=self.target.url,
                now=self.now,
                nonce=nonce,
                client_id=None if anonymous else self.client_id,
                key_attestation=attested,
            )
            made.append(str(bend(opened(proof, key))))
        return {"jwt": made}

    def request(self, grant: Grant, proofs: JsonObject | None, **members: JsonValue) -> JsonObject:
        """The body of a credential request."""
        body: JsonObject = {}
        if grant.identifier is not None:
            body["credential_identifier"] = grant.identifier
        else:
            body["credential_configuration_id"] = grant.configuration
        if proofs is not None:
            body["proofs"] = proofs
        return body | members

    def credential(
        self,
        grant: Grant,
        body: JsonObject,
        bends: Bends = BY_THE_BOOK,
        *,
        endpoint: str = "credential_endpoint",
        scheme: str | None = None,
        headers: Pairs = (),
        url: str | None = None,
        token_header: bool = True,
    ) -> Answer:
        """POST a message to the credential issuer; tried again if all it wants is its DPoP nonce."""
        where = url or self.target.endpoint(self.target.metadata, endpoint)
        return self.post(
            where,
            strict_json.dumps(body),
            JSON,
            grant,
            bends,
            scheme=scheme,
            headers=headers,
            token_header=token_header,
        )

    def post(
        self,
        url: str,
        body: bytes,
        media_type: str,
        grant: Grant,
        bends: Bends = BY_THE_BOOK,
        *,
        scheme: str | None = None,
        headers: Pairs = (),
        token_header: bool = True,
    ) -> Answer:
        """POST bytes with an access token."""
        scheme = scheme or ("DPoP" if self.is_bound else "Bearer")

        def send() -> Answer:
            proof = self.dpop_pairs(url, bends, role="resource", access_token=grant.access_token)
            bearing = [("Authorization", f"{scheme} {grant.access_token}")] if token_header else []
            sent = [("Content-Type", media_type), *bearing, *proof, *headers]
            return self._noted(self.target.send("POST", url, headers=sent, body=body), "resource")

        answer = send()
        return send() if answer.error == USE_DPOP_NONCE and not answer.is_good else answer

    def fresh_request(self, grant: Grant, **members: JsonValue) -> JsonObject:
        """A credential request that is right in everything, with one fresh key."""
        proofs = self.proofs(grant.configuration, [generate_signer()], nonce=self.nonce())
        return self.request(grant, proofs, **members)

    def _noted(self, answer: Answer, role: str) -> Answer:
        if DPOP_NONCE_HEADER in answer.headers:
            self.dpop_nonces[role] = answer.headers[DPOP_NONCE_HEADER]
        return answer


def members_of(url: str) -> dict[str, str]:
    """The members of an address's query."""
    return {name: values[0] for name, values in parse_qs(urlsplit(url).query, keep_blank_values=True).items()}


def _file_signer(identity: SigningIdentity) -> FileSigner:
    signer = identity.signer
    assert isinstance(signer, FileSigner)
    return signer


__all__ = ["BY_THE_BOOK", "Bends", "Grant", "IssuerPeer", "Pairs", "Token", "members_of"]
