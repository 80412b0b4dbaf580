"""A wallet shows what it collected from the real issuer to the real verifier."""

import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

import httpx
import pytest

from specs.protocols.openid4vp import ClientIdPrefix, RequestError, ResponseMode, build_transaction_data
from specs.refusal import ReasonCode, Refusal
from tests.wallet_sim.city import (
    ACCEPTING,
    DOC_TYPE,
    RETURN_URL,
    City,
    Counter,
    procedures,
    running_counter,
)
from verifier import Choices, DcApiProtocol, Flow, Outcome, Question, RequestWay
from wallet_sim.present import Habits, Presented
from wallet_sim.question import AgreementShown, QuestionShown
from wallet_sim.transport import WalletFailure
from wallet_sim.wallet import Wallet

ORIGIN = "https://city.example"
PAYMENT = "urn:example:leipzig:fee:1"
FEE = build_transaction_data(PAYMENT, credential_ids=["pass"], members={"amount": "30.70 EUR"})


@pytest.fixture(scope="module")
def filled(city: City, provided: Path) -> Path:
    """A wallet's file with a Leipzig-Pass in both formats, two copies each."""
    path = provided.with_name("filled.db")
    shutil.copy(provided, path)
    link, _ = city.offer()
    city.wallet(path).collect(link, holder=ACCEPTING, copies=2)
    return path


@pytest.fixture(scope="module")
def counter(city: City) -> Iterator[Counter]:
    """A verifier that wants encrypted answers."""
    with running_counter(city, procedures(mode=ResponseMode.DIRECT_POST_JWT)) as running:
        yield running


@pytest.fixture(scope="module")
def plain_counter(city: City) -> Iterator[Counter]:
    """A verifier that wants answers in clear, names itself by its host, and asks for a confirmation of a fee."""
    asked = procedures(mode=ResponseMode.DIRECT_POST, transaction_data=(FEE,))
    with running_counter(city, asked, prefix=ClientIdPrefix.X509_SAN_DNS) as running:
        yield running


@pytest.fixture
def wallet(city: City, counter: Counter, filled: Path, tmp_path: Path) -> Wallet:
    """A filled wallet that answers the counter."""
    return _wallet(city, counter, filled, tmp_path)


def _wallet(city: City, counter: Counter, filled: Path, folder: Path) -> Wallet:
    path = folder / "wallet.db"
    shutil.copy(filled, path)
    return city.wallet(path, verifier_anchors=counter.anchors)


def _agree(_question: QuestionShown) -> bool:
    return True


def _outcome(counter: Counter, question: Question, presented: Presented) -> Outcome:
    assert presented.redirect_uri is not None
    url = httpx.URL(presented.redirect_uri)
    assert str(url.copy_with(query=None)) == RETURN_URL
    return counter.verifier.result(
        question.id, session_secret=question.session_secret, response_code=url.params["response_code"]
    )


@pytest.mark.parametrize(
    "asked",
    [
        "sd-jwt",
        "mdoc",
        "both",
    ],
)
def test_encrypted_answer_is_believed(counter: Counter, wallet: Wallet, asked: str) -> None:
    question = counter.verifier.ask(asked, flow=Flow.SAME_DEVICE)

    outcome = _outcome(counter, question, wallet.present(question.wallet_url, consent=_agree))

    assert outcome.verdict.accepted, outcome.verdict
    assert not outcome.verdict.over_disclosed
    assert len(outcome.verdict.credentials) == (2 if asked == "both" else 1)


def test_holder_sees_who_asks_and_what_for(counter: Counter, wallet: Wallet) -> None:
    question = counter.verifier.ask("mdoc", flow=Flow.CROSS_DEVICE)
    seen: list[QuestionShown] = []

    def consent(shown: QuestionShown) -> bool:
        seen.append(shown)
        return True

    presented = wallet.present(question.wallet_url, consent=consent)

    assert seen[0].verifier == "Stadt Leipzig"
    assert seen[0].client_id == counter.verifier.relying_party.client_id.text
    assert [(each.credential, each.claims) for each in seen[0].shown] == [
        ("Leipzig-Pass", ("entitled", "given_name")),
    ]
    assert presented.redirect_uri is None


