"""What happens to an answer, step by step, without input or output: open, look up, fetch elsewhere, judge, conclude."""

from collections.abc import Mapping
from dataclasses import dataclass

from specs.protocols.dcql import DcqlQuery
from specs.protocols.openid4vp import SupportedFormats
from specs.refusal import ReasonCode, Refusal
from verifier.ask import Procedure
from verifier.documents import Documents, by_url, revocations, status_lists
from verifier.expectations import DirectPost, Trust
from verifier.outcome import Outcome
from verifier.response import OpenedResponse, open_response
from verifier.transaction import Transaction
from verifier.verdict import refused
from verifier.verify import Reference, ReferenceKind, references, verify_presentation


@dataclass(frozen=True, slots=True)
class Expected:
    """An opened answer together with all that it is judged by."""

    opened: OpenedResponse
    transaction: Transaction
    procedure: Procedure
    client_id: str
    trust: Trust
    announced: SupportedFormats

    @property
    def query(self) -> DcqlQuery:
        """The question as it was asked."""
        return self.procedure.query

    @property
    def binding(self) -> DirectPost:
        """How the answer came."""
        return DirectPost(self.transaction.response_uri, self.opened.key_thumbprint)


def open_answer(
    form: Mapping[str, object],
    *,
    transaction: Transaction,
    procedure: Procedure,
    client_id: str,
    trust: Trust,
    announced: SupportedFormats,
) -> Expected:
    """Open an answer and find it to be this question's: `state` as sent (OpenID4VP §5.3, §8.2).

    announced: the formats and algorithms that the question named.

    Raises:
        Refusal: it does not open, or `state` is missing or another's; the transaction is left untouched.
    """
    key = transaction.response_key
    opened = open_response(form, keys={key.kid: key} if key else {}, expected_mode=procedure.response_mode)
    if opened.state != transaction.wallet_state:
        raise Refusal(ReasonCode.STATE_MISMATCH)
    return Expected(opened, transaction, procedure, client_id, trust, announced)


def wanted(expected: Expected, *, documents: Documents, now: int) -> tuple[Reference, ...]:
    """The documents to fetch before `conclude`, beyond those that are there; now: seconds since the epoch.

    Ask again with what was fetched until nothing is wanted: a type's description names the next one.
    """
    if expected.opened.error is not None:
        return ()
    found = references(
        expected.opened.vp_token,
        query=expected.query,
        nonce=expected.transaction.nonce,
        client_id=expected.client_id,
        binding=expected.binding,
        trust=expected.trust,
        policy=expected.procedure.policy,
        now=now,
        transaction_data=expected.procedure.transaction_data,
        announced=expected.announced,
        type_metadata=by_url(documents, ReferenceKind.TYPE_METADATA),
        status_lists=status_lists(documents),
        revocation=revocations(documents),
    )
    return tuple(reference for reference in found if reference not in documents)


def conclude(expected: Expected, *, documents: Documents, now: int) -> Outcome:
    """Judge the answer with what was fetched; a wallet's error is an outcome too."""
    if expected.opened.error is not None:
        return Outcome(refused(ReasonCode.WALLET_ERROR, "response"), expected.opened.error.error)
    return Outcome(
        verify_presentation(
            expected.opened.vp_token,
            query=expected.query,
            nonce=expected.transaction.nonce,
            client_id=expected.client_id,
            binding=expected.binding,
            trust=expected.trust,
            status_lists=status_lists(documents),
            policy=expected.procedure.policy,
            now=now,
            transaction_data=expected.procedure.transaction_data,
            announced=expected.announced,
            type_metadata=by_url(documents, ReferenceKind.TYPE_METADATA),
            revocation=revocations(documents),
        )
    )
