"""The phone at the counter: what it collected from the real issuer is read on the spot, and through a browser's API."""

import json
import secrets
import shutil
import subprocess
import sys
import time
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric import ec

from specs.credentials.session_transcript import iso_mdoc_dc_api_transcript
from specs.encoding import strict_json
from specs.keys.signer import SigningIdentity
from specs.protocols.dcql import dcql_to_json
from specs.protocols.iso_mdoc_dc_api import build_encryption_info, build_request_data, open_response
from specs.protocols.proximity import device_request_of, parse_engagement_link, stream_method, vp_token_of
from specs.refusal import ReasonCode, Refusal
from tests.wallet_sim.city import ACCEPTING, DOC_TYPE, MDOC_QUERY, City, reader_identity
from verifier import IsoMdocDcApi, Procedure, RevocationRule, StatusRule, TrustDomain, Verdict, verify_presentation
from verifier.expectations import Policy
from verifier.fetch import PolicedFetcher
from verifier.proximity_stream import StreamTransport
from verifier.reader import Reader
from wallet_sim.device import Device, ReaderShown
from wallet_sim.device_session import DeviceSession, StreamDevice
from wallet_sim.wallet import Wallet

ORIGIN = "https://city.example"
Consent = Callable[[ReaderShown], bool]


@pytest.fixture(scope="module")
def filled(city: City, provided: Path) -> Path:
    """A wallet's file with a Leipzig-Pass in both formats."""
    path = provided.with_name("device.db")
    shutil.copy(provided, path)
    link, _ = city.offer()
    city.wallet(path).collect(link, holder=ACCEPTING)
    return path


@pytest.fixture
def device(filled: Path, tmp_path: Path) -> Device:
    shutil.copy(filled, tmp_path / "wallet.db")
    return Device(Wallet(tmp_path / "wallet.db").store)


def yes(_shown: ReaderShown) -> bool:
    return True


def noting(asked: list[ReaderShown]) -> Consent:
    """Agrees, and notes what it was asked."""

    def consent(shown: ReaderShown) -> bool:
        asked.append(shown)
        return True

    return consent


def reader_of(city: City, identity: SigningIdentity | None = None) -> Reader:
    domain = TrustDomain("leipzig", city.anchors("iaca"), city.anchors("status-ca"), revocation=RevocationRule.OFF)
    return Reader(
        procedures={"pass": Procedure(id="pass", query=MDOC_QUERY)},
        trust={("mso_mdoc", DOC_TYPE): (domain,)},
        identity=identity,
        fetcher=PolicedFetcher(allow_loopback_http=True),
    )


def met(reader: Reader, device: Device, *, consent: Consent = yes) -> tuple[Verdict, "Future[None]"]:
    """Reader and device in two threads over a real socket; the verdict, and how it ended for the device."""
    waiting = StreamDevice(device)
    with ThreadPoolExecutor(1) as pool:
        served = pool.submit(waiting.serve, consent=consent)
        engagement = parse_engagement_link(waiting.link)
        transport = StreamTransport(engagement, seconds=20)
        try:
            return reader.read("pass", engagement, transport), served
        finally:
            transport.close()


def test_a_pass_is_read_on_the_spot_from_the_phone(city: City, device: Device) -> None:
    asked: list[ReaderShown] = []
    verdict, served = met(reader_of(city), device, consent=noting(asked))
    assert verdict.accepted, verdict.reason
    assert verdict.claims("pass")[DOC_TYPE] == {"entitled": True, "given_name": "Mila"}
    assert served.result() is None
    assert asked[0].reader is None
    assert asked[0].shown[0].elements == ("entitled", "given_name")


def test_who_declines_shows_nothing(city: City, device: Device) -> None:
    verdict, served = met(reader_of(city), device, consent=lambda _shown: False)
    assert not verdict.accepted
    assert served.result() is None
    assert all(stored.shown == 0 for stored in device.store.credentials())


def test_a_reader_that_names_itself_is_named_to_the_holder(city: City, device: Device) -> None:
    identity, anchor = reader_identity()
    asked: list[ReaderShown] = []
    careful = Device(device.store, reader_anchors=(anchor,))
    verdict, _ = met(reader_of(city, identity), careful, consent=noting(asked))
    assert verdict.accepted
    assert asked[0].reader == "Ordnungsamt Leipzig"


