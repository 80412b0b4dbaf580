"""What a thing is, and what is wrong with it, in plain words; nothing that it is given makes it fail."""

import base64
import json
import shutil
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

import cbor2
import httpx
import pytest
from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding
from hypothesis import given, settings
from hypothesis import strategies as st

from issuer.collect.qr import qr_png
from specs.encoding import base64url
from specs.keys.jose import x5c_header
from specs.keys.signer import generate_signer
from specs.protocols.dpop import build_dpop_proof
from specs.protocols.openid4vp import ResponseMode, build_transaction_data
from specs.trust.anchors import AnchorKind, anchors_from_pem
from specs.trust.registration import INFO_FORMAT
from specs.trust.trust_list import WALLET_PROVIDERS
from stadtnachweis.__main__ import main
from tests.verifier.registrar import REGISTRATION, certificate
from tests.verifier.world import NOW as WORLD_NOW
from tests.wallet_sim.city import ACCEPTING, VCT, City, Counter, procedures, running_counter
from verifier import Flow
from wallet_sim.conduct import KEY_BINDING, PRESENTATION, Conduct, Endpoint, Jwt, Piece, T, jwt_of
from wallet_sim.explain.explanation import Explanation, texts
from wallet_sim.explain.jwt import RULES
from wallet_sim.explain.thing import explain
from wallet_sim.misbehaviour import Misconduct, find_misbehaviour
from wallet_sim.transport import Transport
from wallet_sim.wallet import Wallet

NOW = int(time.time())
LATER = 400 * 86400  # seconds


class _Noting(Conduct):
    """Honest, and keeps what it showed."""

    def __init__(self) -> None:
        self.shown: list[str] = []

    def change(self, piece: Piece[T], value: T, *, to: Endpoint) -> T:
        if piece is PRESENTATION:
            self.shown.append(str(value))
        return value


@pytest.fixture(scope="module")
def counter(city: City) -> Iterator[Counter]:
    """A verifier."""
    with running_counter(city, procedures(mode=ResponseMode.DIRECT_POST_JWT)) as running:
        yield running


@pytest.fixture(scope="module")
def things(city: City, counter: Counter, provided: Path) -> dict[str, bytes]:
    """One of each kind, from our own services."""
    file = provided.with_name("explained.db")
    shutil.copy(provided, file)
    noting = _Noting()
    wallet = Wallet(
        file,
        issuer_anchors=city.anchors("iaca"),
        verifier_anchors=counter.anchors,
        transport=Transport(allow_loopback_http=True, conduct=noting),
    )
    offer, _ = city.offer(tx_code=True)
    wallet.collect(city.offer()[0], holder=ACCEPTING)
    held = {each.format: each.content for each in wallet.credentials()}
    for asked in ("sd-jwt", "mdoc"):
        wallet.present(counter.verifier.ask(asked, flow=Flow.CROSS_DEVICE).wallet_url, consent=lambda _: True)
    link = counter.verifier.ask("sd-jwt", flow=Flow.CROSS_DEVICE).wallet_url
    request = httpx.get(parse_qs(urlsplit(link).query)["request_uri"][0]).content
    payload = json.loads(base64url.decode(held["dc+sd-jwt"].split(".")[1]))
    statuses = httpx.get(payload["status"]["status_list"]["uri"]).content
    in_cbor = httpx.get(payload["status"]["status_list"]["uri"], headers={"Accept": "application/statuslist+cwt"})
    instance = generate_signer()
    root = x509.load_der_x509_certificate(city.anchors("iaca")[0].certificate)
    now = int(time.time())
    metadata = httpx.get(f"{city.url}/.well-known/openid-credential-issuer/t/leipzig", headers={"Accept": "*/*"})
    return {
        "offer": offer.encode(),
        "question_reference": link.encode(),
        "request_object": request,
        "sd_jwt_issued": held["dc+sd-jwt"].encode(),
        "sd_jwt_presentation": noting.shown[0].encode(),
        "mdoc_issued": held["mso_mdoc"].encode(),
        "device_response": base64url.decode(noting.shown[1]),
        "status_list": statuses,
        "status_list_cwt": in_cbor.content,
        "trust_list": wallet.provider.trust_list(now=now).encode(),
        "provider": wallet.provider.anchor_pem(),
        "publisher": wallet.provider.publisher_pem(),
        "certificate": root.public_bytes(Encoding.PEM),
        "issuer_metadata": metadata.content,
        "client_attestation": wallet.provider.client_attestation(instance.public_key, now=now).encode(),
        "key_attestation": wallet.provider.key_attestation([instance.public_key], nonce="n", now=now).encode(),
        "dpop": build_dpop_proof(signer=instance, method="POST", url="https://issuer.example/token", now=now).encode(),
    }


