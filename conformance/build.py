"""From settings to a target: clients, identities, roots and ways to get links put together."""

import ssl
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from urllib.parse import urlsplit

import httpx

from conformance.exchange import TIMEOUT_SECONDS, Recorder
from conformance.identity import HOST, SuiteIdentity, server_context
from conformance.issuer_target import IssuerTarget, Offered, Offers, OfferWish
from conformance.login import Login
from conformance.page_question import PageQuestion
from conformance.settings import Settings, SettingsWrong
from conformance.sources import Ask, fetched, fetched_page
from conformance.suite_server import SuiteServer
from conformance.verifier_target import PageQuestions, QuestionWish, VerifierTarget
from conformance.wallet_target import WalletTarget
from specs.protocols.oauth import InvalidAnswer
from specs.protocols.oauth_metadata import check_identifier


@contextmanager
def client_of(settings: Settings) -> Iterator[httpx.Client]:
    """A client that trusts whom the settings say, beside whom the system trusts.

    Raises:
        SettingsWrong: the file of roots can't be read.
    """
    with httpx.Client(timeout=TIMEOUT_SECONDS, follow_redirects=False, verify=_context(settings)) as client:
        yield client


def identity_of(settings: Settings) -> SuiteIdentity:
    """Who the suite is: of the settings' folder, else somebody new.

    Raises:
        SettingsWrong: the folder can't be used.
    """
    if settings.identity is None:
        return SuiteIdentity.fresh()
    try:
        return SuiteIdentity.of(settings.identity)
    except (OSError, ValueError) as error:
        raise SettingsWrong(f"{settings.identity}: {error}") from None


def issuer_target(settings: Settings, client: httpx.Client, *, ask: Ask | None = None) -> IssuerTarget:
    """An issuer to be judged. ask: asks a person.

    Raises:
        SettingsWrong: the address is none, or a file can't be read.
    """
    url = settings.issuer or ""
    try:
        check_identifier(url, allow_loopback_http=settings.allow_loopback_http)
    except InvalidAnswer as error:
        raise SettingsWrong(f"{url} cannot be an issuer: {error}") from None
    login = settings.login
    return IssuerTarget(
        url,
        client,
        settings.allow_loopback_http,
        offers=_offers(settings, client, ask),
        login=Login(login.username, login.password, tuple(login.agree), tuple(login.refuse)) if login else None,
        identity=identity_of(settings) if settings.identity is not None else None,
        wanted=dict(settings.configurations),
        anchors=settings.anchors(settings.credential_roots, "credentials"),
        status_anchors=settings.anchors(settings.status_roots, "status lists"),
        metadata_anchors=settings.anchors(settings.metadata_roots, "metadata"),
        registrar_anchors=settings.anchors(settings.registrar_roots, "registrars"),
        profile=settings.profile,
    )


@contextmanager
def verifier_target(settings: Settings, client: httpx.Client, *, ask: Ask | None = None) -> Iterator[VerifierTarget]:
    """A verifier to be judged, and the suite publishing status lists where it can reach them. ask: asks a person.

    Raises:
        SettingsWrong: the settings tell no way to get its requests, or whom it believes, or a file can't be read.
    """
    source = settings.question
    if source is None:
        raise SettingsWrong("question: say how to get the verifier's requests")
    if settings.identity is None:
        raise SettingsWrong("identity: name the folder whose credential-issuer-root.pem the verifier trusts")
    # a client of its own: what the wallet that the suite plays sends is recorded, what the hook is sent is not
    hook = httpx.Client(timeout=TIMEOUT_SECONDS, verify=_context(settings))

    def question(wish: QuestionWish) -> str:
        words = {"format": wish.format, "method": wish.method}
        return fetched(source, words, http=hook, what="question", ask=ask).text

    recorder, identity = Recorder(), identity_of(settings)
    target = VerifierTarget(
        settings.verifier or "",
        client,
        question,
        identity,
        credential=settings.credential,
        anchors=settings.anchors(settings.request_roots, "requests"),
        registrar_anchors=settings.anchors(settings.registrar_roots, "registrars"),
        allow_loopback_http=settings.allow_loopback_http,
        profile=settings.profile,
        recorder=recorder,
        pages=_pages(settings, hook),
    )
    with hook:
        if settings.suite_url is None and not settings.allow_loopback_http:
            yield target
            return
        with _suite_server(settings, recorder, identity) as server:
            target.server = server
            yield target


@contextmanager
def wallet_target(
    settings: Settings, client: httpx.Client, *, person: Callable[[str, str], bool] | None = None
) -> Iterator[WalletTarget]:
    """A wallet to be judged, and the suite listening for it. person: opens links in it.

    Raises:
        SettingsWrong: the settings don't say who the suite is, or a file can't be read, or the port is taken.
    """
    if settings.identity is None:
        raise SettingsWrong("identity: name the folder whose verifier and credential-issuer roots the wallet trusts")
    recorder, identity = Recorder(), identity_of(settings)
    with _suite_server(settings, recorder, identity) as server:
        yield WalletTarget(
            settings.wallet or "",
            client,
            server,
            recorder,
            identity,
            offer_endpoint=settings.offer_endpoint,
            dc_api_endpoint=settings.dc_api_endpoint,
            credential=settings.wallet_credential,
            provider_anchors=settings.anchors(settings.wallet_provider_roots, "wallet providers"),
            profile=settings.profile,
            person=person,
        )


def _pages(settings: Settings, hook: httpx.Client) -> PageQuestions | None:
    source = settings.page
    if source is None:
        return None

    def page(wish: QuestionWish) -> PageQuestion:
        return fetched_page(source, {"format": wish.format, "method": wish.method}, http=hook)

    return page


def _suite_server(settings: Settings, recorder: Recorder, identity: SuiteIdentity) -> SuiteServer:
    context = None
    if settings.suite_certificate is not None and settings.suite_key is not None:
        try:
            context = server_context(settings.suite_certificate, settings.suite_key)
        except OSError as error:  # errors of TLS among them
            raise SettingsWrong(f"suite_certificate, suite_key: {error}") from None
    elif settings.suite_tls:
        host = urlsplit(settings.suite_url or "").hostname
        context = identity.tls_context([HOST, "127.0.0.1", *([host] if host and host != HOST else [])])
    try:
        return SuiteServer(
            recorder,
            public_url=settings.suite_url,
            listen=settings.suite_listen,
            port=settings.suite_port,
            context=context,
        )
    except OSError as error:
        raise SettingsWrong(f"suite_listen, suite_port: {error.strerror}") from None


def _context(settings: Settings) -> ssl.SSLContext | bool:
    pem = settings.file(settings.tls_roots)
    if pem is None:
        return True
    context = ssl.create_default_context()
    context.verify_flags |= ssl.VERIFY_X509_PARTIAL_CHAIN  # the file may hold the server's own certificate
    try:
        context.load_verify_locations(cadata=pem.decode("ascii", "replace"))
    except ssl.SSLError:
        raise SettingsWrong(f"{settings.tls_roots}: no certificates") from None
    return context


def _offers(settings: Settings, client: httpx.Client, ask: Ask | None) -> Offers | None:
    source = settings.offer
    if source is None:
        return None

    def offer(wish: OfferWish) -> Offered:
        words = {"configuration": wish.configuration, "grant": wish.grant_name, "by": wish.by}
        link = fetched(source, words, http=client, what="offer", ask=ask)
        return Offered(link.text, link.code or settings.tx_code)

    return offer