@pytest.mark.parametrize("named", [False, True], ids=["nameless", "of another root"])
def test_a_reader_that_may_not_ask_gets_no_answer(city: City, device: Device, named: bool) -> None:
    _, anchor = reader_identity()
    stranger, _ = reader_identity()
    careful = Device(device.store, reader_anchors=(anchor,))
    verdict, served = met(reader_of(city, stranger if named else None), careful)
    assert verdict.reason is ReasonCode.WALLET_ERROR
    refusal = served.exception()
    assert isinstance(refusal, Refusal)
    assert refusal.reason is (ReasonCode.CERTIFICATE_UNTRUSTED if named else ReasonCode.ISSUER_KEY_MISSING)


def test_a_request_signed_for_another_session_is_refused(device: Device) -> None:
    identity, anchor = reader_identity()
    careful = Device(device.store, reader_anchors=(anchor,))
    request = device_request_of(MDOC_QUERY, session_transcript=b"\x83\xf6\xf6\xf6", reader=identity)
    assert careful.answer(request, session_transcript=b"\x83\xf6\xf6\xf6", consent=yes)
    with pytest.raises(Refusal) as refusal:
        careful.answer(request, session_transcript=b"\x83\xf6\xf6\x01", consent=yes)
    assert refusal.value.reason is ReasonCode.SIGNATURE_INVALID


def test_a_second_reader_finds_the_session_taken() -> None:
    session = DeviceSession()
    with pytest.raises(Refusal) as refusal:
        session.answer(b"")
    assert refusal.value.reason is ReasonCode.TRANSACTION_UNKNOWN


@pytest.mark.parametrize("host", ["192.0.2.1", "city.example", "10.0.0.1"])
def test_a_code_that_points_elsewhere_is_not_followed(host: str) -> None:
    session = DeviceSession(methods=[stream_method(host, 80)])
    with pytest.raises(Refusal):
        StreamTransport(parse_engagement_link(session.link))


def test_a_pass_is_shown_through_the_browsers_interface(city: City, device: Device) -> None:
    """ISO/IEC TS 18013-7 Annex C: sealed to the page's key, bound to its origin."""
    key = ec.generate_private_key(ec.SECP256R1())
    info = build_encryption_info(key.public_key(), nonce=secrets.token_bytes(16))
    transcript = iso_mdoc_dc_api_transcript(encryption_info=info, origin=ORIGIN)
    data = build_request_data(device_request_of(MDOC_QUERY, session_transcript=transcript), encryption_info=info)

    answer = device.answer_through_browser(data, origin=ORIGIN, consent=yes)

    token = vp_token_of(open_response(answer, key=key, session_transcript=transcript), query=MDOC_QUERY)
    domain = TrustDomain("leipzig", city.anchors("iaca"), revocation=RevocationRule.OFF)
    for origin, reason in ((ORIGIN, None), ("https://other.example", ReasonCode.DEVICE_AUTHENTICATION_INVALID)):
        verdict = verify_presentation(
            token,
            query=MDOC_QUERY,
            nonce="",
            client_id=None,
            binding=IsoMdocDcApi(info, origin),
            trust={("mso_mdoc", DOC_TYPE): (domain,)},
            status_lists={},
            policy=Policy(status=StatusRule.OFF),
            now=int(time.time()),
        )
        assert verdict.reason is reason


def test_two_commands_meet_on_one_machine(city: City, filled: Path, tmp_path: Path) -> None:
    """`wallet meet` prints a link, `verifier read` takes it: JSON with the claims, status 0."""
    shutil.copy(filled, tmp_path / "wallet.db")
    (tmp_path / "query.json").write_bytes(strict_json.dumps(dcql_to_json(MDOC_QUERY)))
    roots = city.world.settings.data_dir / "keys" / "leipzig"
    program = [sys.executable, "-m", "stadtnachweis"]
    options = ["--revocation", "off", "--allow-loopback-http"]
    with subprocess.Popen(
        [*program, "wallet", "meet", "--yes", "--file", tmp_path / "wallet.db"], stdout=subprocess.PIPE, text=True
    ) as phone:
        assert phone.stdout is not None
        link = phone.stdout.readline().strip()
        trusted: list[str | Path] = [
            "--anchors",
            roots / "iaca.crt.pem",
            "--status-anchors",
            roots / "status-ca.crt.pem",
        ]
        read = subprocess.run(
            [*program, "verifier", "read", link, "--query", tmp_path / "query.json", *trusted, *options],
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )
        assert phone.wait(timeout=60) == 0
    assert read.returncode == 0, read.stderr
    assert json.loads(read.stdout)["credentials"][0]["claims"][DOC_TYPE]["entitled"] is True
