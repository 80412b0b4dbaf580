"""What the mint makes is what verifiers read: both formats, claim by claim."""

from datetime import date

import cbor2
import pytest
from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding

from issuer.catalog.claims import check_claims
from issuer.catalog.loader import load_catalog
from issuer.keys.tenant_pki import CredentialSigner
from issuer.minting.window import SignerNotValid, Window, window_for
from specs.credentials import mdoc
from specs.credentials.sd_jwt import parse_sd_jwt
from specs.credentials.sd_jwt_vc import holder_key, parse_issuer_jwt, read_sd_jwt_vc
from specs.encoding import base64url, strict_json
from specs.keys.signer import SigningIdentity, generate_signer
from specs.trust.anchors import AnchorKind, TrustAnchor
from specs.trust.x509 import CertificateProfile, ValidatedPath, validate_path
from tests.issuer.collecting import authorize, collect
from tests.issuer.house import NOW, PASS, PID, House

HOUR = 3600
PID_NAMESPACE, DE_NAMESPACE = "eu.europa.ec.eudi.pid.1", "eu.europa.ec.eudi.pid.de.1"


def believed(house: House, chain: tuple[bytes, ...]) -> ValidatedPath:
    """The chain of a credential, validated to the tenant's root."""
    pem = (house.service.settings.data_dir / "keys" / "leipzig" / "iaca.crt.pem").read_bytes()
    root = x509.load_pem_x509_certificate(pem).public_bytes(Encoding.DER)
    return validate_path(
        chain,
        anchors=[TrustAnchor(AnchorKind.CA, root, "Leipzig")],
        profile=CertificateProfile.EAA,
        now=house.clock(),
    )


async def collected(house: House, configuration: str, *, count: int = 1) -> tuple[list[str], list[object]]:
    """Credentials of a configuration and the public keys they are bound to."""
    kind = configuration.rsplit("-", 2)[0] if configuration.endswith("sd-jwt") else configuration.rsplit("-", 1)[0]
    claims = {"leipzig_pass": PASS, "pid_mock": PID}[kind]
    offer_id = str((await house.offer(credential_types=[kind], claims={kind: claims}))["id"])
    await authorize(house, offer_id, configurations=[configuration])
    _, minted, holders = await collect(house, offer_id, configuration, count=count)
    return minted, [holder.public_key for holder in holders]


@pytest.mark.parametrize(
    ("configuration", "vct"),
    [("leipzig_pass-sd-jwt", "urn:example:leipzig:leipzig_pass:1"), ("pid_mock-sd-jwt", "urn:eudi:pid:de:1")],
)
async def test_an_sd_jwt_vc_says_what_the_city_said(configuration: str, vct: str, house: House) -> None:
    minted, keys = await collected(house, configuration, count=3)
    for text, key in zip(minted, keys, strict=True):
        sd_jwt = parse_sd_jwt(text)
        issuer_jwt = parse_issuer_jwt(sd_jwt)
        path = believed(house, issuer_jwt.chain)
        credential = read_sd_jwt_vc(issuer_jwt, issuer_key=path.leaf_key)
        assert credential.vct == vct
        assert credential.issuer == "http://127.0.0.1:8701/t/leipzig"
        assert holder_key(credential) == key
        assert (credential.not_before, credential.issued_at) == (NOW - NOW % HOUR, NOW - NOW % HOUR)
        said = PASS if "leipzig" in configuration else PID
        assert {name: credential.processed.claims[name] for name in said} == said


async def test_only_the_catalogues_fixed_claims_are_permanent(house: House) -> None:
    minted, _ = await collected(house, "leipzig_pass-sd-jwt")
    payload = strict_json.parse_object(parse_issuer_jwt(parse_sd_jwt(minted[0])).jws.payload)
    assert set(payload) == {
        *("vct", "iss", "iat", "nbf", "exp", "cnf", "status", "_sd", "_sd_alg"),
        *("category", "issuing_authority", "issuing_country"),
    }


