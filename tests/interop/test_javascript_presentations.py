"""OpenWallet Foundation's JavaScript packages present to our verifier what they collected from our issuer.

`@openid4vc/openid4vp` fetches, verifies and answers the question, `dcql` chooses the credentials, `@sd-jwt/sd-jwt-vc`
and `@owf/mdoc` make the presentations. Each refusal is a right answer that was bent in one place on their side. Where
the packages part from OpenID4VP 1.0:

- By POST they send the members of their metadata one by one and no nonce; §5.10 has `wallet_metadata` and
  `wallet_nonce`. The form is ours, comparing the nonce theirs.
- They take a JWE for a JWS when they look for its `kid` and open no encrypted question (§5.10.1): `jose` opens it.
- They read no multi-signed question (§A.3.2.2): `jose` verifies its signatures, the answer is theirs.
- They write `apv` into encrypted answers, which §8.3 leaves free; it is in the key's derivation and must be followed.
"""

from collections.abc import Iterator, Mapping

import httpx
import pytest
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509 import load_der_x509_certificate

from specs.encoding.strict_json import JsonObject, JsonValue
from specs.protocols.openid4vp import ResponseMode, build_transaction_data
from specs.refusal import ReasonCode
from tests.interop.foreign_wallet import ForeignWallet, StepFailed
from tests.interop.house import House
from tests.issuer.wallet_api.world import CLAIMS, MDOC, SD_JWT
from tests.wallet_sim.city import DOC_TYPE, VCT, City, Counter, procedures, running_counter
from verifier import Choices, ClientIdPrefix, DcApiProtocol, Flow, Question, RequestWay, Verdict

pytestmark = pytest.mark.interop
ORIGIN = "https://city.example"
FEE = build_transaction_data("urn:example:leipzig:fee:1", credential_ids=["pass"], members={"amount": "30.70 EUR"})
OTHER_FEE = build_transaction_data("urn:example:leipzig:fee:1", credential_ids=["pass"], members={"amount": "0 EUR"})
IN_PAGE = Choices(response_mode=ResponseMode.DC_API_JWT, origins=(ORIGIN,), dc_api=(DcApiProtocol.SIGNED,))


@pytest.fixture(scope="module")
def counter(house: House) -> Iterator[Counter]:
    """A verifier of the city that wants encrypted answers."""
    city = City(house.world.settings.public_url, house.world)
    with running_counter(city, procedures(mode=ResponseMode.DIRECT_POST_JWT)) as running:
        yield running


@pytest.fixture(scope="module", autouse=True)
def filled(house: House, wallet: ForeignWallet) -> None:
    """The wallet has a Leipzig-Pass in both formats, from our issuer."""
    session, _ = house.begin(wallet, client=house.client())
    name = session["session"]
    wallet.do("redeem", session=name)
    held: list[JsonValue] = []
    for configuration in (SD_JWT, MDOC):
        collected = wallet.do("ask", session=name, configuration=configuration)["collected"]
        assert isinstance(collected, list)
        held += collected
    assert wallet.do("hold", credentials=held)["holds"] == [VCT, DOC_TYPE]


def opened(counter: Counter, wallet: ForeignWallet, request: object, **task: object) -> JsonObject:
    """The wallet reads a question, and verifies who asks it."""
    roots = [
        load_der_x509_certificate(each.certificate).public_bytes(Encoding.PEM).decode() for each in counter.anchors
    ]
    return wallet.do("open", request=request, anchors=roots, **task)


def answered(counter: Counter, wallet: ForeignWallet, question: Question, **bent: object) -> JsonObject:
    """What our response endpoint says to the wallet's answer."""
    read = opened(counter, wallet, question.wallet_url)
    return wallet.do("present", question=read["question"], bent=bent)


def believed(counter: Counter, question: Question, answer: JsonObject) -> Verdict:
    """The verdict that the wallet's way back unlocks."""
    assert answer["status"] == 200, answer
    body = answer["body"]
    assert isinstance(body, dict)
    code = httpx.URL(str(body["redirect_uri"])).params["response_code"]
    verdict = counter.verifier.result(question.id, session_secret=question.session_secret, response_code=code).verdict
    assert verdict.accepted, verdict
    assert not verdict.over_disclosed
    return verdict


