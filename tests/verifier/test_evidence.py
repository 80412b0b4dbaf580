"""A record for the case file: repeated offline years later, altered by nobody, erased with its key."""

import json
from dataclasses import asdict, dataclass, replace
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding

from specs.encoding import base64url, strict_json
from specs.keys.jose import build_jws, parse_jws
from specs.keys.signer import FileSigner, generate_signer
from specs.trust.certificates import SubjectName, build_self_signed_certificate
from specs.trust.x509 import AnchorKind, TrustAnchor
from stadtnachweis.__main__ import main
from tests.defects import Defect, defect, defects
from tests.verifier.world import CLIENT_ID, MDOC_QUERY, NONCE, QUERY, World, signing_authority
from verifier import (
    DcApi,
    DirectPost,
    IsoMdocDcApi,
    Policy,
    Proximity,
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
    ExaminationMalformed,
    examination_from_bytes,
    examination_to_bytes,
)
from verifier.expectations import Binding

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


@pytest.mark.parametrize(
    "binding",
    [
        DirectPost("https://city.example/r"),
        DirectPost("https://city.example/r", bytes(32), ec.generate_private_key(ec.SECP256R1())),
        DcApi("https://city.example", bytes(32)),
        Proximity(b"\x83\xf6\xf6\xf6", ec.generate_private_key(ec.SECP384R1())),
        IsoMdocDcApi("info", "https://city.example"),
    ],
    ids=lambda binding: type(binding).__name__,
)
def test_each_way_of_answering_is_recorded_whole(binding: Binding) -> None:
    judged = replace(examination(World()), binding=binding)
    found = examination_from_bytes(examination_to_bytes(judged))
    assert examination_to_bytes(found) == examination_to_bytes(judged)
    assert type(found.binding) is type(binding)


@pytest.mark.parametrize("data", [b"", b"{}", b"null", b'{"vp_token": 1}'])
def test_other_bytes_are_no_examination(data: bytes) -> None:
    with pytest.raises(ExaminationMalformed):
        examination_from_bytes(data)


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


def test_a_records_id_can_not_lead_out_of_the_folder(filed: Filed) -> None:
    with pytest.raises(EvidenceAltered):
        filed.keys.find("../keys")


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
