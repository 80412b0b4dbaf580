"""Lists of trusted entities: what is read, and one defect each that refuses the whole (ETSI TS 119 602)."""

from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime
from hashlib import sha256

import pytest
from cryptography import x509

from specs.encoding import base64url
from specs.encoding.strict_json import JsonObject
from specs.keys.jose import x5c_header
from specs.keys.signer import FileSigner, SigningIdentity, generate_signer
from specs.refusal import ReasonCode
from specs.trust.parsed_certificate import parse_certificate
from specs.trust.trust_list import (
    LIST_SIGNER_EKU,
    LIST_TYPES,
    MAX_BYTES,
    MAX_SECONDS,
    MAX_SERVICES,
    PID_PROVIDERS,
    PUB_EAA_NOTIFIED,
    PUB_EAA_PROVIDERS,
    ListedEntity,
    ListedService,
    TrustList,
    TrustListError,
    build_trust_list,
    trusted_services,
    verify_trust_list,
)
from specs.trust.x509 import AnchorKind, TrustAnchor
from tests.specs.trust.drawing import DAY, NOW, Drawing, draw_ca, draw_leaf, draw_two, key
from tests.specs.trust.lists import ISSUANCE, REVOCATION, Published, entity, plain_list, publisher

MALFORMED, UNTRUSTED = ReasonCode.TRUST_LIST_MALFORMED, ReasonCode.TRUST_LIST_UNTRUSTED
EXPIRED, OLDER = ReasonCode.TRUST_LIST_EXPIRED, ReasonCode.TRUST_LIST_OLDER
IDENTITY = publisher()
VALID = Published(IDENTITY)
Change = Callable[[Published], Published]


def read(published: Published, *, now: int = NOW, newest_known: tuple[int, int] | None = None) -> TrustList:
    """The list, if it holds, as its follower reads it."""
    return verify_trust_list(
        published.text(), signers=[VALID.pinned], expected_type=PID_PROVIDERS, now=now, newest_known=newest_known
    )


def reason_of(published: Published, *, now: int = NOW, newest_known: tuple[int, int] | None = None) -> ReasonCode:
    """Why a list is refused."""
    with pytest.raises(TrustListError) as refusal:
        read(published, now=now, newest_known=newest_known)
    return refusal.value.reason


def content(**members: object) -> Change:
    """The list says this."""
    return lambda published: replace(published, content=replace(published.content, **members))  # type: ignore[arg-type]


def scheme(**members: object) -> Change:
    """The scheme information says this."""
    return lambda published: published.with_scheme(**members)


def header(**members: object) -> Change:
    """The header says this."""
    return lambda published: replace(published, header=members)  # type: ignore[arg-type]


def root(change: Callable[[JsonObject], JsonObject]) -> Change:
    """The content is another."""
    return lambda published: replace(published, bend=change)


def identity(**members: object) -> JsonObject:
    """A list whose one service has this identity."""
    service: JsonObject = {"ServiceTypeIdentifier": ISSUANCE, "ServiceDigitalIdentity": {**members}}  # type: ignore[dict-item]
    return {
        "TrustedEntityInformation": {"TEName": [{"lang": "de", "value": "Stelle"}]},
        "TrustedEntityServices": [{"ServiceInformation": service}],
    }


def with_entity(listed: JsonObject) -> Change:
    """The list has this one entity."""

    def bend(claims: JsonObject) -> JsonObject:
        inner = claims["LoTE"]
        assert isinstance(inner, dict)
        return {**claims, "LoTE": {**inner, "TrustedEntitiesList": [listed]}}

    return root(bend)


def test_what_is_published_is_read_again() -> None:
    leaf, ca = draw_two().certificates()
    listed = plain_list(entity("One", ca, status=(leaf,)), entity("Two", leaf))
    assert read(Published(IDENTITY, listed)) == listed
    assert read(Published(IDENTITY, replace(listed, entities=(), distribution_points=("https://a.example",)))) == (
        replace(listed, entities=(), distribution_points=("https://a.example",))
    )


