"""Checks what a wallet presents: a verdict with claims and their origin, or exactly one reason.

`verify_presentation` is pure and stands under everything; `Verifier` asks, receives and remembers around it.
"""

from specs.protocols.dcql import DcqlQuery, parse_dcql
from specs.refusal import ReasonCode
from specs.trust.x509 import AnchorKind, CertificateProfile, TrustAnchor, anchors_from_pem
from verifier.expectations import (
    DcApi,
    DirectPost,
    FailedPresentation,
    Fetched,
    IsoMdocDcApi,
    Limits,
    OverDisclosure,
    Policy,
    Proximity,
    RevocationRule,
    SameClaim,
    StatusRule,
    TrustDomain,
)
from verifier.response import OpenedResponse, ResponseMode, open_response
from verifier.verdict import AcceptedCredential, Check, Discarded, Refused, Verdict
from verifier.verify import Reference, ReferenceKind, references, verify_presentation

__all__ = [
    "AcceptedCredential",
    "AnchorKind",
    "CertificateProfile",
    "Check",
    "DcApi",
    "DcqlQuery",
    "DirectPost",
    "Discarded",
    "FailedPresentation",
    "Fetched",
    "IsoMdocDcApi",
    "Limits",
    "OpenedResponse",
    "OverDisclosure",
    "Policy",
    "Proximity",
    "ReasonCode",
    "Reference",
    "ReferenceKind",
    "Refused",
    "ResponseMode",
    "RevocationRule",
    "SameClaim",
    "StatusRule",
    "TrustAnchor",
    "TrustDomain",
    "Verdict",
    "anchors_from_pem",
    "open_response",
    "parse_dcql",
    "references",
    "verify_presentation",
]
