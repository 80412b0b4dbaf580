"""The verifier at work: asks, hands out the question, receives the answer once, hands out the verdict once.

Thin shells over the steps in `ask`, `request` and `receive`; a store remembers, a fetcher fetches, a clock tells the
time.
"""

import asyncio
import secrets
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from specs.encoding import base64url
from specs.encoding.strict_json import JsonObject
from specs.refusal import ReasonCode, Refusal
from verifier.ask import RANDOM_BYTES, Asked, Endpoints, Flow, Procedure, ask, digest, same
from verifier.documents import fetch_documents
from verifier.expectations import Trust
from verifier.fetch import Fetcher, PolicedFetcher
from verifier.outcome import Outcome, outcome_from_bytes, outcome_to_bytes
from verifier.receive import conclude, open_answer, wanted
from verifier.request import RelyingParty, WalletScheme, request_object, wallet_link
from verifier.transaction import Row, Seal, State, Transaction, TransactionStore, from_row, to_row

RESPONSE_CODE_SECONDS = 300


@dataclass(frozen=True, slots=True)
class Question:
    """A transaction as its asker sees it. `session_secret` belongs into the asker's session, never to the wallet."""

    id: str
    wallet_url: str
    session_secret: str
    expires_at: int  # seconds since the epoch


@dataclass(frozen=True, slots=True)
class Receipt:
    """What the wallet is told: HTTP status and JSON body (OpenID4VP §8.2)."""

    status: int
    body: JsonObject


class Verifier:
    """Asks wallets and judges what they answer, for one relying party."""

    def __init__(
        self,
        relying_party: RelyingParty,
        *,
        procedures: Mapping[str, Procedure],
        trust: Trust,
        store: TransactionStore,
        sealing_key: bytes,
        endpoints: Endpoints,
        fetcher: Fetcher | None = None,
        scheme: str = WalletScheme.OPENID4VP,
        allow_loopback_http: bool = False,
        clock: Callable[[], float] = time.time,
        random: Callable[[int], bytes] = secrets.token_bytes,
    ) -> None:
        """sealing_key: 32 bytes, kept outside the store. allow_loopback_http: for demonstrations on one machine."""
        self.relying_party = relying_party
        self._procedures = dict(procedures)
        self._trust = trust
        self._store = store
        self._seal = Seal(sealing_key, random=random)
        self._endpoints = endpoints
        self._fetcher = fetcher or PolicedFetcher(allow_loopback_http=allow_loopback_http)
        self._scheme = scheme
        self._allow_loopback_http = allow_loopback_http
        self._clock = clock
        self._random = random

    def ask(self, procedure: str, *, flow: Flow) -> Question:
        """Begin a transaction of a procedure.

        Raises:
            KeyError: no such procedure.
            ValueError: the wallet would have to come back, and the procedure does not say where to.
        """
        asking = self._procedures[procedure]
        if flow.returns and asking.return_url is None:
            raise ValueError("a procedure without return_url can be asked across devices only")
        asked, transaction = ask(asking, flow=flow, endpoints=self._endpoints, now=self._now(), random=self._random)
        self._store.add(to_row(transaction, seal=self._seal))
        return self._question(asked)

    def request_object(self, handle: str, *, wallet_nonce: str | None = None) -> str:
        """The signed question behind a `request_uri` (OpenID4VP §5.10.1); the same one as often as it is fetched.

        Raises:
            Refusal: TRANSACTION_UNKNOWN: never asked, expired, or answered.
        """
        row = self._store.by_request_handle(digest(handle), now=self._now())
        transaction, procedure = self._open(row)
        return request_object(
            transaction,
            procedure=procedure,
            relying_party=self.relying_party,
            now=self._now(),
            wallet_nonce=wallet_nonce,
            allow_loopback_http=self._allow_loopback_http,
        )

    def receive(self, handle: str, form: Mapping[str, object]) -> Receipt:
        """Take an answer. The first that opens and carries the right state ends the transaction, good or bad."""
        try:
            transaction, procedure = self._open(self._store.by_response_handle(digest(handle), now=self._now()))
            expected = open_answer(
                form,
                transaction=transaction,
                procedure=procedure,
                client_id=self.relying_party.client_id.text,
                trust=self._trust,
                announced=self.relying_party.formats,
            )
            documents = fetch_documents(
                lambda there: wanted(expected, documents=there, now=self._now()), fetcher=self._fetcher
            )
            outcome = conclude(expected, documents=documents, now=self._now())
            return self._end(transaction, procedure, outcome)
        except Refusal as error:
            return _refusal(error.reason)

    def is_answered(self, transaction_id: str) -> bool:
        """Whether an answer came; nothing else can be learnt by asking.

        Raises:
            Refusal: TRANSACTION_UNKNOWN: never asked, or expired.
        """
        row = self._store.by_id(transaction_id, now=self._now())
        if row is None:
            raise Refusal(ReasonCode.TRANSACTION_UNKNOWN)
        return row.state is State.ANSWERED

    def result(self, transaction_id: str, *, session_secret: str, response_code: str | None = None) -> Outcome:
        """Hand out the outcome, once, to who asked. response_code: brought back by the wallet (same device, app).

        Raises:
            Refusal: TRANSACTION_UNKNOWN: no outcome, another session's, another code, or handed out before.
        """
        row = self._store.by_id(transaction_id, now=self._now())
        if row is None or not same(row.session_digest, session_secret):
            raise Refusal(ReasonCode.TRANSACTION_UNKNOWN)
        code = digest(response_code) if response_code is not None else None
        sealed = self._store.take(transaction_id, response_code_digest=code, now=self._now())
        if sealed is None:
            raise Refusal(ReasonCode.TRANSACTION_UNKNOWN)
        return outcome_from_bytes(self._seal.open(sealed, bound_to=f"outcome:{transaction_id}"))

    def purge(self) -> int:
        """Delete expired transactions; how many. Run it now and then."""
        return self._store.purge(now=self._now())

    def _question(self, asked: Asked) -> Question:
        link = wallet_link(asked.request_uri, relying_party=self.relying_party, scheme=self._scheme)
        return Question(asked.id, link, asked.session_secret, asked.expires_at)

    def _open(self, row: Row | None) -> tuple[Transaction, Procedure]:
        procedure = self._procedures.get(row.procedure) if row is not None else None
        if row is None or procedure is None:
            raise Refusal(ReasonCode.TRANSACTION_UNKNOWN)
        return from_row(row, seal=self._seal), procedure

    def _end(self, transaction: Transaction, procedure: Procedure, outcome: Outcome) -> Receipt:
        returns = Flow(transaction.flow).returns and (outcome.verdict.accepted or outcome.wallet_error is not None)
        code = base64url.encode(self._random(RANDOM_BYTES)) if returns else None
        now = self._now()
        ended = self._store.end(
            transaction.id,
            outcome=self._seal.close(outcome_to_bytes(outcome), bound_to=f"outcome:{transaction.id}"),
            response_code_digest=digest(code) if code is not None else None,
            now=now,
            expires_at=now + RESPONSE_CODE_SECONDS,
        )
        if not ended:
            return _refusal(ReasonCode.TRANSACTION_UNKNOWN)
        if not outcome.verdict.accepted and outcome.wallet_error is None:
            assert outcome.verdict.reason is not None  # a refusal has its reason
            return _refusal(outcome.verdict.reason)
        return Receipt(200, {} if code is None else {"redirect_uri": _with_code(procedure.return_url or "", code)})

    def _now(self) -> int:
        return int(self._clock())