READ: dict[str, Change] = {
    "no typ": header(typ="absent"),
    "typ of JAdES": header(typ="JOSE"),
    "claimed signing time, critical": header(sigT="2026-09-21T14:00:00Z", crit=["sigT"]),
    "without the leaf's digest": header(**{"x5t#S256": "absent"}),
    "milliseconds": scheme(ListIssueDateTime="2026-09-20T10:00:00.539Z"),
    "an extension that need not be understood": scheme(SchemeExtensions=[{"critical": False, "x": 1}]),
    "further members": scheme(SchemeName=[{"lang": "en", "value": "x"}], SomethingNew={"a": [1]}),
    "issued 60 s ahead": content(issued_at=NOW + 60),
    "past its next update for 59 s": content(issued_at=NOW - 9 * DAY, next_update=NOW - 59),
    "valid for as long as may be": content(next_update=NOW - DAY + MAX_SECONDS),
    "no entity": content(entities=()),
}


@pytest.mark.parametrize("change", READ.values(), ids=READ.keys())
def test_lists_as_publishers_write_them_are_read(change: Change) -> None:
    assert read(change(VALID)).type == PID_PROVIDERS


def ending(*, issued_at: int, end: int) -> Change:
    """The list was issued then and says that it ends then."""
    times = {"ListIssueDateTime": issued_at, "NextUpdate": end}
    return scheme(
        **{name: datetime.fromtimestamp(each, UTC).strftime("%Y-%m-%dT%H:%M:%SZ") for name, each in times.items()}
    )


def resigned(published: Published) -> Published:
    """By somebody else, who has a certificate of the same name."""
    return replace(published, identity=publisher())


def by_another_key(published: Published) -> Published:
    """The signer's certificate, another's key."""
    return replace(published, identity=SigningIdentity(publisher().signer, IDENTITY.chain))


