"""The verifier at work: asks, hands out the question, receives the answer once, hands out the verdict once.

Thin shells over the steps in `ask`, `request` and `receive`; a store remembers, a fetcher fetches, a clock tells the
time. `verifier.asynchronous` is the same for event loops.
"""

import copy
import re
import secrets
import time
from collections.abc import Callable, Mapping, Sequence

from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from specs.encoding import base64url
from specs.profiles import Profile
from specs.protocols.openid4vp import RequestEncryption, SupportedFormats
from specs.protocols.openid4vp.request import ORIGIN_MODES
from specs.refusal import ReasonCode, Refusal
from verifier.ask import (
    AS_THE_PROCEDURE_SAYS,
    RANDOM_BYTES,
    Choices,
    Endpoints,
    Flow,
    Procedure,
    ask,
    choices_from_json,
    digest,
    fingerprint,
    new_link,
    same,
)
from verifier.cache import CachingFetcher
from verifier.documents import fetch_documents, settle_documents
from verifier.events import AnswerJudged, Listener, OutcomeTaken, QuestionAsked, QuestionFetched, nobody
from verifier.evidence import Recording
from verifier.examination import Examination
from verifier.expectations import Trust, TrustSource, trust_now
from verifier.fetch import Fetcher, PolicedFetcher
from verifier.outcome import Outcome, outcome_from_bytes, outcome_to_bytes
from verifier.question import Question, Receipt, question_of, refusal_receipt, with_code
from verifier.receive import Expected, conclude, judge_of, open_answer, open_dc_api_answer, wanted
from verifier.relying_party import RelyingParty
from verifier.request import Putting, WalletScheme, dc_api_requests, request_object, wallet_link
from verifier.rules import NotAllowed, check_question, encs_under, formats_under, sends_chain
from verifier.transaction import Row, Seal, State, Transaction, TransactionStore, from_row, to_row
from verifier.verdict import Verdict

RESPONSE_CODE_SECONDS = 300
_FORMER_PARTIES = 4  # access certificates that questions may still be open under
_ID = re.compile(r"[A-Za-z0-9_-]{43}")  # base64url of `RANDOM_BYTES`
MAX_LINKS = 100  # of one question: a picture every ten seconds needs thirty in five minutes