def claims_of(verdict: Verdict, query_id: str) -> Mapping[str, object]:
    """The claims, with those of an mdoc out of their name space."""
    claims = verdict.claims(query_id)
    inner = claims.get(DOC_TYPE, claims)
    assert isinstance(inner, Mapping)
    return inner


def refused_as(answer: JsonObject) -> str:
    """Why our response endpoint refused."""
    assert answer["status"] == 400, answer
    body = answer["body"]
    assert isinstance(body, dict)
    return str(body["error_description"])


@pytest.mark.parametrize("way", [RequestWay.VALUE, RequestWay.REQUEST_URI_GET, RequestWay.REQUEST_URI_POST])
@pytest.mark.parametrize("asked", ["sd-jwt", "mdoc"])
def test_signed_question_is_verified_and_its_encrypted_answer_believed(
    counter: Counter, wallet: ForeignWallet, way: RequestWay, asked: str
) -> None:
    question = counter.verifier.ask(asked, flow=Flow.SAME_DEVICE, choices=Choices(request_way=way))

    read = opened(counter, wallet, question.wallet_url)
    answer = wallet.do("present", question=read["question"])

    assert (read["clientId"], read["prefix"]) == (counter.verifier.relying_party.client_id.text, "x509_hash")
    assert read["cameBy"] == ("value" if way is RequestWay.VALUE else "reference")
    claims = claims_of(believed(counter, question, answer), "pass")
    assert (claims["given_name"], claims["entitled"]) == (CLAIMS["given_name"], True)


def test_question_is_fetched_encrypted_to_the_wallets_key(counter: Counter, wallet: ForeignWallet) -> None:
    """OpenID4VP §5.10.1: signed, then encrypted to a key of the wallet's metadata."""
    choices = Choices(request_way=RequestWay.REQUEST_URI_POST)
    question = counter.verifier.ask("sd-jwt", flow=Flow.SAME_DEVICE, choices=choices)

    read = opened(counter, wallet, question.wallet_url, encryptedQuestion=True)

    header = read["openedHeader"]
    assert isinstance(header, dict)
    assert (header["alg"], header["kid"]) == ("ECDH-ES", "question")
    believed(counter, question, wallet.do("present", question=read["question"]))


def test_both_formats_answer_one_question(counter: Counter, wallet: ForeignWallet) -> None:
    question = counter.verifier.ask("both", flow=Flow.SAME_DEVICE)

    verdict = believed(counter, question, answered(counter, wallet, question))

    for query_id in ("first", "second"):
        assert claims_of(verdict, query_id)["valid_until_month"] == CLAIMS["valid_until_month"]


@pytest.mark.parametrize("asked", ["sd-jwt", "mdoc"])
def test_answer_in_clear_is_believed_where_it_was_asked_for(
    counter: Counter, wallet: ForeignWallet, asked: str
) -> None:
    choices = Choices(response_mode=ResponseMode.DIRECT_POST)
    question = counter.verifier.ask(asked, flow=Flow.SAME_DEVICE, choices=choices)

    believed(counter, question, answered(counter, wallet, question))


def test_asker_is_known_by_the_name_of_its_host(counter: Counter, wallet: ForeignWallet) -> None:
    """OpenID4VP §5.9.3, x509_san_dns: the packages compare the name with the certificate and the response address."""
    choices = Choices(prefix=ClientIdPrefix.X509_SAN_DNS)
    question = counter.verifier.ask("mdoc", flow=Flow.SAME_DEVICE, choices=choices)

    read = opened(counter, wallet, question.wallet_url)

    assert read["clientId"] == "x509_san_dns:localhost"
    believed(counter, question, wallet.do("present", question=read["question"]))


def test_unsigned_question_is_answered(counter: Counter, wallet: ForeignWallet) -> None:
    """OpenID4VP §5.9.3, redirect_uri: unsigned, in the link itself."""
    choices = Choices(
        prefix=ClientIdPrefix.REDIRECT_URI,
        request_way=RequestWay.PARAMETERS,
        response_mode=ResponseMode.DIRECT_POST,
    )
    question = counter.verifier.ask("mdoc", flow=Flow.SAME_DEVICE, choices=choices)

    read = opened(counter, wallet, question.wallet_url)

    assert (read["prefix"], read["cameBy"]) == ("redirect_uri", "parameters")
    believed(counter, question, wallet.do("present", question=read["question"]))


