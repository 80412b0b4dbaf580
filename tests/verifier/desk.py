"""A city's desk: a `Verifier` with a procedure, a wallet that answers it, and a clock and a shelf of lists in hand."""

import secrets
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property

from specs.credentials.session_transcript import openid4vp_transcript
from specs.credentials.status_list import StatusMediaType
from specs.encoding import base64url, strict_json
from specs.encoding.strict_json import JsonObject
from specs.keys.jose import thumbprint_bytes
from specs.keys.jwe import encrypt
from specs.keys.signer import Signer, SigningIdentity, generate_private_key, generate_signer
from specs.profiles import Profile
from specs.protocols.dcql import DcqlQuery
from specs.trust.certificates import (
    Authority,
    SubjectName,
    build_access_certificate,
    build_reader_certificate,
    build_root_ca,
    serial_number,
)
from tests.verifier.world import MDOC_QUERY, QUERY, STATUS_URI, World
from verifier import (
    AnchorKind,
    DcApiProtocol,
    Fetched,
    Flow,
    MemoryStore,
    Policy,
    Procedure,
    Question,
    Receipt,
    RelyingParty,
    ResponseMode,
    TrustAnchor,
    Verifier,
)
from verifier.ask import AS_THE_PROCEDURE_SAYS, Choices, Endpoints
from verifier.events import Listener, nobody
from verifier.evidence import Recording
from verifier.expectations import Trust, TrustSource
from verifier.fetch import Fetcher, FetchFailed
from verifier.transaction import TransactionStore

HOST = "city.example"
IDENTIFIER = "VATDE-123456789"
ENDPOINTS = Endpoints(f"https://{HOST}/present/request", f"https://{HOST}/present/response")
RETURN_URL = f"https://{HOST}/parking/return"
ORIGIN = f"https://{HOST}"
SD_JWT, MDOC, IN_CLEAR = "parking", "licence", "in_clear"
BESIDE = (DcApiProtocol.SIGNED, DcApiProtocol.ISO_MDOC)
IN_PAGE, MDOC_IN_PAGE, ISO_IN_PAGE = "in_page", "licence_in_page", "iso_in_page"


@dataclass
class Shelf:
    """Where the host's fetcher finds documents; it counts how often it was asked."""

    documents: dict[tuple[str, str], Fetched | None] = field(default_factory=dict)
    asked_for: list[str] = field(default_factory=list)

    def fetch(self, url: str, *, accept: str) -> Fetched:
        """The document, if it is there."""
        self.asked_for.append(url)
        found = self.documents.get((url, accept))
        if found is None:
            raise FetchFailed("not on the shelf")
        return found


@dataclass
class Clock:
    """A clock that stands until it is moved."""

    now: int

    def __call__(self) -> float:
        """Seconds since the epoch."""
        return self.now


@dataclass(frozen=True)
class Asking:
    """A question as its asker and the wallet know it. handles: last segments of the two addresses."""

    question: Question
    request_handle: str
    params: JsonObject
    client_id: str

    @property
    def response_handle(self) -> str:
        """The last segment of `response_uri`."""
        return self.response_uri.rpartition("/")[2]

    @property
    def response_uri(self) -> str:
        """Where the answer goes."""
        return str(self.params["response_uri"])

    @property
    def nonce(self) -> str:
        """The question's nonce."""
        return str(self.params["nonce"])

    @property
    def state(self) -> str:
        """The question's state."""
        return str(self.params["state"])

    @property
    def jwk(self) -> dict[str, str]:
        """The key to encrypt to."""
        metadata = self.params["client_metadata"]
        assert isinstance(metadata, dict)
        jwks = metadata["jwks"]
        assert isinstance(jwks, dict)
        keys = jwks["keys"]
        assert isinstance(keys, list)
        assert isinstance(keys[0], dict)
        return {name: str(value) for name, value in keys[0].items()}

    def encrypted(self, payload: Mapping[str, object]) -> dict[str, str]:
        """The form with this payload, closed."""
        return {"response": encrypt(strict_json.dumps(payload), jwk=self.jwk, enc="A256GCM")}


