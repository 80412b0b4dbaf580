"""A record for the case file: repeated offline years later, altered by nobody, erased with its key."""

import json
import os
from dataclasses import asdict, dataclass, replace
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.serialization import Encoding

from specs.encoding import base64url, strict_json
from specs.keys.jose import build_jws, jwk_from_public_key, parse_jws, thumbprint
from specs.keys.signer import FileSigner, generate_signer
from specs.trust.certificates import SubjectName, build_self_signed_certificate
from specs.trust.x509 import AnchorKind, TrustAnchor
from stadtnachweis.__main__ import main
from tests.defects import Defect, defect, defects
from tests.verifier.world import CLIENT_ID, MDOC_QUERY, NONCE, QUERY, World, signing_authority
from verifier import (
    Policy,
    ReasonCode,
    SameClaim,
    StatusRule,
    TrustDomain,
)
from verifier.evidence import (
    TYP,
    EvidenceAltered,
    EvidenceErased,
    EvidenceError,
    EvidenceSealedOtherwise,
    FolderKeys,
    open_evidence,
    read_statement,
    seal_evidence,
)
from verifier.examination import (
    Examination,
)

EVIDENCE_KEY = ec.generate_private_key(ec.SECP256R1())


def examination(world: World, *, form: str = "dc+sd-jwt") -> Examination:
    """What the world's answer is judged by."""
    sd_jwt = form == "dc+sd-jwt"
    shown = world.present_sd_jwt(world.sd_jwt()) if sd_jwt else world.present_mdoc(world.mdoc())
    return Examination(
        vp_token={"pid": [shown]},
        query=QUERY if sd_jwt else MDOC_QUERY,
        nonce=NONCE,
        client_id=CLIENT_ID,
        binding=world.binding,
        trust=world.trust,
        status_lists=world.status_lists(),
        policy=Policy(status=StatusRule.REQUIRED, same_person=(SameClaim({"pid": ("family_name",)}),)),
        now=world.now,
    )


@dataclass
class Filed:
    """A record in a case file, and what is needed to read it."""

    world: World
    record: str
    signer: FileSigner
    keys: FolderKeys

    @property
    def id(self) -> str:
        """The record's id."""
        return read_statement(self.record, signer=self.signer.public_key).id

    def outcome(self) -> str | None:
        """None if the record opens, else the kind of error."""
        try:
            open_evidence(self.record, signer=self.signer.public_key, keys=self.keys)
        except EvidenceError as error:
            return type(error).__name__
        return None


@pytest.fixture
def filed(tmp_path: Path) -> Filed:
    world, signer, keys = World(), generate_signer(), FolderKeys(tmp_path / "keys")
    judged = examination(world)
    record = seal_evidence(judged, judged.verdict(), procedure="parking", signer=signer, keys=keys)
    return Filed(world, record, signer, keys)


@pytest.mark.parametrize("form", ["dc+sd-jwt", "mso_mdoc"])
def test_an_examination_is_repeated_from_its_record(form: str, tmp_path: Path) -> None:
    world, signer, keys = World(), generate_signer(), FolderKeys(tmp_path / "keys")
    judged = examination(world, form=form)
    verdict = judged.verdict()
    assert verdict.accepted
    record = seal_evidence(judged, verdict, procedure="parking", signer=signer, keys=keys)

    opened = open_evidence(record, signer=signer.public_key, keys=FolderKeys(tmp_path / "keys"))

    assert opened.verdict == verdict
    assert opened.examination.query == judged.query
    assert opened.examination.policy == judged.policy
    assert opened.statement.domains == {"pid": "pid"}
    assert (opened.statement.procedure, opened.statement.at) == ("parking", world.now)


def test_a_refusal_is_recorded_with_its_reason(tmp_path: Path) -> None:
    world, signer, keys = World(), generate_signer(), FolderKeys(tmp_path / "keys")
    judged = replace(examination(world), status_lists=world.status_lists(states={7: 1}))
    record = seal_evidence(judged, judged.verdict(), procedure="parking", signer=signer, keys=keys)
    assert open_evidence(record, signer=signer.public_key, keys=keys).verdict.reason is ReasonCode.STATUS_REVOKED
    assert read_statement(record, signer=signer.public_key).reason == "status_revoked"


def test_what_stays_in_clear_names_no_person(filed: Filed) -> None:
    clear = json.dumps({**parse_jws(filed.record, expected_typ=TYP).claims(), "sealed": ""})
    for value in ("LINDENAU", "MILA", "LEIPZIG", "family_name"):
        assert value not in clear
    assert b"LINDENAU" not in base64url.decode(str(parse_jws(filed.record, expected_typ=TYP).claims()["sealed"]))


def test_an_erased_record_still_says_what_was_decided(filed: Filed) -> None:
    assert filed.keys.destroy(filed.id)
    assert not filed.keys.destroy(filed.id)
    assert read_statement(filed.record, signer=filed.signer.public_key).accepted


# vf-019: altered, re-sealed, erased