def test_request_object_fetched_by_post_carries_the_wallets_nonce(counter: Counter, wallet: Wallet) -> None:
    question = counter.verifier.ask("sd-jwt", flow=Flow.SAME_DEVICE)
    link = question.wallet_url.replace("request_uri_method=get", "request_uri_method=post")
    assert link != question.wallet_url

    outcome = _outcome(counter, question, wallet.present(link, consent=_agree))

    assert outcome.verdict.accepted, outcome.verdict


def test_question_is_fetched_encrypted_to_the_wallets_own_key(
    city: City, counter: Counter, filled: Path, tmp_path: Path
) -> None:
    path = _wallet(city, counter, filled, tmp_path).store.path
    wallet = Wallet(
        path,
        verifier_anchors=counter.anchors,
        allow_loopback_http=True,
        habits=Habits(encrypted_questions=True),
    )
    question = counter.verifier.ask(
        "sd-jwt", flow=Flow.SAME_DEVICE, choices=Choices(request_way=RequestWay.REQUEST_URI_POST)
    )

    outcome = _outcome(counter, question, wallet.present(question.wallet_url, consent=_agree))

    assert outcome.verdict.accepted, outcome.verdict


def test_unsigned_question_is_answered_by_a_wallet_that_does_so(
    city: City, counter: Counter, filled: Path, tmp_path: Path
) -> None:
    path = _wallet(city, counter, filled, tmp_path).store.path
    wallet = Wallet(path, allow_loopback_http=True, habits=Habits(answers_unsigned=True))
    choices = Choices(request_way=RequestWay.PARAMETERS, prefix=ClientIdPrefix.REDIRECT_URI)
    question = counter.verifier.ask("both", flow=Flow.APP, choices=choices)

    outcome = _outcome(counter, question, wallet.present(question.wallet_url, consent=_agree))

    assert outcome.verdict.accepted, outcome.verdict


@pytest.mark.parametrize("protocol", [each for each in DcApiProtocol if each is not DcApiProtocol.ISO_MDOC])
def test_question_of_a_page_is_answered_through_the_browser(
    counter: Counter, wallet: Wallet, protocol: DcApiProtocol
) -> None:
    choices = Choices(response_mode=ResponseMode.DC_API_JWT, origins=(ORIGIN,), dc_api=(protocol,))
    question = counter.verifier.ask("both", flow=Flow.SAME_DEVICE, choices=choices)
    asked = question.dc_api[0].to_json()
    assert isinstance(asked["data"], dict)

    answer = wallet.answer_dc_api(str(asked["protocol"]), asked["data"], origin=ORIGIN, consent=_agree)
    receipt = counter.verifier.receive_dc_api(
        question.id, session_secret=question.session_secret, origin=ORIGIN, response=answer
    )

    assert receipt.status == 200, receipt
    outcome = counter.verifier.result(question.id, session_secret=question.session_secret)
    assert outcome.verdict.accepted, outcome.verdict
    assert len(outcome.verdict.credentials) == 2