@dataclass
class Desk:
    """One relying party at work."""

    world: World = field(default_factory=World)
    store: TransactionStore = field(default_factory=MemoryStore)
    sealing_key: bytes = field(default_factory=lambda: secrets.token_bytes(32))
    policy: Policy = field(default_factory=Policy)
    query: DcqlQuery = field(default_factory=lambda: QUERY)
    fetcher: Fetcher | None = None
    profile: Profile | None = None
    co_signers: tuple[RelyingParty, ...] = ()
    trust: Trust | TrustSource | None = None
    listener: Listener = nobody
    recording: Recording | None = None
    by_reader: bool = False  # mdocs are asked for by `org-iso-mdoc`, too

    def __post_init__(self) -> None:
        self.clock = Clock(self.world.now)
        self.shelf = Shelf(dict(self.world.status_lists()))

    @cached_property
    def relying_party(self) -> RelyingParty:
        """Who asks."""
        return RelyingParty(access_identity(self.world.now), reader=self.reader[0] if self.by_reader else None)

    @cached_property
    def reader(self) -> tuple[SigningIdentity, TrustAnchor]:
        """A reader certificate, and the root that devices know it by."""
        return reader_identity(self.world.now)

    @cached_property
    def procedures(self) -> dict[str, Procedure]:
        """What can be asked."""
        parking = Procedure(SD_JWT, self.query, policy=self.policy, return_url=RETURN_URL)
        in_page = replace(parking, id=IN_PAGE, response_mode=ResponseMode.DC_API_JWT, origins=(ORIGIN,))
        by_reader = {ISO_IN_PAGE: replace(in_page, id=ISO_IN_PAGE, query=MDOC_QUERY, dc_api=BESIDE)}
        return {
            SD_JWT: parking,
            MDOC: replace(parking, id=MDOC, query=MDOC_QUERY),
            IN_CLEAR: replace(parking, id=IN_CLEAR, response_mode=ResponseMode.DIRECT_POST),
            IN_PAGE: in_page,
            MDOC_IN_PAGE: replace(in_page, id=MDOC_IN_PAGE, query=MDOC_QUERY),
            **(by_reader if self.relying_party.reader is not None else {}),
        }

    @cached_property
    def verifier(self) -> Verifier:
        """The verifier itself."""
        return Verifier(
            self.relying_party,
            procedures=self.procedures,
            trust=self.world.trust if self.trust is None else self.trust,
            store=self.store,
            sealing_key=self.sealing_key,
            endpoints=ENDPOINTS,
            fetcher=self.fetcher or self.shelf,
            clock=self.clock,
            profile=self.profile,
            co_signers=self.co_signers,
            listener=self.listener,
            recording=self.recording,
        )

    def ask(
        self, procedure: str = SD_JWT, *, flow: Flow = Flow.SAME_DEVICE, choices: Choices = AS_THE_PROCEDURE_SAYS
    ) -> Asking:
        """Begin a transaction, and fetch the question as the wallet does."""
        question = self.verifier.ask(procedure, flow=flow, choices=choices)
        return self.read(question)

    def read(self, question: Question) -> Asking:
        """What the wallet reads of a question."""
        handle = handle_of(question.wallet_url)
        token = self.verifier.request_object(handle)
        params = strict_json.parse_object(base64url.decode(token.split(".")[1]))
        return Asking(question, handle, params, self.relying_party.client_id.text)

    @cached_property
    def credential(self) -> str:
        """What the holder has as SD-JWT VC."""
        return self.world.sd_jwt()

    @cached_property
    def mdoc(self) -> bytes:
        """What the holder has as mdoc."""
        return self.world.mdoc()

    def vp_token(self, asking: Asking) -> dict[str, list[str]]:
        """The holder's answer to the question, as SD-JWT VC."""
        presentation = self.world.present_sd_jwt(self.credential, nonce=asking.nonce, audience=asking.client_id)
        return {"pid": [presentation]}

    def mdoc_token(self, asking: Asking) -> dict[str, list[str]]:
        """The holder's answer to the question, as mdoc."""
        transcript = openid4vp_transcript(
            client_id=asking.client_id,
            nonce=asking.nonce,
            jwk_thumbprint=thumbprint_bytes(asking.jwk),
            response_uri=asking.response_uri,
        )
        return {"pid": [self.world.present_mdoc(self.mdoc, transcript=transcript)]}

    def answer(self, asking: Asking) -> dict[str, str]:
        """The form that the wallet posts."""
        return asking.encrypted({"vp_token": self.vp_token(asking), "state": asking.state})

    def receive(self, asking: Asking, form: Mapping[str, object]) -> Receipt:
        """Post a form to the question's address."""
        return self.verifier.receive(asking.response_handle, form)


def access_identity(now: int) -> SigningIdentity:
    """A key with an access certificate of an authority of its own."""
    root_key, signer = generate_private_key(), generate_signer()
    root = build_root_ca(key=root_key, subject=SubjectName("Access CA", "DE"), serial=1, now=now)
    certificate = build_access_certificate(
        authority=Authority(root, root_key),
        public_key=signer.public_key,
        subject=SubjectName("Stadt Leipzig", "DE", organization_identifier=IDENTIFIER),
        serial=serial_number(secrets.token_bytes(20)),
        now=now,
        dns_names=[HOST],
        uris=[],
    )
    return SigningIdentity(signer, (certificate,))


def reader_identity(now: int, *, signer: Signer | None = None) -> tuple[SigningIdentity, TrustAnchor]:
    """A key with a reader certificate of an authority of its own, and that authority."""
    root_key, signer = generate_private_key(), signer or generate_signer()
    root = build_root_ca(key=root_key, subject=SubjectName("Reader CA", "DE"), serial=1, now=now)
    certificate = build_reader_certificate(
        authority=Authority(root, root_key),
        public_key=signer.public_key,
        subject=SubjectName("Stadt Leipzig", "DE"),
        serial=serial_number(secrets.token_bytes(20)),
        now=now,
        issuer_uri=f"https://{HOST}",
        crl_url=f"https://{HOST}/crl",
    )
    return SigningIdentity(signer, (certificate,)), TrustAnchor(AnchorKind.CA, root, "readers")


def handle_of(link: str) -> str:
    """The last segment of the `request_uri` in a link."""
    return link.rpartition("%2F")[2].partition("&")[0]


def code_of(receipt: Receipt) -> str:
    """The `response_code` that the wallet brings back."""
    return str(receipt.body["redirect_uri"]).rpartition("response_code=")[2]


def reason_of(receipt: Receipt) -> str | None:
    """Why an answer was refused."""
    assert receipt.status in (200, 400)
    return str(receipt.body["error_description"]) if receipt.status == 400 else None


def status_address() -> tuple[str, str]:
    """Where the shelf keeps the list of SD-JWT VCs."""
    return STATUS_URI, StatusMediaType.JWT