@pytest.fixture
def now(things: dict[str, bytes]) -> int:
    """A time at which all of them hold: the services' clock is the real one."""
    return int(time.time())


KINDS = [
    "offer",
    "question_reference",
    "request_object",
    "sd_jwt_issued",
    "sd_jwt_presentation",
    "mdoc_issued",
    "device_response",
    "status_list",
    "trust_list",
    "certificate",
    "issuer_metadata",
    "client_attestation",
    "key_attestation",
    "dpop",
]


@pytest.mark.parametrize("kind", KINDS)
def test_good_thing_is_named_and_nothing_is_wrong(things: dict[str, bytes], kind: str, now: int) -> None:
    said = explain(things[kind], now=now)

    assert said.kind == kind
    assert said.is_good, said.as_text("en")
    assert texts("en")["kinds"][kind] in said.as_text("en")
    assert texts("de")["findings"]["nothing"] in said.as_text("de")


@pytest.mark.parametrize(
    "kind", ["request_object", "sd_jwt_issued", "mdoc_issued", "status_list", "client_attestation", "key_attestation"]
)
def test_what_has_ended_says_so(things: dict[str, bytes], kind: str, now: int) -> None:
    assert "expired" in codes(explain(things[kind], now=now + LATER))


def test_status_list_in_cbor_is_one_like_in_json(things: dict[str, bytes], now: int) -> None:
    in_json, in_cbor = (explain(things[name], now=now) for name in ("status_list", "status_list_cwt"))

    assert in_cbor.kind == "status_list"
    assert in_cbor.is_good, in_cbor.as_text("en")
    named = {name for name, _ in in_cbor.facts}
    assert {"sub", "iat", "exp", "ttl", "bits", "size", "valid", "signature"} <= named
    shared = ("sub", "bits", "size", "valid", "ttl")
    assert [dict(in_json.facts)[name] for name in shared] == [dict(in_cbor.facts)[name] for name in shared]
    assert "expired" in codes(explain(things["status_list_cwt"], now=now + LATER))


def test_defects_of_a_token_in_cbor_are_found(things: dict[str, bytes], now: int) -> None:
    tag = cbor2.loads(things["status_list_cwt"])
    protected, unprotected, payload, signature = tag.value
    claims = cbor2.loads(payload)
    wrong = bytes([signature[0] ^ 1]) + signature[1:]
    other = cbor2.dumps({**claims, 2: "https://elsewhere.example"})
    for parts, code in (
        ([protected, unprotected, payload, wrong], "signature"),
        ([protected, unprotected, other, signature], "signature"),
        ([protected, unprotected, b"\xff", signature], "unreadable"),
        ([b"", {}, payload, signature], "refused"),
    ):
        for form in (cbor2.CBORTag(18, parts), parts):
            assert code in codes(explain(cbor2.dumps(form), now=now)), code


def test_trust_list_says_whom_it_trusts_for_what(things: dict[str, bytes], now: int) -> None:
    said = explain(things["trust_list"], now=now)

    facts = dict(said.facts)
    assert (facts["list_type"], facts["entities"]) == (WALLET_PROVIDERS, "1")
    (entity,) = (part for part in said.parts if part.kind == "trusted_entity")
    assert dict(entity.facts)["service"].endswith("WalletSolution/Issuance")
    assert [part.kind for part in entity.parts] == ["certificate"]
    assert "expired" in codes(explain(things["trust_list"], now=now + LATER))
    jwt = jwt_of(things["trust_list"].decode(), generate_signer())
    assert "refused" in codes(explain(jwt.claiming(LoTE={}).token().encode(), now=now))


def test_question_says_what_it_asks_for(things: dict[str, bytes], now: int) -> None:
    asked = [value for name, value in explain(things["request_object"], now=now).facts if name == "asked"]

    assert asked == [f"pass: {VCT} (dc+sd-jwt): entitled, given_name"]


