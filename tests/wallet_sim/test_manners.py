"""How the wallet behaves towards issuers, seen in what it sends: HAIP 1.0 §4, App. E; OpenID4VCI 1.0 App. F."""

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import httpx
import pytest

from issuer.store.tables import Grant
from specs.encoding import base64url, strict_json
from specs.keys.signer import Signer, generate_signer
from specs.protocols.credential_offer import OFFER_SCHEMES, CredentialOffer, offer_link, parse_offer_link
from tests.issuer.wallet_api.world import MDOC, SD_JWT
from tests.wallet_sim.city import ACCEPTING, City
from wallet_sim.browser import FormBrowser
from wallet_sim.conduct import (
    ATTESTATION_POP,
    CLIENT_ATTESTATION,
    DPOP,
    FORM,
    KEY_PROOF,
    REQUEST,
    Conduct,
    Endpoint,
    Outgoing,
    Piece,
    T,
)
from wallet_sim.transport import Transport
from wallet_sim.wallet import Wallet


class _Noting(Conduct):
    """Honest, and keeps what it sent."""

    def __init__(self) -> None:
        self.forms: list[tuple[Endpoint, Mapping[str, str]]] = []
        self.requests: list[tuple[Endpoint, Outgoing]] = []
        self.tokens: list[tuple[Piece[Any], Endpoint, dict[str, Any], dict[str, Any]]] = []

    def change(self, piece: Piece[T], value: T, *, to: Endpoint) -> T:
        if piece is FORM:
            self.forms.append((to, dict(value)))  # type: ignore[call-overload]  # of this piece
        if piece is REQUEST:
            assert isinstance(value, Outgoing)
            self.requests.append((to, value))
        return value

    def signed(self, piece: Piece[Any], token: str, signer: Signer, *, to: Endpoint) -> str:
        header, claims = (strict_json.parse_object(base64url.decode(part)) for part in token.split(".")[:2])
        self.tokens.append((piece, to, header, claims))
        return token

    def of(self, piece: Piece[Any]) -> list[dict[str, Any]]:
        """The claims of all tokens of a kind."""
        return [claims for kind, _, _, claims in self.tokens if kind is piece]


@pytest.fixture
def noting() -> _Noting:
    """What was sent."""
    return _Noting()


def wallet_of(city: City, file: Path, noting: _Noting, *, tenant: str = "leipzig") -> Wallet:
    """A wallet whose messages are noted."""
    transport = Transport(allow_loopback_http=True, conduct=noting)
    return Wallet(file, issuer_anchors=city.anchors("iaca", tenant), transport=transport)


def collected_by_login(city: City, wallet: Wallet, link: str) -> list[str]:
    """The addresses that the browser was sent to."""
    opened: list[str] = []
    forms = FormBrowser(username="mila", password="einfach", allow_loopback_http=True)

    def browser(url: str) -> str:
        opened.append(url)
        return forms(url)

    assert wallet.collect(link, holder=replace(ACCEPTING, authorize=browser))
    return opened


def test_login_is_asked_for_by_a_pushed_request(city: City, wallet_file: Path, noting: _Noting) -> None:
    """HAIP 1.0 §4.2, §4.3: PAR, scope, S256, `issuer_state`; nothing but a reference passes through the browser."""
    wallet, opened = wallet_of(city, wallet_file, noting), []
    for _ in range(2):
        link, _ = city.offer(grant=Grant.AUTHORIZATION_CODE, configurations=(SD_JWT, MDOC))
        offer = parse_offer_link(link, allow_loopback_http=True)
        assert isinstance(offer, CredentialOffer)
        assert offer.authorization_code is not None
        opened += collected_by_login(city, wallet, link)
        pushed = [form for to, form in noting.forms if to is Endpoint.PAR][-1]
        assert sorted(pushed["scope"].split()) == sorted((SD_JWT, MDOC))
        assert "authorization_details" not in pushed
        assert (pushed["response_type"], pushed["code_challenge_method"]) == ("code", "S256")
        assert pushed["issuer_state"] == offer.authorization_code.issuer_state
        assert pushed["client_id"] == noting.of(CLIENT_ATTESTATION)[-1]["sub"]
    first, second = (form for to, form in noting.forms if to is Endpoint.PAR)
    assert first["code_challenge"] != second["code_challenge"]
    assert first["state"] != second["state"]
    queries = [dict(httpx.URL(url).params) for url in opened]
    assert all(query.keys() == {"client_id", "request_uri"} for query in queries)
    assert queries[0]["request_uri"] != queries[1]["request_uri"]


def test_offer_without_grants_is_taken_by_what_the_server_can(city: City, wallet_file: Path, noting: _Noting) -> None:
    """OpenID4VCI 1.0 §4.1.1."""
    issuer = city.world.issuer_url()
    link = offer_link(CredentialOffer(issuer, (SD_JWT,)))
    assert "grants" not in link
    assert link.partition(":")[0] in OFFER_SCHEMES

    collected_by_login(city, wallet_of(city, wallet_file, noting), link)

    assert "issuer_state" not in next(form for to, form in noting.forms if to is Endpoint.PAR)