REFUSED: dict[str, tuple[Change, ReasonCode]] = {
    "signed by another": (resigned, UNTRUSTED),
    "signed by another key": (by_another_key, UNTRUSTED),
    "unsigned": (header(alg="none"), UNTRUSTED),
    "signature cut off": (lambda p: replace(p, edit=lambda text: text.rpartition(".")[0] + "."), UNTRUSTED),
    "no certificate": (header(x5c="absent"), UNTRUSTED),
    "another certificate's digest": (header(**{"x5t#S256": base64url.encode(sha256(b"x").digest())}), UNTRUSTED),
    "critical and unknown": (header(crit=["sigPl"], sigPl={}), UNTRUSTED),
    "critical, known and unknown": (header(crit=["sigT", "b64"], sigT="x", b64=False), UNTRUSTED),
    "critical, known and absent": (header(crit=["sigT"]), UNTRUSTED),
    "critical twice": (header(crit=["sigT", "sigT"], sigT="x"), UNTRUSTED),
    "a token of another kind": (header(typ="dc+sd-jwt"), MALFORMED),
    "not a token": (lambda p: replace(p, edit=lambda _: "<html>"), MALFORMED),
    "no root": (root(lambda claims: {"list": claims["LoTE"]}), MALFORMED),
    "another version": (scheme(LoTEVersionIdentifier=2), MALFORMED),
    "version true": (scheme(LoTEVersionIdentifier=True), MALFORMED),
    "another type": (content(type=f"{LIST_TYPES}EUWalletProvidersList"), MALFORMED),
    "no type": (scheme(LoTEType="absent"), MALFORMED),
    "no number": (scheme(LoTESequenceNumber="absent"), MALFORMED),
    "number as text": (scheme(LoTESequenceNumber="5"), MALFORMED),
    "number true": (scheme(LoTESequenceNumber=True), MALFORMED),
    "number 0": (scheme(LoTESequenceNumber=0), MALFORMED),
    "no territory": (scheme(SchemeTerritory="absent"), MALFORMED),
    "no operator": (scheme(SchemeOperatorName=[]), MALFORMED),
    "critical extension": (scheme(SchemeExtensions=[{"critical": True}]), MALFORMED),
    "no next update": (scheme(NextUpdate="absent"), MALFORMED),
    "next update null": (scheme(NextUpdate=None), MALFORMED),
    "time zone": (scheme(NextUpdate="2026-12-01T00:00:00+02:00"), MALFORMED),
    "no such day": (scheme(NextUpdate="2026-13-01T00:00:00Z"), MALFORMED),
    "past its next update": (content(issued_at=NOW - 9 * DAY, next_update=NOW - 60), EXPIRED),
    "from the future": (content(issued_at=NOW + 61), EXPIRED),
    "ends by its own claim": (root(lambda claims: {**claims, "exp": NOW - 61}), EXPIRED),
    "ends by its own claim, which is text": (root(lambda claims: {**claims, "exp": "2026"}), MALFORMED),
    "ends by its own claim, in parts of a second": (root(lambda claims: {**claims, "exp": NOW + 9.5}), MALFORMED),
    "valid for too long": (ending(issued_at=NOW - DAY, end=NOW - DAY + MAX_SECONDS + 1), MALFORMED),
    "ends as it begins": (ending(issued_at=NOW, end=NOW), MALFORMED),
    "an entity without a name": (with_entity({"TrustedEntityInformation": {"TEName": []}}), MALFORMED),
    "an entity that is no object": (with_entity([]), MALFORMED),  # type: ignore[arg-type]
    "a service without identity": (
        with_entity({**identity(), "TrustedEntityServices": [{"ServiceInformation": {}}]}),
        MALFORMED,
    ),
    "a certificate that is not base64": (with_entity(identity(X509Certificates=[{"val": "MII-_"}])), MALFORMED),
    "a certificate above the limit": (
        with_entity(identity(X509Certificates=[{"val": "A" * 30_000}])),
        ReasonCode.LIMIT_EXCEEDED,
    ),
}


@pytest.mark.parametrize(("change", "reason"), REFUSED.values(), ids=REFUSED.keys())
def test_list_with_one_defect_is_refused(change: Change, reason: ReasonCode) -> None:
    assert read(VALID).sequence == 5
    assert reason_of(change(VALID)) is reason


def test_a_list_never_goes_back() -> None:
    issued = NOW - DAY
    assert read(VALID, newest_known=(4, issued + 10)).sequence == 5
    assert read(VALID, newest_known=(5, issued)).sequence == 5
    assert reason_of(VALID, newest_known=(6, issued - DAY)) is OLDER
    assert reason_of(VALID, newest_known=(5, issued + 1)) is OLDER, "the same number with an earlier content"


def test_a_list_above_the_limit_is_not_even_read() -> None:
    for length, reason in ((MAX_BYTES, MALFORMED), (MAX_BYTES + 1, ReasonCode.LIMIT_EXCEEDED)):
        with pytest.raises(TrustListError) as refusal:
            verify_trust_list(b"e" * length, signers=[VALID.pinned], expected_type=PID_PROVIDERS, now=NOW)
        assert refusal.value.reason is reason


def test_a_list_may_come_as_bytes_with_an_end_of_line() -> None:
    token = VALID.text().encode() + b"\r\n"
    assert verify_trust_list(token, signers=[VALID.pinned], expected_type=PID_PROVIDERS, now=NOW) == read(VALID)


def test_a_list_holds_ten_thousand_services_and_no_more() -> None:
    listed = identity(X509Certificates=[])
    service = listed["TrustedEntityServices"][0]  # type: ignore[index]
    for count, reason in ((MAX_SERVICES, None), (MAX_SERVICES + 1, ReasonCode.LIMIT_EXCEEDED)):
        published = with_entity({**listed, "TrustedEntityServices": [service] * count})(VALID)
        if reason is None:
            assert len(read(published).entities[0].services) == count
        else:
            assert reason_of(published) is reason


