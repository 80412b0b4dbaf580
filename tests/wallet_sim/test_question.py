"""What the holder is told before anything is shown, and what can be chosen."""

import json
import shutil
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from specs.encoding.strict_json import JsonObject
from specs.protocols.dcql import parse_dcql
from specs.protocols.openid4vp import AuthorizationRequest, ResponseMode, VerifierInfo
from specs.trust.registration import INFO_FORMAT
from tests.verifier.desk import access_identity
from tests.verifier.registrar import REGISTRATION, certificate, registrar
from tests.verifier.world import NOW
from tests.verifier.world import VCT as REGISTERED_VCT
from tests.wallet_sim.city import ACCEPTING, VCT, City, Counter, procedures, running_counter
from verifier import Flow, Procedure
from wallet_sim.question import ChoiceInvalid, Chosen, QuestionShown, RegistrationState, registration_of
from wallet_sim.store import EventKind
from wallet_sim.transport import Transport, WalletFailure
from wallet_sim.wallet import Wallet

OPTIONAL = parse_dcql(
    json.dumps(
        {
            "credentials": [
                {"id": name, "format": "dc+sd-jwt", "meta": {"vct_values": [VCT]}, "claims": [{"path": [claim]}]}
                for name, claim in (("must", "entitled"), ("may", "birthdate"))
            ],
            "credential_sets": [{"options": [["must"]]}, {"options": [["may"]], "required": False}],
        }
    )
)


CLAIM_SETS = parse_dcql(
    json.dumps(
        {
            "credentials": [
                {
                    "id": "pass",
                    "format": "dc+sd-jwt",
                    "meta": {"vct_values": [VCT]},
                    "claims": [
                        {"id": name, "path": [name]} for name in ("shoe_size", "entitled", "given_name", "birthdate")
                    ],
                    "claim_sets": [["shoe_size"], ["entitled"], ["given_name", "birthdate"]],
                }
            ]
        }
    )
)


@pytest.fixture(scope="module")
def counter(city: City) -> Iterator[Counter]:
    """A verifier that asks for one thing, and would like another."""
    asked = procedures(mode=ResponseMode.DIRECT_POST_JWT)
    asked["claim-sets"] = Procedure(id="claim-sets", query=CLAIM_SETS, response_mode=ResponseMode.DIRECT_POST_JWT)
    asked["optional"] = Procedure(id="optional", query=OPTIONAL, response_mode=ResponseMode.DIRECT_POST_JWT)
    with running_counter(city, asked) as running:
        yield running


@pytest.fixture(scope="module")
def filled(city: City, provided: Path) -> Path:
    """A wallet's file with two passes."""
    path = provided.with_name("question.db")
    shutil.copy(provided, path)
    for _ in range(2):
        city.wallet(path).collect(city.offer()[0], holder=ACCEPTING)
    return path


@pytest.fixture
def wallet(city: City, counter: Counter, filled: Path, tmp_path: Path) -> Wallet:
    """A wallet of its own."""
    shutil.copy(filled, tmp_path / "wallet.db")
    return city.wallet(tmp_path / "wallet.db", verifier_anchors=counter.anchors)


def test_holder_chooses_among_credentials_that_fit(counter: Counter, wallet: Wallet) -> None:
    question = counter.verifier.ask("sd-jwt", flow=Flow.CROSS_DEVICE)
    second: list[str] = []

    def consent(shown: QuestionShown) -> Chosen:
        assert len(shown.options["pass"]) == 2
        second.append(shown.options["pass"][1].credential_id)
        return Chosen({"pass": second[0]})

    wallet.present(question.wallet_url, consent=consent)

    assert [each.id for each in wallet.credentials() if each.shown] == second


@pytest.mark.parametrize(("sets", "names"), [((0, 0), 2), ((0, None), 1), (None, 2)])
def test_holder_leaves_out_what_is_not_required(
    counter: Counter, wallet: Wallet, sets: tuple[int | None, ...] | None, names: int
) -> None:
    question = counter.verifier.ask("optional", flow=Flow.CROSS_DEVICE)

    def consent(shown: QuestionShown) -> Chosen:
        assert [each.required for each in shown.sets] == [True, False]
        return Chosen(sets=sets)

    presented = wallet.present(question.wallet_url, consent=consent)

    assert len(presented.shown) == names


@pytest.mark.parametrize(
    ("index", "claims"), [(None, ("entitled",)), (0, ("entitled",)), (1, ("given_name", "birthdate"))]
)
def test_holder_chooses_among_claim_sets_that_the_credential_satisfies(
    counter: Counter, wallet: Wallet, index: int | None, claims: tuple[str, ...]
) -> None:
    question = counter.verifier.ask("claim-sets", flow=Flow.CROSS_DEVICE)

    def consent(shown: QuestionShown) -> Chosen:
        assert shown.options["pass"][0].claim_sets == (("entitled",), ("given_name", "birthdate"))
        return Chosen(claim_sets={} if index is None else {"pass": index})

    presented = wallet.present(question.wallet_url, consent=consent)

    assert [each.claims for each in presented.shown] == [claims]
    assert counter.verifier.result(question.id, session_secret=question.session_secret).verdict.accepted