def test_a_browser_that_knows_only_the_iso_protocol_gets_the_same_question(
    city: City, counter: Counter, wallet: Wallet
) -> None:
    """ISO/IEC TS 18013-7 Annex C: the holder sees the reader's name; another root's reader, or page, gets nothing."""
    choices = Choices(
        response_mode=ResponseMode.DC_API_JWT, origins=(ORIGIN,), dc_api=(DcApiProtocol.SIGNED, DcApiProtocol.ISO_MDOC)
    )
    question = counter.verifier.ask("mdoc", flow=Flow.SAME_DEVICE, choices=choices)
    asked = question.dc_api[1]
    seen: list[QuestionShown] = []

    def consent(shown: QuestionShown) -> bool:
        seen.append(shown)
        return True

    stranger = city.wallet(wallet.store.path, verifier_anchors=city.anchors("access-ca"))
    for careful, origin, reason in (
        (stranger, ORIGIN, ReasonCode.CERTIFICATE_UNTRUSTED),
        (wallet, "https://evil.example", ReasonCode.SIGNATURE_INVALID),
    ):
        with pytest.raises(Refusal) as refused:
            careful.answer_dc_api(asked.protocol, asked.data, origin=origin, consent=consent)
        assert refused.value.reason is reason
    assert not seen
    answer = wallet.answer_dc_api(asked.protocol, asked.data, origin=ORIGIN, consent=consent)
    receipt = counter.verifier.receive_dc_api(
        question.id, session_secret=question.session_secret, origin=ORIGIN, response=answer
    )

    assert receipt.status == 200, receipt
    assert (seen[0].verifier, seen[0].client_id) == ("Ordnungsamt Leipzig", ORIGIN)
    assert seen[0].shown[0].claims == ("entitled", "given_name")
    outcome = counter.verifier.result(question.id, session_secret=question.session_secret)
    assert outcome.verdict.accepted, outcome.verdict
    assert outcome.verdict.claims("pass")[DOC_TYPE] == {"entitled": True, "given_name": "Mila"}


def test_page_of_another_origin_gets_an_error_and_the_holder_is_not_asked(counter: Counter, wallet: Wallet) -> None:
    choices = Choices(response_mode=ResponseMode.DC_API_JWT, origins=(ORIGIN,))
    asked = counter.verifier.ask("sd-jwt", flow=Flow.SAME_DEVICE, choices=choices).dc_api[0]

    def never(_question: QuestionShown) -> bool:
        raise AssertionError("the holder was asked")

    answer = wallet.answer_dc_api(asked.protocol, asked.data, origin="https://evil.example", consent=never)

    assert answer == {"protocol": "openid4vp-v1-signed", "data": {"error": "invalid_request"}}
    declined = wallet.answer_dc_api(asked.protocol, asked.data, origin=ORIGIN, consent=lambda _question: False)
    assert declined["data"] == {"error": "access_denied"}


def test_answer_in_clear_to_a_verifier_named_by_its_host(
    city: City, plain_counter: Counter, filled: Path, tmp_path: Path
) -> None:
    wallet = _wallet(city, plain_counter, filled, tmp_path)
    question = plain_counter.verifier.ask("mdoc", flow=Flow.APP)

    outcome = _outcome(plain_counter, question, wallet.present(question.wallet_url, consent=_agree))

    assert outcome.verdict.accepted, outcome.verdict


def test_agreed_transaction_data_is_bound_into_the_answer(
    city: City, plain_counter: Counter, filled: Path, tmp_path: Path
) -> None:
    path = _wallet(city, plain_counter, filled, tmp_path).store.path
    wallet = Wallet(path, verifier_anchors=plain_counter.anchors, allow_loopback_http=True, habits=Habits([PAYMENT]))
    question = plain_counter.verifier.ask("sd-jwt", flow=Flow.APP)
    seen: list[QuestionShown] = []

    def consent(shown: QuestionShown) -> bool:
        seen.append(shown)
        return True

    outcome = _outcome(plain_counter, question, wallet.present(question.wallet_url, consent=consent))

    assert outcome.verdict.accepted, outcome.verdict
    assert seen[0].agreements == (AgreementShown(PAYMENT, (("amount", "30.70 EUR"),)),)


def test_transaction_data_of_an_unknown_type_is_refused_and_the_verifier_told(
    city: City, plain_counter: Counter, filled: Path, tmp_path: Path
) -> None:
    wallet = _wallet(city, plain_counter, filled, tmp_path)
    question = plain_counter.verifier.ask("sd-jwt", flow=Flow.CROSS_DEVICE)

    with pytest.raises(RequestError, match="invalid_transaction_data"):
        wallet.present(question.wallet_url, consent=_agree)

    outcome = plain_counter.verifier.result(question.id, session_secret=question.session_secret)
    assert outcome.wallet_error == "invalid_transaction_data"