def test_confirmed_transaction_is_believed_and_another_one_not(counter: Counter, wallet: ForeignWallet) -> None:
    """OpenID4VP §8.4, §B.3.3.1: the hash of what was sent stands in the key binding."""
    choices = Choices(transaction_data=(FEE,))
    question = counter.verifier.ask("sd-jwt", flow=Flow.SAME_DEVICE, choices=choices)
    believed(counter, question, answered(counter, wallet, question))

    other = counter.verifier.ask("sd-jwt", flow=Flow.SAME_DEVICE, choices=choices)
    answer = answered(counter, wallet, other, transactionData=[OTHER_FEE])
    assert refused_as(answer) == ReasonCode.TRANSACTION_DATA_MISMATCH


@pytest.mark.parametrize("asked", ["sd-jwt", "mdoc"])
def test_more_than_was_asked_is_dropped_and_named(counter: Counter, wallet: ForeignWallet, asked: str) -> None:
    path = ["family_name"] if asked == "sd-jwt" else [DOC_TYPE, "family_name"]
    question = counter.verifier.ask(asked, flow=Flow.CROSS_DEVICE)

    answer = answered(counter, wallet, question, alsoDisclose=[path])

    assert answer["status"] == 200
    verdict = counter.verifier.result(question.id, session_secret=question.session_secret).verdict
    assert verdict.accepted
    assert "family_name" not in claims_of(verdict, "pass")
    assert verdict.over_disclosed


Bent = tuple[dict[str, object], ReasonCode]
SD_JWT_BENT: dict[str, Bent] = {
    "nonce": ({"nonce": "another"}, ReasonCode.NONCE_MISMATCH),
    "audience": ({"audience": "https://other.example"}, ReasonCode.AUDIENCE_MISMATCH),
    "audience without prefix": ({"audience": "bare"}, ReasonCode.AUDIENCE_MISMATCH),
    "another key": ({"holderKey": "another"}, ReasonCode.KEY_BINDING_SIGNATURE_INVALID),
    "no key binding": ({"withoutKeyBinding": True}, ReasonCode.KEY_BINDING_MISSING),
    "stale": ({"age": -900}, ReasonCode.KEY_BINDING_EXPIRED),
    "from the future": ({"age": 900}, ReasonCode.KEY_BINDING_NOT_YET_VALID),
    "a disclosure taken out": ({"dropDisclosure": True}, ReasonCode.SD_HASH_MISMATCH),
}
MDOC_BENT: dict[str, dict[str, object]] = {
    "nonce": {"nonce": "another"},
    "audience": {"audience": "x509_hash:other"},
    "response address": {"responseUri": "https://other.example/response"},
    "no thumbprint of the response key": {"thumbprint": None},
    "another key": {"holderKey": "another"},
}
RESPONSE_BENT: dict[str, Bent] = {
    "state": ({"state": "another"}, ReasonCode.STATE_MISMATCH),
    "in clear": ({"inClear": True}, ReasonCode.RESPONSE_NOT_ENCRYPTED),
    "to another key": ({"anotherKey": True}, ReasonCode.DECRYPTION_FAILED),
}


@pytest.mark.parametrize("bent", SD_JWT_BENT)
def test_bent_sd_jwt_is_refused(counter: Counter, wallet: ForeignWallet, bent: str) -> None:
    change, reason = SD_JWT_BENT[bent]
    if change.get("audience") == "bare":
        change = {"audience": counter.verifier.relying_party.client_id.text.partition(":")[2]}
    question = counter.verifier.ask("sd-jwt", flow=Flow.SAME_DEVICE)

    assert refused_as(answered(counter, wallet, question, **change)) == reason
    right = answered(counter, wallet, counter.verifier.ask("sd-jwt", flow=Flow.SAME_DEVICE))
    assert right["status"] == 200


@pytest.mark.parametrize("bent", MDOC_BENT)
def test_bent_mdoc_is_refused(counter: Counter, wallet: ForeignWallet, bent: str) -> None:
    """OpenID4VP §B.2.6.1: each part of the handover, and the key, is in the device's signature."""
    question = counter.verifier.ask("mdoc", flow=Flow.SAME_DEVICE)

    answer = answered(counter, wallet, question, **MDOC_BENT[bent])

    assert refused_as(answer) == ReasonCode.DEVICE_AUTHENTICATION_INVALID
    right = answered(counter, wallet, counter.verifier.ask("mdoc", flow=Flow.SAME_DEVICE))
    assert right["status"] == 200


