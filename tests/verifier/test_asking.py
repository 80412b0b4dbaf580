"""What a question says and what is kept of it: by its way, and by what it does otherwise than its procedure."""

from dataclasses import replace

import pytest

from specs.encoding import strict_json
from specs.encoding.strict_json import JsonObject
from specs.protocols.openid4vp.transaction_data import build_transaction_data
from tests.verifier.desk import ENDPOINTS, IN_CLEAR, IN_PAGE, ORIGIN, SD_JWT, Desk, access_identity
from tests.verifier.test_dc_api import params_of
from tests.verifier.test_questions import named
from tests.verifier.world import NOW, World
from verifier import Choices, ClientIdPrefix, DcApiProtocol, Flow, RelyingParty, RequestWay, ResponseMode
from verifier.ask import ask, choices_from_json, digest, fingerprint, new_link, same

CONFIRMED = build_transaction_data("urn:x", credential_ids=["pid"], members={})
EVERYTHING = Choices(
    response_mode=ResponseMode.DC_API,
    request_way=RequestWay.VALUE,
    origins=(ORIGIN, "https://other.example"),
    dc_api=(DcApiProtocol.UNSIGNED, DcApiProtocol.SIGNED),
    transaction_data=(CONFIRMED,),
    prefix=ClientIdPrefix.X509_SAN_DNS,
    wallet="https://wallet.example/",
)


@pytest.fixture(scope="module")
def desk() -> Desk:
    return Desk(World(), by_reader=True)


@pytest.mark.parametrize(
    "choices",
    [
        EVERYTHING,
        Choices(),
        Choices(origins=(), dc_api=(), transaction_data=()),
        *(Choices(**{name: getattr(EVERYTHING, name)}) for name in Choices.__slots__),
    ],
)
def test_what_a_question_does_otherwise_is_read_as_it_was_written(choices: Choices) -> None:
    written = strict_json.parse_object(strict_json.dumps(choices.to_json()))
    assert choices_from_json(written) == choices
    assert len(written) == sum(getattr(choices, name) is not None for name in Choices.__slots__)


def test_a_question_is_its_procedures_but_for_what_it_does_otherwise(desk: Desk) -> None:
    procedure = desk.procedures[SD_JWT]
    assert Choices().applied_to(procedure) == procedure
    assert EVERYTHING.applied_to(procedure) == replace(
        procedure,
        response_mode=ResponseMode.DC_API,
        request_way=RequestWay.VALUE,
        origins=(ORIGIN, "https://other.example"),
        dc_api=(DcApiProtocol.UNSIGNED, DcApiProtocol.SIGNED),
        transaction_data=(CONFIRMED,),
    )
    assert Choices(origins=(), transaction_data=()).applied_to(replace(procedure, origins=(ORIGIN,))) == procedure
    assert EVERYTHING.named(desk.relying_party) == replace(desk.relying_party, prefix=ClientIdPrefix.X509_SAN_DNS)
    assert Choices().named(desk.relying_party) == desk.relying_party


@pytest.mark.parametrize(
    ("procedure", "choices", "fetched", "encrypted", "by_origin", "by_devices"),
    [
        (SD_JWT, Choices(), True, True, False, False),
        (SD_JWT, Choices(dc_api=(DcApiProtocol.ISO_MDOC,)), True, True, False, False),
        (SD_JWT, Choices(request_way=RequestWay.REQUEST_URI_POST), True, True, False, False),
        (SD_JWT, Choices(request_way=RequestWay.VALUE), False, True, False, False),
        (SD_JWT, Choices(request_way=RequestWay.PARAMETERS), False, True, False, False),
        (IN_CLEAR, Choices(), True, False, False, False),
        (IN_PAGE, Choices(), False, True, True, False),
        (IN_PAGE, Choices(response_mode=ResponseMode.DC_API), False, False, True, False),
        (IN_PAGE, Choices(dc_api=(DcApiProtocol.SIGNED, DcApiProtocol.ISO_MDOC)), False, True, True, True),
    ],
)
def test_of_a_question_is_kept_what_its_way_needs(
    procedure: str, choices: Choices, fetched: bool, encrypted: bool, by_origin: bool, by_devices: bool, desk: Desk
) -> None:
    """OpenID4VP §5.3, §8.3, §A.2: over the browser's API the origin stands for the client identifier."""
    asking = choices.applied_to(desk.procedures[procedure])
    asked, transaction, link = ask(
        asking,
        flow=Flow.SAME_DEVICE,
        relying_party=desk.relying_party,
        endpoints=ENDPOINTS,
        now=NOW,
        choices=choices,
    )
    assert (asked.request_handle is not None, link is not None) == (fetched, fetched)
    assert (transaction.response_key is not None) is encrypted
    assert transaction.client_id == (None if by_origin else desk.relying_party.client_id.text)
    assert (transaction.mdoc_exchange is not None) is by_devices
    assert transaction.expires_at == asked.expires_at == NOW + 300
    assert choices_from_json(transaction.choices) == choices
    assert transaction.fingerprint == fingerprint(asking)
    handle = transaction.response_uri.removeprefix(f"{ENDPOINTS.response_uri}/")
    assert same(transaction.response_handle_digest, handle)
    assert same(transaction.session_digest, asked.session_secret)
    assert same(transaction.page_digest, asked.page)
    secrets = {asked.id, asked.session_secret, asked.page, handle, transaction.nonce, transaction.wallet_state}
    assert {len(secret) for secret in secrets} == {43}
    assert len(secrets) == 6


