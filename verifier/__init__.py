"""Checks what a wallet presents: a verdict with claims and their origin, or exactly one reason.

`verify_presentation` is pure and stands under everything; `Verifier` asks, receives and remembers around it.
"""

from specs.protocols.dcql import DcqlQuery, parse_dcql
from specs.protocols.openid4vp import ResponseMode
from specs.refusal import ReasonCode
from specs.trust.x509 import AnchorKind, CertificateProfile, TrustAnchor, anchors_from_pem
from verifier.ask import Flow, Procedure
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
from verifier.outcome import Outcome
from verifier.request import RelyingParty
from verifier.response import OpenedResponse, open_response
from verifier.service import AsyncVerifier, Question, Receipt, Verifier
from verifier.transaction import MemoryStore
from verifier.verdict import AcceptedCredential, Check, Discarded, Refused, Verdict
from verifier.verify import Reference, ReferenceKind, references, verify_presentation

__all__ = [
    "AcceptedCredential",
    "AnchorKind",
    "AsyncVerifier",
    "CertificateProfile",
    "Check",
    "DcApi",
    "DcqlQuery",
    "DirectPost",
    "Discarded",
    "FailedPresentation",
    "Fetched",
    "Flow",
    "IsoMdocDcApi",
    "Limits",
    "MemoryStore",
    "OpenedResponse",
    "Outcome",
    "OverDisclosure",
    "Policy",
    "Procedure",
    "Proximity",
    "Question",
    "ReasonCode",
    "Receipt",
    "Reference",
    "ReferenceKind",
    "Refused",
    "RelyingParty",
    "ResponseMode",
    "RevocationRule",
    "SameClaim",
    "StatusRule",
    "TrustAnchor",
    "TrustDomain",
    "Verdict",
    "Verifier",
    "anchors_from_pem",
    "open_response",
    "parse_dcql",
    "references",
    "verify_presentation",
]