def _resigned(filed: Filed, signer: FileSigner, **changed: object) -> str:
    claims = {**parse_jws(filed.record, expected_typ=TYP).claims(), **changed}
    return build_jws(strict_json.dumps(claims), signer=signer, typ=TYP)


@defect("vf-019", refused_as=EvidenceAltered.__name__)
def verdict_turned(filed: Filed) -> Filed:
    """The statement says the opposite; the signature is the old one."""
    head, _, signature = filed.record.split(".")
    claims = {**parse_jws(filed.record, expected_typ=TYP).claims(), "accepted": False}
    filed.record = f"{head}.{base64url.encode(strict_json.dumps(claims))}.{signature}"
    return filed


@defect("vf-019b", refused_as=EvidenceAltered.__name__)
def signed_by_another(filed: Filed) -> Filed:
    """The whole record signed anew by somebody else."""
    filed.record = _resigned(filed, generate_signer())
    return filed


@defect("vf-019c", refused_as=EvidenceSealedOtherwise.__name__)
def resealed_under_another_key(filed: Filed) -> Filed:
    """Somebody put another key where this record's was."""
    record_id = filed.id
    filed.keys.destroy(record_id)
    filed.keys.keep(record_id, bytes(32))
    return filed


@defect("vf-019d", refused_as=EvidenceErased.__name__)
def key_destroyed(filed: Filed) -> Filed:
    """The person's data were to be erased, and are."""
    filed.keys.destroy(filed.id)
    return filed


@defect("vf-019e", refused_as=EvidenceAltered.__name__)
def sealed_part_altered(filed: Filed) -> Filed:
    """Our own signer errs: a sealed part that does not open under the record's key."""
    sealed = bytearray(base64url.decode(str(parse_jws(filed.record, expected_typ=TYP).claims()["sealed"])))
    sealed[-1] ^= 1
    filed.record = _resigned(filed, filed.signer, sealed=base64url.encode(bytes(sealed)))
    return filed


@defect("vf-019f", refused_as=EvidenceAltered.__name__)
def verdict_does_not_follow(filed: Filed) -> Filed:
    """Our own signer lies: accepted is stated, though the examination repeated says no."""
    judged = examination(filed.world)
    stranger = TrustDomain("pid", (TrustAnchor(AnchorKind.CA, signing_authority("Other").certificate, "Other"),))
    refused = replace(judged, trust=dict.fromkeys(judged.trust, (stranger,)))
    filed.record = seal_evidence(refused, judged.verdict(), procedure="parking", signer=filed.signer, keys=filed.keys)
    return filed


@pytest.mark.parametrize("case", [each for each in defects("vf") if each.id.startswith("vf-019")], ids=str)
def test_a_record_that_was_touched_is_found_out(case: Defect[Filed], filed: Filed) -> None:
    assert filed.outcome() is None
    assert case.apply(filed).outcome() == case.refused_as


@pytest.mark.parametrize("left_out", ["id", "procedure", "iat", "accepted", "domains", "key_commitment", "sealed"])
def test_a_record_without_one_of_its_parts_is_none(filed: Filed, left_out: str) -> None:
    claims = parse_jws(filed.record, expected_typ=TYP).claims()
    del claims[left_out]
    filed.record = build_jws(strict_json.dumps(claims), signer=filed.signer, typ=TYP)
    assert filed.outcome() == EvidenceAltered.__name__


@pytest.mark.parametrize(
    "changed",
    [
        {"iat": "then"},
        {"iat": True},
        {"accepted": 1},
        {"domains": ["pid"]},
        {"domains": {"pid": 1}},
        {"reason": 5},
        {"sealed": "!"},
    ],
    ids=str,
)
def test_a_statement_with_something_else_in_one_place_is_none(filed: Filed, changed: dict[str, object]) -> None:
    with pytest.raises(EvidenceAltered):
        read_statement(_resigned(filed, filed.signer, **changed), signer=filed.signer.public_key)


@pytest.mark.parametrize(
    ("changed", "error"),
    [
        ({"iat": 1}, EvidenceAltered),
        ({"reason": "status_revoked"}, EvidenceAltered),
        ({"domains": {}}, EvidenceAltered),
        ({"domains": {"pid": "another authority"}}, EvidenceAltered),
        ({"sealed": ""}, EvidenceAltered),
        ({"sealed": base64url.encode(bytes(7))}, EvidenceAltered),
        ({"id": ""}, EvidenceAltered),
        ({"id": "../../keys"}, EvidenceAltered),
        ({"id": "A" * 400}, EvidenceAltered),
        ({"id": base64url.encode(bytes(16))}, EvidenceErased),
        ({"key_commitment": "ä"}, EvidenceSealedOtherwise),
    ],
    ids=str,
)
def test_a_statement_that_does_not_follow_from_the_rest_is_found_out(
    filed: Filed, changed: dict[str, object], error: type[EvidenceError]
) -> None:
    """Our own signer errs, or lies: what stays once the key is destroyed must be what was sealed."""
    assert filed.outcome() is None
    filed.record = _resigned(filed, filed.signer, **changed)
    assert filed.outcome() == error.__name__