def test_query_of_every_form_is_told() -> None:
    query = {
        "credentials": [
            {
                "id": "a",
                "format": "dc+sd-jwt",
                "meta": {"vct_values": ["x", "y"]},
                "claims": [{"id": "n", "path": ["n", None, 0]}, {"id": "m", "path": ["m"]}],
                "claim_sets": [["n", "m"], ["m"]],
            },
            {"id": "b", "format": "mso_mdoc", "meta": {"doctype_value": "org.iso.18013.5.1.mDL"}},
        ],
        "credential_sets": [{"options": [["a"], ["b"]]}, {"options": [["a", "b"]], "required": False}],
    }
    data = build_transaction_data("urn:example:fee", credential_ids=["a"], members={"amount": 3})
    registration = certificate(REGISTRATION)
    infos = [{"format": INFO_FORMAT, "data": registration}]
    question = {"dcql_query": query, "transaction_data": [data], "verifier_info": infos}

    said = explain(json.dumps(question).encode(), now=WORLD_NOW)

    assert [pair for pair in said.facts if pair[0] != "agreement"] == [
        ("asked", "a: x, y (dc+sd-jwt): n/*/0, m | m"),
        ("asked", "b: org.iso.18013.5.1.mDL (mso_mdoc): –"),
        ("enough", "a | b"),
        ("optional", "a + b"),
    ]
    assert '"amount":3' in dict(said.facts)["agreement"].replace(" ", "")
    (told,) = said.parts
    assert told.kind == "registration_certificate"
    assert ("purpose", "Bewohnerparken (de)") in told.facts
    assert {"subject", "identifier", "registered"} <= {name for name, _ in told.facts}
    broken = json.dumps({"dcql_query": {"credentials": []}}).encode()
    assert codes(explain(broken, now=NOW)) == {"rule"}


TRUSTED = {
    "sd_jwt_issued": "iaca",
    "mdoc_issued": "iaca",
    "device_response": "iaca",
    "certificate": "iaca",
    "status_list": "status-ca",
    "status_list_cwt": "status-ca",
}


@pytest.mark.parametrize("kind", TRUSTED)
def test_chain_leads_to_an_anchor_or_it_is_said(city: City, things: dict[str, bytes], kind: str, now: int) -> None:
    own, other = city.anchors(TRUSTED[kind]), city.anchors("access-ca")

    trusted = explain(things[kind], now=now, anchors=other + own)
    untrusted = explain(things[kind], now=now, anchors=other)

    assert trusted.is_good, trusted.as_text("en")
    assert trusted.is_trusted
    assert TRUSTED[kind] in trusted.as_text("en")
    assert texts("de")["findings"]["nothing_trusted"] in trusted.as_text("de")
    assert codes(untrusted) == {"untrusted"}
    assert not untrusted.is_trusted


def test_anchors_for_questions_wallets_and_lists(things: dict[str, bytes], counter: Counter, now: int) -> None:
    provider = anchors_from_pem(things["provider"], kind=AnchorKind.CA, name="provider")
    publisher = anchors_from_pem(things["publisher"], kind=AnchorKind.PINNED_TEST, name="publisher")
    for kind, anchors in (
        ("request_object", counter.anchors),
        ("client_attestation", provider),
        ("key_attestation", provider),
        ("trust_list", publisher),
    ):
        said = explain(things[kind], now=now, anchors=anchors)
        assert said.is_good, said.as_text("en")
        assert said.is_trusted, kind
        assert codes(explain(things[kind], now=now, anchors=counter.anchors[1:])) == {"untrusted"}
    assert explain(things["dpop"], now=now, anchors=provider).is_good  # nobody else speaks for the key of a wallet
    bare = jwt_of(things["client_attestation"].decode(), generate_signer()).headed(x5c=None)
    assert "nobody_vouches" in codes(explain(bare.token().encode(), now=now, anchors=provider))


