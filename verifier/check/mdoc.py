"""An mdoc: answered by its device in this session, then signed by who may, valid now, element by element."""

from collections.abc import Sequence
from typing import NamedTuple

from cryptography.hazmat.primitives.asymmetric import ec

from specs.credentials import mdoc
from specs.credentials.mdoc import Document, MdocLimits, Mso
from specs.credentials.mdoc_device import DeviceAuthenticated, all_elements, verify_device_auth
from specs.credentials.mdoc_values import json_value
from specs.encoding import Malformed, base64url
from specs.encoding.strict_json import JsonObject
from specs.keys.cose import ALG, CoseError
from specs.keys.jose import CURVE_OF_ALG, curve_of
from specs.protocols.dcql import MdocMeta, Position
from specs.protocols.openid4vp.metadata import SupportedFormats, cose_alg_announced
from specs.protocols.openid4vp.transaction_data import MdocTransactionType, TransactionData
from specs.refusal import ReasonCode, Refusal
from specs.trust.x509 import MDOC_DOCUMENT_SIGNER_EKU, AnchorKind
from verifier.check.authentic import Authentic
from verifier.check.shape import Presentation
from verifier.check.trust import domains_for, find_path
from verifier.expectations import Policy, Trust, TrustDomain
from verifier.verdict import Check, Refused

_CHECKS = (Check.SIGNATURE, Check.TRUST, Check.VALIDITY, Check.TYPE, Check.DIGESTS, Check.DEVICE_AUTHENTICATION)
_DOCUMENT_SIGNER = frozenset({MDOC_DOCUMENT_SIGNER_EKU})

# the device answered in this session, only what it states itself is not its to state: that refuses its document alone
_THIS_SESSION = frozenset({ReasonCode.DEVICE_CLAIM_NOT_AUTHORIZED, ReasonCode.ELEMENT_REPEATED})


class OpenedMdoc(NamedTuple):
    """An mdoc taken apart whose device authenticated itself for this question."""

    presentation: Presentation
    document: Document
    mso: Mso
    device: DeviceAuthenticated


def open_mdoc(
    presentation: Presentation,
    *,
    limits: MdocLimits,
    session_transcript: bytes,
    mac_key: ec.EllipticCurvePrivateKey | None,
    announced: SupportedFormats,
) -> OpenedMdoc:
    """Read a presentation and check that its device answered this question (ISO/IEC 18013-5 §9.1.3, OpenID4VP §14.1).

    Raises:
        Refused: `where` is "response": the device authentication fails, which refuses the whole answer.
        Refusal: the presentation is misshapen, which refuses it alone.
    """
    try:
        response = mdoc.parse_device_response(base64url.decode(presentation.text), limits=limits)
    except Malformed as error:
        raise mdoc.MdocError(ReasonCode.MDOC_MALFORMED, str(error)) from error
    document = mdoc.sole_document(response)
    mso = mdoc.parse_mso(document.issuer_signed, limits=limits)
    try:
        device = verify_device_auth(
            document, mso, session_transcript=session_transcript, mac_key=mac_key, limits=limits
        )
    except Refusal as error:
        if error.reason in _THIS_SESSION:
            raise
        raise Refused(error.reason, error.detail) from error
    _check_announced(document, device, mso, announced)
    return OpenedMdoc(presentation, document, mso, device)


