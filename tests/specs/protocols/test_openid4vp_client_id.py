"""Who asks: identifiers at their limits, the certificate behind them, and where their answers may go."""

from collections.abc import Callable
from functools import cache

import pytest
from cryptography import x509

from specs.encoding import base64url
from specs.protocols.haip import check_haip_chain
from specs.protocols.openid4vp import (
    ClientIdPrefix,
    RequestError,
    parse_client_id,
    x509_hash_client_id,
    x509_san_dns_client_id,
)
from specs.protocols.openid4vp.client_id import check_answer_address, check_certificate, dns_names
from tests.specs.trust.drawing import draw_ca, draw_leaf, key

LABEL = "a" * 63
LONGEST_NAME = ".".join((LABEL, LABEL, LABEL, "a" * 61))  # 253 characters
HASH = "x509_hash:" + base64url.encode(bytes(32))


@cache
def certificate(*names: str) -> bytes:
    """An access certificate for these host names; without any, it has no alternative name at all."""
    leaf, root = draw_leaf("City", key("leaf"), by=key("root")), draw_ca("Access CA", key("root"), path_length=0)
    alternative = x509.SubjectAlternativeName([*map(x509.DNSName, names), x509.RFC822Name("city@v.example")])
    return (leaf.having(alternative) if names else leaf.lacking(alternative.oid)).signed(root)


@pytest.mark.parametrize(
    "text",
    [
        "x" * 2048,
        "city hall",
        f"x509_san_dns:{LONGEST_NAME}",
        "x509_san_dns:V-1.Example",
        "x509_san_dns:1",
        "redirect_uri:org.example.app:/cb",
        "decentralized_identifier:did:web:v.example%3A8443",
        "openid_federation:https://V.example/1",
    ],
)
def test_an_identifier_fits_its_prefix(text: str) -> None:
    assert parse_client_id(text).text == text


@pytest.mark.parametrize(
    "text",
    [
        "x" * 2049,
        "a\x7f",
        "a\N{ZERO WIDTH SPACE}",
        "origin:",
        f"x509_san_dns:a{LONGEST_NAME}",
        f"x509_san_dns:a{LABEL}.example",
        "x509_san_dns:-a.example",
        "x509_san_dns:a-.example",
        "x509_san_dns:a.example.",
        "x509_san_dns:a_b.example",
        HASH[:-1],
        f"{HASH}A",
        "x509_hash:" + base64url.encode(bytes(31)),
        "x509_hash:" + base64url.encode(bytes(33)),
        "x509_hash:\N{LATIN SMALL LETTER U WITH DIAERESIS}",
        "redirect_uri:https://v.example/a b",
        "redirect_uri:",
        "decentralized_identifier:did:Web:v.example",
        "decentralized_identifier:did:web:",
        "decentralized_identifier:did:web:v.example#key",
        "openid_federation:v.example",
        "openid_federation:https://",
        "openid_federation:https:///x",
        "openid_federation:https://[v.example",
    ],
)
def test_an_identifier_that_does_not_fit_its_prefix_is_refused(text: str) -> None:
    with pytest.raises(RequestError, match="client_id"):
        parse_client_id(text)


def test_the_word_origin_is_reserved_as_a_prefix_only() -> None:
    assert parse_client_id("origin").prefix is ClientIdPrefix.PRE_REGISTERED
    assert parse_client_id("original:x").prefix is ClientIdPrefix.PRE_REGISTERED
    assert parse_client_id("x509_hash").prefix is ClientIdPrefix.PRE_REGISTERED


@pytest.mark.parametrize(
    ("text", "is_signed"),
    [
        (HASH, True),
        ("x509_san_dns:v.example", True),
        ("verifier_attestation:v", True),
        ("decentralized_identifier:did:web:v.example", True),
        ("openid_federation:https://v.example", True),
        ("redirect_uri:https://v.example/r", False),
        ("city-hall", False),
    ],
)
def test_a_prefix_says_whether_the_question_must_be_signed(text: str, is_signed: bool) -> None:
    assert parse_client_id(text).is_signed is is_signed


def test_what_a_wallet_does_not_support_it_refuses_also_without_a_prefix() -> None:
    assert parse_client_id(HASH, supported=[ClientIdPrefix.X509_HASH]).prefix is ClientIdPrefix.X509_HASH
    with pytest.raises(RequestError, match="not supported"):
        parse_client_id("city-hall", supported=[ClientIdPrefix.X509_HASH])


def test_a_host_name_of_the_certificate_is_taken_the_first_one_by_default() -> None:
    leaf = certificate("v.example", "W.example")
    assert x509_san_dns_client_id(leaf).text == "x509_san_dns:v.example"
    client_id = x509_san_dns_client_id(leaf, dns_name="w.Example")
    assert client_id == parse_client_id("x509_san_dns:w.Example")
    check_certificate(client_id, leaf)


