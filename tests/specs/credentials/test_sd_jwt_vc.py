"""SD-JWT VC: what we mint can be read, and each rule of its own is kept."""

import json
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

import pytest

from specs.credentials.sd_jwt import parse_sd_jwt
from specs.credentials.sd_jwt_issue import DECOY, Claims, Sd, mark_disclosable
from specs.credentials.sd_jwt_present import read_as_holder, select_disclosures, serialize
from specs.credentials.sd_jwt_vc import (
    SdJwtVc,
    VcIssuer,
    build_sd_jwt_vc,
    check_validity,
    holder_key,
    parse_issuer_jwt,
    prepare_sd_jwt_vc,
    read_sd_jwt_vc,
    vc_issuer,
)
from specs.encoding.strict_json import JsonValue
from specs.keys.jose import jwk_from_public_key, key_thumbprint, x5c_header
from specs.keys.signer import FileSigner, SigningIdentity, generate_signer
from specs.refusal import ReasonCode, Refusal
from tests.specs.credentials.sd_jwt_drawing import HOLDER, ISSUER, NOW, Drawn, b64, digest, disclosure

CHAIN = (b"leaf certificate", b"intermediate certificate")
VCT = "urn:example:leipzig:pass:1"
STATUS: Mapping[str, JsonValue] = {"status_list": {"idx": 7, "uri": "https://issuer.example/status/1"}}
CLAIMS: Claims = {
    "given_name": Sd("Erika"),
    "address": Sd({"locality": Sd("Leipzig"), "country": "DE"}),
    "nationalities": [Sd("DE"), DECOY, "FR"],
    "entitled": True,
}


def mint(signer: FileSigner = ISSUER, claims: Claims = CLAIMS, **arguments: Any) -> str:
    """A credential as an issuer would mint it."""
    return build_sd_jwt_vc(
        claims,
        issuer=vc_issuer(SigningIdentity(signer, CHAIN)),
        vct=VCT,
        holder_jwk=jwk_from_public_key(HOLDER.public_key),
        **{"expires_at": NOW + 86400, "status": STATUS, **arguments},
    )


def read(text: str, signer: FileSigner = ISSUER, *, allow_former_typ: bool = False) -> SdJwtVc:
    """The credential as a verifier reads it, its chain taken as validated."""
    sd_jwt = parse_sd_jwt(text)
    issuer_jwt = parse_issuer_jwt(sd_jwt, allow_former_typ=allow_former_typ)
    assert issuer_jwt.chain == CHAIN
    return read_sd_jwt_vc(issuer_jwt, issuer_key=signer.public_key)


def drawn(header: Mapping[str, object] | None = None) -> Drawn:
    """A valid credential by hand."""
    return Drawn(header={"x5c": x5c_header(CHAIN), **(header or {})})


@pytest.mark.parametrize("alg", ["ES256", "ES384", "ES512", "EdDSA"])
@pytest.mark.parametrize("sd_alg", ["sha-256", "sha-384", "sha-512"])
def test_what_is_minted_is_read(alg: str, sd_alg: str) -> None:
    signer = generate_signer(alg)

    credential = read(mint(signer, sd_alg=sd_alg, issued_at=NOW, not_before=NOW, iss="https://issuer.example"), signer)

    assert credential.vct == VCT
    assert credential.status == STATUS
    assert (credential.issued_at, credential.not_before, credential.expires_at) == (NOW, NOW, NOW + 86400)
    assert credential.issuer == "https://issuer.example"
    assert key_thumbprint(holder_key(credential)) == key_thumbprint(HOLDER.public_key)
    assert credential.processed.claims["address"] == {"locality": "Leipzig", "country": "DE"}
    assert credential.processed.claims["nationalities"] == ["DE", "FR"]
    assert len(credential.processed.disclosed) == 4


