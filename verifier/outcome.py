"""A verdict at rest: what lies sealed between the wallet's answer and the asker who fetches it."""

import json
from dataclasses import dataclass

from specs.refusal import ReasonCode
from specs.trust.x509 import AnchorKind
from verifier.verdict import AcceptedCredential, Check, Discarded, Verdict


@dataclass(frozen=True, slots=True)
class Outcome:
    """How a transaction ended: a verdict, with the wallet's own words if it declined."""

    verdict: Verdict
    wallet_error: str | None = None


def outcome_to_bytes(outcome: Outcome) -> bytes:
    """Write an outcome as JSON."""
    verdict = outcome.verdict
    return json.dumps(
        {
            "accepted": verdict.accepted,
            "reason": verdict.reason,
            "where": verdict.where,
            "credentials": [
                {
                    "query_id": credential.query_id,
                    "format": credential.format,
                    "type": credential.type,
                    "issuer": credential.issuer,
                    "trust_domain": credential.trust_domain,
                    "anchor": credential.anchor,
                    "anchor_kind": credential.anchor_kind,
                    "checks": list(credential.checks),
                    "claims": credential.claims,
                    "issuer_id": credential.issuer_id,
                }
                for credential in verdict.credentials
            ],
            "discarded": [[entry.query_id, entry.position, entry.reason] for entry in verdict.discarded],
            "over_disclosed": list(verdict.over_disclosed),
            "unneeded": list(verdict.unneeded),
            "wallet_error": outcome.wallet_error,
        }
    ).encode()


def outcome_from_bytes(data: bytes) -> Outcome:
    """Read what `outcome_to_bytes` wrote."""
    found = json.loads(data)
    return Outcome(
        Verdict(
            accepted=found["accepted"],
            credentials=tuple(
                AcceptedCredential(
                    **{
                        **credential,
                        "anchor_kind": AnchorKind(credential["anchor_kind"]),
                        "checks": tuple(Check(check) for check in credential["checks"]),
                    }
                )
                for credential in found["credentials"]
            ),
            reason=None if found["reason"] is None else ReasonCode(found["reason"]),
            where=found["where"],
            discarded=tuple(Discarded(name, at, ReasonCode(reason)) for name, at, reason in found["discarded"]),
            over_disclosed=tuple(found["over_disclosed"]),
            unneeded=tuple(found["unneeded"]),
        ),
        found["wallet_error"],
    )