@pytest.mark.parametrize(
    "chosen",
    [
        Chosen(sets=(None, 0)),
        Chosen(sets=(0,)),
        Chosen(sets=(0, 7)),
        Chosen({"must": "another"}),
        Chosen(claim_sets={"must": 1}),
    ],
    ids=["required left out", "too few", "not there", "another credential", "another claim set"],
)
def test_choice_that_was_not_offered_shows_nothing(counter: Counter, wallet: Wallet, chosen: Chosen) -> None:
    question = counter.verifier.ask("optional", flow=Flow.CROSS_DEVICE)

    with pytest.raises(ChoiceInvalid):
        wallet.present(question.wallet_url, consent=lambda _question: chosen)

    assert not counter.verifier.is_answered(question.id)


def test_history_says_what_was_done_in_names_alone(counter: Counter, wallet: Wallet) -> None:
    question = counter.verifier.ask("sd-jwt", flow=Flow.CROSS_DEVICE)
    wallet.present(question.wallet_url, consent=lambda _question: True)
    wallet.forget([wallet.credentials()[0].id])

    events = wallet.store.history()

    assert [each.kind for each in events[:3]] == [EventKind.DELETED, EventKind.PRESENTED, EventKind.COLLECTED]
    assert events[1].party == "Stadt Leipzig"
    assert events[1].what == "Leipzig-Pass: entitled, given_name"
    assert "Mila" not in str(events)
    wallet.store.clear_history()
    assert wallet.store.history() == ()


class _Answering(httpx.HTTPTransport):
    """Reaches everybody, but what is posted is answered so."""

    def __init__(self, status: int, body: JsonObject) -> None:
        super().__init__()
        self._said = (status, body)

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        """Answer, or let pass."""
        status, body = self._said
        return httpx.Response(status, json=body) if request.method == "POST" else super().handle_request(request)


@pytest.mark.parametrize(
    ("status", "body"),
    [(400, {"error": "invalid_request"}), (200, {"redirect_uri": "javascript:alert(1)"}), (200, {"redirect_uri": "/"})],
)
def test_who_refuses_an_answer_or_leads_nowhere_has_seen_it(
    counter: Counter, wallet: Wallet, monkeypatch: pytest.MonkeyPatch, status: int, body: JsonObject
) -> None:
    """The history knew nothing of it, the copy counted as unused, and the page said that nothing was shown."""
    client = httpx.Client(transport=_Answering(status, body))
    monkeypatch.setattr(wallet, "transport", Transport(allow_loopback_http=True, client=client))
    question = counter.verifier.ask("sd-jwt", flow=Flow.CROSS_DEVICE)
    wallet.store.clear_history()
    before = sum(each.shown for each in wallet.credentials())

    with pytest.raises(WalletFailure):
        wallet.present(question.wallet_url, consent=lambda _question: True)

    [event] = wallet.store.history()
    assert event.what == "Leipzig-Pass: entitled, given_name"
    assert sum(each.shown for each in wallet.credentials()) == before + 1


def asked(*paths: list[str], token: str | None = None) -> AuthorizationRequest:
    """A question for claims, with a registration certificate."""
    query = {
        "credentials": [
            {
                "id": "pid",
                "format": "dc+sd-jwt",
                "meta": {"vct_values": [REGISTERED_VCT]},
                "claims": [{"path": path} for path in paths],
            }
        ]
    }
    return AuthorizationRequest(
        client_id=None,
        response_mode=ResponseMode.DIRECT_POST_JWT,
        nonce="n",
        query=parse_dcql(json.dumps(query)),
        verifier_info=() if token is None else (VerifierInfo(INFO_FORMAT, token),),
    )


@pytest.mark.parametrize(
    ("request_", "registrars", "chain", "state", "reason"),
    [
        (asked(["family_name"]), True, True, RegistrationState.NONE, ""),
        (asked(["family_name"], token=certificate(REGISTRATION)), True, True, RegistrationState.VERIFIED, ""),
        (asked(["family_name"], token=certificate(REGISTRATION)), False, True, RegistrationState.UNVERIFIED, ""),
        (
            asked(["birthdate"], token=certificate(REGISTRATION)),
            True,
            True,
            RegistrationState.INVALID,
            "request_not_registered",
        ),
        (
            asked(["family_name"], token=certificate(REGISTRATION, subject="VATDE-987654321")),
            True,
            True,
            RegistrationState.INVALID,
            "registration_mismatch",
        ),
        (
            asked(["family_name"], token=certificate(REGISTRATION, expires_at=NOW - 7200)),
            True,
            True,
            RegistrationState.INVALID,
            "registration_expired",
        ),
        (
            asked(["family_name"], token=certificate(REGISTRATION)),
            True,
            False,
            RegistrationState.INVALID,
            "registration_mismatch",
        ),
        (asked(["family_name"], token="hello"), True, True, RegistrationState.INVALID, "registration_malformed"),
    ],
    ids=["none", "good", "unknown registrar", "too much", "another's", "ended", "nobody asks", "no certificate"],
)
def test_registration_of_who_asks_is_told(
    request_: AuthorizationRequest, registrars: bool, chain: bool, state: RegistrationState, reason: str
) -> None:
    told = registration_of(
        request_,
        access_identity(NOW).chain if chain else (),
        anchors=(registrar()[1],) if registrars else (),
        now=NOW,
    )

    assert (told.state, told.reason) == (state, reason)
    if state is RegistrationState.VERIFIED:
        assert told.purpose == {"de": "Bewohnerparken"}