def test_haip_link_holds_the_question_to_haip(
    city: City, counter: Counter, plain_counter: Counter, wallet: Wallet, filled: Path, tmp_path: Path
) -> None:
    good = counter.verifier.ask("sd-jwt", flow=Flow.SAME_DEVICE)
    outcome = _outcome(
        counter, good, wallet.present(good.wallet_url.replace("openid4vp://", "haip-vp://"), consent=_agree)
    )
    assert outcome.verdict.accepted

    bad = plain_counter.verifier.ask("mdoc", flow=Flow.CROSS_DEVICE)
    with pytest.raises(RequestError, match="HAIP wants encrypted answers"):
        _wallet(city, plain_counter, filled, tmp_path).present(
            bad.wallet_url.replace("openid4vp://", "haip-vp://"), consent=_agree
        )
    told = plain_counter.verifier.result(bad.id, session_secret=bad.session_secret)
    assert told.wallet_error == "invalid_request"


@pytest.mark.parametrize(
    ("asked", "consent", "sentence"),
    [
        ("sd-jwt", lambda _question: False, "you declined"),
        ("unknown", _agree, "no credential in this wallet answers the question"),
    ],
    ids=["declined", "nothing fits"],
)
def test_verifier_learns_only_that_access_was_denied(
    counter: Counter, wallet: Wallet, asked: str, consent: Callable[[QuestionShown], bool], sentence: str
) -> None:
    question = counter.verifier.ask(asked, flow=Flow.CROSS_DEVICE)

    with pytest.raises(WalletFailure, match=sentence):
        wallet.present(question.wallet_url, consent=consent)

    outcome = counter.verifier.result(question.id, session_secret=question.session_secret)
    assert outcome.wallet_error == "access_denied"
    assert all(each.shown == 0 for each in wallet.credentials())


def test_verifier_that_nobody_trusts_gets_no_answer_at_all(city: City, counter: Counter, wallet: Wallet) -> None:
    question = counter.verifier.ask("sd-jwt", flow=Flow.CROSS_DEVICE)
    path = wallet.store.path

    for anchors, reason in (
        ((), ReasonCode.TRUST_NOT_CONFIGURED),
        (city.anchors("access-ca"), ReasonCode.CERTIFICATE_UNTRUSTED),
    ):
        with pytest.raises(Refusal) as refused:
            city.wallet(path, verifier_anchors=anchors).present(question.wallet_url, consent=_agree)
        assert refused.value.reason is reason

    assert not counter.verifier.is_answered(question.id)


def test_unsigned_question_is_not_answered(wallet: Wallet) -> None:
    link = (
        "openid4vp://?response_type=vp_token&response_mode=direct_post&nonce=n-0S6&state=s"
        "&client_id=redirect_uri%3Ahttps%3A%2F%2Fcity.example%2Fanswer&response_uri=https%3A%2F%2Fcity.example%2Fanswer"
        "&dcql_query=%7B%22credentials%22%3A%5B%7B%22id%22%3A%22a%22%2C%22format%22%3A%22mso_mdoc%22%2C"
        "%22meta%22%3A%7B%22doctype_value%22%3A%22x%22%7D%7D%5D%7D"
    )

    with pytest.raises(WalletFailure, match="nobody vouches"):
        wallet.present(link, consent=_agree)


def test_each_copy_is_shown_once_before_one_is_shown_again(counter: Counter, wallet: Wallet) -> None:
    for expected in ([0, 0, 0, 1], [0, 0, 1, 1], [0, 0, 1, 2]):
        question = counter.verifier.ask("mdoc", flow=Flow.CROSS_DEVICE)
        wallet.present(question.wallet_url, consent=_agree)

        assert sorted(each.shown for each in wallet.credentials()) == expected
    assert {each.type for each in wallet.credentials() if each.shown} == {DOC_TYPE}


def test_question_is_answered_once(counter: Counter, wallet: Wallet) -> None:
    question = counter.verifier.ask("sd-jwt", flow=Flow.CROSS_DEVICE)
    wallet.present(question.wallet_url, consent=_agree)

    with pytest.raises(WalletFailure, match="the question was refused with status 404"):
        wallet.present(question.wallet_url, consent=_agree)