def test_no_issuer_recognises_the_wallet_by_its_attestation(city: City, wallet_file: Path, noting: _Noting) -> None:
    """HAIP 1.0 §4.4.1: another key for each issuer, one `sub` for all wallets, nothing that names this one."""
    for tenant in ("leipzig", "bund"):
        link, _ = city.offer(tenant=tenant, configurations=(SD_JWT,))
        wallet_of(city, wallet_file, noting, tenant=tenant).collect(link, holder=ACCEPTING)
    other = wallet_file.with_name("other.db")
    other.write_bytes(wallet_file.read_bytes())
    link, _ = city.offer(configurations=(SD_JWT,))
    wallet_of(city, other, noting).collect(link, holder=ACCEPTING)

    attestations = noting.of(CLIENT_ATTESTATION)
    keys = {each["cnf"]["jwk"]["x"] for each in attestations}
    assert len(keys) == 3
    assert len({each["sub"] for each in attestations}) == 1
    named = {name for each in attestations for name in each}
    assert named <= {"iss", "sub", "iat", "nbf", "exp", "cnf", "wallet_name", "wallet_link", "wallet_version"}


def test_each_request_is_proven_anew(city: City, wallet_file: Path, noting: _Noting) -> None:
    """Draft-07 §5.2, RFC 9449 §4.2: audience or address, a `jti` of its own; the token's hash where there is one."""
    link, _ = city.offer(grant=Grant.AUTHORIZATION_CODE, configurations=(SD_JWT,))
    collected_by_login(city, wallet_of(city, wallet_file, noting), link)

    pops = noting.of(ATTESTATION_POP)
    assert {each["aud"] for each in pops} == {city.world.issuer_url()}
    assert len({each["jti"] for each in pops}) == len(pops) >= 2
    assert all("iat" in each for each in pops)
    proofs = [(to, claims) for kind, to, _, claims in noting.tokens if kind is DPOP]
    assert len({claims["jti"] for _, claims in proofs}) == len(proofs)
    with_token = {to for to, claims in proofs if "ath" in claims}
    assert with_token >= {Endpoint.CREDENTIAL, Endpoint.NOTIFICATION}
    assert not with_token & {Endpoint.PAR, Endpoint.TOKEN}


def test_access_token_travels_in_its_header_alone(city: City, wallet_file: Path, noting: _Noting) -> None:
    """FAPI 2.0 §5.3.3.1, OpenID4VCI 1.0 §8.2, §10, §11.1: never in an address or a body; messages say what they are."""
    link, _ = city.offer(configurations=(SD_JWT,))
    wallet_of(city, wallet_file, noting).collect(link, holder=ACCEPTING)

    kinds = {Endpoint.CREDENTIAL: "application/jwt", Endpoint.NOTIFICATION: "application/json"}
    sent = [(to, dict(request.headers), request) for to, request in noting.requests if to in kinds]
    assert {to for to, _, _ in sent} == kinds.keys()
    for to, headers, request in sent:
        scheme, _, token = headers["Authorization"].partition(" ")
        assert scheme == "DPoP"
        assert headers["Content-Type"] == kinds[to]
        everything = "".join(each.url for _, each in noting.requests).encode()
        assert token.encode() not in everything + request.body


def test_key_proofs_name_issuer_nonce_and_key(city: City, wallet_file: Path, noting: _Noting) -> None:
    """OpenID4VCI 1.0 App. F.1: one key parameter, the issuer as audience, its nonce; the client where it is known."""
    link, _ = city.offer(configurations=(SD_JWT,))
    wallet_of(city, wallet_file, noting).collect(link, holder=ACCEPTING, copies=2)

    proofs = [(header, claims) for kind, _, header, claims in noting.tokens if kind is KEY_PROOF]
    assert len(proofs) == 2
    for header, claims in proofs:
        assert header["typ"] == "openid4vci-proof+jwt"
        assert {"jwk", "kid", "x5c"} & header.keys() == {"jwk"}
        assert claims["aud"] == city.world.issuer_url()
        assert claims["nonce"]
        assert claims["iss"] == noting.of(CLIENT_ATTESTATION)[0]["sub"]
    assert len({header["jwk"]["x"] for header, _ in proofs}) == 2
    nonces = [request for to, request in noting.requests if to is Endpoint.NONCE]
    assert [request.method for request in nonces] == ["POST"]


def test_key_attestation_names_keys_and_levels_alone(wallet: Wallet) -> None:
    """HAIP 1.0 §11.1: who holds two of them learns nothing from that."""
    keys = [generate_signer().public_key for _ in range(2)]
    told = [wallet.provider.key_attestation([key], nonce="n", now=1_795_000_000) for key in keys]

    headers, claims = zip(*(token.split(".")[:2] for token in told), strict=True)
    assert headers[0] == headers[1]
    first, second = (strict_json.parse_object(base64url.decode(each)) for each in claims)
    assert {name for name in first if first[name] != second[name]} == {"attested_keys"}
    assert first.keys() <= {"iat", "exp", "nonce", "attested_keys", "key_storage", "user_authentication"}