@pytest.mark.parametrize(
    ("names", "wanted"),
    [
        (("v.example",), "w.example"),
        (("v.example",), "sub.v.example"),
        (("*.v.example",), "sub.v.example"),
        (("*.v.example",), "*.v.example"),
        (("*.v.example",), None),
        ((), None),
        ((), "v.example"),
        (("v.example",), "city@v.example"),
    ],
)
def test_nobody_asks_under_a_host_name_that_is_not_the_certificates(names: tuple[str, ...], wanted: str | None) -> None:
    """A wildcard became an identifier that every wallet refuses."""
    with pytest.raises(RequestError, match="client_id: not "):
        x509_san_dns_client_id(certificate(*names), dns_name=wanted)


@pytest.mark.parametrize("text", ["x509_san_dns:w.example", "x509_san_dns:example", "x509_san_dns:sub.v.example", HASH])
def test_a_certificate_stands_for_nobody_else(text: str) -> None:
    leaf = certificate("v.example", "*.v.example")
    check_certificate(x509_hash_client_id(leaf), leaf)
    check_certificate(parse_client_id("x509_san_dns:V.Example"), leaf)
    with pytest.raises(RequestError, match="another's"):
        check_certificate(parse_client_id(text), leaf)


def test_a_certificate_without_alternative_names_names_no_host() -> None:
    assert dns_names(certificate()) == ()
    assert dns_names(certificate("v.example", "W.example")) == ("v.example", "W.example")


def _instead(old: bytes, new: bytes) -> Callable[[bytes], bytes]:
    return lambda der: der.replace(old, new)


MALFORMED: dict[str, Callable[[bytes], bytes]] = {
    "nothing": lambda _der: b"",
    "text": lambda _der: b"certificate",
    "cut off": lambda der: der[:-1],
    "too large": lambda der: der + bytes(16 * 1024),
    "of no version": _instead(bytes.fromhex("a003020102"), bytes.fromhex("a003020107")),
    "an extension twice": _instead(bytes.fromhex("0603551d23"), bytes.fromhex("0603551d0e")),
    "a country that is a number": _instead(b"\x13\x02DE", b"\x02\x02DE"),
    "a country that is bits": _instead(b"\x13\x02DE", b"\x03\x02\x00E"),
    "a name of an unknown kind": _instead(b"\x82\x09v.example", b"\xa3\x09v.example"),
    "a name that is no ASCII": _instead(b"\x82\x09v.example", b"\x82\x09\xff.example"),
}


@pytest.mark.parametrize("bend", MALFORMED.values(), ids=MALFORMED.keys())
def test_bytes_that_are_no_certificate_are_refused_not_tripped_over(bend: Callable[[bytes], bytes]) -> None:
    """An unknown version or a doubled extension ended a wallet's look at a question with the library's exception."""
    good = certificate("v.example")
    check_haip_chain((good,), anchors=())
    bent = bend(good)
    assert bent != good
    with pytest.raises(RequestError, match="x5c: not a certificate"):
        check_certificate(parse_client_id("x509_san_dns:v.example"), bent)
    with pytest.raises(RequestError, match="x5c: not a certificate"):
        x509_san_dns_client_id(bent)
    with pytest.raises(RequestError, match="x5c: not a certificate"):
        check_haip_chain((bent,), anchors=())


@pytest.mark.parametrize(
    ("text", "attested", "good", "bad"),
    [
        ("redirect_uri:https://v.example/r", None, "https://v.example/r", "https://v.example/r?x"),
        ("x509_san_dns:V.Example", None, "https://v.EXAMPLE:8443/r", "https://sub.v.example/r"),
        ("x509_san_dns:v.example", None, "https://v.example/r", "https://v.example.other.example/r"),
        ("x509_san_dns:v.example", None, "https://v.example/r", "https://[v.example/r"),
        (
            "verifier_attestation:v",
            ("https://a.example/", "https://b.example/"),
            "https://b.example/",
            "https://b.example",
        ),
        ("verifier_attestation:v", (), None, "https://b.example/"),
        ("verifier_attestation:v", None, "https://b.example/", None),
        (HASH, None, "https://b.example/", None),
        (HASH, (), "https://b.example/", None),
        ("city-hall", None, "https://b.example/", None),
    ],
)
def test_an_answer_goes_where_the_prefix_lets_it_go(
    text: str, attested: tuple[str, ...] | None, good: str | None, bad: str | None
) -> None:
    client_id = parse_client_id(text)
    if good is not None:
        check_answer_address(client_id, good, attested=attested)
    if bad is not None:
        with pytest.raises(RequestError, match="not the client's"):
            check_answer_address(client_id, bad, attested=attested)
