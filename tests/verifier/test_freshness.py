"""How long a fetched document may be kept, by what it says itself: to the second, and not at all if it is broken."""

from collections.abc import Mapping
from dataclasses import replace
from datetime import UTC, datetime
from types import MappingProxyType

import pytest
from cryptography.hazmat.primitives import hashes

from specs.credentials.identifier_list import IDENTIFIER_LIST_CWT
from specs.credentials.status_list import CWT_TYP, JWT_TYP, StatusMediaType, compress
from specs.encoding import base64url, cbor, strict_json
from specs.encoding.strict_json import JsonValue
from specs.keys.cose import TYP, X5CHAIN, build_sign1
from specs.keys.jose import build_jws, x5c_header
from specs.keys.signer import SigningIdentity, generate_signer
from tests.specs.trust.drawing import Drawing, draw_ca, draw_leaf, draw_two, key, rewritten
from tests.specs.trust.test_ocsp import Reply
from tests.verifier.test_withdrawn_certificates import Crl
from tests.verifier.world import DAY, HOUR, NOW, STATUS_URI, World
from verifier import Fetched
from verifier.check.revocation import CRL_MEDIA_TYPE, OCSP_MEDIA_TYPE
from verifier.freshness import Freshness, freshness_of

WORLD = World()
JWT, CWT = StatusMediaType.JWT, StatusMediaType.CWT
AT = NOW + 30  # when it came


def listed(
    form: str = JWT,
    *,
    dates: Mapping[str, int] = MappingProxyType({}),
    identity: SigningIdentity = WORLD.status_identity,
) -> Fetched:
    """A status list, or an identifier list, with these of `ttl` and `exp`."""
    raw = compress(bytes(1))
    if form is JWT:
        claims = {"sub": STATUS_URI, "iat": NOW, **dates, "status_list": {"bits": 1, "lst": base64url.encode(raw)}}
        header: dict[str, JsonValue] = {"x5c": [*x5c_header(identity.chain)]}
        token = build_jws(strict_json.dumps(claims), signer=identity.signer, typ=JWT_TYP, header=header)
        return Fetched(token.encode(), 200, form, AT)
    labels = {"exp": 4, "ttl": 65534}
    labelled = {2: STATUS_URI, 6: NOW, **{labels[name]: value for name, value in dates.items()}}
    content: dict[int, object] = {65533: {"bits": 1, "lst": raw}}
    if form == IDENTIFIER_LIST_CWT:
        content = {65530: {"identifiers": {b"1": {}}}}
    sign1 = build_sign1(
        cbor.encode({**labelled, **content}),
        signer=identity.signer,
        protected={TYP: CWT_TYP if form is CWT else form, X5CHAIN: identity.chain[0]},
    )
    return Fetched(cbor.encode(sign1), 200, form, AT)


def drawn() -> tuple[Drawing, Drawing]:
    """Somebody and its authority."""
    leaf, root = draw_two().drawings
    return leaf, root


def withdrawn(*, next_update: int = HOUR) -> Fetched:
    """A revocation list."""
    _, root = drawn()
    return Fetched(Crl(root, root.key, next_update=next_update).signed(NOW), 200, CRL_MEDIA_TYPE, AT)


def answered(*, next_update: int | None = HOUR) -> Fetched:
    """A responder's answer."""
    return Fetched(Reply(*drawn(), next_update=next_update).signed(NOW), 200, OCSP_MEDIA_TYPE, AT)


def of(fetched: Fetched) -> Freshness | None:
    return freshness_of(fetched, url=STATUS_URI, now=NOW)


@pytest.mark.parametrize("form", [JWT, CWT])
@pytest.mark.parametrize(
    ("dates", "again", "until"),
    [
        ({}, AT + 300, AT + 300),
        ({"ttl": 100}, AT + 100, AT + 100),
        ({"ttl": 1000}, AT + 1000, AT + 1000),
        ({"exp": NOW + HOUR}, AT + 300, NOW + HOUR),
        ({"exp": NOW + 100}, NOW + 100, NOW + 100),
        ({"ttl": 1000, "exp": NOW + HOUR}, AT + 1000, AT + 1000),
        ({"ttl": 1000, "exp": NOW + 500}, NOW + 500, NOW + 500),
        ({"ttl": 9 * DAY, "exp": NOW + 30 * DAY}, AT + DAY, AT + DAY),
    ],
)
def test_a_status_list_is_kept_as_long_as_it_says(
    dates: dict[str, int], again: int, until: int, form: StatusMediaType
) -> None:
    assert of(listed(form, dates=dates)) == Freshness(NOW, again, until)


