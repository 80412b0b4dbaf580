"""`stadtnachweis verifier …` as a caseworker's technician types it: a recorded answer, files, a verdict."""

import json
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding

from specs.credentials.identifier_list import build_identifier_list
from specs.credentials.status_list import StatusMediaType
from specs.encoding import base64url
from specs.refusal import ReasonCode
from stadtnachweis.__main__ import main
from tests.verifier.mdoc_presentation import MdocPresentation, Stage
from tests.verifier.world import CLIENT_ID, DAY, NAME_SPACE, NONCE, RESPONSE_URI, STATUS_URI, VCT, World

SD_JWT_QUERY = {
    "credentials": [
        {
            "id": "pid",
            "format": "dc+sd-jwt",
            "meta": {"vct_values": [VCT]},
            "claims": [{"path": ["family_name"]}, {"path": ["address", "locality"]}],
        }
    ]
}
MDOC_QUERY = {
    "credentials": [
        {
            "id": "pid",
            "format": "mso_mdoc",
            "meta": {"doctype_value": NAME_SPACE},
            "claims": [{"path": [NAME_SPACE, "family_name"]}, {"path": [NAME_SPACE, "resident_city"]}],
        }
    ]
}


@dataclass
class Recording:
    """An answer with all that was expected of it, in files."""

    folder: Path
    world: World = field(default_factory=World)

    def write(self, name: str, content: object) -> Path:
        """A file of the folder."""
        path = self.folder / name
        path.write_bytes(content if isinstance(content, bytes) else json.dumps(content).encode())
        return path

    def arguments(self, *, states: dict[int, int] | None = None, query: object = SD_JWT_QUERY) -> dict[str, str]:
        """Options and their values for an answer that is accepted."""
        world = self.world
        lists = world.status_lists(states=states)
        fetched = lists[STATUS_URI, StatusMediaType.JWT]
        assert fetched is not None
        assert world.response_key_thumbprint is not None
        return {
            "--vp-token": str(self.write("vp_token.json", {"pid": [world.present_sd_jwt(world.sd_jwt())]})),
            "--query": str(self.write("query.json", query)),
            "--nonce": NONCE,
            "--client-id": CLIENT_ID,
            "--response-uri": RESPONSE_URI,
            "--key-thumbprint": base64url.encode(world.response_key_thumbprint),
            "--anchors": str(self.write("roots.pem", _pem(world.authority.certificate))),
            "--status-anchors": str(self.write("status-roots.pem", _pem(world.status_authority.certificate))),
            "--status-list": f"{STATUS_URI}={self.write('list.jwt', b' ' + fetched.body)}",
            "--now": str(world.now),
        }


def _pem(certificate: bytes) -> bytes:
    return x509.load_der_x509_certificate(certificate).public_bytes(Encoding.PEM)


def verify(arguments: dict[str, str], *more: str) -> int:
    """Run the command. A value may begin with a hyphen, so options and values are joined."""
    return main(["verifier", "verify", *(f"{name}={value}" for name, value in arguments.items()), *more])


@pytest.fixture
def recording(tmp_path: Path) -> Recording:
    """A fresh world and a folder for it."""
    return Recording(tmp_path)


def test_a_good_answer_is_accepted_with_its_claims(recording: Recording, capsys: pytest.CaptureFixture[str]) -> None:
    status = verify(recording.arguments(), "--language", "de")
    shown = capsys.readouterr()
    verdict = json.loads(shown.out)
    assert status == 0
    assert verdict["accepted"]
    assert verdict["credentials"][0]["claims"]["family_name"] == "LINDENAU"
    assert "status" in verdict["credentials"][0]["checks"]
    assert verdict["wanted"] == []
    assert "echt" in shown.err


def test_an_mdoc_is_judged_with_its_session_and_its_own_list(
    recording: Recording, capsys: pytest.CaptureFixture[str]
) -> None:
    world = recording.world
    fetched = world.status_lists()[STATUS_URI, StatusMediaType.CWT]
    assert fetched is not None
    arguments = recording.arguments(query=MDOC_QUERY) | {
        "--vp-token": str(recording.write("mdoc.json", {"pid": [world.present_mdoc(world.mdoc())]})),
        "--status-list": f"{STATUS_URI}={recording.write('list.cwt', fetched.body)}",
    }
    assert verify(arguments, "--revocation", "off") == 0
    assert json.loads(capsys.readouterr().out)["credentials"][0]["claims"][NAME_SPACE]["resident_city"] == "LEIPZIG"
    assert verify(arguments | {"--response-uri": "https://other.example/"}, "--revocation", "off") == 1
    assert verify(arguments) == 1
    assert "https://issuer.example/crl" in capsys.readouterr().out