def authenticate_mdoc(
    opened: OpenedMdoc,
    *,
    trust: Trust,
    policy: Policy,
    transaction_data: Sequence[TransactionData] = (),
    transaction_types: Sequence[MdocTransactionType] = (),
    now: int,
) -> Authentic:
    """Check trust, signature, type, dates, each element against its digest, and a licence's origin, in this order.

    Raises:
        Refusal: `.reason` says which does not hold.
    """
    query = opened.presentation.query
    if not isinstance(query.meta, MdocMeta):
        raise Refused(ReasonCode.FORMAT_MISMATCH)
    requested = query.meta.doctype_value
    document, mso = opened.document, opened.mso
    if document.doc_type != requested:
        raise Refused(ReasonCode.TYPE_MISMATCH, "docType")
    domain, path = find_path(
        mdoc.issuer_chain(document.issuer_signed),
        domains=domains_for(query.format, requested, trust=trust),
        allowed_ekus=_allowed_ekus,
        policy=policy,
        now=now,
    )
    mdoc.verify_issuer_signature(document.issuer_signed, key=path.leaf_key)
    mdoc.check_mso(
        mso,
        expected_doc_type=requested,
        signer_not_before=path.not_before,
        signer_not_after=path.not_after,
        now=now,
        skew=policy.clock_skew,
    )
    issued = mdoc.verify_elements(document.issuer_signed, mso, limits=policy.limits.of_mdoc)
    if requested == mdoc.MDL_DOC_TYPE and path.anchor.kind is not AnchorKind.PINNED_TEST:
        names = path.leaf_names
        mdoc.check_mdl_origin(issued, country=names.country, state_or_province=names.state_or_province)
    device, agreed = _agreed(opened.device, transaction_data, transaction_types)
    elements = all_elements(issued, device)
    claims: JsonObject = {
        name_space: {name: value if type(value) is str else json_value(value) for name, value in members.items()}
        for name_space, members in elements.items()
    }
    disclosed: tuple[Position, ...] = tuple(
        [(name_space, name) for name_space, members in elements.items() for name in members]
    )
    return Authentic(
        presentation=opened.presentation,
        identity=document.issuer_signed.issuer_auth.signature,
        type=requested,
        types=frozenset((requested,)),
        domain=domain,
        path=path,
        tree=claims,
        claims=claims,
        disclosed=disclosed,
        status=mso.status,
        ends=True,
        checks=(*_CHECKS, Check.TRANSACTION_DATA) if agreed else _CHECKS,
        agreed=agreed,
    )


def _allowed_ekus(_domain: TrustDomain) -> frozenset[str]:
    return _DOCUMENT_SIGNER


def _agreed(
    device: DeviceAuthenticated, entries: Sequence[TransactionData], types: Sequence[MdocTransactionType]
) -> tuple[DeviceAuthenticated, frozenset[str]]:
    """Which entries the device confirmed by an element of their type (OpenID4VP §B.2.1), and what else it stated.

    An entry for this credential alone must be among them; one that names several may be another credential's (§5.1).

    Raises:
        Refused: such an entry is missing, its type is not known here, or the element confirms something else.
    """
    if not entries:
        return device, frozenset()
    known = {each.type: each for each in types}
    claims = {name_space: dict(elements) for name_space, elements in device.claims.items()}
    agreed: set[str] = set()
    for of_type in known.values():
        asked = [entry for entry in entries if entry.type == of_type.type]
        stated = claims.get(of_type.name_space, {}).pop(of_type.element, None) if asked else None
        if stated is None:
            continue
        confirmed = [entry.encoded for entry in asked if of_type.value(entry) == stated]
        if not confirmed:
            raise Refused(ReasonCode.TRANSACTION_DATA_MISMATCH)
        agreed.add(confirmed[0])
    if any(len(entry.credential_ids) == 1 and entry.encoded not in agreed for entry in entries):
        raise Refused(ReasonCode.TRANSACTION_DATA_MISMATCH)
    left = {name_space: elements for name_space, elements in claims.items() if elements}
    return device._replace(claims=left), frozenset(agreed)


def _check_announced(document: Document, device: DeviceAuthenticated, mso: Mso, announced: SupportedFormats) -> None:
    formats = announced.mdoc
    issuer_auth = document.issuer_signed.issuer_auth
    alg = issuer_auth.protected_header.get(ALG)
    if formats is None or type(alg) is not int:
        raise CoseError(ReasonCode.ALGORITHM_NOT_ALLOWED, "the format was not announced")
    # `alg` fits the signer's key or its signature fails, so that it names the curve as well
    curve = CURVE_OF_ALG[issuer_auth.alg].name if issuer_auth.alg in CURVE_OF_ALG else "Ed25519"
    if not cose_alg_announced(alg, curve, formats.issuer_auth):
        raise CoseError(ReasonCode.ALGORITHM_NOT_ALLOWED, "not announced")
    if formats.device_auth is None or device.alg is None or device.alg in formats.device_auth:
        return
    key = mso.device_key
    curve = curve_of(key).name if isinstance(key, ec.EllipticCurvePublicKey) else "Ed25519"
    if not cose_alg_announced(device.alg, curve, formats.device_auth):
        raise CoseError(ReasonCode.ALGORITHM_NOT_ALLOWED, "device authentication, not announced")
