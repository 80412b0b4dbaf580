"""Encryption by direct key agreement: what opens, where each limit stands, and what no answer of a wallet shows."""

import json
import zlib
from collections.abc import Callable, Mapping
from types import MappingProxyType

import pytest
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.concatkdf import ConcatKDFHash
from jwcrypto.jwe import JWE
from jwcrypto.jwk import JWK

from specs.encoding import base64url
from specs.keys.jose import JoseError, jwk_from_public_key, thumbprint_bytes
from specs.keys.jwe import Decrypted, decrypt, encrypt, new_decryption_key
from specs.keys.signer import generate_signer
from specs.refusal import ReasonCode

KEY = new_decryption_key("ours")
KEYS = {"ours": KEY}
TEXT = b"what nobody else reads"


def closed(payload: bytes = TEXT, **members: object) -> str:
    """A JWE to our key with these members in its header, some of them None to leave one out."""
    header = {"alg": "ECDH-ES", "enc": "A256GCM", "kid": "ours", **members}
    token = JWE(payload, json.dumps({name: value for name, value in header.items() if value is not None}))
    token.allowed_algs = ["ECDH-ES", "A128GCM", "A256GCM", "A192GCM"]
    token.add_recipient(JWK.from_pyca(KEY.private.public_key()))
    return str(token.serialize(compact=True))


def deflated(data: bytes) -> bytes:
    """`zip: DEF`."""
    stream = zlib.compressobj(9, zlib.DEFLATED, -15)
    return stream.compress(data) + stream.flush()


def by_hand(
    payload: bytes, *, iv: bytes = bytes(12), epk: Mapping[str, object] = MappingProxyType({}), **members: object
) -> str:
    """A JWE as no library makes it: with another IV, or with a header that says `zip` of whatever is inside.

    epk: what else the ephemeral key says.
    """
    ephemeral = ec.generate_private_key(ec.SECP256R1())
    header = {"alg": "ECDH-ES", "enc": "A256GCM", "kid": "ours", **members}
    jwk = {**jwk_from_public_key(ephemeral.public_key()), **epk}
    head = base64url.encode(json.dumps({**header, "epk": jwk}).encode())
    info = len(b"A256GCM").to_bytes(4, "big") + b"A256GCM" + bytes(8) + (256).to_bytes(4, "big")
    shared = ephemeral.exchange(ec.ECDH(), KEY.private.public_key())
    sealed = AESGCM(ConcatKDFHash(SHA256(), 32, info).derive(shared)).encrypt(iv, payload, head.encode())
    return ".".join([head, "", *map(base64url.encode, (iv, sealed[:-16], sealed[-16:]))])


def reheaded(token: str, change: Callable[[dict[str, object]], object]) -> str:
    """The same with another header; nothing authenticates it any more."""
    head, *rest = token.split(".")
    header = json.loads(base64url.decode(head))
    change(header)
    return ".".join([base64url.encode(json.dumps(header).encode()), *rest])


def reason_of(token: str, **expectations: object) -> ReasonCode:
    """Why a token is refused."""
    with pytest.raises(JoseError) as refusal:
        decrypt(token, keys=KEYS, **expectations)  # type: ignore[arg-type]  # as each case names them
    return refusal.value.reason


@pytest.mark.parametrize("enc", ["A128GCM", "A256GCM"])
@pytest.mark.parametrize("compression", [None, "DEF"])
def test_what_is_encrypted_opens_with_the_key_it_names(enc: str, compression: str | None) -> None:
    token = encrypt(TEXT, jwk=KEY.public_jwk(), enc=enc, apu=b"one", apv=b"other", zip=compression, header={"typ": "x"})
    opened = decrypt(token, keys=KEYS, allowed_zip=("DEF",))
    header = dict(opened.header)
    epk = header.pop("epk")
    assert isinstance(epk, dict)
    assert epk["crv"] == "P-256"
    assert header == {
        "alg": "ECDH-ES",
        "enc": enc,
        "typ": "x",
        "apu": base64url.encode(b"one"),
        "apv": base64url.encode(b"other"),
        "kid": "ours",
        **({} if compression is None else {"zip": "DEF"}),
    }
    assert opened == Decrypted(TEXT, opened.header, KEY)


def test_a_published_key_says_what_it_is_for() -> None:
    public = jwk_from_public_key(KEY.private.public_key())
    assert KEY.public_jwk() == {**public, "kid": "ours", "alg": "ECDH-ES", "use": "enc"}
    assert KEY.thumbprint == thumbprint_bytes(public)


def test_without_parties_and_name_their_members_are_left_out() -> None:
    jwk = {name: value for name, value in KEY.public_jwk().items() if name != "kid"}
    token = encrypt(TEXT, jwk=jwk, enc="A128GCM")
    assert set(json.loads(base64url.decode(token.split(".")[0]))) == {"alg", "enc", "epk"}


