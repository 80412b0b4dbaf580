"""A verifier as the outside sees it: it asks, a wallet answers, its response endpoint says what it thinks of that."""

import tempfile
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import parse_qsl, urlsplit

import httpx

from conformance.check import HAIP, Failed, NotApplicable
from conformance.exchange import JSON, Answer, Recorder, exchange
from conformance.identity import SuiteIdentity
from conformance.minted import Mint
from conformance.page_question import PageAsked, PageQuestion
from conformance.settings import TestCredential
from conformance.suite_server import SuiteServer
from specs.encoding import Malformed, base64url, strict_json
from specs.encoding.strict_json import JsonObject
from specs.keys.jose import JoseError, Jws, parse_jws, parse_x5c
from specs.protocols.oauth import InvalidAnswer
from specs.protocols.openid4vp import RequestError
from specs.refusal import Refusal
from specs.trust.anchors import AnchorKind, TrustAnchor
from wallet_sim.conduct import HONEST, Conduct, Endpoint
from wallet_sim.present import Habits, Presenter
from wallet_sim.store import StoredCredential, WalletStore
from wallet_sim.transport import Transport, WalletFailure

SD_JWT, MDOC = "dc+sd-jwt", "mso_mdoc"
REQUEST_TYPE = "application/oauth-authz-req+jwt"
_JSON_MEMBERS = ("dcql_query", "client_metadata", "transaction_data", "verifier_info")


@dataclass(frozen=True, slots=True)
class QuestionWish:
    """What question a check wants. method: how the request is fetched, `get` or `post`."""

    format: str = SD_JWT
    method: str = "get"


Questions = Callable[[QuestionWish], str]
PageQuestions = Callable[[QuestionWish], PageQuestion]


@dataclass(frozen=True, slots=True)
class Asked:
    """A question as it came. outside: the link's parameters. answer: to the request_uri; jws: the request object;
    params: the question's parameters, of the object if there is one."""

    link: str
    outside: Mapping[str, str]
    answer: Answer | None
    jws: Jws | None
    params: JsonObject

    @property
    def chain(self) -> tuple[bytes, ...]:
        """The request object's certificates; none without one."""
        if self.jws is None:
            return ()
        try:
            return parse_x5c(self.jws.header)
        except JoseError:
            return ()


class _Watching(Conduct):
    """Hears what came back; changes nothing but what another conduct changes."""

    def __init__(self, inner: Conduct) -> None:
        self.inner = inner
        self.statuses: list[int | None] = []

    def change(self, piece, value, *, to):  # type: ignore[no-untyped-def]
        """See `Conduct`."""
        return self.inner.change(piece, value, to=to)

    def signed(self, piece, token, signer, *, to):  # type: ignore[no-untyped-def]
        """See `Conduct`."""
        return self.inner.signed(piece, token, signer, to=to)

    def note(self, exchange):  # type: ignore[no-untyped-def]
        """See `Conduct`."""
        self.inner.note(exchange)
        if exchange.to is Endpoint.ANSWER:
            self.statuses.append(exchange.status)


