"""`stadtnachweis verifier certificates`: what is wrong with our own certificates, or will be soon."""

import argparse
import json
import sys
import time
from dataclasses import asdict
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding

from specs.encoding import Malformed
from specs.keys.jose import JoseError
from specs.keys.signer import SigningIdentity, load_signer
from specs.protocols.dcql import DcqlError, parse_dcql
from specs.protocols.openid4vp import VerifierInfo
from specs.trust.registration import INFO_FORMAT
from specs.trust.x509 import AnchorKind, CertificateError, TrustAnchor, anchors_from_pem
from verifier.ask import Procedure
from verifier.registered import Severity, findings
from verifier.relying_party import RelyingParty

FINE, ERRORS, USAGE = 0, 1, 2
_DESCRIPTION = """\
Look at the access certificate and, with a question, at its registration certificate: key, dates, profile, path, and
whether the question asks for more than is registered. Findings are printed as JSON. Exit status: 0 no errors (warnings
tell what ends soon), 1 errors, 2 a file cannot be used. Run it daily.
"""


def register(commands: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """Add the sub-command `certificates`."""
    parser = commands.add_parser("certificates", help="watch our own certificates", description=_DESCRIPTION)
    parser.add_argument("--key", type=Path, required=True, metavar="PEM", help="key of the access certificate")
    parser.add_argument("--access", type=Path, required=True, metavar="PEM", help="access certificate and its issuers")
    parser.add_argument("--access-anchors", type=Path, metavar="PEM", help="roots that wallets believe for it")
    parser.add_argument("--query", type=Path, metavar="FILE", help="a question (DCQL, JSON)")
    parser.add_argument("--registration", type=Path, metavar="FILE", help="its registration certificate (JWT)")
    parser.add_argument("--registrar-anchors", type=Path, metavar="PEM", help="roots that wallets believe for that")
    parser.set_defaults(run=_certificates)


def _certificates(arguments: argparse.Namespace) -> int:
    if (arguments.query is None) != (arguments.registration is None):
        print("stadtnachweis: --query and --registration belong together", file=sys.stderr)
        return USAGE
    try:
        chain = x509.load_pem_x509_certificates(arguments.access.read_bytes())
        identity = SigningIdentity(
            load_signer(arguments.key.read_bytes()), tuple(each.public_bytes(Encoding.DER) for each in chain)
        )
        procedures: dict[str, Procedure] = {}
        if arguments.query is not None:
            info = VerifierInfo(INFO_FORMAT, arguments.registration.read_text().strip())
            query = parse_dcql(arguments.query.read_bytes())
            procedures["question"] = Procedure("question", query, verifier_info=(info,))
        found = findings(
            RelyingParty(identity),
            procedures,
            now=int(time.time()),
            access_anchors=_anchors(arguments.access_anchors),
            registrar_anchors=_anchors(arguments.registrar_anchors),
        )
    except (OSError, ValueError, JoseError, DcqlError, CertificateError, Malformed) as error:
        print(f"stadtnachweis: {error}", file=sys.stderr)
        return USAGE
    print(json.dumps([asdict(each) for each in found], indent=2, ensure_ascii=False))
    return ERRORS if any(each.severity is Severity.ERROR for each in found) else FINE


def _anchors(path: Path | None) -> tuple[TrustAnchor, ...]:
    return () if path is None else anchors_from_pem(path.read_bytes(), kind=AnchorKind.CA, name=path.name)