@pytest.mark.parametrize("bent", RESPONSE_BENT)
def test_bent_response_is_refused_and_leaves_the_question_open(
    counter: Counter, wallet: ForeignWallet, bent: str
) -> None:
    change, reason = RESPONSE_BENT[bent]
    question = counter.verifier.ask("mdoc", flow=Flow.SAME_DEVICE)

    assert refused_as(answered(counter, wallet, question, **change)) == reason
    believed(counter, question, answered(counter, wallet, question))


def test_same_answer_counts_once(counter: Counter, wallet: ForeignWallet) -> None:
    question = counter.verifier.ask("sd-jwt", flow=Flow.SAME_DEVICE)
    read = opened(counter, wallet, question.wallet_url)

    first, second = (wallet.do("present", question=read["question"]) for _ in range(2))

    assert refused_as(second) == ReasonCode.TRANSACTION_UNKNOWN
    believed(counter, question, first)


def test_wallet_does_not_answer_whom_it_does_not_believe(counter: Counter, wallet: ForeignWallet) -> None:
    question = counter.verifier.ask("sd-jwt", flow=Flow.SAME_DEVICE)
    of_another = httpx.URL(question.wallet_url).copy_set_param("client_id", "x509_hash:other")

    with pytest.raises(StepFailed):
        wallet.do("open", request=question.wallet_url, anchors=[])
    with pytest.raises(StepFailed):
        opened(counter, wallet, str(of_another))


def test_wallet_wants_its_own_nonce_in_the_question(counter: Counter, wallet: ForeignWallet) -> None:
    choices = Choices(request_way=RequestWay.REQUEST_URI_POST)
    question = counter.verifier.ask("sd-jwt", flow=Flow.SAME_DEVICE, choices=choices)

    with pytest.raises(StepFailed, match="wallet_nonce"):
        opened(counter, wallet, question.wallet_url, expectedNonce="another")


@pytest.mark.parametrize("asked", ["sd-jwt", "mdoc"])
@pytest.mark.parametrize("protocol", [DcApiProtocol.SIGNED, DcApiProtocol.UNSIGNED, DcApiProtocol.MULTI_SIGNED])
@pytest.mark.parametrize("mode", [ResponseMode.DC_API_JWT, ResponseMode.DC_API])
def test_answer_through_the_browser_is_believed(
    counter: Counter, wallet: ForeignWallet, asked: str, protocol: DcApiProtocol, mode: ResponseMode
) -> None:
    """OpenID4VP Appendix A: the audience, and the handover (§B.2.6.2), are the page's origin."""
    choices = Choices(response_mode=mode, origins=(ORIGIN,), dc_api=(protocol,))
    question = counter.verifier.ask(asked, flow=Flow.SAME_DEVICE, choices=choices)

    status, _ = through_the_browser(counter, wallet, question)

    assert status == 200
    verdict = counter.verifier.result(question.id, session_secret=question.session_secret).verdict
    assert verdict.accepted
    assert claims_of(verdict, "pass")["given_name"] == CLAIMS["given_name"]


@pytest.mark.parametrize(
    ("asked", "reason"),
    [("sd-jwt", ReasonCode.AUDIENCE_MISMATCH), ("mdoc", ReasonCode.DEVICE_AUTHENTICATION_INVALID)],
)
def test_answer_for_another_page_is_refused(
    counter: Counter, wallet: ForeignWallet, asked: str, reason: ReasonCode
) -> None:
    question = counter.verifier.ask(asked, flow=Flow.SAME_DEVICE, choices=IN_PAGE)
    elsewhere = "https://evil.example" if asked == "mdoc" else "origin:https://evil.example"

    assert through_the_browser(counter, wallet, question, audience=elsewhere) == (400, reason)


def through_the_browser(
    counter: Counter, wallet: ForeignWallet, question: Question, **bent: object
) -> tuple[int, object]:
    """The page hands the question to the browser, and back what the wallet answered."""
    (request,) = question.dc_api
    read = opened(counter, wallet, {"protocol": request.protocol, "data": request.data}, origin=ORIGIN)
    response = wallet.do("present", question=read["question"], bent=bent)
    receipt = counter.verifier.receive_dc_api(
        question.id, session_secret=question.session_secret, origin=ORIGIN, response=response
    )
    return receipt.status, receipt.body.get("error_description")