class AsyncVerifier:
    """The same verifier for event loops: what waits for a store or a fetch waits in a thread."""

    def __init__(self, verifier: Verifier) -> None:
        self._verifier = verifier

    async def ask(self, procedure: str, *, flow: Flow) -> Question:
        """As `Verifier.ask`."""
        return await asyncio.to_thread(self._verifier.ask, procedure, flow=flow)

    async def request_object(self, handle: str, *, wallet_nonce: str | None = None) -> str:
        """As `Verifier.request_object`."""
        return await asyncio.to_thread(self._verifier.request_object, handle, wallet_nonce=wallet_nonce)

    async def receive(self, handle: str, form: Mapping[str, object]) -> Receipt:
        """As `Verifier.receive`."""
        return await asyncio.to_thread(self._verifier.receive, handle, form)

    async def is_answered(self, transaction_id: str) -> bool:
        """As `Verifier.is_answered`."""
        return await asyncio.to_thread(self._verifier.is_answered, transaction_id)

    async def result(self, transaction_id: str, *, session_secret: str, response_code: str | None = None) -> Outcome:
        """As `Verifier.result`."""
        return await asyncio.to_thread(
            self._verifier.result, transaction_id, session_secret=session_secret, response_code=response_code
        )


def _refusal(reason: ReasonCode) -> Receipt:
    return Receipt(400, {"error": "invalid_request", "error_description": reason.value})


def _with_code(url: str, code: str) -> str:
    return f"{url}{'&' if '?' in url else '?'}response_code={code}"