@dataclass
class VerifierTarget:
    """One verifier during one run.

    questions: makes it ask anew. identity: whose credentials it believes. anchors: of who may sign requests; without
    any the certificate that comes along is taken. registrar_anchors: of who may sign registration certificates.
    pages: makes a page of it ask anew. server: where the verifier finds the suite's status lists; None: nowhere.
    """

    url: str
    client: httpx.Client
    questions: Questions
    identity: SuiteIdentity
    credential: TestCredential = field(default_factory=TestCredential)
    anchors: tuple[TrustAnchor, ...] = ()
    registrar_anchors: tuple[TrustAnchor, ...] = ()
    allow_loopback_http: bool = False
    profile: str = HAIP
    server: SuiteServer | None = None
    pages: PageQuestions | None = None
    recorder: Recorder = field(default_factory=Recorder)
    kept: dict[str, object] = field(default_factory=dict, init=False, repr=False)

    def __post_init__(self) -> None:
        self.client.event_hooks["response"].append(self._record)

    def _record(self, response: httpx.Response) -> None:
        response.read()
        self.recorder.requests += 1
        answer = Answer(response.status_code, response.headers, response.content)
        request = response.request
        content = request.content if isinstance(request.stream, httpx.ByteStream) else b""
        kept = exchange(request.method, str(request.url), request.headers, content, answer)
        self.recorder.exchanges.append(kept)

    def need_server(self) -> SuiteServer:
        """Where the suite publishes.

        Raises:
            NotApplicable: nowhere that the verifier could fetch from.
        """
        if self.server is None:
            raise NotApplicable("the verifier can fetch nothing from the suite: name suite_url, where it reaches it")
        return self.server

    @property
    def mint(self) -> Mint:
        """Makes the credentials that are shown."""
        return Mint(self.identity, self.credential)

    def asked(self, wish: QuestionWish | None = None) -> Asked:
        """A fresh question, fetched once by GET, and taken apart as far as it can be.

        Raises:
            NotApplicable: there is none to be had. Failed: it can't be fetched.
        """
        link = self.questions(wish or QuestionWish())
        outside = self.linked(link)
        if "request_uri" not in outside:
            return Asked(link, outside, None, None, _decoded(outside))
        answer = self.fetch(outside["request_uri"])
        return self.read(link, outside, answer)

    def linked(self, link: str) -> dict[str, str]:
        """The parameters of a link."""
        return dict(parse_qsl(urlsplit(link).query, keep_blank_values=True))

    def read(self, link: str, outside: Mapping[str, str], answer: Answer) -> Asked:
        """A request object taken apart; its signature is another question."""
        if answer.status != 200:
            raise Failed(f"200 {REQUEST_TYPE} at the request_uri", answer.described)
        text = answer.body.decode("ascii", "replace").strip()
        try:
            typ = strict_json.parse_object(base64url.decode(text.partition(".")[0])).get("typ")
            jws = parse_jws(text, expected_typ=str(typ))  # which typ it is, a check of its own judges
            return Asked(link, outside, answer, jws, jws.claims())
        except (Refusal, Malformed) as error:
            raise Failed("a signed request object", str(error)) from None

    def fetch(self, url: str, form: Mapping[str, str] | None = None, *, accept: str | None = REQUEST_TYPE) -> Answer:
        """GET or POST the request_uri. accept: the media type that is asked for; None: whatever comes."""
        headers = {"Accept": accept or "*/*"}
        try:
            if form is None:
                answer = self.client.get(url, headers=headers)
            else:
                answer = self.client.post(url, data=dict(form), headers=headers)
        except httpx.HTTPError as error:
            raise Failed("an answer at the request_uri", type(error).__name__) from None
        return Answer(answer.status_code, answer.headers, answer.content)

    def first(self, form: str = SD_JWT) -> Asked:
        """The first question of a format, asked once in a run.

        Raises:
            NotApplicable: there is none to be had; the check of the question itself says so.
        """
        name = f"question {form}"
        if name not in self.kept:
            try:
                self.kept[name] = self.asked(QuestionWish(form))
            except (Failed, NotApplicable) as reason:
                self.kept[name] = NotApplicable(str(reason))
        found = self.kept[name]
        if not isinstance(found, Asked):
            raise NotApplicable(str(found))
        return found

    def has(self, form: str) -> bool:
        """Whether a question of a format is to be had."""
        try:
            self.first(form)
        except NotApplicable:
            return False
        return True

    def shown(
        self,
        credentials: Sequence[StoredCredential],
        *,
        wish: QuestionWish | None = None,
        conduct: Conduct = HONEST,
        times: int = 1,
    ) -> int:
        """A wallet that holds these answers a fresh question; the status of the last answer.

        times: how many questions it answers, one after another.

        Raises:
            Failed: the question can't be read by a wallet, or there is no answer. NotApplicable: no question fits.
        """
        watching = _Watching(conduct)
        with tempfile.TemporaryDirectory(prefix="stadtnachweis-conformance-") as folder:
            transport = Transport(allow_loopback_http=self.allow_loopback_http, client=self.client, conduct=watching)
            store = WalletStore(Path(folder) / "wallet.db")
            store.add(credentials)
            presenter = Presenter(store, transport, self._believed(wish), Habits(answers_unsigned=True))
            for _ in range(times):
                link = _for_wallet(self.questions(wish or QuestionWish()))
                try:
                    with suppress(WalletFailure):
                        presenter.present(link, consent=lambda _question: True)
                except (RequestError, Refusal, InvalidAnswer) as error:
                    raise Failed("a question that a wallet can answer", str(error)) from None
        status = watching.statuses[-1] if watching.statuses else None
        if status is None:
            raise NotApplicable("the wallet had nothing to answer this question with, or was not answered")
        return status

    def page_question(self, wish: QuestionWish) -> PageQuestion:
        """A fresh question of a page.

        Raises:
            NotApplicable: there is none to be had.
        """
        if self.pages is None:
            raise NotApplicable("the settings tell no way to what a page hands to the browser")
        return self.pages(wish)

    def page_answer(
        self,
        asked: PageQuestion,
        credentials: Sequence[StoredCredential],
        *,
        protocol: str,
        conduct: Conduct = HONEST,
    ) -> JsonObject:
        """What the browser brings back from a wallet that holds these.

        Raises:
            Failed: the question can't be read by a wallet, or the wallet has no answer.
        """
        data = asked.by(protocol)
        chains = [chain for _, chain in PageAsked.of({"protocol": protocol, "data": data}).signatures]
        pinned = tuple(TrustAnchor(AnchorKind.PINNED_TEST, chain[0], "verifier") for chain in chains)
        with tempfile.TemporaryDirectory(prefix="stadtnachweis-conformance-") as folder:
            store = WalletStore(Path(folder) / "wallet.db")
            store.add(credentials)
            transport = Transport(allow_loopback_http=self.allow_loopback_http, client=self.client, conduct=conduct)
            presenter = Presenter(store, transport, self.anchors or pinned)
            try:
                answer = presenter.answer_dc_api(
                    protocol, data, origin=asked.origin, consent=lambda _question: True
                ).members
            except (RequestError, Refusal, InvalidAnswer) as error:
                raise Failed(f"a question by {protocol} that a wallet can answer", str(error)) from None
        said = answer.get("data")
        if isinstance(said, dict) and "error" in said:
            raise Failed(f"a question by {protocol} that a wallet can answer", f"its error {said['error']}")
        return answer

    def post_to_page(
        self, asked: PageQuestion, answer: object, *, posted_from: str | None = None, posts: int = 1
    ) -> int:
        """What the page makes of an answer: the status of the last of as many posts.

        posted_from: the origin that the browser names, if not the page's.
        """
        headers = {"Content-Type": JSON, "Origin": posted_from or asked.origin}
        headers["Cookie"] = "; ".join(f"{name}={value}" for name, value in asked.cookies.items())
        body, status = strict_json.dumps(answer), 0
        try:
            for _ in range(posts):
                status = self.client.post(asked.answer_url, content=body, headers=headers).status_code
        except httpx.HTTPError as error:
            raise Failed("an answer where the page posts to", type(error).__name__) from None
        return status

    def shown_in_page(
        self,
        credentials: Sequence[StoredCredential],
        *,
        wish: QuestionWish,
        protocol: str,
        conduct: Conduct = HONEST,
        posted_from: str | None = None,
        posts: int = 1,
    ) -> int:
        """A wallet that holds these answers a fresh question of a page; as `page_answer` and `post_to_page`."""
        asked = self.page_question(wish)
        answer = self.page_answer(asked, credentials, protocol=protocol, conduct=conduct)
        return self.post_to_page(asked, answer, posted_from=posted_from, posts=posts)

    def _believed(self, wish: QuestionWish | None) -> tuple[TrustAnchor, ...]:
        if self.anchors:
            return self.anchors
        chain = self.first((wish or QuestionWish()).format).chain
        return (TrustAnchor(AnchorKind.PINNED_TEST, chain[0], "verifier"),) if chain else ()


def _decoded(outside: Mapping[str, str]) -> JsonObject:
    params: JsonObject = dict(outside)
    for name in _JSON_MEMBERS:
        if name in outside:
            try:
                params[name] = strict_json.parse(outside[name])
            except Malformed as error:
                raise Failed(f"{name} as JSON", str(error)) from None
    return params


def _for_wallet(link: str) -> str:
    """A link as wallets know it, whatever address it opens."""
    parts = urlsplit(link)
    return link if parts.scheme in ("openid4vp", "haip-vp", "eudi-openid4vp") else f"openid4vp://?{parts.query}"