def test_without_disclosable_claims_there_are_no_digests() -> None:
    """SD-JWT VC §3.2.2.4."""
    text = mint(claims={"entitled": True}, decoys=3)

    assert text.endswith("~")
    assert text.count("~") == 1
    assert "_sd" not in json.dumps(parse_issuer_jwt(parse_sd_jwt(text)).jws.claims())


def test_decoys_hide_how_many_claims_there_are_and_digests_are_sorted() -> None:
    claims = parse_issuer_jwt(parse_sd_jwt(mint(decoys=5))).jws.claims()

    assert isinstance(claims["_sd"], list)
    assert len(claims["_sd"]) == 2 + 5
    assert claims["_sd"] == sorted(claims["_sd"], key=str)


def test_salts_are_as_many_random_bytes_as_promised_and_never_repeat() -> None:
    drawn_bytes: list[int] = []

    def counting(size: int) -> bytes:
        drawn_bytes.append(size)
        return bytes(range(size))

    texts = [mint(claims={f"claim{n}": Sd(n) for n in range(40)}) for _ in range(5)]
    mint(rng=counting, claims={f"claim{n}": Sd("x" * n) for n in range(5)})

    disclosures = [text for issued in texts for text in parse_sd_jwt(issued).disclosures]
    assert len(set(disclosures)) == 200
    assert sum(drawn_bytes) >= 5 * 18


def test_issued_at_may_be_disclosable_and_withheld() -> None:
    text = mint(issued_at=Sd(NOW))
    sd_jwt = parse_sd_jwt(text)
    shown = select_disclosures(sd_jwt, read_as_holder(sd_jwt, expected_typ="dc+sd-jwt"), paths=[("given_name",)])

    assert read(text).issued_at == NOW
    assert read(serialize(shown)).issued_at is None
    assert read(serialize(shown)).processed.claims["given_name"] == "Erika"


def test_a_batch_is_signed_by_one_call() -> None:
    issuer = VcIssuer(ISSUER, vc_issuer(SigningIdentity(ISSUER, CHAIN)).header)
    batch = [prepare_sd_jwt_vc(CLAIMS, issuer=issuer, vct=VCT, holder_jwk=None, expires_at=NOW) for _ in range(3)]

    signatures = ISSUER.sign_many([unsigned.signing_input for unsigned in batch])
    minted = [unsigned.with_signature(signature) for unsigned, signature in zip(batch, signatures, strict=True)]

    assert [read(text).vct for text in minted] == [VCT] * 3


@pytest.mark.parametrize("claims", [{"vct": "x"}, {"cnf": {}}, {"status": Sd({})}, {"exp": 1}, {"iat": 1}], ids=str)
def test_a_registered_claim_among_the_claims_is_refused(claims: Claims) -> None:
    with pytest.raises(Refusal) as refused:
        mint(claims=claims, issued_at=NOW)

    assert refused.value.reason is ReasonCode.CLAIM_INVALID


@pytest.mark.parametrize(
    ("claims", "reason"),
    [
        ({"_sd": []}, ReasonCode.CLAIM_NAME_FORBIDDEN),
        ({"a": {"...": "x"}}, ReasonCode.CLAIM_NAME_FORBIDDEN),
        ({"a": Sd({"_sd_alg": "x"})}, ReasonCode.CLAIM_NAME_FORBIDDEN),
        ({"a": Sd(float("nan"))}, ReasonCode.CLAIM_INVALID),
        ({"a": [float("inf")]}, ReasonCode.CLAIM_INVALID),
        ({"a": DECOY}, ReasonCode.CLAIM_INVALID),
        ({"a": Sd(Sd("x"))}, ReasonCode.CLAIM_INVALID),
    ],
    ids=str,
)
def test_what_can_not_be_issued_is_refused(claims: Claims, reason: ReasonCode) -> None:
    with pytest.raises(Refusal) as refused:
        mint(claims=claims)

    assert refused.value.reason is reason


