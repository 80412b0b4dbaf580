"""One offer or one question on its way, while a person decides: the wallet works in a thread and waits for the page."""

import queue
import secrets
import threading
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum

from specs.encoding.strict_json import JsonObject, JsonValue
from specs.trust.anchors import TrustAnchor
from wallet_sim.collect import Holder, OfferShown
from wallet_sim.device import ReaderShown
from wallet_sim.question import Chosen, Consent, QuestionShown
from wallet_sim.transport import WalletFailure
from wallet_sim.wallet import Wallet
from wallet_sim.web.refusals import EXPECTED, Refused, refusal_of

DECISION_SECONDS = 600
MAX_FLOWS = 100


class Stage(StrEnum):
    """Where a flow stands."""

    WORKING = "working"
    OFFER = "offer"
    QUESTION = "question"
    LOGIN = "login"
    DATASETS = "datasets"
    MEETING = "meeting"
    READER = "reader"
    COLLECTED = "collected"
    PRESENTED = "presented"
    REFUSED = "refused"


@dataclass(frozen=True, slots=True)
class DatasetsShown:
    """Of one credential there are several: for a child each, say. identifiers: what the issuer calls them."""

    name: str
    identifiers: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Standing:
    """What a page shows. login: address of the authorization server. goes_on: where the verifier wants the person.

    answer: for the page that asked, where one did. engagement: what a reader's camera must see. reader: who asks then.
    """

    stage: Stage
    offer: OfferShown | None = None
    question: QuestionShown | None = None
    login: str | None = None
    datasets: DatasetsShown | None = None
    names: tuple[str, ...] = ()
    goes_on: str | None = None
    answer: JsonObject | None = None
    engagement: str | None = None
    reader: ReaderShown | None = None
    refused: Refused | None = None

    @property
    def is_open(self) -> bool:
        """Whether the person has something to do here."""
        return self.stage in (Stage.OFFER, Stage.QUESTION, Stage.LOGIN, Stage.DATASETS, Stage.READER)


@dataclass(frozen=True, slots=True)
class Decision:
    """What a person said to an offer or a question. shows: rather than log in. datasets: those that are wanted."""

    agreed: bool
    tx_code: str = ""
    chosen: Chosen | None = None
    shows: bool = False
    datasets: tuple[str, ...] = ()


