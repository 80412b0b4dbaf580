"""The `sd-jwt` library of the SD-JWT authors reads what we mint and present, and we read what it does."""

import json
from typing import Any

import pytest
from jwcrypto.jwk import JWK
from sd_jwt.common import SDObj
from sd_jwt.holder import SDJWTHolder
from sd_jwt.issuer import SDJWTIssuer
from sd_jwt.verifier import SDJWTVerifier

from specs.credentials.key_binding import build_key_binding, parse_key_binding, verify_key_binding
from specs.credentials.sd_jwt import Processed, SdJwt, SdJwtError, parse_sd_jwt, process_payload, verify_issuer_jwt
from specs.credentials.sd_jwt_issue import DECOY, Claims, Sd, build_sd_jwt, issuer_header
from specs.credentials.sd_jwt_json import build_flattened_json, parse_sd_jwt_json
from specs.credentials.sd_jwt_present import read_as_holder, select_disclosures, serialize
from specs.encoding import strict_json
from specs.keys.jose import jwk_from_public_key, parse_jws
from specs.keys.signer import FileSigner, generate_private_key
from specs.refusal import ReasonCode
from tests.specs.credentials.sd_jwt_drawing import AUDIENCE, GIVEN_NAME, NONCE, Drawn, disclosure, signed

pytestmark = pytest.mark.interop

ISSUER_KEY, HOLDER_KEY = generate_private_key(), generate_private_key()
ISSUER, HOLDER = FileSigner(ISSUER_KEY), FileSigner(HOLDER_KEY)
PEER_ISSUER, PEER_HOLDER = JWK.from_pyca(ISSUER_KEY), JWK.from_pyca(HOLDER_KEY)
TYP = "dc+sd-jwt"

OURS: Claims = {
    "vct": "urn:example:leipzig:pass:1",
    "cnf": {"jwk": jwk_from_public_key(HOLDER.public_key)},
    "given_name": Sd("Erika ~ Mustermännin"),
    "address": Sd({"locality": Sd("Leipzig"), "country": "DE"}),
    "nationalities": [Sd("DE"), DECOY, Sd({"code": Sd("FR")}), "IT"],
    "entitled": Sd(True),
}
THEIRS = {
    "vct": "urn:example:leipzig:pass:1",
    SDObj("given_name"): "Erika ~ Mustermännin",
    SDObj("address"): {SDObj("locality"): "Leipzig", "country": "DE"},
    "nationalities": [SDObj("DE"), SDObj({SDObj("code"): "FR"}), "IT"],
    SDObj("entitled"): True,
}


def read(sd_jwt: SdJwt) -> Processed:
    """Verified by us."""
    payload = verify_issuer_jwt(parse_jws(sd_jwt.issuer_jwt, expected_typ=TYP), ISSUER.public_key)
    processed = process_payload(payload, sd_jwt.disclosures)
    if sd_jwt.kb_jwt is not None:
        bound = parse_key_binding(sd_jwt)
        made = bound.claims["iat"]
        assert isinstance(made, int)
        verify_key_binding(
            bound,
            holder_key=HOLDER.public_key,
            hashed_part=sd_jwt.hashed_part,
            sd_alg=processed.sd_alg,
            expected_nonce=NONCE,
            expected_audience=AUDIENCE,
            now=made,
        )
    return processed


def peer_read(text: str, *, bound: bool = False, form: str = "compact") -> dict[str, Any]:
    """Verified by the library."""
    expected = (AUDIENCE, NONCE) if bound else (None, None)
    verified = SDJWTVerifier(text, lambda _issuer, _header: PEER_ISSUER, *expected, serialization_format=form)
    payload = verified.get_verified_payload()
    assert isinstance(payload, dict)
    return payload


def issue() -> SdJwt:
    """Issued by us."""
    return parse_sd_jwt(build_sd_jwt(OURS, signer=ISSUER, header=issuer_header(alg="ES256", typ=TYP), decoys=2))


def peer_issue(form: str = "compact") -> str:
    """Issued by the library."""
    issued = SDJWTIssuer(
        THEIRS,
        PEER_ISSUER,
        PEER_HOLDER,
        add_decoy_claims=True,
        extra_header_parameters={"typ": TYP},
        serialization_format=form,
    )
    text = issued.sd_jwt_issuance
    assert isinstance(text, str)
    return text


def test_they_read_what_we_mint() -> None:
    sd_jwt = issue()

    claims = peer_read(serialize(sd_jwt))

    assert {name: value for name, value in claims.items() if name != "_sd_alg"} == read(sd_jwt).claims


