"""An SD-JWT VC: bound to this question, then signed by who may, valid now, and shown by its holder."""

from collections.abc import Callable, Mapping, Sequence
from typing import NamedTuple

from specs.credentials import key_binding as kb
from specs.credentials import sd_jwt_vc as vc
from specs.credentials.key_binding import KeyBinding
from specs.credentials.sd_jwt import Limits as SdJwtLimits
from specs.credentials.sd_jwt import SdJwt, parse_sd_jwt
from specs.keys.jose import JoseError
from specs.protocols.dcql import FORMAT_SD_JWT_VC, SdJwtVcMeta
from specs.protocols.openid4vp.metadata import SupportedFormats, jose_alg_announced
from specs.protocols.openid4vp.transaction_data import DEFAULT_HASH, TransactionData, hash_transaction_data
from specs.refusal import ReasonCode, Refusal
from specs.trust.x509 import ValidatedPath
from verifier.check.authentic import Authentic
from verifier.check.shape import Presentation
from verifier.check.trust import domains_for, find_path
from verifier.check.types import TypeMetadataMissing
from verifier.expectations import Policy, Trust, TrustDomain
from verifier.verdict import Check, Refused

_BOUND = (Check.SIGNATURE, Check.TRUST, Check.VALIDITY, Check.TYPE, Check.KEY_BINDING)
_BOUND_TO_TRANSACTION = (*_BOUND, Check.TRANSACTION_DATA)
_UNBOUND = (Check.SIGNATURE, Check.TRUST, Check.VALIDITY, Check.TYPE)

TypesOf = Callable[[vc.SdJwtVc], frozenset[str]]
"""The types that a credential is of: its own and those it extends by trusted type metadata."""


class OpenedSdJwt(NamedTuple):
    """An SD-JWT taken apart whose key binding, if it can be read, is for this question."""

    presentation: Presentation
    sd_jwt: SdJwt
    issuer_jwt: vc.IssuerJwt
    key_binding: KeyBinding | None


def open_sd_jwt(
    presentation: Presentation,
    *,
    limits: SdJwtLimits,
    expected_nonce: str,
    expected_audience: str,
    announced: SupportedFormats,
    allow_former_typ: bool,
) -> OpenedSdJwt:
    """Read a presentation and compare its key binding with the question (RFC 9901 §7.3 step 5f, OpenID4VP §14.1).

    Raises:
        Refused: `where` is "response": the key binding is another question's, which refuses the whole answer.
        Refusal: the presentation is misshapen, which refuses it alone.
    """
    sd_jwt = parse_sd_jwt(presentation.text, limits=limits)
    bound: KeyBinding | None = None
    if sd_jwt.parts[-1]:
        bound = kb.parse_key_binding(sd_jwt, limits=limits)
        try:
            kb.check_addressee(bound, expected_nonce=expected_nonce, expected_audience=expected_audience)
        except Refusal as error:
            raise Refused(error.reason, error.detail) from error
    issuer_jwt = vc.parse_issuer_jwt(sd_jwt, allow_former_typ=allow_former_typ)
    formats = announced.sd_jwt
    if formats is None or not jose_alg_announced(issuer_jwt.jws.alg, formats.issuer):
        raise JoseError(ReasonCode.ALGORITHM_NOT_ALLOWED, "not announced")
    if bound is not None and not jose_alg_announced(bound.jws.alg, formats.key_binding):
        raise JoseError(ReasonCode.ALGORITHM_NOT_ALLOWED, "key binding, not announced")
    return OpenedSdJwt(presentation, sd_jwt, issuer_jwt, bound)


def authenticate_sd_jwt(
    opened: OpenedSdJwt,
    *,
    trust: Trust,
    policy: Policy,
    limits: SdJwtLimits,
    expected_nonce: str,
    expected_audience: str,
    transaction_data: Sequence[TransactionData],
    types_of: TypesOf,
    now: int,
) -> Authentic:
    """Check trust, signature, disclosures, type, dates, holder and what the holder agreed to, in this order.

    Raises:
        Refusal: `.reason` says which does not hold.
    """
    meta = opened.presentation.query.meta
    if not isinstance(meta, SdJwtVcMeta):
        raise Refused(ReasonCode.FORMAT_MISMATCH)
    failure: Refusal | None = None
    for requested in _candidates(opened, meta, limits):
        try:
            believed = _believe(
                opened, requested, trust=trust, policy=policy, limits=limits, types_of=types_of, now=now
            )
            break
        except TypeMetadataMissing as error:
            failure = error  # what can be had decides; a type that does not fit anyway may not hide it
        except Refusal as error:
            failure = failure or error
    else:
        raise failure or Refused(ReasonCode.TYPE_MISMATCH, "vct")
    credential = believed.credential
    agreed = _check_holder(
        opened,
        credential,
        policy=policy,
        expected_nonce=expected_nonce,
        expected_audience=expected_audience,
        transaction_data=transaction_data,
        now=now,
    )
    processed = credential.processed
    return Authentic(
        presentation=opened.presentation,
        identity=opened.sd_jwt.parts[0],
        type=credential.vct,
        types=believed.types,
        domain=believed.domain,
        path=believed.path,
        tree=processed.issued,
        claims=processed.claims,
        disclosed=processed.places,
        status=credential.status,
        ends=credential.expires_at is not None,
        checks=_UNBOUND if opened.key_binding is None else _BOUND_TO_TRANSACTION if agreed else _BOUND,
        agreed=agreed,
    )