@pytest.mark.parametrize(
    ("flow", "after", "fetch_by"),
    [
        (Flow.SAME_DEVICE, 0, 300),
        (Flow.APP, 299, 300),
        (Flow.CROSS_DEVICE, 0, 20),
        (Flow.CROSS_DEVICE, 279, 299),
        (Flow.CROSS_DEVICE, 281, 300),
    ],
)
def test_a_picture_is_fetched_soon_and_never_after_its_question(
    flow: Flow, after: int, fetch_by: int, desk: Desk
) -> None:
    _, transaction, _ = ask(
        desk.procedures[SD_JWT], flow=flow, relying_party=desk.relying_party, endpoints=ENDPOINTS, now=NOW
    )
    handle, link = new_link(transaction, now=NOW + after)
    assert link.digest == digest(handle)
    assert (link.transaction_id, link.fetch_by, link.expires_at) == (transaction.id, NOW + fetch_by, NOW + 300)


def in_page(desk: Desk, protocol: DcApiProtocol) -> JsonObject:
    """A question through the browser's API, in one protocol."""
    (request,) = desk.verifier.ask(IN_PAGE, flow=Flow.SAME_DEVICE, choices=Choices(dc_api=(protocol,))).dc_api
    return params_of(request.data)


@pytest.mark.parametrize("protocol", [DcApiProtocol.SIGNED, DcApiProtocol.MULTI_SIGNED])
def test_what_is_signed_for_a_page_ends_with_its_question(protocol: DcApiProtocol) -> None:
    desk = Desk(co_signers=(RelyingParty(access_identity(NOW)),))
    params = in_page(desk, protocol)
    assert (params["iat"], params["exp"]) == (NOW, NOW + 300)
    assert params["expected_origins"] == [ORIGIN]


def test_a_page_asks_unsigned_in_nobodys_name() -> None:
    """OpenID4VP §A.2: neither client_id nor expected_origins; what a federation knows does not count without a name."""
    for party in (RelyingParty(None), named(ClientIdPrefix.X509_HASH), federated()):
        desk = Desk()
        desk.relying_party = party
        desk.procedures = {IN_PAGE: replace(desk.procedures[IN_PAGE], dc_api=(DcApiProtocol.UNSIGNED,))}
        params = in_page(desk, DcApiProtocol.UNSIGNED)
        assert params.keys() == {"response_type", "response_mode", "nonce", "dcql_query", "client_metadata"}


def federated() -> RelyingParty:
    """Whom a federation knows."""
    return named(ClientIdPrefix.OPENID_FEDERATION)


def test_a_question_by_link_says_nothing_of_pages_or_of_a_federation_that_does_not_name_the_asker() -> None:
    """OpenID4VP §5.9.3, §A.2."""
    desk = Desk()
    desk.relying_party = replace(desk.relying_party, trust_chain=("a.b.c",))
    desk.procedures = {SD_JWT: replace(desk.procedures[SD_JWT], origins=(ORIGIN,))}
    params = desk.ask().params
    assert not {"trust_chain", "expected_origins"} & params.keys()
    assert "client_metadata" in params


def test_a_page_needs_no_way_back() -> None:
    desk = Desk()
    desk.procedures = {IN_PAGE: replace(desk.procedures[IN_PAGE], return_url=None)}
    question = desk.verifier.ask(IN_PAGE, flow=Flow.SAME_DEVICE)
    assert (question.wallet_url, len(question.dc_api)) == ("", 1)