def test_paths_mark_claims_as_disclosable() -> None:
    marked = mark_disclosable(
        {"name": "Erika", "address": {"locality": "Leipzig", "country": "DE"}, "nationalities": ["DE", "FR"], "n": 1},
        paths=[("name",), ("address",), ("address", "locality"), ("nationalities", None), ("absent",)],
    )

    assert marked == {
        "name": Sd("Erika"),
        "address": Sd({"locality": Sd("Leipzig"), "country": "DE"}),
        "nationalities": [Sd("DE"), Sd("FR")],
        "n": 1,
    }


def _payload(**members: object) -> Callable[[Drawn], Drawn]:
    return lambda valid: valid.with_payload(**members)


def _without(name: str) -> Callable[[Drawn], Drawn]:
    return lambda valid: replace(valid, payload={key: value for key, value in valid.payload.items() if key != name})


def _disclosed(name: str, value: object) -> Callable[[Drawn], Drawn]:
    return lambda valid: _without(name)(valid).with_hidden(disclosure("salt", name, value))


def _disclosed_inside(name: str) -> Callable[[Drawn], Drawn]:
    inner = disclosure("salt", "inner", 1)

    def change(valid: Drawn) -> Drawn:
        return replace(
            valid.with_payload(**{name: {**valid.payload.get(name, {}), "_sd": [digest(inner)]}}),
            disclosures=(*valid.disclosures, inner),
        )

    return change


def _header(**members: object) -> Callable[[Drawn], Drawn]:
    return lambda valid: replace(valid, header={**valid.header, **members})


JWK = jwk_from_public_key(HOLDER.public_key)
NEVER = {
    "iss": "https://issuer.example",
    "nbf": NOW,
    "exp": NOW + 86400,
    "cnf": {"jwk": JWK},
    "vct": VCT,
    "vct#integrity": "sha256-AAAA",
    "status": STATUS,
    "aka_vcts": ["urn:other"],
}
DEFECTS: dict[str, tuple[ReasonCode, Callable[[Drawn], Drawn]]] = {
    **{
        f"§3.2.2.2 {name} disclosed": (ReasonCode.CLAIM_NOT_DISCLOSABLE, _disclosed(name, value))
        for name, value in NEVER.items()
    },
    "draft-18 §2.2.2.3 inside cnf": (ReasonCode.CLAIM_NOT_DISCLOSABLE, _disclosed_inside("cnf")),
    "draft-18 §2.2.2.3 inside status": (ReasonCode.CLAIM_NOT_DISCLOSABLE, _disclosed_inside("status")),
    "§3.2.1 typ JWT": (ReasonCode.TYP_MISMATCH, _header(typ="JWT")),
    "§3.2.1 typ kb+jwt": (ReasonCode.TYP_MISMATCH, _header(typ="kb+jwt")),
    "§3.2.1 typ null": (ReasonCode.TYP_MISMATCH, _header(typ=None)),
    "§3.2.1 typ in capitals": (ReasonCode.TYP_MISMATCH, _header(typ="DC+SD-JWT")),
    "§3.2.1 former typ, not allowed": (ReasonCode.TYP_MISMATCH, _header(typ="vc+sd-jwt")),
    "RFC 7515 §4.1.11 empty crit": (ReasonCode.CRITICAL_HEADER_UNKNOWN, _header(crit=[])),
    "HAIP §6.1.1 no x5c": (ReasonCode.ISSUER_KEY_MISSING, lambda valid: replace(valid, header={"jwk": JWK})),
    "HAIP §6.1.1 x5u only": (
        ReasonCode.ISSUER_KEY_MISSING,
        lambda valid: replace(valid, header={"x5u": "https://10.0.0.1/"}),
    ),
    "RFC 7515 §4.1.6 x5c empty": (ReasonCode.CERTIFICATE_MALFORMED, _header(x5c=[])),
    "RFC 7515 §4.1.6 x5c text": (ReasonCode.CERTIFICATE_MALFORMED, _header(x5c="AAAA")),
    "RFC 7515 §4.1.6 x5c base64url": (ReasonCode.CERTIFICATE_MALFORMED, _header(x5c=["_-__"])),
    "§3.2.2.1 no vct": (ReasonCode.CLAIM_INVALID, _without("vct")),
    "§3.2.2.1 vct an array": (ReasonCode.CLAIM_INVALID, _payload(vct=[VCT])),
    "§3.2.2.1 vct empty": (ReasonCode.CLAIM_INVALID, _payload(vct="")),
    "iss a number": (ReasonCode.CLAIM_INVALID, _payload(iss=1)),
    "vct#integrity a number": (ReasonCode.CLAIM_INVALID, _payload(**{"vct#integrity": 1})),
    "aka_vcts empty": (ReasonCode.CLAIM_INVALID, _payload(aka_vcts=[])),
    "aka_vcts with a number": (ReasonCode.CLAIM_INVALID, _payload(aka_vcts=["x", 1])),
    "aka_vcts text": (ReasonCode.CLAIM_INVALID, _payload(aka_vcts="urn:other")),
    "aka_vcts an object": (ReasonCode.CLAIM_INVALID, _payload(aka_vcts={"urn:other": 1})),
    "aka_vcts null": (ReasonCode.CLAIM_INVALID, _payload(aka_vcts=None)),
    "aka_vcts with the vct": (ReasonCode.CLAIM_INVALID, _payload(aka_vcts=[VCT])),
    "status text": (ReasonCode.STATUS_MALFORMED, _payload(status="valid")),
    "cnf text": (ReasonCode.HOLDER_KEY_INVALID, _payload(cnf="key")),
    "cnf null": (ReasonCode.HOLDER_KEY_INVALID, _payload(cnf=None)),
    **{
        f"RFC 7519 §2 {name} {value!r}": (ReasonCode.CLAIM_INVALID, _payload(**{name: value}))
        for name in ("exp", "nbf", "iat")
        for value in (None, True, str(NOW), [NOW])
    },
}