def _candidates(opened: OpenedSdJwt, meta: SdJwtVcMeta, limits: SdJwtLimits) -> tuple[str, ...]:
    """The requested types to judge by: the one the credential says it is of, else each, for it may extend one of them.

    What it says decides nothing: it is read again once the signature of that type's domain holds.
    """
    if len(meta.vct_values) > 1:
        claimed = opened.issuer_jwt.jws.claims(max_depth=limits.max_json_depth).get("vct")
        if claimed in meta.vct_values:
            return (str(claimed),)
    return meta.vct_values


def _allowed_ekus(domain: TrustDomain) -> frozenset[str] | None:
    return domain.sd_jwt_ekus


class _Believed(NamedTuple):
    credential: vc.SdJwtVc
    types: frozenset[str]
    domain: TrustDomain
    path: ValidatedPath


def _believe(
    opened: OpenedSdJwt,
    requested: str,
    *,
    trust: Trust,
    policy: Policy,
    limits: SdJwtLimits,
    types_of: TypesOf,
    now: int,
) -> _Believed:
    """Judge trust, signature, disclosures, dates and type as those who speak for one requested type would have them."""
    domain, path = find_path(
        opened.issuer_jwt.chain,
        domains=domains_for(FORMAT_SD_JWT_VC, requested, trust=trust),
        allowed_ekus=_allowed_ekus,
        policy=policy,
        now=now,
    )
    credential = vc.read_sd_jwt_vc(opened.issuer_jwt, issuer_key=path.leaf_key, limits=limits)
    vc.check_validity(credential, now=now, skew=policy.clock_skew)
    types = frozenset((credential.vct,)) if credential.vct == requested else types_of(credential)
    if requested not in types:
        raise Refused(ReasonCode.TYPE_MISMATCH, "vct")
    return _Believed(credential, types, domain, path)


def _check_holder(
    opened: OpenedSdJwt,
    credential: vc.SdJwtVc,
    *,
    policy: Policy,
    expected_nonce: str,
    expected_audience: str,
    transaction_data: Sequence[TransactionData],
    now: int,
) -> frozenset[str]:
    """Check the holder's proof; the transaction data that it binds."""
    # policy decides before looking whether a proof is needed (RFC 9901 §7.3 step 1); one that is there must hold
    bound = opened.key_binding
    if bound is None:
        if opened.presentation.query.require_cryptographic_holder_binding:
            raise Refused(ReasonCode.KEY_BINDING_MISSING)
        if any(len(entry.credential_ids) == 1 for entry in transaction_data):
            raise Refused(ReasonCode.TRANSACTION_DATA_MISMATCH)
        return frozenset()
    kb.verify_key_binding(
        bound,
        holder_key=vc.holder_key(credential),
        hashed_part=opened.sd_jwt.hashed_part,
        sd_alg=credential.processed.sd_alg,
        expected_nonce=expected_nonce,
        expected_audience=expected_audience,
        now=now,
        max_age=policy.key_binding_max_age,
        skew=policy.clock_skew,
    )
    return _agreed(bound.claims, transaction_data) if transaction_data else frozenset()


def _agreed(claims: Mapping[str, object], entries: Sequence[TransactionData]) -> frozenset[str]:
    """Which entries the key binding carries, by their hashes in the order in which they were sent (OpenID4VP §B.3.3.1).

    An entry for this credential alone must be among them; one that names several may be another credential's (§5.1).

    Raises:
        Refused: such an entry is missing, or there is a hash of something else, in another order or by another
        algorithm.
    """
    alone = [entry for entry in entries if len(entry.credential_ids) == 1]
    if "transaction_data_hashes" not in claims and not alone:
        return frozenset()
    alg = claims.get("transaction_data_hashes_alg", DEFAULT_HASH)
    hashes = claims.get("transaction_data_hashes")
    if not isinstance(alg, str) or not isinstance(hashes, list):
        raise Refused(ReasonCode.TRANSACTION_DATA_MISMATCH)
    try:
        carried = [entry for entry in entries if hash_transaction_data(entry.encoded, alg=alg) in hashes]
        expected = [hash_transaction_data(entry.encoded, alg=alg) for entry in carried]
    except ValueError as error:
        raise Refused(ReasonCode.TRANSACTION_DATA_MISMATCH, "algorithm") from error
    for entry in carried:
        offered = entry.hash_algs
        if alg not in (offered or (DEFAULT_HASH,)) or (offered and "transaction_data_hashes_alg" not in claims):
            raise Refused(ReasonCode.TRANSACTION_DATA_MISMATCH, "algorithm")
    if hashes != expected or any(entry not in carried for entry in alone):
        raise Refused(ReasonCode.TRANSACTION_DATA_MISMATCH)
    return frozenset(entry.encoded for entry in carried)
