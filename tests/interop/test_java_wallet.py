"""A wallet on Java libraries: Connect2id's OAuth SDK and JOSE library, Authlete's SD-JWT, the JDK's paths.

It collects by authorization code with PAR, PKCE, DPoP and wallet attestation, verifies what it gets down to the city's
root, and presents it. Client attestation is its own: the SDK does not know it. Where the SDK looks for the server's
metadata, RFC 8414 §3.1 does not put them: the address is its own, too.
"""

from collections.abc import Iterator

import pytest
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509 import load_der_x509_certificate

from issuer.store.tables import Grant
from specs.encoding.strict_json import JsonObject
from specs.protocols.openid4vp import ResponseMode
from specs.refusal import ReasonCode
from tests.availability import missing
from tests.interop.foreign_wallet import ForeignWallet, StepFailed, running_wallet
from tests.interop.house import House
from tests.issuer.wallet_api.world import CLAIMS, SD_JWT
from tests.services import java
from tests.wallet_sim.city import City, Counter, procedures, running_counter
from verifier import Flow

pytestmark = [pytest.mark.interop, pytest.mark.long]


@pytest.fixture(scope="module")
def wallet(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ForeignWallet]:
    """The running wallet."""
    if (why := java.install()) is not None:
        missing(why)
    with running_wallet(java.command(), log=tmp_path_factory.mktemp("java") / "wallet.log") as running:
        yield running


@pytest.fixture(scope="module")
def counter(house: House) -> Iterator[Counter]:
    """A verifier of the city that wants encrypted answers."""
    city = City(house.world.settings.public_url, house.world)
    with running_counter(city, procedures(mode=ResponseMode.DIRECT_POST_JWT)) as running:
        yield running


def collected(house: House, wallet: ForeignWallet, **bent: object) -> JsonObject:
    """An offer taken, a login, and what came of it."""
    offer, _ = house.offer_address(grant=Grant.AUTHORIZATION_CODE, configurations=(SD_JWT,))
    asked = wallet.do("authorize", offer=offer, client=house.client(), scope=SD_JWT)
    back = house.log_in(str(asked["url"]))
    task = {"redirectedTo": back, "configuration": SD_JWT, "anchors": house.anchors("iaca", "leipzig")}
    return wallet.do("collect", **(task | bent))


def presented(counter: Counter, wallet: ForeignWallet, **bent: object) -> JsonObject:
    """What our response endpoint said to an answer; the verdict of one that it took is a good one."""
    question = counter.verifier.ask("sd-jwt", flow=Flow.CROSS_DEVICE)
    roots = [load_der_x509_certificate(each.certificate).public_bytes(Encoding.PEM) for each in counter.anchors]
    anchors = [pem.decode("ascii") for pem in roots]
    said = wallet.do("present", request=question.wallet_url, anchors=anchors, **bent)
    if said["status"] == 200:
        verdict = counter.verifier.result(question.id, session_secret=question.session_secret).verdict
        assert verdict.accepted
        assert not verdict.over_disclosed
        assert verdict.claims("pass")["given_name"] == CLAIMS["given_name"]
    return said


def test_java_wallet_collects_and_presents(house: House, counter: Counter, wallet: ForeignWallet) -> None:
    came = collected(house, wallet)

    claims = came["claims"]
    assert isinstance(claims, dict)
    assert came["tokenType"] == "DPoP"
    assert CLAIMS.items() <= claims.items()
    assert presented(counter, wallet)["status"] == 200


def test_code_is_worth_nothing_without_its_verifier(house: House, wallet: ForeignWallet) -> None:
    with pytest.raises(StepFailed) as refused:
        collected(house, wallet, verifier="x" * 43)

    assert (refused.value.error, refused.value.status) == ("invalid_grant", 400)


@pytest.mark.parametrize(
    ("bent", "reason"),
    [
        ({"nonce": "another"}, ReasonCode.NONCE_MISMATCH),
        ({"audience": "x509_hash:another"}, ReasonCode.AUDIENCE_MISMATCH),
        ({"anotherKey": True}, ReasonCode.KEY_BINDING_SIGNATURE_INVALID),
    ],
    ids=["nonce", "audience", "key"],
)
def test_bent_answer_of_the_java_wallet_is_refused(
    house: House, counter: Counter, wallet: ForeignWallet, bent: dict[str, object], reason: ReasonCode
) -> None:
    collected(house, wallet)

    said = presented(counter, wallet, **bent)

    assert said["status"] == 400
    assert isinstance(said["body"], dict)
    assert said["body"]["error_description"] == reason
