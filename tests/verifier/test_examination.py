"""An examination written down and read again: nothing of it is lost, and nothing else is taken for one."""

from dataclasses import replace

import cbor2
import pytest
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from cryptography.hazmat.primitives.serialization import (
    BestAvailableEncryption,
    Encoding,
    KeySerializationEncryption,
    NoEncryption,
    PrivateFormat,
)

from specs.encoding import cbor
from specs.protocols.openid4vp import HAIP_FORMATS, MdocTransactionType, SupportedFormats
from tests.verifier.test_evidence import examination
from tests.verifier.world import World
from verifier import (
    DcApi,
    DirectPost,
    Fetched,
    InteractiveAuthorization,
    IsoMdocDcApi,
    Policy,
    Proximity,
    SameClaim,
    StatusRule,
)
from verifier.examination import ExaminationMalformed, examination_from_bytes, examination_to_bytes
from verifier.expectations import Binding, FailedPresentation, Limits, OverDisclosure

KEY = ec.derive_private_key(9, ec.SECP384R1())
ORIGIN = "https://city.example"


@pytest.fixture(scope="module")
def world() -> World:
    return World()


@pytest.mark.parametrize(
    "binding",
    [
        DirectPost("https://city.example/r"),
        DirectPost("https://city.example/r", bytes(32), KEY),
        DcApi(ORIGIN, bytes(32), KEY),
        DcApi(ORIGIN),
        InteractiveAuthorization(ORIGIN, bytes(32), KEY),
        Proximity(b"\x83\xf6\xf6\xf6", KEY),
        Proximity(b"\x83\xf6\xf6\xf6"),
        IsoMdocDcApi("info", ORIGIN),
    ],
    ids=lambda binding: type(binding).__name__,
)
def test_each_way_of_answering_is_recorded_whole(world: World, binding: Binding) -> None:
    found = examination_from_bytes(examination_to_bytes(replace(examination(world), binding=binding))).binding
    key = getattr(binding, "mac_key", None)
    if key is not None:
        assert not isinstance(found, IsoMdocDcApi)
        assert found.mac_key is not None
        assert found.mac_key.private_numbers() == key.private_numbers()
        found = replace(found, mac_key=key)
    assert found == binding


def test_all_that_an_answer_was_judged_by_is_recorded(world: World) -> None:
    fetched = Fetched(b"body", 200, "text/plain", world.now)
    policy = Policy(
        status=StatusRule.OFF,
        on_over_disclosure=OverDisclosure.REFUSE,
        on_failed_presentation=FailedPresentation.REFUSE,
        same_person=(SameClaim({"pid": ("family_name",), "other": ("names", 0)}),),
        require_end_or_status=False,
        clock_skew=1,
        key_binding_max_age=2,
        allow_test_anchors=True,
        allow_anchor_in_chain=True,
        allow_legacy_typ=True,
        limits=Limits(1, 2, 3, 4, 5),
    )
    domain = replace(world.domain, sd_jwt_ekus=frozenset({"1.3.6.1", "2.5.29"}), identifier="VATDE-1")
    judged = replace(
        examination(world),
        trust={("mso_mdoc", "type"): (domain,), ("dc+sd-jwt", "type"): ()},
        status_lists={("https://a.example", "text/plain"): fetched, ("https://b.example", "text/plain"): None},
        policy=policy,
        transaction_data=("e30", "e31"),
        transaction_types=(MdocTransactionType("type", "space", "element"),),
        announced=replace(HAIP_FORMATS, others=frozenset({"jwt_vc_json", "ldp_vc"})),
        type_metadata={"https://c.example": fetched, "https://d.example": None},
        revocation={"https://e.example": fetched, "https://f.example": None},
    )
    assert examination_from_bytes(examination_to_bytes(judged)) == judged
    nameless = replace(judged, client_id=None, announced=SupportedFormats())
    assert examination_from_bytes(examination_to_bytes(nameless)) == nameless


def test_a_verdict_is_repeated_with_the_documents_of_then(world: World) -> None:
    judged = examination(world)
    found = examination_from_bytes(examination_to_bytes(judged))
    assert judged.verdict().accepted
    assert found.verdict() == judged.verdict()


@pytest.mark.parametrize("data", [b"", b"{}", b"null", b'{"vp_token": 1}', b"\xa0", b"\xff"])
def test_other_bytes_are_no_examination(data: bytes) -> None:
    with pytest.raises(ExaminationMalformed):
        examination_from_bytes(data)


def pkcs8(
    key: ec.EllipticCurvePrivateKey | ed25519.Ed25519PrivateKey | rsa.RSAPrivateKey,
    encryption: KeySerializationEncryption | None = None,
) -> bytes:
    return key.private_bytes(Encoding.DER, PrivateFormat.PKCS8, encryption or NoEncryption())


NO_CERTIFICATE = {"kind": "ca", "certificate": b"none", "name": "n"}
OTHER_CURVE = pkcs8(KEY).replace(bytes.fromhex("2b81040022"), bytes.fromhex("2b81040077"))


@pytest.mark.parametrize(
    "changed",
    [
        {"query": "{}"},
        {"query": "no JSON"},
        {"vp_token": "no JSON"},
        {"now": "then"},
        {
            "trust": [
                ["dc+sd-jwt", "v", [{"name": "n", "anchors": [{"kind": "ca", "certificate": b"none", "name": "n"}]}]]
            ]
        },
        {"policy": {"status": cbor2.CBORTag(0, [])}},
        {"binding": {"kind": "direct_post"}},
        {"binding": {"kind": "direct_post", "origin": ORIGIN}},
        {"binding": {"kind": "another", "origin": ORIGIN}},
        {"binding": {"kind": "dc_api", "origin": ORIGIN, "mac_key": b"no key"}},
        {"binding": {"kind": "dc_api", "origin": ORIGIN, "mac_key": pkcs8(ed25519.Ed25519PrivateKey.generate())}},
        {"binding": {"kind": "dc_api", "origin": ORIGIN, "mac_key": pkcs8(KEY, BestAvailableEncryption(b"secret"))}},
        {"binding": {"kind": "dc_api", "origin": ORIGIN, "mac_key": OTHER_CURVE}},
    ],
    ids=lambda changed: str(changed)[:60],
)
def test_an_examination_with_one_defect_is_none(world: World, changed: dict[str, object]) -> None:
    data = examination_to_bytes(replace(examination(world), binding=DcApi(ORIGIN, None, KEY)))
    examination_from_bytes(data)
    members = {str(name): value for name, value in cbor.decode_map(data, max_depth=64).items()}
    with pytest.raises(ExaminationMalformed):
        examination_from_bytes(cbor.encode({**members, **changed}))