async def test_copies_share_no_salt_digest_key_or_status(house: House) -> None:
    minted, _ = await collected(house, "leipzig_pass-sd-jwt", count=5)
    copies = [parse_sd_jwt(text) for text in minted]
    payloads = [strict_json.parse_object(parse_issuer_jwt(copy).jws.payload) for copy in copies]
    assert len({disclosure for copy in copies for disclosure in copy.disclosures}) == 5 * len(PASS)
    for name in ("_sd", "cnf", "status"):
        assert len({strict_json.dumps(payload[name]) for payload in payloads}) == 5


async def test_an_mdoc_carries_the_same_claims_at_their_elements(house: House) -> None:
    minted, keys = await collected(house, "pid_mock-mdoc", count=2)
    for text, key in zip(minted, keys, strict=True):
        issuer_signed = mdoc.parse_issuer_signed(base64url.decode(text))
        path = believed(house, mdoc.issuer_chain(issuer_signed))
        mdoc.verify_issuer_signature(issuer_signed, key=path.leaf_key)
        mso = mdoc.parse_mso(issuer_signed)
        assert mso.doc_type == "eu.europa.ec.eudi.pid.1"
        assert mso.device_key == key
        assert (mso.validity.signed, mso.validity.valid_until) == (NOW - NOW % HOUR, NOW - NOW % HOUR + 14 * 86400)
        elements = mdoc.verify_elements(issuer_signed, mso).claims
        assert elements[PID_NAMESPACE]["birth_date"] == cbor2.CBORTag(1004, "1991-03-07")
        assert elements[PID_NAMESPACE]["place_of_birth"] == {"locality": "WURZEN"}
        assert elements[PID_NAMESPACE]["nationality"] == ["DE"]
        assert elements[PID_NAMESPACE]["resident_postal_code"] == "04109"
        assert elements[PID_NAMESPACE]["issuing_country"] == "DE"
        assert elements[DE_NAMESPACE]["no_place_info"] is False
        assert elements[DE_NAMESPACE]["age_over_18"] is True
        assert elements[DE_NAMESPACE]["academic_title"] == ""
        assert sum(map(len, elements.values())) == 24


def test_every_claim_has_a_place_in_both_formats() -> None:
    for kind in load_catalog(allow_test_types=True).types.values():
        placed = {(claim.name, member and member.name) for _, _, claim, member in kind.elements()}
        for claim in kind.claims:
            whole = (claim.name, None) in placed
            assert whole or claim.name == "category" or all((claim.name, m.name) in placed for m in claim.members)


def signer(*, begins: int, ends: int) -> CredentialSigner:
    """A signer whose certificate covers a time."""
    return CredentialSigner(SigningIdentity(generate_signer(), ()), begins, ends)


def test_times_are_full_hours_within_the_certificate() -> None:
    begun = NOW - NOW % HOUR
    wide = signer(begins=begun, ends=begun + 400 * 86400)
    assert window_for(validity=86400, signer=wide, now=NOW) == Window(begun, begun + 86400)
    short = signer(begins=begun, ends=begun + 5 * HOUR + 10)
    assert window_for(validity=86400, signer=short, now=NOW) == Window(begun, begun + 5 * HOUR)


@pytest.mark.parametrize(("begins", "ends"), [(1, 1000), (0, 1), (-1000, -2)])
def test_a_signer_is_not_used_before_its_first_full_hour_or_at_its_end(begins: int, ends: int) -> None:
    begun = NOW - NOW % HOUR
    with pytest.raises(SignerNotValid):
        window_for(validity=86400, signer=signer(begins=begun + begins, ends=begun + ends * HOUR), now=NOW)


def test_fixed_claims_come_from_the_catalogue() -> None:
    kind = load_catalog().types["leipzig_pass"]
    checked = check_claims(PASS, credential_type=kind, today=date(2026, 11, 24), pointer="/claims/leipzig_pass")
    assert checked == {
        **PASS,
        "category": "leipzig_pass",
        "issuing_authority": "Stadt Leipzig",
        "issuing_country": "DE",
    }
