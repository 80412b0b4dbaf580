"""What we ask: a procedure's question, why it is asked, and by which rules the answer is judged."""

import hashlib
import hmac
import secrets
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, fields, replace
from enum import StrEnum

from specs.encoding import base64url, strict_json
from specs.keys.jwe import new_decryption_key
from specs.protocols.dcql import DcqlQuery, dcql_to_json
from specs.protocols.openid4vp import (
    ClientIdPrefix,
    DcApiProtocol,
    MdocTransactionType,
    RequestUriMethod,
    ResponseMode,
    VerifierInfo,
)
from specs.protocols.openid4vp.request import ORIGIN_MODES
from verifier.expectations import Policy
from verifier.iso_mdoc import new_exchange
from verifier.relying_party import RelyingParty
from verifier.transaction import Link, State, Transaction

LIFETIME_SECONDS = 300
PICTURE_SECONDS = 20  # from the moment a picture is drawn to its first fetch
RANDOM_BYTES = 32  # more than the 128 bits that OpenID4VP §5.3 and §13.3 ask for


class Flow(StrEnum):
    """Where the wallet is, seen from the page that asks (contract: same device, cross device, app)."""

    SAME_DEVICE = "same_device"
    CROSS_DEVICE = "cross_device"
    APP = "app"

    @property
    def returns(self) -> bool:
        """Whether the wallet comes back with a `response_code`; across devices it can't."""
        return self is not Flow.CROSS_DEVICE


class RequestWay(StrEnum):
    """How a question reaches the wallet (OpenID4VP §5, §5.4, §5.10)."""

    REQUEST_URI_GET = "request_uri_get"  # signed, fetched
    REQUEST_URI_POST = "request_uri_post"  # signed, fetched, with the wallet's nonce in it
    VALUE = "value"  # signed, in the link itself
    PARAMETERS = "parameters"  # unsigned, in the link itself

    @property
    def is_by_reference(self) -> bool:
        """Whether the link only says where the question is."""
        return self in (RequestWay.REQUEST_URI_GET, RequestWay.REQUEST_URI_POST)

    @property
    def method(self) -> RequestUriMethod:
        """The `request_uri_method` of a link by reference."""
        return RequestUriMethod.POST if self is RequestWay.REQUEST_URI_POST else RequestUriMethod.GET


@dataclass(frozen=True, slots=True)
class Procedure:
    """A municipal procedure's question.

    purpose: why, by language tag. return_url: where the wallet sends the person afterwards (same device and app).
    transaction_data: what the holder confirms, each entry already as the base64url text that travels (OpenID4VP §8.4).
    origins: of the pages that ask over the browser's API, as browsers write them; dc_api: the protocols offered there.
    verifier_info: what is attested for this procedure, such as its registration certificate, beside what is attested
    for the relying party. transaction_types: how mdocs confirm transaction data; types not listed can't be confirmed by
    one. lifetime: seconds.
    """

    id: str
    query: DcqlQuery
    policy: Policy = field(default_factory=Policy)
    purpose: Mapping[str, str] = field(default_factory=dict)
    return_url: str | None = None
    response_mode: ResponseMode = ResponseMode.DIRECT_POST_JWT
    transaction_data: tuple[str, ...] = ()
    lifetime: int = LIFETIME_SECONDS
    request_way: RequestWay = RequestWay.REQUEST_URI_GET
    origins: tuple[str, ...] = ()
    dc_api: tuple[DcApiProtocol, ...] = (DcApiProtocol.SIGNED,)
    verifier_info: tuple[VerifierInfo, ...] = ()
    transaction_types: tuple[MdocTransactionType, ...] = ()


@dataclass(frozen=True, slots=True)
class Choices:
    """What one question does otherwise than its procedure; None: as the procedure says.

    prefix: another way for the same relying party to name itself. wallet: the address that opens the wallet.
    """

    response_mode: ResponseMode | None = None
    request_way: RequestWay | None = None
    origins: tuple[str, ...] | None = None
    dc_api: tuple[DcApiProtocol, ...] | None = None
    transaction_data: tuple[str, ...] | None = None
    prefix: ClientIdPrefix | None = None
    wallet: str | None = None

    def applied_to(self, procedure: Procedure) -> Procedure:
        """The procedure as this question puts it."""
        given = {
            name: value
            for name in ("response_mode", "request_way", "origins", "dc_api", "transaction_data")
            if (value := getattr(self, name)) is not None
        }
        return replace(procedure, **given) if given else procedure

    def named(self, relying_party: RelyingParty) -> RelyingParty:
        """The relying party as this question names it."""
        return relying_party if self.prefix is None else replace(relying_party, prefix=self.prefix)

    def to_json(self) -> dict[str, object]:
        """What differs, as JSON."""
        return {
            each.name: list(value) if isinstance(value, tuple) else value
            for each in fields(self)
            if (value := getattr(self, each.name)) is not None
        }