@pytest.mark.parametrize("token", [b"\xff", VALID.text().encode() + b"\xc3\xa4"])
def test_bytes_that_are_no_text_are_no_list(token: bytes) -> None:
    with pytest.raises(TrustListError) as refusal:
        verify_trust_list(token, signers=[VALID.pinned], expected_type=PID_PROVIDERS, now=NOW)
    assert refusal.value.reason is MALFORMED


def test_a_pinned_signer_with_an_rsa_key_signs_nothing() -> None:
    ca = key("list ca")
    rsa = draw_leaf("List signer", key("rsa leaf", "RSA-2048"), by=ca).signed(draw_ca("List CA", ca, path_length=0))
    for alg in ("ES256", "EdDSA"):
        text = build_trust_list(plain_list(), identity=SigningIdentity(generate_signer(alg), (rsa,)))
        with pytest.raises(TrustListError) as refusal:
            verify_trust_list(
                text,
                signers=[TrustAnchor(AnchorKind.LISTED, rsa, "list operator")],
                expected_type=PID_PROVIDERS,
                now=NOW,
            )
        assert refusal.value.reason is UNTRUSTED


def test_the_signers_certificate_has_its_dates_too() -> None:
    leaf = parse_certificate(IDENTITY.chain[0])
    for first_or_last, beyond in ((leaf.not_before - 60, -1), (leaf.not_after + 60, 1)):
        published = Published(IDENTITY, plain_list(now=first_or_last))
        assert read(published, now=first_or_last).sequence == 5
        assert reason_of(published, now=first_or_last + beyond) is UNTRUSTED


def test_a_ca_does_not_sign_lists_itself() -> None:
    with pytest.raises(TrustListError) as refusal:
        verify_trust_list(
            VALID.text(),
            signers=[TrustAnchor(AnchorKind.CA, IDENTITY.chain[0], "list CA")],
            expected_type=PID_PROVIDERS,
            now=NOW,
        )
    assert refusal.value.reason is UNTRUSTED


def test_who_is_pinned_to_sign_lists_certifies_no_other_signer() -> None:
    text, ca = signed_under_a_ca()
    with pytest.raises(TrustListError) as refusal:
        verify_trust_list(
            text, signers=[replace(ca, kind=AnchorKind.LISTED), VALID.pinned], expected_type=PID_PROVIDERS, now=NOW
        )
    assert refusal.value.reason is UNTRUSTED


def signed_under_a_ca(change: Callable[[Drawing], Drawing] = lambda drawing: drawing) -> tuple[str, TrustAnchor]:
    """A list by a signer that a CA certified for signing lists."""
    own, ca = key("list signer"), key("list ca")
    leaf = draw_leaf("List signer", own, by=ca).having(x509.ExtendedKeyUsage([x509.ObjectIdentifier(LIST_SIGNER_EKU)]))
    above = draw_ca("List CA", ca, path_length=0)
    chain = (change(leaf).signed(above),)
    text = build_trust_list(plain_list(), identity=SigningIdentity(FileSigner(own), chain))  # type: ignore[arg-type]
    return text, TrustAnchor(AnchorKind.CA, above.signed(above), "list CA")


def test_a_ca_may_name_the_signer_if_it_certified_it_for_lists() -> None:
    text, ca = signed_under_a_ca()
    assert verify_trust_list(text, signers=[ca], expected_type=PID_PROVIDERS, now=NOW).sequence == 5
    for change in (
        lambda leaf: leaf.lacking(x509.ExtendedKeyUsage.oid),
        lambda leaf: leaf.having(x509.ExtendedKeyUsage([x509.ObjectIdentifier("1.3.6.1.5.5.7.3.1")])),
        lambda leaf: replace(leaf, end=NOW - DAY),
    ):
        bent, ca = signed_under_a_ca(change)
        with pytest.raises(TrustListError) as refusal:
            verify_trust_list(bent, signers=[ca], expected_type=PID_PROVIDERS, now=NOW)
        assert refusal.value.reason is UNTRUSTED
    with pytest.raises(TrustListError):
        verify_trust_list(text, signers=[], expected_type=PID_PROVIDERS, now=NOW)


