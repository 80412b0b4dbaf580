"""A presentation that a wallet of another house made over OpenID4VP 1.0: believed as it came, and in no other way."""

import json
from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime

import pytest
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509 import load_pem_x509_certificate

from specs.encoding import base64url
from specs.protocols.dcql import parse_dcql
from tests.vectors import vectors_path
from tests.verifier.world import DAY, World
from verifier import (
    AnchorKind,
    CertificateProfile,
    DirectPost,
    Fetched,
    Policy,
    ReasonCode,
    RevocationRule,
    TrustAnchor,
    TrustDomain,
    Verdict,
)
from verifier.verify import Reference, references, verify_presentation

PID = "eu.europa.ec.eudi.pid.1"
NOTHING_FETCHED: Mapping[str, Fetched | None] = {}


@dataclass(frozen=True)
class Real:
    """The presentation, and what it was made for."""

    vp_token: dict[str, list[str]]
    nonce: str
    client_id: str
    binding: DirectPost
    domain: TrustDomain
    now: int

    def judged(self) -> Verdict:
        """The verdict, with nothing fetched."""
        return verify_presentation(
            self.vp_token,
            query=QUERY,
            nonce=self.nonce,
            client_id=self.client_id,
            binding=self.binding,
            trust={("mso_mdoc", PID): (self.domain,)},
            status_lists={},
            policy=Policy(),
            now=self.now,
            revocation=NOTHING_FETCHED,
        )

    def references(self) -> tuple[Reference, ...]:
        """What should be fetched."""
        return references(
            self.vp_token,
            query=QUERY,
            nonce=self.nonce,
            client_id=self.client_id,
            binding=self.binding,
            trust={("mso_mdoc", PID): (self.domain,)},
            now=self.now,
        )


QUERY = parse_dcql(
    {
        "credentials": [
            {
                "id": "pid",
                "format": "mso_mdoc",
                "meta": {"doctype_value": PID},
                "claims": [{"path": [PID, "given_name"]}, {"path": [PID, "family_name"]}],
            }
        ]
    }
)


@pytest.fixture(scope="module")
def real() -> Real:
    published = json.loads(vectors_path("mdoc", "real", "paradym_wallet_openid4vp_1_0.json").read_bytes())
    root = load_pem_x509_certificate(published["issuer_and_root_pem"][-1].encode()).public_bytes(Encoding.DER)
    return Real(
        vp_token={"pid": [base64url.encode(bytes.fromhex(published["device_response_hex"]))]},
        nonce=published["nonce"],
        client_id=published["client_id"],
        binding=DirectPost(published["response_uri"], bytes.fromhex(published["jwk_thumbprint_hex"])),
        domain=TrustDomain(
            name="playground",
            anchors=(TrustAnchor(AnchorKind.CA, root, "root"),),
            revocation=RevocationRule.OFF,
        ),
        now=int(datetime.fromisoformat(published["now"]).timestamp()),
    )


def test_it_is_accepted_as_it_came(real: Real) -> None:
    verdict = real.judged()
    assert (verdict.accepted, verdict.reason) == (True, None)
    assert set(verdict.claims("pid")[PID]) == {"given_name", "family_name"}  # type: ignore[arg-type]  # a JSON object


@pytest.mark.parametrize("rule", list(RevocationRule))
def test_its_signer_names_no_revocation_list_so_that_none_is_demanded(rule: RevocationRule, real: Real) -> None:
    """Only its root names one, and a root is withdrawn by taking it out of the anchors."""
    asking = replace(real, domain=replace(real.domain, revocation=rule))
    assert asking.references() == ()
    assert asking.judged().accepted


def test_the_profile_of_driving_licences_demands_the_list_that_is_not_named(real: Real) -> None:
    """ISO/IEC 18013-5 B.1.4: a document signer of driving licences names a CRL."""
    strict = replace(real, domain=replace(real.domain, profile=CertificateProfile.ISO_MDL))
    assert strict.judged().reason is ReasonCode.CERTIFICATE_PROFILE


def other_root() -> TrustDomain:
    """Somebody else's authority."""
    return World().domain


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"nonce": "LMGPB6k--THpBUSkEBvLxmdMIi3Ee1fjHXXUUzBVa05"}, ReasonCode.DEVICE_AUTHENTICATION_INVALID),
        ({"client_id": "x509_san_dns:playground.animo.ie"}, ReasonCode.DEVICE_AUTHENTICATION_INVALID),
        ({"binding": "response_uri"}, ReasonCode.DEVICE_AUTHENTICATION_INVALID),
        ({"binding": "thumbprint"}, ReasonCode.DEVICE_AUTHENTICATION_INVALID),
        ({"binding": "in clear"}, ReasonCode.DEVICE_AUTHENTICATION_INVALID),
        ({"now": +400 * DAY}, ReasonCode.CERTIFICATE_EXPIRED),
        ({"now": -400 * DAY}, ReasonCode.CERTIFICATE_EXPIRED),
        ({"domain": "other"}, ReasonCode.CERTIFICATE_UNTRUSTED),
        ({"domain": "none"}, ReasonCode.TRUST_NOT_CONFIGURED),
    ],
    ids=str,
)
def test_it_is_refused_in_any_other_way(change: dict[str, str | int], reason: ReasonCode, real: Real) -> None:
    (name, value) = next(iter(change.items()))
    match name, value:
        case "binding", "response_uri":
            other = replace(real, binding=DirectPost(real.binding.response_uri + "0", real.binding.key_thumbprint))
        case "binding", "thumbprint":
            other = replace(real, binding=DirectPost(real.binding.response_uri, bytes(32)))
        case "binding", _:
            other = replace(real, binding=DirectPost(real.binding.response_uri, None))
        case "now", int(seconds):
            other = replace(real, now=real.now + seconds)
        case "domain", "other":
            other = replace(real, domain=other_root())
        case "domain", _:
            other = replace(real, domain=replace(real.domain, anchors=()))
        case "nonce", _:
            other = replace(real, nonce=str(value))
        case _:
            other = replace(real, client_id=str(value))
    assert other.judged().reason is reason