def test_they_read_what_we_present() -> None:
    sd_jwt = issue()
    everything = read_as_holder(sd_jwt, expected_typ=TYP)
    shown = select_disclosures(sd_jwt, everything, paths=[("given_name",), ("nationalities", 2)])
    bound = build_key_binding(shown, signer=HOLDER, nonce=NONCE, audience=AUDIENCE, issued_at=1_795_000_000)

    claims = peer_read(serialize(bound), bound=True)

    assert claims["given_name"] == "Erika ~ Mustermännin"
    assert claims["nationalities"] == [{"code": "FR"}, "IT"]
    assert "address" not in claims
    assert claims == read(bound).claims


def test_their_holder_presents_what_we_mint() -> None:
    holder = SDJWTHolder(serialize(issue()))
    holder.create_presentation({"address": {"locality": True}}, NONCE, AUDIENCE, PEER_HOLDER)

    processed = read(parse_sd_jwt(holder.sd_jwt_presentation))

    assert processed.claims["address"] == {"locality": "Leipzig", "country": "DE"}
    assert "given_name" not in processed.claims


def test_we_read_what_they_mint() -> None:
    processed = read(parse_sd_jwt(peer_issue()))

    assert processed.claims["given_name"] == "Erika ~ Mustermännin"
    assert processed.claims["nationalities"] == ["DE", {"code": "FR"}, "IT"]
    assert {shown.path for shown in processed.disclosed} == {
        ("given_name",),
        ("address",),
        ("address", "locality"),
        ("nationalities", 0),
        ("nationalities", 1),
        ("nationalities", 1, "code"),
        ("entitled",),
    }


def test_we_read_what_they_present() -> None:
    holder = SDJWTHolder(peer_issue())
    holder.create_presentation({"entitled": True, "nationalities": [True, False]}, NONCE, AUDIENCE, PEER_HOLDER)

    processed = read(parse_sd_jwt(holder.sd_jwt_presentation))

    assert processed.claims["entitled"] is True
    assert processed.claims["nationalities"] == ["DE", "IT"]
    assert len(processed.issued["nationalities"]) == 3  # type: ignore[arg-type]


def test_we_present_what_they_mint() -> None:
    sd_jwt = parse_sd_jwt(peer_issue())
    shown = select_disclosures(sd_jwt, read_as_holder(sd_jwt, expected_typ=TYP), paths=[("nationalities", None)])
    bound = build_key_binding(shown, signer=HOLDER, nonce=NONCE, audience=AUDIENCE, issued_at=1_795_000_000)

    assert peer_read(serialize(bound), bound=True)["nationalities"] == ["DE", {"code": "FR"}, "IT"]


def test_their_json_serialisation_has_the_disclosures_where_rfc_9901_has_them_not() -> None:
    """RFC 9901 §8 puts `disclosures` into the unprotected header; the library keeps the place of early drafts."""
    document = json.loads(peer_issue("json"))

    with pytest.raises(KeyError):
        peer_read(strict_json.dumps(build_flattened_json(parse_sd_jwt(peer_issue()))).decode(), form="json")
    moved = {**document, "header": {"disclosures": document.pop("disclosures")}}
    assert read(parse_sd_jwt_json(json.dumps(moved).encode())).claims["given_name"] == "Erika ~ Mustermännin"


@pytest.mark.parametrize(
    ("clause", "drawn", "reason"),
    [
        (
            "§7.1 step 5: a disclosure that no digest references",
            Drawn(payload={"a": 1}, disclosures=(GIVEN_NAME,)),
            ReasonCode.DISCLOSURE_UNREFERENCED,
        ),
        (
            "§7.1 step 4: the same digest at two places of an array",
            Drawn(payload={"a": [{"...": "x"}, {"...": "x"}]}, disclosures=()),
            ReasonCode.DIGEST_REPEATED,
        ),
        (
            "§7.1 step 3c.ii: a disclosed claim named _sd",
            Drawn(payload={"_sd": []}, disclosures=()).with_hidden(disclosure("s", "_sd", 1)),
            ReasonCode.CLAIM_NAME_FORBIDDEN,
        ),
        (
            "§4.2.1: a salt that is no text",
            Drawn(payload={"_sd": []}, disclosures=()).with_hidden(disclosure(1, "n", 1)),
            ReasonCode.DISCLOSURE_MALFORMED,
        ),
    ],
    ids=lambda value: value[:12] if isinstance(value, str) and not isinstance(value, ReasonCode) else "",
)
def test_they_accept_what_rfc_9901_refuses(clause: str, drawn: Drawn, reason: ReasonCode) -> None:
    """The library lets these pass; the clause stands with each. We refuse."""
    text = "~".join((signed(json.dumps(drawn.payload).encode(), signer=ISSUER), *drawn.disclosures, ""))

    assert peer_read(text), clause
    with pytest.raises(SdJwtError) as refused:
        read(parse_sd_jwt(text))
    assert refused.value.reason is reason