def test_certificates_lead_to_an_anchor_through_each_other(things: dict[str, bytes], city: City, now: int) -> None:
    header = json.loads(base64url.decode(things["sd_jwt_issued"].split(b".")[0].decode()))
    leaf = x509.load_der_x509_certificate(base64.b64decode(header["x5c"][0]))
    root = x509.load_der_x509_certificate(city.anchors("iaca")[0].certificate)
    pem = leaf.public_bytes(Encoding.PEM)

    assert explain(pem, now=now, anchors=city.anchors("iaca")).is_trusted
    assert explain(leaf.public_bytes(Encoding.DER), now=now, anchors=city.anchors("iaca")).is_trusted
    both = explain(pem + root.public_bytes(Encoding.PEM), now=now, anchors=city.anchors("iaca"))
    assert both.is_trusted
    assert codes(explain(pem, now=now, anchors=city.anchors("access-ca"))) == {"untrusted"}


@pytest.mark.parametrize("kind", ["request_object", "sd_jwt_issued", "status_list", "client_attestation", "dpop"])
def test_signature_that_does_not_hold_is_found(things: dict[str, bytes], kind: str, now: int) -> None:
    head, body, tail = things[kind].decode().split(".", 2)
    signature, tilde, others = tail.partition("~")
    flipped = ("B" if signature[0] != "B" else "C") + signature[1:]

    said = explain(f"{head}.{body}.{flipped}{tilde}{others}".encode(), now=now)

    assert "signature" in codes(said)


@pytest.mark.parametrize(
    ("change", "code", "about"),
    [
        (lambda jwt: jwt.without("htu"), "member_missing", "htu"),
        (lambda jwt: jwt.headed(jwk=None), "header_missing", "jwk"),
        (lambda jwt: jwt.headed(alg="HS256"), "algorithm", "HS256"),
        (lambda jwt: jwt.claiming(iat=NOW - 3600), "stale", ""),
        (lambda jwt: jwt.claiming(iat=NOW + 3600), "from_the_future", ""),
        (lambda jwt: jwt.claiming(iat="today"), "no_time", "iat"),
        (lambda jwt: jwt.claiming(nbf=NOW + 3600), "not_yet", ""),
        (lambda jwt: jwt.headed(typ=None), "typ_missing", ""),
    ],
)
def test_one_defect_gives_its_finding(change: Callable[[Jwt], Jwt], code: str, about: str) -> None:
    signer = generate_signer()
    proof = build_dpop_proof(signer=signer, method="POST", url="https://issuer.example/token", now=NOW)
    jwt = change(jwt_of(proof, signer))

    found = {each.code: each.about for each in explain(jwt.token().encode(), now=NOW).findings}

    assert code in found
    assert about in found[code]


@pytest.mark.parametrize(
    ("name", "code"),
    [("binding-other-holder", "other_holder"), ("binding-other-disclosures", "sd_hash"), ("binding-stale", "stale")],
)
def test_presentation_that_a_misbehaving_wallet_made_is_found_out(
    things: dict[str, bytes], name: str, code: str, now: int
) -> None:
    *parts, binding = things["sd_jwt_presentation"].decode().split("~")
    changed = Misconduct(find_misbehaviour(name)).signed(KEY_BINDING, binding, generate_signer(), to=Endpoint.ANSWER)

    assert code in codes(explain("~".join((*parts, changed)).encode(), now=now))


def test_picture_is_what_its_code_says(things: dict[str, bytes], now: int) -> None:
    said = explain(qr_png(things["offer"].decode()), now=now)

    assert (said.kind, [part.kind for part in said.parts]) == ("picture", ["offer"])
    assert codes(explain(b"\x89PNG\r\n\x1a\n", now=now)) == {"unreadable"}


def test_anchor_in_a_chain_is_found(city: City) -> None:
    signer = generate_signer()
    jwt = Jwt(
        {
            "alg": "ES256",
            "typ": "statuslist+jwt",
            "x5c": [*x5c_header([city.anchors("iaca")[0].certificate])],
        },
        {"sub": "https://a.example", "iat": NOW, "status_list": {}},
        signer,
    )

    assert {"anchor_in_chain", "signature"} <= codes(explain(jwt.token().encode(), now=NOW))


@pytest.mark.parametrize(
    "form", [lambda data: data, lambda data: data.hex().encode(), lambda data: base64url.encode(data).encode()]
)
def test_binary_is_known_however_it_is_written(
    things: dict[str, bytes], form: Callable[[bytes], bytes], now: int
) -> None:
    assert explain(form(things["device_response"]), now=now).kind == "device_response"