@pytest.mark.parametrize(
    ("dates", "again", "until"),
    [
        ({"exp": NOW + HOUR}, AT + 300, NOW + HOUR),
        ({"exp": NOW + 100}, NOW + 100, NOW + 100),
        ({"ttl": 1000, "exp": NOW + HOUR}, AT + 1000, AT + 1000),
        ({"ttl": 9 * DAY, "exp": NOW + 30 * DAY}, AT + DAY, AT + DAY),
    ],
)
def test_an_identifier_list_is_kept_like_a_status_list(dates: dict[str, int], again: int, until: int) -> None:
    assert of(listed(IDENTIFIER_LIST_CWT, dates=dates)) == Freshness(NOW, again, until)


@pytest.mark.parametrize("dates", [{}, {"ttl": 1000}])
def test_an_identifier_list_without_an_end_is_not_kept(dates: dict[str, int]) -> None:
    assert of(listed(IDENTIFIER_LIST_CWT, dates=dates)) is None


@pytest.mark.parametrize("next_update", [HOUR, 9 * DAY, 100])
def test_a_revocation_list_is_kept_to_its_next_update_and_asked_for_again_each_hour(next_update: int) -> None:
    until = min(NOW + next_update, AT + DAY)
    assert of(withdrawn(next_update=next_update)) == Freshness(NOW - HOUR, min(AT + HOUR, until), until)
    assert of(answered(next_update=next_update)) == Freshness(NOW - HOUR, min(AT + HOUR, until), until)


def test_what_names_no_next_update_is_kept_for_a_day() -> None:
    listing, end = withdrawn(), datetime.fromtimestamp(NOW + HOUR, UTC)
    written = end.strftime("\x17\x0d%y%m%d%H%M%SZ").encode()
    endless = rewritten(listing.body, signer=drawn()[1].key, old=written, new=b"", digest=hashes.SHA256())
    for fetched in (answered(next_update=None), replace(listing, body=endless)):
        assert of(fetched) == Freshness(NOW - HOUR, AT + HOUR, AT + DAY)


def test_a_revocation_list_of_an_unknown_version_is_not_kept() -> None:
    """It was once an error, for which a fetcher that keeps what it fetched broke."""
    listing = withdrawn()
    assert of(replace(listing, body=listing.body.replace(b"\x02\x01\x01", b"\x02\x01\x02", 1))) is None


@pytest.mark.parametrize(
    "fetched",
    [
        listed(),
        listed(CWT),
        listed(IDENTIFIER_LIST_CWT, dates={"exp": NOW + HOUR}),
        withdrawn(),
        answered(),
    ],
    ids=["jwt", "cwt", "identifiers", "crl", "ocsp"],
)
def test_only_a_whole_document_of_its_type_is_kept(fetched: Fetched) -> None:
    known = of(fetched)
    assert known is not None
    assert of(replace(fetched, content_type=f" {fetched.content_type.upper()} ; charset=utf-8")) == known
    assert of(replace(fetched, http_status=299)) == known
    for status in (199, 300, 404):
        assert of(replace(fetched, http_status=status)) is None
    for media_type in ("text/html", "", f"x{fetched.content_type}"):
        assert of(replace(fetched, content_type=media_type)) is None
    for body in (b"", b"<html>", fetched.body[:-9]):
        assert of(replace(fetched, body=body)) is None


def test_a_list_by_a_certificate_that_is_none_or_has_an_rsa_key_is_not_kept() -> None:
    root = key("root")
    rsa = draw_leaf("Signer", key("rsa leaf", "RSA-2048"), by=root).signed(draw_ca("Root", root, path_length=0))
    for certificate in (b"\x30\x03\x02\x01\x01", rsa):
        for alg in ("ES256", "EdDSA"):
            identity = SigningIdentity(generate_signer(alg), (certificate,))
            assert of(listed(identity=identity)) is None


def test_a_list_of_another_address_is_not_kept() -> None:
    assert freshness_of(listed(), url=f"{STATUS_URI}/2", now=NOW) is None
