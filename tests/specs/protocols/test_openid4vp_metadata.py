"""What a verifier can read: its metadata at their limits, the key that an answer is encrypted to, its algorithms."""

from typing import Any

import pytest

from specs.keys.jwe import new_decryption_key
from specs.protocols.openid4vp import (
    ErrorCode,
    RequestError,
    build_client_metadata,
    cose_alg_announced,
    jose_alg_announced,
    parse_client_metadata,
)
from specs.protocols.openid4vp.metadata import (
    ALL_FORMATS,
    HAIP_FORMATS,
    MdocAlgorithms,
    SdJwtAlgorithms,
    SupportedFormats,
    check_formats,
    encryption_keys,
    formats_to_json,
    parse_formats,
)
from tests.specs.protocols.asker import Json

KEY: Json = dict(new_decryption_key("key-1").public_jwk())


def jwk(kid: str = "key-1", **members: Any) -> Json:
    """The key under another name; a member that is None is left out."""
    return {name: value for name, value in {**KEY, "kid": kid, **members}.items() if value is not None}


def key_set(*keys: Json) -> Json:
    return {"keys": list(keys)}


@pytest.mark.parametrize(
    "value",
    [
        None,
        [],
        "{}",
        {"vp_formats_supported": None},
        {"vp_formats_supported": {}},
        {"vp_formats_supported": [["dc+sd-jwt", {}]]},
        {"vp_formats_supported": "dc+sd-jwt"},
        {"vp_formats_supported": {"dc+sd-jwt": None}},
        {"vp_formats_supported": {"mso_mdoc": []}},
        {"vp_formats_supported": {"future": "x"}},
        {"vp_formats_supported": {"dc+sd-jwt": {"sd-jwt_alg_values": None}}},
        {"vp_formats_supported": {"dc+sd-jwt": {"sd-jwt_alg_values": "ES256"}}},
        {"vp_formats_supported": {"dc+sd-jwt": {"sd-jwt_alg_values": ["ES256", -7]}}},
        {"vp_formats_supported": {"dc+sd-jwt": {"kb-jwt_alg_values": []}}},
        {"vp_formats_supported": {"mso_mdoc": {"issuerauth_alg_values": None}}},
        {"vp_formats_supported": {"mso_mdoc": {"issuerauth_alg_values": []}}},
        {"vp_formats_supported": {"mso_mdoc": {"issuerauth_alg_values": -7}}},
        {"vp_formats_supported": {"mso_mdoc": {"deviceauth_alg_values": {"-7": -7}}}},
        {"vp_formats_supported": {"mso_mdoc": {"deviceauth_alg_values": [-7, -7.0]}}},
        {"vp_formats_supported": {"mso_mdoc": {"deviceauth_alg_values": [-7, "ES256"]}}},
        {"encrypted_response_enc_values_supported": None},
        {"encrypted_response_enc_values_supported": "A128GCM"},
        {"encrypted_response_enc_values_supported": {"A128GCM": 1}},
        {"encrypted_response_enc_values_supported": ["A128GCM", 1]},
        {"jwks": None},
        {"jwks": []},
        {"jwks": [KEY]},
        {"jwks": {}},
        {"jwks": {"keys": None}},
        {"jwks": {"keys": KEY}},
        {"jwks": {"keys": 1}},
        {"jwks": {"keys": []}},
        {"jwks": {"keys": ["key-1"]}},
        {"jwks": {"keys": [jwk(), None]}},
        {"jwks": {"keys": [jwk(), jwk()]}},
        {"jwks": {"keys": [{**KEY, "kid": 1}]}},
        {"jwks": {"keys": [{**KEY, "kid": ["key-1"]}]}},
    ],
)
def test_metadata_of_another_shape_are_refused(value: Any) -> None:
    with pytest.raises(RequestError) as caught:
        parse_client_metadata(value)
    assert caught.value.error is ErrorCode.INVALID_REQUEST


def test_without_a_statement_answers_are_encrypted_by_the_default() -> None:
    """§5.1: A128GCM; nothing is known about formats, and there is no key."""
    silent = parse_client_metadata({"future": 1})
    assert (silent.formats, silent.encryption_keys, silent.encs) == (None, (), ("A128GCM",))
    said = parse_client_metadata({"encrypted_response_enc_values_supported": ["A256GCM", "A128CBC-HS256"]})
    assert said.encs == ("A256GCM", "A128CBC-HS256")


def test_formats_come_back_as_they_were_written() -> None:
    formats = SupportedFormats(
        SdJwtAlgorithms(issuer=("ES256",), key_binding=("ES384",)), MdocAlgorithms(issuer_auth=(-7,), device_auth=(-9,))
    )
    assert formats_to_json(formats) == {
        "dc+sd-jwt": {"sd-jwt_alg_values": ["ES256"], "kb-jwt_alg_values": ["ES384"]},
        "mso_mdoc": {"issuerauth_alg_values": [-7], "deviceauth_alg_values": [-9]},
    }
    assert parse_formats(formats_to_json(formats)) == formats


