"""Checks what a wallet presents: a verdict with claims and their origin, or exactly one reason.

`verify_presentation` is pure and stands under everything; `Verifier` asks, receives and remembers around it.
"""

from specs.protocols.dcql import DcqlQuery, parse_dcql
from specs.protocols.openid4vp import ClientIdPrefix, DcApiProtocol, ResponseMode
from specs.refusal import ReasonCode
from specs.trust.x509 import AnchorKind, CertificateProfile, TrustAnchor, anchors_from_pem
from verifier.ask import Choices, Flow, Procedure, RequestWay
from verifier.asynchronous import AsyncVerifier
from verifier.expectations import (
    DcApi,
    DirectPost,
    FailedPresentation,
    Fetched,
    InteractiveAuthorization,
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
from verifier.question import Question, Receipt
from verifier.relying_party import RelyingParty
from verifier.response import OpenedResponse, open_response
from verifier.rules import NotAllowed
from verifier.service import Verifier
from verifier.stores.memory import MemoryStore
from verifier.verdict import AcceptedCredential, Check, Discarded, Refused, Verdict
from verifier.verify import Reference, ReferenceKind, references, verify_presentation

__all__ = [
    "AcceptedCredential",
    "AnchorKind",
    "AsyncVerifier",
    "CertificateProfile",
    "Check",
    "Choices",
    "ClientIdPrefix",
    "DcApi",
    "DcApiProtocol",
    "DcqlQuery",
    "DirectPost",
    "Discarded",
    "FailedPresentation",
    "Fetched",
    "Flow",
    "InteractiveAuthorization",
    "IsoMdocDcApi",
    "Limits",
    "MemoryStore",
    "NotAllowed",
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
    "RequestWay",
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