@pytest.mark.parametrize("case", DEFECTS)
def test_a_credential_with_one_defect_is_refused_for_it(case: str) -> None:
    reason, change = DEFECTS[case]
    assert read(drawn().text()).vct == VCT

    with pytest.raises(Refusal) as refused:
        read(change(drawn()).text())

    assert refused.value.reason is reason


def test_the_former_typ_passes_where_a_caller_allows_it() -> None:
    assert read(drawn({"typ": "vc+sd-jwt"}).text(), allow_former_typ=True).vct == VCT
    with pytest.raises(Refusal):
        read(drawn({"typ": ["vc+sd-jwt"]}).text(), allow_former_typ=True)


def test_further_header_members_are_written_and_ignored() -> None:
    issuer = vc_issuer(SigningIdentity(ISSUER, CHAIN), header={"kid": "1", "x": {"y": 1}})
    text = build_sd_jwt_vc(CLAIMS, issuer=issuer, vct=VCT, holder_jwk=None)

    assert parse_issuer_jwt(parse_sd_jwt(text)).jws.header["kid"] == "1"
    assert read(text).vct == VCT


def test_each_registered_claim_is_read_as_it_stands_and_none_is_made_up() -> None:
    members = {"iss": "https://issuer.example", "iat": NOW, "nbf": NOW + 1, "aka_vcts": ["urn:a", "urn:b"]}
    valid = drawn().with_payload(**members, status=STATUS, **{"vct#integrity": "sha256-AAAA"})

    full = read(valid.text())
    bare = read(replace(valid, payload={"vct": VCT}, disclosures=()).text())

    assert full[1:] == (
        VCT,
        ("urn:a", "urn:b"),
        "sha256-AAAA",
        "https://issuer.example",
        NOW + 86400,
        NOW + 1,
        NOW,
        {"jwk": JWK},
        STATUS,
    )
    assert bare[1:] == (VCT, (), None, None, None, None, None, None, None)