@pytest.mark.parametrize(
    ("jwk", "enc", "compression"),
    [
        ({"alg": "ECDH-ES+A128KW"}, "A128GCM", None),
        ({"alg": None}, "A128GCM", None),
        (jwk_from_public_key(ec.generate_private_key(ec.SECP384R1()).public_key()), "A128GCM", None),
        ({}, "A192GCM", None),
        ({}, "A128CBC-HS256", None),
        ({}, "A128GCM", "GZIP"),
    ],
)
def test_nothing_is_encrypted_in_another_way(jwk: Mapping[str, object], enc: str, compression: str | None) -> None:
    with pytest.raises(JoseError) as refusal:
        encrypt(TEXT, jwk={**KEY.public_jwk(), **jwk}, enc=enc, zip=compression)
    assert refusal.value.reason is ReasonCode.ENCRYPTION_NOT_ALLOWED


def test_a_key_for_signatures_is_not_encrypted_to() -> None:
    with pytest.raises(JoseError):
        encrypt(TEXT, jwk={**KEY.public_jwk(), "use": "sig"}, enc="A128GCM")


def test_token_and_plaintext_may_be_as_long_as_the_limit_and_no_longer() -> None:
    token = closed()
    assert decrypt(token, keys=KEYS, max_token=len(token), max_plaintext=len(TEXT)).payload == TEXT
    assert reason_of(token, max_token=len(token) - 1) is ReasonCode.RESPONSE_TOO_LARGE
    assert reason_of(token, max_plaintext=len(TEXT) - 1) is ReasonCode.RESPONSE_TOO_LARGE


def test_a_compressed_plaintext_is_inflated_up_to_the_limit_and_no_further() -> None:
    token = encrypt(bytes(4096), jwk=KEY.public_jwk(), enc="A256GCM", zip="DEF")
    assert decrypt(token, keys=KEYS, allowed_zip=("DEF",), max_plaintext=4096).payload == bytes(4096)
    for limit in (4095, 4000, 1):
        assert reason_of(token, allowed_zip=("DEF",), max_plaintext=limit) is ReasonCode.RESPONSE_TOO_LARGE
    assert reason_of(token) is ReasonCode.ENCRYPTION_NOT_ALLOWED


@pytest.mark.parametrize(
    "sealed", [b"\xff\xff no deflate", deflated(TEXT)[:-1], deflated(TEXT) + b"more"], ids=["none", "cut", "more"]
)
def test_what_does_not_inflate_to_its_end_does_not_open(sealed: bytes) -> None:
    assert decrypt(by_hand(deflated(TEXT), zip="DEF"), keys=KEYS, allowed_zip=("DEF",)).payload == TEXT
    assert reason_of(by_hand(sealed, zip="DEF"), allowed_zip=("DEF",)) is ReasonCode.DECRYPTION_FAILED


def test_a_header_may_be_eight_kibibytes_long_and_no_longer() -> None:
    def token_with_header_of(length: int) -> str:
        head = closed(filler="").split(".")[0]
        filler = (length - len(head)) * 3 // 4
        for longer in range(max(filler - 3, 0), filler + 4):
            token = closed(filler="x" * longer)
            if len(token.split(".")[0]) == length:
                return token
        raise AssertionError(length)

    assert decrypt(token_with_header_of(8192), keys=KEYS).payload == TEXT
    assert reason_of(token_with_header_of(8194)) is ReasonCode.LIMIT_EXCEEDED


@pytest.mark.parametrize(
    "header",
    [b"no JSON", b"[]", b'{"enc":"A256GCM","enc":"A128GCM"}', b"\xff"],
    ids=["none", "array", "twice", "utf-8"],
)
def test_a_header_that_is_no_object_is_malformed(header: bytes) -> None:
    _, *rest = closed().split(".")
    assert reason_of(".".join([base64url.encode(header), *rest])) is ReasonCode.RESPONSE_MALFORMED
    assert reason_of(".".join(["a+b/", *rest])) is ReasonCode.RESPONSE_MALFORMED


@pytest.mark.parametrize("position", [2, 3, 4])
def test_a_part_that_is_not_base64url_is_malformed(position: int) -> None:
    parts = closed().split(".")
    parts[position] = f"{parts[position][:-2]}=="
    assert reason_of(".".join(parts)) is ReasonCode.RESPONSE_MALFORMED


@pytest.mark.parametrize("name", ["apu", "apv"])
@pytest.mark.parametrize("value", [7, ["YQ"], True, "YQ=="])
def test_a_party_that_is_no_base64url_text_is_malformed(name: str, value: object) -> None:
    token = reheaded(closed(), lambda header: header.update({name: value}))
    assert reason_of(token) is ReasonCode.RESPONSE_MALFORMED


