"""Which modules are mutated: those that decide whether something is accepted."""

from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
PACKAGES = ("specs", "verifier")
TESTS = ("tests/verifier", "tests/specs")
MARKERS = "not long and not race and not fuzz and not browser and not postgres and not interop"

CHECKS = (
    "verifier/verify.py",
    "verifier/check/*.py",
    "verifier/response.py",
    "verifier/receive.py",
    "verifier/expectations.py",
    "verifier/freshness.py",
    "verifier/rules.py",
    "verifier/registered.py",
    "specs/credentials/key_binding.py",
    "specs/credentials/sd_jwt.py",
    "specs/credentials/sd_jwt_vc.py",
    "specs/credentials/mdoc.py",
    "specs/credentials/mdoc_device.py",
    "specs/credentials/mdoc_raw.py",
    "specs/credentials/mdoc_values.py",
    "specs/credentials/session_transcript.py",
    "specs/credentials/status_list.py",
    "specs/credentials/type_metadata.py",
    "specs/keys/cose.py",
    "specs/keys/jose.py",
    "specs/keys/jwe.py",
    "specs/trust/anchors.py",
    "specs/trust/name_constraints.py",
    "specs/trust/ocsp.py",
    "specs/trust/parsed_certificate.py",
    "specs/trust/policies.py",
    "specs/trust/profiles.py",
    "specs/trust/x509.py",
    "specs/protocols/dcql_match.py",
    "specs/protocols/dcql.py",
    "specs/protocols/openid4vp/response.py",
    "specs/protocols/openid4vp/transaction_data.py",
    "specs/protocols/openid4vp/dc_api.py",
    "specs/protocols/dpop.py",
    "specs/protocols/client_attestation.py",
    "specs/protocols/key_attestation.py",
    "specs/protocols/key_proof.py",
    "specs/protocols/jwt_claims.py",
    "specs/protocols/client_assertion.py",
    "specs/encoding/base64url.py",
    "specs/encoding/cbor.py",
    "specs/encoding/json_texts.py",
    "specs/encoding/numeric_date.py",
    "specs/encoding/strict_json.py",
    "specs/trust/registration.py",
    "specs/trust/registration_claims.py",
    "specs/trust/trust_list.py",
)


def modules() -> list[Path]:
    """The files of the scope, in its order."""
    found = [path for pattern in CHECKS for path in sorted(ROOT.glob(pattern))]
    return [path for path in found if path.name != "__init__.py"]