def test_nothing_is_written_that_was_not_given() -> None:
    issuer = vc_issuer(SigningIdentity(ISSUER, CHAIN))

    text = build_sd_jwt_vc({"iat": Sd(NOW)}, issuer=issuer, vct=VCT, holder_jwk=None)

    assert parse_issuer_jwt(parse_sd_jwt(text)).jws.claims().keys() == {"vct", "_sd", "_sd_alg"}
    assert read(text).issued_at == NOW


def test_the_issuers_words_are_its_own_whatever_was_read_beside_them() -> None:
    """Payload, key binding and disclosures are read in one go, or one by one where a disclosure can't be read so."""
    valid = drawn()
    together = parse_sd_jwt(serialize(valid.bound()))
    apart = parse_sd_jwt(valid.with_hidden(b64(b'["salt","tilde","\\u007e"]')).text())
    assert together.texts is not None
    assert apart.texts is None

    assert parse_issuer_jwt(together).jws.claims() == valid.payload
    assert parse_issuer_jwt(apart).jws.claims()["vct"] == VCT
    assert read(serialize(apart)).processed.claims["tilde"] == "~"


@pytest.mark.parametrize(
    ("members", "reason"),
    [
        ({"exp": NOW - 61}, ReasonCode.CREDENTIAL_EXPIRED),
        ({"exp": NOW - 60}, ReasonCode.CREDENTIAL_EXPIRED),
        ({"exp": NOW - 59.5}, None),
        ({"nbf": NOW + 61}, ReasonCode.CREDENTIAL_NOT_YET_VALID),
        ({"nbf": NOW + 60}, None),
        ({"iat": NOW + 60.5}, ReasonCode.CREDENTIAL_NOT_YET_VALID),
        ({"iat": NOW + 60}, None),
        ({"nbf": NOW - 0.5, "exp": NOW + 1e9}, None),
    ],
    ids=str,
)
def test_time_is_judged_with_a_minute_of_skew(members: dict[str, object], reason: ReasonCode | None) -> None:
    credential = read(drawn().with_payload(**members).text())
    if reason is None:
        check_validity(credential, now=NOW)
        return

    with pytest.raises(Refusal) as refused:
        check_validity(credential, now=NOW)

    assert refused.value.reason is reason


def test_a_credential_without_dates_is_valid_at_any_time() -> None:
    credential = read(_without("exp")(drawn()).text())

    for now in (0, NOW, 2**40):
        check_validity(credential, now=now)


@pytest.mark.parametrize(
    ("cnf", "reason"),
    [
        ({"kid": "1"}, ReasonCode.HOLDER_KEY_INVALID),
        ({"jwk": None}, ReasonCode.HOLDER_KEY_INVALID),
        ({"jwk": {**JWK, "d": "AAAA"}}, ReasonCode.HOLDER_KEY_INVALID),
        ({"jwk": {"kty": "oct", "k": "AAAA"}}, ReasonCode.HOLDER_KEY_INVALID),
        ({"jwk": {**JWK, "y": JWK["x"]}}, ReasonCode.HOLDER_KEY_INVALID),
        ({"jwk": {**JWK, "crv": "secp256k1"}}, ReasonCode.HOLDER_KEY_INVALID),
    ],
    ids=["kid", "null", "private", "symmetric", "off the curve", "another curve"],
)
def test_a_holder_key_that_is_none_is_refused(cnf: dict[str, object], reason: ReasonCode) -> None:
    credential = read(drawn().with_payload(cnf=cnf).text())

    with pytest.raises(Refusal) as refused:
        holder_key(credential)

    assert refused.value.reason is reason


def test_a_credential_without_cnf_has_no_holder_key() -> None:
    with pytest.raises(Refusal) as refused:
        holder_key(read(_without("cnf")(drawn()).text()))

    assert refused.value.reason is ReasonCode.HOLDER_KEY_MISSING