def test_no_statement_about_algorithms_is_kept_apart_from_no_format() -> None:
    silent: Json = {"dc+sd-jwt": {}, "mso_mdoc": {}, "ldp_vc": {"proof_type_values": []}}
    formats = parse_formats(silent)
    assert formats == SupportedFormats(SdJwtAlgorithms(), MdocAlgorithms(), frozenset({"ldp_vc"}))
    assert formats_to_json(formats) == {"dc+sd-jwt": {}, "mso_mdoc": {}}
    assert formats_to_json(SupportedFormats()) == {}
    assert parse_formats({"ldp_vc": {}}) == SupportedFormats(others=frozenset({"ldp_vc"}))


@pytest.mark.parametrize(
    ("supported", "known", "unknown"),
    [
        (SupportedFormats(sd_jwt=SdJwtAlgorithms()), "dc+sd-jwt", "mso_mdoc"),
        (SupportedFormats(mdoc=MdocAlgorithms()), "mso_mdoc", "dc+sd-jwt"),
        (SupportedFormats(others=frozenset({"ldp_vc"})), "ldp_vc", "jwt_vc_json"),
    ],
)
def test_one_format_that_is_known_is_enough(supported: SupportedFormats, known: str, unknown: str) -> None:
    check_formats([unknown, known], supported=supported)
    for requested in ([unknown], [unknown, "future"], []):
        with pytest.raises(RequestError) as caught:
            check_formats(requested, supported=supported)
        assert caught.value.error is ErrorCode.VP_FORMATS_NOT_SUPPORTED


def test_keys_are_written_with_the_encryptions_that_go_with_them() -> None:
    written = build_client_metadata(formats=HAIP_FORMATS, response_keys=[KEY], encs=["A256GCM"])
    assert written["jwks"] == {"keys": [KEY]}
    assert written["encrypted_response_enc_values_supported"] == ["A256GCM"]
    assert parse_client_metadata(written).encryption_keys == (KEY,)
    both = build_client_metadata(formats=ALL_FORMATS, response_keys=[KEY])
    assert both["encrypted_response_enc_values_supported"] == ["A128GCM", "A256GCM"]


@pytest.mark.parametrize(
    ("key", "is_usable"),
    [
        (jwk(), True),
        (jwk(use=None), True),
        (jwk(use="sig"), False),
        (jwk(use=1), False),
        (jwk(alg=None), False),
        (jwk(alg=1), False),
        (jwk(y=None), False),
        (jwk(d="AAAA"), False),
        (jwk(kty="RSA"), False),
    ],
)
def test_a_key_that_nothing_can_be_encrypted_to_is_passed_over(key: Json, is_usable: bool) -> None:
    other = jwk("key-2")
    assert encryption_keys(key_set(key, other)) == ((key, other) if is_usable else (other,))


def test_twenty_keys_are_read_and_no_more() -> None:
    keys = [jwk(f"key-{number}") for number in range(21)]
    assert len(encryption_keys(key_set(*keys[:20]))) == 20
    with pytest.raises(RequestError, match="jwks"):
        encryption_keys(key_set(*keys))


def test_the_first_key_of_the_wanted_kind_is_taken() -> None:
    """§8.3: by `alg` and curve; an answer is encrypted to no other."""
    keys = [jwk("rsa", alg="RSA-OAEP-256"), jwk("wrapped", alg="ECDH-ES+A128KW"), jwk("first"), jwk("second")]
    metadata = parse_client_metadata({"jwks": key_set(*keys)})
    assert metadata.encryption_key()["kid"] == "first"
    assert metadata.encryption_key(alg="ECDH-ES+A128KW")["kid"] == "wrapped"
    for kind in ({"crv": "P-384"}, {"alg": "ECDH-ES+A256KW"}):
        with pytest.raises(RequestError, match="no key"):
            metadata.encryption_key(**kind)
    with pytest.raises(RequestError, match="no key"):
        parse_client_metadata({"jwks": key_set(*keys[:2])}).encryption_key()


@pytest.mark.parametrize(
    ("alg", "announced", "expected"),
    [
        ("ES384", ["ES256", "ES384"], True),
        ("Ed25519", ["Ed25519"], True),
        ("Ed25519", ["EdDSA"], True),
        ("EdDSA", ["Ed25519"], True),
        ("ES256", None, True),
        ("ES256", [], False),
        ("ES256", ["Ed25519"], False),
        ("ES256", ["EdDSA"], False),
        ("EdDSA", ["ES256"], False),
        ("Ed25519", ["ES256"], False),
    ],
)
def test_a_jose_algorithm_is_announced_by_its_name(alg: str, announced: list[str] | None, expected: bool) -> None:
    assert jose_alg_announced(alg, announced) is expected


@pytest.mark.parametrize(
    ("alg", "curve", "announced", "expected"),
    [
        (-7, "P-256", [-35, -9], True),
        (-36, "P-521", [-52], True),
        (-8, "Ed25519", [-19], True),
        (-7, "P-256", [], False),
        (-19, "Ed25519", [-8], False),
        (-36, "P-256", [-52], False),
        (-36, "P-521", [-51], False),
    ],
)
def test_a_cose_algorithm_is_announced_by_its_number_or_the_one_with_its_curve(
    alg: int, curve: str, announced: list[int], expected: bool
) -> None:
    assert cose_alg_announced(alg, curve, announced) is expected