class Flow:
    """One flow of one wallet."""

    def __init__(self, wallet: str, *, callback: str = "") -> None:
        """wallet: its name. callback: begin of the address where a login comes back to; the flow's id is put behind."""
        self.id = secrets.token_urlsafe(18)
        self.wallet = wallet
        self.from_page = ""  # the origin of the page that asked through the browser, if one did
        self._callback = f"{callback}/{self.id}"
        self._standing = Standing(Stage.WORKING)
        self._changed = threading.Condition()
        self._said: queue.Queue[Decision | str] = queue.Queue(maxsize=1)
        self._tx_code = ""
        self._shows = False

    def collect(self, wallet: Wallet, link: str, *, copies: int) -> "Flow":
        """Begin to collect an offer."""

        def work() -> Standing:
            holder = Holder(
                accept=self._accept,
                tx_code=lambda: self._tx_code,
                authorize=self._authorize,
                redirect_uri=self._callback,
                show=self._consent,
                prefers_showing=lambda: self._shows,
                choose=self._choose,
            )
            collected = wallet.collect(link, holder=holder, copies=copies)
            return Standing(Stage.COLLECTED, names=tuple(dict.fromkeys(each.name for each in collected)))

        return self._begin(work)

    def renew(self, wallet: Wallet, batch: str) -> "Flow":
        """Begin to collect a credential anew."""

        def work() -> Standing:
            return Standing(Stage.COLLECTED, names=tuple(dict.fromkeys(each.name for each in wallet.renew(batch))))

        return self._begin(work)

    def present(self, wallet: Wallet, link: str) -> "Flow":
        """Begin to answer a question."""

        def work() -> Standing:
            presented = wallet.present(link, consent=self._consent)
            names = tuple(each.credential for each in presented.shown)
            return Standing(Stage.PRESENTED, names=names, goes_on=presented.redirect_uri)

        return self._begin(work)

    def answer_page(
        self, wallet: Wallet, requests: Sequence[JsonValue], *, origin: str, consent: Consent | None = None
    ) -> "Flow":
        """Begin to answer what a page of this origin asks. consent: in the place of a person on the page."""

        def work() -> Standing:
            answer = wallet.answer_page(requests, origin=origin, consent=consent or self._consent)
            if answer.shown:
                names = tuple(each.credential for each in answer.shown)
                return Standing(Stage.PRESENTED, names=names, answer=answer.members)
            return Standing(Stage.REFUSED, answer=answer.members, refused=_refused_in(answer.members))

        self.from_page = origin
        return self._begin(work)

    def meet(self, wallet: Wallet, *, reader_anchors: Sequence[TrustAnchor]) -> "Flow":
        """Begin to wait for a reader on the spot."""

        def work() -> Standing:
            shown: list[str] = []

            def consent(reader: ReaderShown) -> bool:
                decision = self._asked(Standing(Stage.READER, reader=reader))
                assert isinstance(decision, Decision)
                shown.extend(each.credential for each in reader.shown)
                return decision.agreed

            def engaged(link: str) -> None:
                self._stand(Standing(Stage.MEETING, engagement=link))

            if wallet.meet(reader_anchors=reader_anchors, engaged=engaged, consent=consent):
                return Standing(Stage.PRESENTED, names=tuple(shown))
            sentence = "you declined" if shown else "nothing in this wallet is what the reader asks for"
            return Standing(Stage.REFUSED, refused=Refused("nothing_shown", f"the reader saw nothing: {sentence}"))

        return self._begin(work)

    def wait(self, seconds: float) -> Standing:
        """Where it stands, as soon as it is not working any more, at the latest in so many seconds."""
        with self._changed:
            self._changed.wait_for(lambda: self._standing.stage is not Stage.WORKING, timeout=seconds)
            return self._standing

    def say(self, said: Decision | str) -> None:
        """A person's decision, or the address at which the browser came back from its login; said once each."""
        with self._changed:
            if not self._standing.is_open or isinstance(said, str) is not (self._standing.stage is Stage.LOGIN):
                return
            self._standing = Standing(Stage.WORKING)
            self._said.put(said)

    @property
    def callback(self) -> str:
        """Where a login comes back to."""
        return self._callback

    def _begin(self, work: Callable[[], Standing]) -> "Flow":
        def run() -> None:
            try:
                standing = work()
            except EXPECTED as error:
                standing = Standing(Stage.REFUSED, refused=refusal_of(error))
            except Exception as error:  # noqa: BLE001 the outermost handler of this thread: a page waits for its end
                sentence = f"the wallet itself failed ({type(error).__name__})"
                standing = Standing(Stage.REFUSED, refused=Refused("wallet_failure", sentence))
            self._stand(standing)

        threading.Thread(target=run, daemon=True).start()
        return self

    def _stand(self, standing: Standing) -> None:
        with self._changed:
            self._standing = standing
            self._changed.notify_all()

    def _asked(self, standing: Standing) -> Decision | str:
        self._stand(standing)
        try:
            return self._said.get(timeout=DECISION_SECONDS)
        except queue.Empty:
            raise WalletFailure("nobody decided in time") from None

    def _accept(self, offer: OfferShown) -> bool:
        decision = self._asked(Standing(Stage.OFFER, offer=offer))
        assert isinstance(decision, Decision)
        self._tx_code, self._shows = decision.tx_code, decision.shows
        return decision.agreed

    def _choose(self, name: str, identifiers: Sequence[str | None]) -> Sequence[str | None]:
        named = tuple(each for each in identifiers if each is not None)
        if len(named) < 2:
            return identifiers
        decision = self._asked(Standing(Stage.DATASETS, datasets=DatasetsShown(name, named)))
        assert isinstance(decision, Decision)
        if not decision.agreed:
            raise WalletFailure("nothing more was collected: you declined")
        return tuple(each for each in named if each in decision.datasets)

    def _consent(self, question: QuestionShown) -> bool | Chosen:
        decision = self._asked(Standing(Stage.QUESTION, question=question))
        assert isinstance(decision, Decision)
        return decision.chosen if decision.agreed and decision.chosen is not None else decision.agreed

    def _authorize(self, url: str) -> str:
        arrived = self._asked(Standing(Stage.LOGIN, login=url))
        assert isinstance(arrived, str)
        return arrived


class Flows:
    """The flows of one server; the oldest are forgotten."""

    def __init__(self) -> None:
        self._flows: dict[str, Flow] = {}
        self._dropping = threading.Lock()

    def keep(self, flow: Flow) -> Flow:
        """Remember a flow."""
        with self._dropping:
            while len(self._flows) >= MAX_FLOWS:
                del self._flows[next(iter(self._flows))]
            self._flows[flow.id] = flow
        return flow

    def find(self, flow_id: str) -> Flow | None:
        """The flow of this id."""
        return self._flows.get(flow_id)


def _refused_in(answer: JsonObject) -> Refused:
    """An answer that shows nothing: its error, or none, where the protocol has no errors."""
    data = answer["data"]
    code = data.get("error") if isinstance(data, dict) else None
    return Refused(str(code or "access_denied"), "the page that asked got an answer that shows nothing")


def chosen_of(question: QuestionShown, form: Mapping[str, str]) -> Chosen:
    """The choices of a form, where there are: `credential-<query>`, `set-<number>`, `claims-<query>-<credential>`."""
    credentials = {
        query_id: form[f"credential-{query_id}"] for query_id in question.options if f"credential-{query_id}" in form
    }
    claim_sets: dict[str, int] = {}
    for query_id, options in question.options.items():
        value = form.get(f"claims-{query_id}-{credentials.get(query_id, options[0].credential_id)}", "0")
        claim_sets[query_id] = int(value) if value.isascii() and value.isdigit() else 0
    sets: list[int | None] = []
    for number, each in enumerate(question.sets):
        value = form.get(f"set-{number}", "0" if each.required else "none")
        sets.append(int(value) if value.isascii() and value.isdigit() else None)
    return Chosen(credentials, tuple(sets), claim_sets)