@pytest.mark.parametrize("is_listed", [False, True])
def test_an_mdoc_is_judged_by_its_identifier_list(
    is_listed: bool, recording: Recording, capsys: pytest.CaptureFixture[str]
) -> None:
    world = recording.world
    shown = MdocPresentation(world).set(Stage.MSO, "status", to={"identifier_list": {"id": b"7", "uri": STATUS_URI}})
    body = build_identifier_list(
        [b"7"] if is_listed else [],
        identity=world.status_identity,
        uri=STATUS_URI,
        issued_at=world.now,
        expires_at=world.now + DAY,
        ttl=300,
    )
    arguments = recording.arguments(query=MDOC_QUERY) | {
        "--vp-token": str(recording.write("mdoc.json", shown.vp_token())),
        "--status-list": f"{STATUS_URI}={recording.write('list.cwt', body)}",
    }
    assert verify(arguments, "--revocation", "off") == int(is_listed)
    assert json.loads(capsys.readouterr().out).get("reason") == (ReasonCode.STATUS_REVOKED if is_listed else None)


@pytest.mark.parametrize(
    ("changed", "reason"),
    [
        ({"--nonce": "another"}, ReasonCode.NONCE_MISMATCH),
        ({"--client-id": "x509_hash:another"}, ReasonCode.AUDIENCE_MISMATCH),
        ({"--now": "1895500000"}, None),
    ],
)
def test_another_question_or_another_time_refuses(
    changed: dict[str, str], reason: ReasonCode | None, recording: Recording, capsys: pytest.CaptureFixture[str]
) -> None:
    assert verify(recording.arguments() | changed) == 1
    verdict = json.loads(capsys.readouterr().out)
    assert not verdict["accepted"]
    assert verdict["credentials"] == []
    assert reason is None or verdict["reason"] == reason


def test_a_revoked_credential_is_refused_in_the_caseworker_s_words(
    recording: Recording, capsys: pytest.CaptureFixture[str]
) -> None:
    assert verify(recording.arguments(states={7: 1})) == 1
    shown = capsys.readouterr()
    assert json.loads(shown.out)["reason"] == ReasonCode.STATUS_REVOKED
    assert "revoked" in shown.err


def test_a_list_that_was_not_given_is_named(recording: Recording, capsys: pytest.CaptureFixture[str]) -> None:
    arguments = recording.arguments()
    del arguments["--status-list"]
    assert verify(arguments) == 1
    verdict = json.loads(capsys.readouterr().out)
    assert verdict["reason"] == ReasonCode.STATUS_UNAVAILABLE
    assert verdict["wanted"] == [{"kind": "status_list", "url": STATUS_URI}]
    assert verify(arguments, "--status", "off") == 0


@pytest.mark.parametrize(
    ("changed", "sentence"),
    [
        ({"--query": "nowhere.json"}, "nowhere.json cannot be read"),
        ({"--key-thumbprint": "abc"}, "--key-thumbprint"),
        ({"--status-list": "list.jwt"}, "--status-list"),
    ],
)
def test_what_cannot_be_used_is_a_sentence_and_status_2(
    changed: dict[str, str], sentence: str, recording: Recording, capsys: pytest.CaptureFixture[str]
) -> None:
    assert verify(recording.arguments() | changed) == 2
    shown = capsys.readouterr()
    assert shown.out == ""
    assert sentence in shown.err


@pytest.mark.parametrize("option", ["--query", "--anchors", "--vp-token"])
def test_a_broken_file_is_named(option: str, recording: Recording, capsys: pytest.CaptureFixture[str]) -> None:
    broken = str(recording.write("broken", b"{"))
    assert verify(recording.arguments() | {option: broken}) == 2
    assert broken in capsys.readouterr().err


def test_a_missing_argument_is_wrong_usage(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as end:
        main(["verifier", "verify"])
    assert end.value.code == 2
    assert "--vp-token" in capsys.readouterr().err


@pytest.mark.parametrize("language", ["de", "en"])
def test_reasons_lists_every_code_with_a_sentence(language: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["verifier", "reasons", "--language", language]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert {line.split()[0] for line in lines} == set(ReasonCode)
    assert all(len(line.split()) > 3 for line in lines)
    assert main(["verifier", "reasons", "--language", language, "--json"]) == 0
    assert set(json.loads(capsys.readouterr().out)) == set(ReasonCode)
