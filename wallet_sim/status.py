"""Is a credential in the wallet still good? Its dates, and its status list as the issuer publishes it now (§8.3)."""

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from enum import StrEnum

from cryptography.hazmat.primitives.asymmetric import rsa

from specs.credentials import mdoc
from specs.credentials.sd_jwt_vc import read_claims
from specs.credentials.signed_list import check_list_dates
from specs.credentials.status_list import (
    Status,
    StatusListToken,
    StatusMediaType,
    StatusReference,
    parse_status_list_cwt,
    parse_status_list_jwt,
    parse_status_reference,
    verify_status_list,
)
from specs.encoding import Malformed
from specs.refusal import Refusal
from specs.trust.parsed_certificate import parse_certificate
from specs.trust.x509 import CertificateProfile, TrustAnchor, validate_path
from wallet_sim.presentation import HeldSdJwt, held
from wallet_sim.store import StoredCredential
from wallet_sim.transport import Transport, WalletFailure


class CredentialState(StrEnum):
    """What the wallet knows about a credential right now."""

    GOOD = "good"
    REVOKED = "revoked"
    SUSPENDED = "suspended"
    EXPIRED = "expired"
    NOT_YET_VALID = "not_yet_valid"
    UNKNOWN = "unknown"  # there is a list, and no answer that can be believed


@dataclass(frozen=True, slots=True)
class _Facts:
    begins: float
    ends: float
    status: object


@dataclass
class StatusReader:
    """Looks credentials up for one occasion, each list once. anchors: of those who sign lists; none: whoever does."""

    transport: Transport
    anchors: Sequence[TrustAnchor] = ()
    clock: Callable[[], float] = time.time
    _lists: dict[str, StatusListToken] = field(default_factory=dict)

    def state(self, stored: StoredCredential) -> CredentialState:
        """What is known about a credential; silence is `UNKNOWN`."""
        now = self.clock()
        try:
            facts = _facts(stored)
            if facts.ends <= now:
                return CredentialState.EXPIRED
            if facts.begins > now:
                return CredentialState.NOT_YET_VALID
            if facts.status is None:
                return CredentialState.GOOD
            reference = parse_status_reference(facts.status)
            state = self._list(reference).statuses[reference.idx]
        except (Refusal, Malformed, WalletFailure, ValueError):
            return CredentialState.UNKNOWN
        return {
            int(Status.VALID): CredentialState.GOOD,
            int(Status.INVALID): CredentialState.REVOKED,
            int(Status.SUSPENDED): CredentialState.SUSPENDED,
        }.get(int(state), CredentialState.UNKNOWN)

    def _list(self, reference: StatusReference) -> StatusListToken:
        now = self.clock()
        if reference.uri in self._lists:
            return self._lists[reference.uri]
        answer = self.transport.get(reference.uri, accept=f"{StatusMediaType.JWT}, {StatusMediaType.CWT};q=0.9")
        if not answer.is_good:
            raise WalletFailure(f"the status list was refused with status {answer.status}")
        is_cwt = answer.media_type == StatusMediaType.CWT
        signed = parse_status_list_cwt(answer.body) if is_cwt else parse_status_list_jwt(answer.body)
        if self.anchors:
            path = validate_path(signed.chain, anchors=self.anchors, profile=CertificateProfile.STATUS, now=int(now))
            key = path.leaf_key
        else:
            leaf = parse_certificate(signed.chain[0])
            if isinstance(leaf.key, rsa.RSAPublicKey):
                raise WalletFailure("the status list is signed with a kind of key that is not used for that")
            key = leaf.key
        token = verify_status_list(signed, expected_uri=reference.uri, key=key, now=int(now))
        check_list_dates(token, now=int(now))
        self._lists[reference.uri] = token
        return token


def _facts(stored: StoredCredential) -> _Facts:
    credential = held(stored)
    if isinstance(credential, HeldSdJwt):
        claims = read_claims(credential.processed)
        begins, ends = claims.not_before or 0, claims.expires_at or float("inf")
        return _Facts(float(begins), float(ends), claims.status)
    mso = mdoc.parse_mso(credential.issuer_signed)
    return _Facts(float(mso.validity.valid_from), float(mso.validity.valid_until), mso.status)