def test_what_was_sealed_and_is_no_examination_is_found_out(filed: Filed) -> None:
    key = filed.keys.find(filed.id)
    assert key is not None
    sealed = bytes(12) + AESGCM(key).encrypt(bytes(12), b"\xa0", filed.id.encode())
    filed.record = _resigned(filed, filed.signer, sealed=base64url.encode(sealed))
    assert filed.outcome() == EvidenceAltered.__name__


def test_what_was_sealed_and_asks_nothing_that_can_be_judged_is_found_out(filed: Filed) -> None:
    """The question's own transaction data are broken; a verifier that asks so gets a ValueError."""
    judged = examination(filed.world)
    broken = replace(judged, transaction_data=("!",))
    filed.record = seal_evidence(broken, judged.verdict(), procedure="parking", signer=filed.signer, keys=filed.keys)
    assert filed.outcome() == EvidenceAltered.__name__


def test_a_record_names_the_key_that_signed_it(filed: Filed) -> None:
    header = parse_jws(filed.record, expected_typ=TYP).header
    assert header["kid"] == thumbprint(jwk_from_public_key(filed.signer.public_key))


RECORD_ID = base64url.encode(bytes(range(16)))


def test_keys_are_for_this_user_alone(tmp_path: Path) -> None:
    folder = tmp_path / "case" / "keys"
    FolderKeys(folder).keep(RECORD_ID, bytes(32))
    assert FolderKeys(folder).find(RECORD_ID) == bytes(32)
    assert (folder.stat().st_mode & 0o777, (folder / RECORD_ID).stat().st_mode & 0o777) == (0o700, 0o600)


def test_no_key_takes_the_place_of_another(tmp_path: Path) -> None:
    keys = FolderKeys(tmp_path)
    keys.keep(RECORD_ID, bytes(32))
    with pytest.raises(FileExistsError):
        keys.keep(RECORD_ID, bytes(range(32)))
    assert keys.find(RECORD_ID) == bytes(32)


def test_a_key_that_was_not_written_to_its_end_is_none(tmp_path: Path) -> None:
    FolderKeys(tmp_path).keep(RECORD_ID, bytes(31))
    assert FolderKeys(tmp_path).find(RECORD_ID) is None


def test_a_destroyed_key_is_overwritten_where_it_lay(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Nobody finds it on the disk: zeros are there before the name is gone."""
    keys = FolderKeys(tmp_path / "keys")
    keys.keep(RECORD_ID, bytes(range(32)))
    (tmp_path / "same file").hardlink_to(tmp_path / "keys" / RECORD_ID)
    on_disk: list[bytes] = []
    monkeypatch.setattr("os.fsync", lambda file: on_disk.append(os.pread(file, 64, 0)))
    assert keys.destroy(RECORD_ID)
    assert on_disk == [bytes(32)]
    assert (tmp_path / "same file").read_bytes() == bytes(32)
    assert keys.find(RECORD_ID) is None


@pytest.mark.parametrize("name", ["../keys", "", "AA", "A" * 400, base64url.encode(bytes(17))])
def test_a_records_id_can_not_lead_out_of_the_folder(filed: Filed, name: str) -> None:
    """Nor to the folder itself, nor to a name that no file can have."""
    for use in (filed.keys.find, filed.keys.destroy, lambda name: filed.keys.keep(name, bytes(32))):
        with pytest.raises(EvidenceAltered):
            use(name)


def test_a_record_is_checked_on_the_command_line(
    filed: Filed, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    certificate = x509.load_der_x509_certificate(
        build_self_signed_certificate(
            key=EVIDENCE_KEY, subject=SubjectName(common_name="Evidence"), serial=7, now=filed.world.now
        )
    )
    (tmp_path / "signer.pem").write_bytes(certificate.public_bytes(Encoding.PEM))
    judged, keys = examination(filed.world), FolderKeys(tmp_path / "keys")
    record = seal_evidence(judged, judged.verdict(), procedure="parking", signer=FileSigner(EVIDENCE_KEY), keys=keys)
    (tmp_path / "record.jwt").write_text(record)
    command = ["verifier", "evidence", str(tmp_path / "record.jwt"), "--signer", str(tmp_path / "signer.pem")]
    with_keys = [*command, "--keys", str(tmp_path / "keys")]

    assert main(command) == 0
    assert json.loads(capsys.readouterr().out) == {
        "statement": {
            **json.loads(json.dumps(asdict(read_statement(record, signer=EVIDENCE_KEY.public_key())))),
        },
        "repeated": False,
    }
    assert main(with_keys) == 0
    assert "LINDENAU" not in capsys.readouterr().out
    assert main([*with_keys, "--show-claims"]) == 0
    assert "LINDENAU" in capsys.readouterr().out
    keys.destroy(read_statement(record, signer=EVIDENCE_KEY.public_key()).id)
    assert main(with_keys) == 1
    assert main([*command, "--keys", str(tmp_path / "nowhere")]) == 2