def test_fetching_goes_one_step(city: City, counter: Counter) -> None:
    asked: list[str] = []

    def fetch(url: str) -> bytes:
        asked.append(url)
        return b"https://elsewhere.example/again"

    explain(counter.verifier.ask("sd-jwt", flow=Flow.CROSS_DEVICE).wallet_url.encode(), now=NOW, fetch=fetch)

    assert len(asked) == 1


def test_what_a_terminal_would_obey_is_not_printed() -> None:
    said = explain(json.dumps({"\x1b[2J": 1}).encode(), now=NOW)

    assert "\x1b" not in said.as_text("en")


@pytest.mark.parametrize("language", ["de", "en"])
def test_each_kind_and_finding_has_its_sentence(language: str) -> None:
    assert texts("de").keys() == texts("en").keys()
    for group in ("kinds", "facts", "findings"):
        assert texts("de")[group].keys() == texts("en")[group].keys()
    assert {rules.kind for rules in RULES.values()} | set(KINDS) <= texts(language)["kinds"].keys()


@pytest.mark.parametrize("thing", ["", "eyJhbGciOiJFUzI1NiJ9.eyJ", "no such thing"])
def test_what_is_not_known_is_not_called_good(thing: str, capsys: pytest.CaptureFixture[str]) -> None:
    """Half a token was "nothing that is known", with "nothing wrong was found" below it and status 0."""
    assert main(["wallet", "explain", thing, "--language", "en"]) == 1
    told = capsys.readouterr().out
    assert texts("en")["kinds"]["unknown"] in told
    assert "✓" not in told


@given(st.binary(max_size=400) | st.text(max_size=400).map(str.encode))
@settings(max_examples=200, deadline=None)
def test_nothing_makes_it_fail(thing: bytes) -> None:
    explain(thing, now=NOW).as_text("de")


@pytest.mark.parametrize("kind", KINDS)
def test_damaged_things_make_it_not_fail_either(things: dict[str, bytes], kind: str, now: int) -> None:
    whole = things[kind]
    for position in range(0, len(whole), max(1, len(whole) // 25)):
        for damaged in (whole[:position], whole[:position] + b"\xff" + whole[position + 1 :], whole[position:]):
            explain(damaged, now=now).as_text("en")


@pytest.mark.parametrize("nested", [b'{"a":' * 3000, b"\x81" * 3000, b"[" * 5000, b"." * 5000, b"~" * 5000])
def test_deep_and_long_things_make_it_not_fail(nested: bytes) -> None:
    explain(nested, now=NOW)


def test_command_line(things: dict[str, bytes], tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = tmp_path / "thing"
    file.write_bytes(things["device_response"])
    assert main(["wallet", "explain", str(file), "--language", "de"]) == 0
    assert "Die Antwort eines Geräts mit mdocs" in capsys.readouterr().out
    assert main(["wallet", "explain", "eyJhbGciOiJub25lIn0.e30.", "--json"]) == 1
    assert json.loads(capsys.readouterr().out)["kind"] == "jwt"
    link = things["question_reference"].decode()
    assert main(["wallet", "explain", link, "--fetch", "--allow-loopback-http", "--language", "en"]) == 0
    assert "A verifier’s signed question" in capsys.readouterr().out
    assert main(["wallet", "explain", link, "--fetch"]) == 2
    pem = tmp_path / "root.pem"
    pem.write_bytes(things["certificate"])
    trusting = ["wallet", "explain", str(file), "--anchor", str(pem), "--language", "de"]
    assert main(trusting) == 0
    assert "Führt zum Vertrauensanker: root.pem" in capsys.readouterr().out
    pem.write_bytes(things["provider"])
    assert main(trusting) == 1
    assert "Es führt zu keinem der angegebenen Vertrauensanker" in capsys.readouterr().out
    assert main([*trusting, "--anchor", str(file)]) == 2
    attested = tmp_path / "list"
    attested.write_bytes(things["trust_list"])
    pem.write_bytes(things["publisher"])
    assert main(["wallet", "explain", str(attested), "--anchor", str(pem)]) == 0


def codes(said: Explanation) -> set[str]:
    """The codes of all findings, here and inside."""
    return {each.code for each in said.findings}.union(*(codes(part) for part in said.parts))
