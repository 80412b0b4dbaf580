"""The examples printed in OpenID4VCI 1.0: all are read; signatures are checked where the key is printed too.

Not verified: `credential_response_sd_jwt_vc.txt` names a key (`doc-signer-05-25-2022`) that is printed nowhere, the
mdoc of `credential_response_mso_mdoc.txt` is shortened by dots, and the proof of `credential_response_ldp_vc.txt` is a
data integrity proof, which no profile of ours uses. `credential_request_iso_mdl.json` is in the form of an older draft
and must be refused.
"""

import re
from pathlib import Path

import pytest

from specs.encoding import base64url, strict_json
from specs.keys.jose import parse_jwk, parse_jws, parse_x5c, verify_jws
from specs.keys.signer import generate_signer
from specs.protocols.client_attestation import (
    ATTESTATION_TYP,
    build_client_attestation_pop,
    verify_client_attestation,
)
from specs.protocols.credential_offer import TxCode, parse_credential_offer
from specs.protocols.issuer_metadata import (
    build_issuer_metadata,
    parse_configuration,
    parse_issuer_metadata,
    verify_signed_metadata,
)
from specs.protocols.key_attestation import KeyAttestationRequirements
from specs.protocols.oauth import OAuthError
from specs.protocols.openid4vci import (
    IssuedCredentials,
    build_authorization_detail,
    parse_authorization_details,
    parse_credential_answer,
    parse_credential_request,
)
from specs.trust.x509 import AnchorKind, TrustAnchor
from tests.vectors import vectors_path

ISSUER = "https://credential-issuer.example.com"
WHEN_PRINTED = 1_755_050_000  # within the dates of both printed certificates


def _folder() -> Path:
    return vectors_path("openid4vci")


def _joined(name: str) -> str:
    """A printed text without its line breaks and indents, which fall into the middle of values."""
    return re.sub(r"\n\s*", "", (_folder() / name).read_text())


def _body(name: str) -> bytes:
    """The body of a printed HTTP answer."""
    text = (_folder() / name).read_text()
    return re.sub(r"\n\s*", "", text[text.index("{") :]).encode()


def _pinned(token: str) -> tuple[TrustAnchor, ...]:
    """The printed certificates are self-signed; they are trusted as what they are, test certificates."""
    header = strict_json.parse_object(base64url.decode(token.partition(".")[0]))
    return (TrustAnchor(AnchorKind.PINNED_TEST, parse_x5c(header)[0], "printed"),)


def test_every_printed_file_is_looked_at_here() -> None:
    source = Path(__file__).read_text()

    unread = [path.name for path in _folder().iterdir() if path.stem.split(".")[0] not in source]

    assert not [name for name in unread if not name.startswith(("authorization_details", "credential_metadata"))]


def test_authorization_details_are_read_and_written_back() -> None:
    files = sorted(_folder().glob("authorization_details*.json"))

    assert len(files) == 7
    for path in files:
        printed = strict_json.parse(path.read_bytes())
        assert isinstance(printed, list)
        objects = [value for value in printed if isinstance(value, dict)]
        details = parse_authorization_details(objects, credential_issuer=ISSUER)
        assert [build_authorization_detail(detail) for detail in details] == printed


def test_configurations_of_all_formats_are_read() -> None:
    files = sorted(_folder().glob("credential_metadata_*.json"))

    assert len(files) == 4
    for path in files:
        entries = strict_json.parse_object(path.read_bytes())["credential_configurations_supported"]
        assert isinstance(entries, dict)
        for entry in entries.values():
            assert parse_configuration(entry).claims


def test_long_metadata_is_read_and_written_back() -> None:
    data = (_folder() / "credential_issuer_metadata_sd_jwt_long.json").read_bytes()

    metadata = parse_issuer_metadata(data, expected_issuer=ISSUER)

    configuration = metadata.configurations["SD_JWT_VC_example_in_OpenID4VCI"]
    levels = KeyAttestationRequirements(("iso_18045_moderate",), ("iso_18045_moderate",))
    assert configuration.proof_types["jwt"].key_attestations == levels
    assert metadata.batch_size == 10
    assert metadata.request_encryption is not None
    assert metadata.request_encryption.required
    assert build_issuer_metadata(metadata) == strict_json.parse_object(data)


def test_signed_metadata_verifies() -> None:
    token = _joined("credential_issuer_metadata_sd_jwt_jwt.txt")

    metadata = verify_signed_metadata(token, expected_issuer=ISSUER, anchors=_pinned(token), now=WHEN_PRINTED)

    assert metadata.authorization_servers == ("https://server.example.com",)


@pytest.mark.parametrize(
    ("name", "tx_code"),
    [
        ("credential_offer_authz_code.txt", None),
        ("credential_offer_by_reference.json", TxCode()),
        (
            "credential_offer_multiple_credentials.json",
            TxCode("numeric", 4, "Please provide the one-time code that was sent via e-mail"),
        ),
        (
            "credential_offer_pre-authz_code.json",
            TxCode(description="Please provide the one-time code which was sent to your mobile phone via SMS"),
        ),
    ],
)
def test_offers_are_read(name: str, tx_code: TxCode | None) -> None:
    offer = parse_credential_offer(_body(name))

    assert offer.credential_issuer == ISSUER
    grant = offer.pre_authorized_code
    assert (None if grant is None else grant.tx_code) == tx_code
    assert (offer.authorization_code is None) == (tx_code is not None)


def test_request_of_an_older_draft_is_refused() -> None:
    with pytest.raises(OAuthError, match="invalid_credential_request"):
        parse_credential_request((_folder() / "credential_request_iso_mdl.json").read_bytes())


@pytest.mark.parametrize("name", ["jwt_vc_json", "ldp_vc", "mso_mdoc", "sd_jwt_vc"])
def test_answers_are_read(name: str) -> None:
    answer = parse_credential_answer(_body(f"credential_response_{name}.txt"))

    assert isinstance(answer, IssuedCredentials)
    assert len(answer.credentials) == 1


def test_printed_credential_verifies_with_the_printed_key() -> None:
    jwks = strict_json.parse_object(_joined("issuer_jwks.json"))["jwks"]
    assert isinstance(jwks, dict)
    keys = jwks["keys"]
    assert isinstance(keys, list)
    key = keys[0]
    assert isinstance(key, dict)
    answer = parse_credential_answer(_body("credential_response_jwt_vc_json.txt"))
    assert isinstance(answer, IssuedCredentials)

    jws = parse_jws(str(answer.credentials[0]), expected_typ="JWT")

    assert jws.header["kid"] == key["kid"]
    verify_jws(jws, parse_jwk(key))


def test_wallet_attestation_verifies_and_lacks_only_its_proof_of_possession() -> None:
    token = _joined("wallet_attestation.jwt.txt")
    anchors = _pinned(token)
    pop = build_client_attestation_pop(
        signer=generate_signer(), client_id="https://wallet.example.com", audience=ISSUER, now=WHEN_PRINTED
    )
    assert parse_jws(token, expected_typ=ATTESTATION_TYP).claims()["sub"] == "https://wallet.example.com"

    with pytest.raises(OAuthError, match="signature_invalid") as refused:
        verify_client_attestation([token], [pop], anchors=anchors, expected_audience=ISSUER, now=WHEN_PRINTED)

    assert refused.value.error == "invalid_client_attestation"
