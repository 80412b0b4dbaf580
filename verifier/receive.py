"""What happens to an answer, step by step, without input or output: open, look up, fetch elsewhere, judge, conclude."""

from collections.abc import Mapping
from dataclasses import dataclass, replace

from specs.keys.jwe import DecryptionKey
from specs.protocols.dcql import DcqlQuery
from specs.protocols.openid4vp import DcApiProtocol, SupportedFormats
from specs.protocols.openid4vp.request import IA_MODES
from specs.refusal import ReasonCode, Refusal
from verifier.ask import Procedure
from verifier.documents import Documents, by_url, revocations, status_lists
from verifier.expectations import DcApi, DirectPost, InteractiveAuthorization, IsoMdocDcApi, Trust
from verifier.iso_mdoc import open_iso_mdoc_response
from verifier.outcome import Outcome
from verifier.response import OpenedResponse, open_dc_api_response, open_response
from verifier.transaction import Transaction
from verifier.verdict import refused
from verifier.verify import Judge, Reference, ReferenceKind


@dataclass(frozen=True, slots=True)
class Expected:
    """An opened answer together with all that it is judged by.

    binding: how the answer came. procedure: with the question's choices applied.
    """

    opened: OpenedResponse
    transaction: Transaction
    procedure: Procedure
    binding: DirectPost | DcApi | InteractiveAuthorization | IsoMdocDcApi
    trust: Trust
    announced: SupportedFormats

    @property
    def query(self) -> DcqlQuery:
        """The question as it was asked."""
        return self.procedure.query

    @property
    def client_id(self) -> str | None:
        """Whom the answer is for, as the question named itself; None over the browser's API."""
        return self.transaction.client_id


def open_answer(
    form: Mapping[str, object],
    *,
    transaction: Transaction,
    procedure: Procedure,
    trust: Trust,
    announced: SupportedFormats,
) -> Expected:
    """Open an answer and find it to be this question's: `state` as sent (OpenID4VP §5.3, §8.2).

    announced: the formats and algorithms that the question named.

    Raises:
        Refusal: it does not open, or `state` is missing or another's; the transaction is left untouched.
    """
    opened = open_response(form, keys=_keys(transaction), expected_mode=procedure.response_mode)
    if opened.state != transaction.wallet_state:
        raise Refusal(ReasonCode.STATE_MISMATCH)
    binding = DirectPost(transaction.response_uri, opened.key_thumbprint)
    return Expected(opened, transaction, procedure, binding, trust, announced)


def open_dc_api_answer(
    response: Mapping[str, object],
    *,
    origin: str,
    transaction: Transaction,
    procedure: Procedure,
    trust: Trust,
    announced: SupportedFormats,
) -> Expected:
    """Open an answer that came to a page of ours through the browser's API (OpenID4VP §A.4; ISO/IEC TS 18013-7 C.3),
    or to an authorization server that asked in the same form.

    origin: of that page, as its browser says, compared as plain text.

    Raises:
        Refusal: it does not open, came to another page, or by another protocol; the transaction is left untouched.
    """
    if origin not in procedure.origins:
        raise Refusal(ReasonCode.AUDIENCE_MISMATCH, "a page of another origin")
    exchange = transaction.mdoc_exchange
    if exchange is not None and response.get("protocol") == DcApiProtocol.ISO_MDOC:
        opened, answered = open_iso_mdoc_response(
            response,
            exchange=exchange,
            origin=origin,
            query=procedure.query,
            limits=procedure.policy.limits.of_mdoc,
        )
        by_iso = IsoMdocDcApi(exchange.encryption_info, origin)
        procedure = replace(procedure, query=answered)
        return Expected(opened, transaction, procedure, by_iso, trust, announced)
    opened = open_dc_api_response(
        response,
        keys=_keys(transaction),
        expected_protocols=[each for each in procedure.dc_api if each is not DcApiProtocol.ISO_MDOC],
        expected_mode=procedure.response_mode,
    )
    interactive = procedure.response_mode in IA_MODES
    binding = (InteractiveAuthorization if interactive else DcApi)(origin, opened.key_thumbprint)
    return Expected(opened, transaction, procedure, binding, trust, announced)


def _keys(transaction: Transaction) -> dict[str, DecryptionKey]:
    key = transaction.response_key
    return {key.kid: key} if key else {}


def judge_of(expected: Expected, *, now: int) -> Judge | None:
    """Who judges the answer, as at the time when it came; None where the wallet declined, or sent no answer."""
    if not expected.opened.is_shown:
        return None
    return Judge(
        expected.opened.vp_token,
        query=expected.query,
        nonce=expected.transaction.nonce,
        client_id=expected.client_id,
        binding=expected.binding,
        trust=expected.trust,
        policy=expected.procedure.policy,
        now=now,
        transaction_data=expected.procedure.transaction_data,
        transaction_types=expected.procedure.transaction_types,
        announced=expected.announced,
    )


def wanted(judge: Judge | None, *, documents: Documents, follow_types: bool = True) -> tuple[Reference, ...]:
    """The documents to fetch before `conclude`, beyond those that are there.

    Ask again with what was fetched until nothing is wanted: a type's description names the next one.
    follow_types: False: a type that extends the requested one is not looked up.
    """
    if judge is None:
        return ()
    found = judge.references(
        type_metadata=by_url(documents, ReferenceKind.TYPE_METADATA),
        status_lists=status_lists(documents),
        revocation=revocations(documents),
    )
    return tuple(
        reference
        for reference in found
        if reference not in documents and (follow_types or reference.kind is not ReferenceKind.TYPE_METADATA)
    )


def conclude(expected: Expected, judge: Judge | None, *, documents: Documents) -> Outcome:
    """Judge the answer with what was fetched; a wallet's error is an outcome too."""
    if judge is not None:
        return Outcome(
            judge.verdict(
                status_lists=status_lists(documents),
                type_metadata=by_url(documents, ReferenceKind.TYPE_METADATA),
                revocation=revocations(documents),
            )
        )
    if expected.opened.broken is not None:
        return Outcome(refused(expected.opened.broken, "response"))
    assert expected.opened.error is not None
    return Outcome(refused(ReasonCode.WALLET_ERROR, "response"), expected.opened.error.error)