def anchors(listed: TrustList, *, now: int = NOW, service_type: str = ISSUANCE) -> list[TrustAnchor]:
    return [
        anchor
        for each in listed.entities
        for anchor in trusted_services(listed, each, service_type=service_type, now=now)
    ]


def test_a_ca_certifies_others_and_an_end_entity_stands_for_itself() -> None:
    leaf, ca = draw_two().certificates()
    found = anchors(plain_list(entity("One", ca, leaf, ca, status=(leaf,))))
    assert [(anchor.kind, anchor.certificate) for anchor in found] == [
        (AnchorKind.CA, ca),
        (AnchorKind.LISTED, leaf),
    ]
    assert [a.kind for a in anchors(plain_list(entity("One", ca, status=(leaf,))), service_type=REVOCATION)] == [
        AnchorKind.LISTED
    ]
    assert anchors(plain_list(entity("One", ca)), service_type=REVOCATION) == []


def test_a_certificate_that_we_cannot_read_is_no_anchor_and_spoils_no_other() -> None:
    ca = draw_two().certificates()[-1]
    assert [anchor.certificate for anchor in anchors(plain_list(entity("One", b"\x30\x03abc", ca)))] == [ca]


def test_a_critical_extension_of_a_service_takes_that_service_alone() -> None:
    ca = draw_two().certificates()[-1]
    listed = identity(X509Certificates=[{"val": x5c_header([ca])[0]}])
    service = listed["TrustedEntityServices"][0]["ServiceInformation"]  # type: ignore[index,call-overload]
    for critical, count in ((False, 1), (True, 0)):
        service["ServiceInformationExtensions"] = [{"critical": critical}]  # type: ignore[index,call-overload]
        assert len(anchors(read(with_entity(listed)(VALID)))) == count


def pub_eaa(status: str | None, since: int | None) -> TrustList:
    ca = draw_two().certificates()[-1]
    service = ListedService(ISSUANCE, "", (ca,), status, since)
    return replace(plain_list(), type=PUB_EAA_PROVIDERS, entities=(ListedEntity("Stadt", (service,)),))


def test_where_a_list_has_statuses_only_a_notified_service_counts() -> None:
    assert anchors(pub_eaa(PUB_EAA_NOTIFIED, NOW))
    assert not anchors(pub_eaa(PUB_EAA_NOTIFIED, NOW + 1)), "not yet"
    assert not anchors(pub_eaa(PUB_EAA_NOTIFIED.replace("notified", "withdrawn"), NOW - DAY))
    assert not anchors(pub_eaa(PUB_EAA_NOTIFIED, None))
    assert not anchors(pub_eaa(None, None))


@pytest.mark.parametrize(
    "change",
    [
        {"sequence": 0},
        {"next_update": NOW - DAY},
        {"next_update": NOW - DAY + MAX_SECONDS + 1},
        {"entities": (replace(entity("One"), name=""),)},
        {"entities": (ListedEntity("One", ()),)},
    ],
    ids=[
        "number 0",
        "ends as it begins",
        "valid for too long",
        "an entity without a name",
        "an entity without services",
    ],
)
def test_a_list_that_nobody_would_believe_is_not_published(change: dict[str, object]) -> None:
    with pytest.raises(ValueError, match=r"list|update|entity"):
        build_trust_list(replace(plain_list(), **change), identity=IDENTITY)  # type: ignore[arg-type]