def choices_from_json(found: Mapping[str, object]) -> Choices:
    """Read what `Choices.to_json` wrote; it is our own, sealed."""
    readers: Mapping[str, Callable[[object], object]] = {
        "response_mode": lambda value: ResponseMode(str(value)),
        "request_way": lambda value: RequestWay(str(value)),
        "origins": _texts,
        "dc_api": lambda value: tuple(DcApiProtocol(each) for each in _texts(value)),
        "transaction_data": _texts,
        "prefix": lambda value: ClientIdPrefix(str(value)),
        "wallet": str,
    }
    return Choices(**{name: readers[name](value) for name, value in found.items()})  # type: ignore[arg-type]


def _texts(value: object) -> tuple[str, ...]:
    assert isinstance(value, list)
    return tuple(str(each) for each in value)


AS_THE_PROCEDURE_SAYS = Choices()


@dataclass(frozen=True, slots=True)
class Asked:
    """What the asker keeps. `session_secret` is shown this once: only who holds it gets the verdict.

    page: for the page that waits: shows pictures and whether an answer came, and nothing else. request_handle: of the
    first link; None where the question is not fetched.
    """

    id: str
    session_secret: str
    page: str
    request_handle: str | None
    expires_at: int  # seconds since the epoch


@dataclass(frozen=True, slots=True)
class Endpoints:
    """Where wallets reach this verifier: each takes the transaction's handle as its last path segment.

    done_url: a page for the holder whose wallet is on another device; it unlocks nothing. None: the wallet stays.
    """

    request_uri: str  # prefix, without the trailing slash
    response_uri: str
    done_url: str | None = None


def ask(
    procedure: Procedure,
    *,
    flow: Flow,
    relying_party: RelyingParty,
    endpoints: Endpoints,
    now: int,
    choices: Choices = AS_THE_PROCEDURE_SAYS,
    random: Callable[[int], bytes] = secrets.token_bytes,
) -> tuple[Asked, Transaction, Link | None]:
    """Begin a transaction: fresh nonce, state, handles and response key (OpenID4VP §5.2, §5.3, §13.3; HAIP §5).

    procedure, relying_party: with the choices already applied. now: seconds since the epoch.
    """
    transaction_id, response_handle, session_secret, page, nonce, state = (
        base64url.encode(random(RANDOM_BYTES)) for _ in range(6)
    )
    response_uri = f"{endpoints.response_uri}/{response_handle}"
    over_dc_api = procedure.response_mode in ORIGIN_MODES
    by_iso_mdoc = over_dc_api and DcApiProtocol.ISO_MDOC in procedure.dc_api
    transaction = Transaction(
        id=transaction_id,
        procedure=procedure.id,
        flow=flow.value,
        state=State.ASKED,
        response_handle_digest=digest(response_handle),
        page_digest=digest(page),
        session_digest=digest(session_secret),
        created_at=now,
        expires_at=now + procedure.lifetime,
        nonce=nonce,
        wallet_state=state,
        response_uri=response_uri,
        response_key=new_decryption_key(base64url.encode(random(16))) if procedure.response_mode.is_encrypted else None,
        mdoc_exchange=new_exchange(random=random) if by_iso_mdoc else None,
        client_id=None if over_dc_api else relying_party.client_id_for(response_uri).text,
        choices=choices.to_json(),
        fingerprint=fingerprint(procedure),
    )
    handle: str | None = None
    link: Link | None = None
    if procedure.request_way.is_by_reference and not over_dc_api:
        handle, link = new_link(transaction, now=now, random=random)
    return Asked(transaction_id, session_secret, page, handle, transaction.expires_at), transaction, link


def new_link(
    transaction: Transaction, *, now: int, random: Callable[[int], bytes] = secrets.token_bytes
) -> tuple[str, Link]:
    """A handle for one link or picture, and how it is kept.

    A picture for another device must be fetched soon, so that one that was passed on is worth nothing (contract 4).
    """
    handle = base64url.encode(random(RANDOM_BYTES))
    last = transaction.expires_at
    if transaction.flow == Flow.CROSS_DEVICE:
        last = min(last, now + PICTURE_SECONDS)
    return handle, Link(digest(handle), transaction.id, fetch_by=last, expires_at=transaction.expires_at)


def fingerprint(procedure: Procedure) -> str:
    """What makes a procedure's question this one: its query. An answer is judged by the question that was asked."""
    return hashlib.sha256(strict_json.dumps(dcql_to_json(procedure.query))).hexdigest()


def digest(secret: str) -> str:
    """How a strong secret is kept: SHA-256, hexadecimal. Whatever somebody presents for one has a digest."""
    return hashlib.sha256(secret.encode("utf-8", "surrogatepass")).hexdigest()


def same(digest_kept: str, secret: str) -> bool:
    """Whether a presented secret is the one whose digest was kept, in constant time."""
    return hmac.compare_digest(digest_kept, digest(secret))