@pytest.mark.parametrize(
    ("members", "reason"),
    [
        ({"kid": 7}, ReasonCode.ENCRYPTION_KEY_UNKNOWN),
        ({"kid": ["ours"]}, ReasonCode.ENCRYPTION_KEY_UNKNOWN),
        ({"kid": None}, ReasonCode.ENCRYPTION_KEY_UNKNOWN),
        ({"kid": "theirs"}, ReasonCode.ENCRYPTION_KEY_UNKNOWN),
        ({"alg": "ECDH-ES+A128KW"}, ReasonCode.ENCRYPTION_NOT_ALLOWED),
        ({"enc": "A192GCM"}, ReasonCode.ENCRYPTION_NOT_ALLOWED),
        ({"enc": None}, ReasonCode.ENCRYPTION_NOT_ALLOWED),
        ({"enc": ["A256GCM"]}, ReasonCode.ENCRYPTION_NOT_ALLOWED),
        ({"enc": {}}, ReasonCode.ENCRYPTION_NOT_ALLOWED),
        ({"zip": "DEF"}, ReasonCode.ENCRYPTION_NOT_ALLOWED),
        ({"crit": []}, ReasonCode.CRITICAL_HEADER_UNKNOWN),
        ({"epk": None}, ReasonCode.DECRYPTION_FAILED),
        ({"epk": jwk_from_public_key(generate_signer("EdDSA").public_key)}, ReasonCode.DECRYPTION_FAILED),
        ({"epk": jwk_from_public_key(KEY.private.public_key())}, ReasonCode.DECRYPTION_FAILED),
        ({"epk": {**jwk_from_public_key(KEY.private.public_key()), "alg": []}}, ReasonCode.DECRYPTION_FAILED),
    ],
)
def test_a_header_that_says_another_thing_is_refused(members: Mapping[str, object], reason: ReasonCode) -> None:
    assert reason_of(reheaded(closed(), lambda header: header.update(members))) is reason


def test_an_ephemeral_key_may_say_that_it_is_for_encryption_and_nothing_else() -> None:
    """RFC 7517 §4.2."""
    assert decrypt(by_hand(TEXT, epk={"use": "enc"}), keys=KEYS).payload == TEXT
    assert decrypt(by_hand(TEXT, epk={"key_ops": ["deriveKey"]}), keys=KEYS).payload == TEXT
    assert reason_of(by_hand(TEXT, epk={"use": "sig"})) is ReasonCode.DECRYPTION_FAILED


def test_a_compression_that_is_no_text_is_refused() -> None:
    """Also where the caller's compressions are a set, which can't look up a list."""
    token = reheaded(closed(), lambda header: header.update({"zip": ["DEF"]}))
    assert reason_of(token, allowed_zip=frozenset({"DEF"})) is ReasonCode.ENCRYPTION_NOT_ALLOWED


@pytest.mark.parametrize("enc", ["A128GCM", "A256GCM"])
def test_an_encryption_that_was_not_offered_is_refused(enc: str) -> None:
    other = {"A128GCM": "A256GCM", "A256GCM": "A128GCM"}[enc]
    assert decrypt(closed(enc=enc), keys=KEYS, allowed_encs=(enc,)).payload == TEXT
    assert reason_of(closed(enc=enc), allowed_encs=(other,)) is ReasonCode.ENCRYPTION_NOT_ALLOWED


@pytest.mark.parametrize("count", [3, 4, 6])
def test_a_token_has_five_parts(count: int) -> None:
    token = ".".join([*closed().split("."), ""][:count])
    assert reason_of(token) is ReasonCode.RESPONSE_MALFORMED


def test_direct_agreement_has_no_encrypted_key() -> None:
    parts = closed().split(".")
    parts[1] = base64url.encode(bytes(40))
    assert reason_of(".".join(parts)) is ReasonCode.RESPONSE_MALFORMED


@pytest.mark.parametrize(("position", "length"), [(2, 8), (2, 13), (2, 16), (4, 4), (4, 15)])
def test_an_iv_or_tag_of_another_length_does_not_open(position: int, length: int) -> None:
    parts = closed().split(".")
    data = base64url.decode(parts[position])
    parts[position] = base64url.encode((data + bytes(16))[:length])
    assert reason_of(".".join(parts)) is ReasonCode.DECRYPTION_FAILED


def test_what_opens_is_still_refused_if_its_iv_or_tag_has_another_length() -> None:
    """RFC 7518 §5.3: 96 and 128 bits, though the cipher itself would take others."""
    assert decrypt(by_hand(TEXT), keys=KEYS).payload == TEXT
    assert reason_of(by_hand(TEXT, iv=bytes(16))) is ReasonCode.DECRYPTION_FAILED
    head, _, iv, ciphertext, tag = by_hand(TEXT).split(".")
    sealed = base64url.decode(ciphertext) + base64url.decode(tag)
    for cut in (len(sealed), len(sealed) - 15, len(sealed) - 17):
        moved = [head, "", iv, base64url.encode(sealed[:cut]), base64url.encode(sealed[cut:])]
        assert reason_of(".".join(moved)) is ReasonCode.DECRYPTION_FAILED