class Verifier:
    """Asks wallets and judges what they answer, for one relying party."""

    def __init__(
        self,
        relying_party: RelyingParty,
        *,
        procedures: Mapping[str, Procedure],
        trust: Trust | TrustSource,
        store: TransactionStore,
        sealing_key: bytes,
        endpoints: Endpoints,
        profile: Profile | None = None,
        co_signers: Sequence[RelyingParty] = (),
        fetcher: Fetcher | None = None,
        scheme: str = WalletScheme.OPENID4VP,
        allow_loopback_http: bool = False,
        listener: Listener = nobody,
        recording: Recording | None = None,
        clock: Callable[[], float] = time.time,
        random: Callable[[int], bytes] = secrets.token_bytes,
    ) -> None:
        """sealing_key: 32 bytes, kept outside the store. profile: the preset; None: what the standards allow.

        listener: told what happens. recording: keeps a record of each answer that counted, for the case file.
        co_signers: sign multi-signed questions too. fetcher: None is the policed one with a cache. allow_loopback_http:
        for demonstrations on one machine.

        Raises:
            NotAllowed: a procedure can't be asked so.
        """
        self.relying_party = relying_party
        self._former: tuple[RelyingParty, ...] = ()
        self._co_signers = tuple(co_signers)
        self._procedures = dict(procedures)
        self._profile = profile
        for procedure in self._procedures.values():
            self._check(procedure, None, relying_party)
        self._fingerprints = {name: fingerprint(procedure) for name, procedure in self._procedures.items()}
        self._trust = trust
        self._store = store
        self._sealing_key = sealing_key
        self._seal = Seal(sealing_key, random=random)
        self._endpoints = endpoints
        self._fetcher = fetcher or CachingFetcher(PolicedFetcher(allow_loopback_http=allow_loopback_http), clock=clock)
        self._scheme = scheme
        self._allow_loopback_http = allow_loopback_http
        self._listener = listener
        self._recording = recording
        self._clock = clock
        self._random = random

    def with_store(self, store: TransactionStore) -> "Verifier":
        """The same verifier over another store, such as one that takes part in a transaction of the caller's."""
        other = copy.copy(self)
        other._store = store
        return other

    @property
    def procedures(self) -> Mapping[str, Procedure]:
        """What can be asked, by id."""
        return self._procedures

    def renew(self, relying_party: RelyingParty) -> None:
        """Go on with another access certificate; questions that are open are still handed out under the old one.

        Raises:
            NotAllowed: a procedure can't be asked so; nothing was changed.
        """
        for procedure in self._procedures.values():
            self._check(procedure, None, relying_party)
        self._former = (self.relying_party, *self._former)[:_FORMER_PARTIES]
        self.relying_party = relying_party

    def ask(self, procedure: str, *, flow: Flow, choices: Choices = AS_THE_PROCEDURE_SAYS) -> Question:
        """Begin a transaction of a procedure. choices: what this question does otherwise.

        Raises:
            KeyError: no such procedure.
            NotAllowed: the standard or the preset does not let it be asked so, or the wallet would have to come back
                and the procedure does not say where to. A ValueError, too.
            RequestError: a wallet would refuse it.
        """
        base = self._procedures[procedure]
        asking, relying_party = choices.applied_to(base), choices.named(self.relying_party)
        over_dc_api = asking.response_mode in ORIGIN_MODES
        if flow.returns and asking.return_url is None and not over_dc_api:
            raise NotAllowed("a procedure without return_url can be asked across devices only")
        self._check(asking, flow, relying_party)
        now = self._now()
        asked, transaction, link = ask(
            asking,
            flow=flow,
            relying_party=relying_party,
            endpoints=self._endpoints,
            now=now,
            choices=choices,
            random=self._random,
        )
        putting = self._putting(transaction, asking)
        requests = dc_api_requests(putting, now=now) if over_dc_api else ()
        url = "" if over_dc_api else self._link(putting, asked.request_handle)
        self._store.add(to_row(transaction, seal=self._seal), link)
        self._listener(QuestionAsked(transaction.id, procedure, flow.value, now))
        return question_of(asked, url, requests)

    def fresh_link(self, page: str) -> str:
        """A new link to the same question, for the next picture; the one before it dies by itself.

        Raises:
            Refusal: TRANSACTION_UNKNOWN: not waiting any more, not fetched by a link, or asked too often.
        """
        transaction, procedure = self._open(self._store.by_page(digest(page), now=self._now()))
        if not procedure.request_way.is_by_reference or procedure.response_mode in ORIGIN_MODES:
            raise Refusal(ReasonCode.TRANSACTION_UNKNOWN)
        handle, link = new_link(transaction, now=self._now(), random=self._random)
        if not self._store.add_link(link, most=MAX_LINKS, now=self._now()):
            raise Refusal(ReasonCode.TRANSACTION_UNKNOWN)
        return self._link(self._putting(transaction, procedure), handle)

    def request_object(
        self, handle: str, *, wallet_nonce: str | None = None, encryption: RequestEncryption | None = None
    ) -> str:
        """The signed question behind a `request_uri` (OpenID4VP §5.10.1); the same one as often as it is fetched.

        wallet_nonce, encryption: as the wallet posted them.

        Raises:
            Refusal: TRANSACTION_UNKNOWN: never asked, not fetched in time, expired, or answered.
        """
        transaction, procedure = self._open(self._store.by_link(digest(handle), now=self._now()))
        putting = self._putting(transaction, procedure)
        if putting.relying_party.client_id_for(transaction.response_uri).text != transaction.client_id:
            raise Refusal(ReasonCode.TRANSACTION_UNKNOWN, "the access certificate was changed since")
        signed = request_object(putting, now=self._now(), wallet_nonce=wallet_nonce, encryption=encryption)
        self._listener(QuestionFetched(transaction.id, transaction.procedure, self._now()))
        return signed

    def receive(self, handle: str, form: Mapping[str, object]) -> Receipt:
        """Take an answer. The first that opens and carries the right state ends the transaction, good or bad.

        Where records are kept and one can't be, what `Recording.write` or its keys raise goes on to the caller: the
        question has ended, and nobody gets a verdict.
        """
        try:
            transaction, procedure = self._open(self._store.by_response_handle(digest(handle), now=self._now()))
            if procedure.response_mode in ORIGIN_MODES:
                raise Refusal(ReasonCode.TRANSACTION_UNKNOWN)
            expected = open_answer(
                form,
                transaction=transaction,
                procedure=procedure,
                trust=trust_now(self._trust, now=self._now()),
                announced=self._announced,
            )
            return self._end(transaction, procedure, *self._judged(expected))
        except Refusal as error:
            return refusal_receipt(error.reason)

    def receive_dc_api(
        self, transaction_id: str, *, session_secret: str, origin: str, response: Mapping[str, object]
    ) -> Receipt:
        """Take what the browser's API gave to the page that asked; as `receive`. The verdict waits in `result`.

        origin: of the page, from the browser's own `Origin` header, not from what the page says.
        """
        try:
            row = self._by_id(transaction_id)
            if row is None or row.state is not State.ASKED or not same(row.session_digest, session_secret):
                raise Refusal(ReasonCode.TRANSACTION_UNKNOWN)
            transaction, procedure = self._open(row)
            if procedure.response_mode not in ORIGIN_MODES:
                raise Refusal(ReasonCode.TRANSACTION_UNKNOWN)
            expected = open_dc_api_answer(
                response,
                origin=origin,
                transaction=transaction,
                procedure=procedure,
                trust=trust_now(self._trust, now=self._now()),
                announced=self._announced,
            )
            return self._end(transaction, procedure, *self._judged(expected))
        except Refusal as error:
            return refusal_receipt(error.reason)

    def is_answered(self, transaction_id: str) -> bool:
        """Whether an answer came; nothing else can be learnt by asking.

        Raises:
            Refusal: TRANSACTION_UNKNOWN: never asked, or expired.
        """
        return _answered(self._by_id(transaction_id))

    def is_answered_for(self, page: str) -> bool:
        """The same for the page that waits.

        Raises:
            Refusal: TRANSACTION_UNKNOWN: never asked, or expired.
        """
        return _answered(self._store.by_page(digest(page), now=self._now()))

    def result(
        self,
        transaction_id: str,
        *,
        session_secret: str,
        response_code: str | None = None,
        idempotency_key: str | None = None,
    ) -> Outcome:
        """Hand out the outcome, once, to who asked. response_code: brought back by the wallet (same device, app).

        idempotency_key: whoever repeats it within five minutes gets the same outcome again; without one there is no
        second time.

        Raises:
            Refusal: TRANSACTION_UNKNOWN: no outcome, another session's, another code, or handed out before.
        """
        code = digest(response_code) if response_code is not None else None
        key = digest(idempotency_key) if idempotency_key is not None else ""
        for _ in range(2):  # whoever loses to the same key finds the winner's outcome
            row = self._by_id(transaction_id)
            if row is None or not same(row.session_digest, session_secret) or row.response_code_digest != code:
                break
            if row.taken_by is not None:
                if idempotency_key is None or row.taken_by != key:
                    break
                return self._kept(row, idempotency_key)
            if not row.outcome:
                break
            plain = self._seal.open(row.outcome, bound_to=f"outcome:{transaction_id}")
            kept = b"" if idempotency_key is None else self._repeat_seal(idempotency_key).close(plain, bound_to=row.id)
            if self._store.take(
                transaction_id,
                response_code_digest=code,
                taken_by=key,
                kept=kept,
                now=self._now(),
                expires_at=self._now() + RESPONSE_CODE_SECONDS,
            ):
                self._listener(OutcomeTaken(transaction_id, row.procedure, self._now()))
                return outcome_from_bytes(plain)
        raise Refusal(ReasonCode.TRANSACTION_UNKNOWN)

    def purge(self) -> int:
        """Delete expired transactions; how many. Run it now and then."""
        return self._store.purge(now=self._now())

    @property
    def _announced(self) -> SupportedFormats:
        return formats_under(self._profile, self.relying_party.formats)

    @property
    def _follow_types(self) -> bool:
        return self._profile is None or not self._profile.presentations.vct_exact

    def _check(self, procedure: Procedure, flow: Flow | None, relying_party: RelyingParty) -> None:
        check_question(
            procedure, flow=flow, relying_party=relying_party, co_signers=self._co_signers, profile=self._profile
        )

    def _putting(self, transaction: Transaction, procedure: Procedure) -> Putting:
        rule = None if self._profile is None else self._profile.presentations
        return Putting(
            transaction,
            procedure,
            self._party_of(transaction),
            self._announced,
            self._co_signers,
            encs_under(rule),
            sends_chain(rule),
            self._allow_loopback_http,
        )

    def _party_of(self, transaction: Transaction) -> RelyingParty:
        """Who asked: under whose client identifier the question began."""
        choices = choices_from_json(transaction.choices)
        parties = [choices.named(party) for party in (self.relying_party, *self._former)]
        for party in parties if transaction.client_id is not None else ():
            if party.client_id_for(transaction.response_uri).text == transaction.client_id:
                return party
        return parties[0]

    def _link(self, putting: Putting, handle: str | None) -> str:
        return wallet_link(
            putting,
            wallet=choices_from_json(putting.transaction.choices).wallet or self._scheme,
            request_uri=None if handle is None else f"{self._endpoints.request_uri}/{handle}",
            now=self._now(),
        )

    def _by_id(self, transaction_id: str) -> Row | None:
        """The transaction of an id; no database is asked for what is none of ours, as some take not every text."""
        return self._store.by_id(transaction_id, now=self._now()) if _ID.fullmatch(transaction_id) else None

    def _open(self, row: Row | None) -> tuple[Transaction, Procedure]:
        procedure = self._procedures.get(row.procedure) if row is not None else None
        if row is None or procedure is None or row.state is not State.ASKED:
            raise Refusal(ReasonCode.TRANSACTION_UNKNOWN)
        transaction = from_row(row, seal=self._seal)
        if transaction.fingerprint != self._fingerprints[row.procedure]:
            raise Refusal(ReasonCode.TRANSACTION_UNKNOWN, "the procedure asks something else since")
        return transaction, choices_from_json(transaction.choices).applied_to(procedure)

    def _repeat_seal(self, idempotency_key: str) -> Seal:
        """What opens with our key and the asker's Idempotency-Key together only."""
        derived = HKDF(SHA256(), 32, self._sealing_key, b"stadtnachweis verifier repeat")
        return Seal(derived.derive(idempotency_key.encode("utf-8", "surrogatepass")), random=self._random)

    def _kept(self, row: Row, idempotency_key: str) -> Outcome:
        return outcome_from_bytes(self._repeat_seal(idempotency_key).open(row.outcome, bound_to=row.id))

    def _judged(self, expected: Expected) -> tuple[Outcome, Examination | None]:
        judge = judge_of(expected, now=self._now())
        documents = fetch_documents(
            lambda there: wanted(judge, documents=there, follow_types=self._follow_types), fetcher=self._fetcher
        )
        outcome = conclude(expected, judge, documents=documents)
        settle_documents(documents, fetcher=self._fetcher, believed=outcome.verdict.accepted)
        return outcome, None if judge is None else Examination.by(judge, documents)

    def _end(
        self, transaction: Transaction, procedure: Procedure, outcome: Outcome, examination: Examination | None
    ) -> Receipt:
        over_dc_api = procedure.response_mode in ORIGIN_MODES
        good = outcome.verdict.accepted or outcome.wallet_error is not None
        returns = Flow(transaction.flow).returns and good and not over_dc_api
        # across devices the wallet goes to a page that unlocks nothing, if there is one; its value is nobody's code
        address = procedure.return_url if returns else None if over_dc_api else self._endpoints.done_url
        fresh = base64url.encode(self._random(RANDOM_BYTES))
        code = fresh if returns else None
        now = self._now()
        sealed = self._seal.close(outcome_to_bytes(outcome), bound_to=f"outcome:{transaction.id}")
        recorded = self._recording is not None and examination is not None
        ended = self._store.end(
            transaction.id,
            outcome=b"" if recorded else sealed,
            response_code_digest=digest(code) if code is not None else None,
            now=now,
            expires_at=now + RESPONSE_CODE_SECONDS,
            state=State.RECORDING if recorded else State.ANSWERED,
        )
        if not ended:
            return refusal_receipt(ReasonCode.TRANSACTION_UNKNOWN)
        if self._recording is not None and examination is not None:
            # no verdict without its record: until it is kept, nobody gets the outcome
            self._recording.keep(
                examination,
                outcome.verdict,
                procedure=transaction.procedure,
                transaction=transaction.id,
                random=self._random,
            )
            if not self._store.reveal(transaction.id, outcome=sealed, now=self._now()):
                return refusal_receipt(ReasonCode.TRANSACTION_UNKNOWN)
        self._tell(transaction, outcome.verdict)
        if not outcome.verdict.accepted and outcome.wallet_error is None:
            assert outcome.verdict.reason is not None  # a refusal has its reason
            return refusal_receipt(outcome.verdict.reason)
        return Receipt(200, {} if address is None else {"redirect_uri": with_code(address, fresh)})

    def _tell(self, transaction: Transaction, verdict: Verdict) -> None:
        domains = tuple(dict.fromkeys(credential.trust_domain for credential in verdict.credentials))
        self._listener(
            AnswerJudged(transaction.id, transaction.procedure, transaction.flow, verdict.reason, domains, self._now())
        )

    def _now(self) -> int:
        return int(self._clock())


def _answered(row: Row | None) -> bool:
    if row is None:
        raise Refusal(ReasonCode.TRANSACTION_UNKNOWN)
    return row.state is State.ANSWERED
