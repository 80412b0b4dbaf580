"""How a question is put: who asks under which prefix, by which way, in which mode; and what a preset leaves of it."""

from collections.abc import Callable
from dataclasses import replace
from importlib import resources
from urllib.parse import parse_qs, urlsplit

import pytest

from specs.encoding import base64url, strict_json
from specs.encoding.strict_json import JsonObject
from specs.keys.jose import JoseError, PublicKey, build_jws, jwk_from_public_key
from specs.keys.jwe import decrypt, new_decryption_key
from specs.keys.signer import SigningIdentity, generate_signer
from specs.profiles import FULL_PROFILES, Profile
from specs.profiles.reading import parse_profile
from specs.protocols.haip import check_haip_request
from specs.protocols.openid4vp import (
    AuthorizationRequest,
    ClientId,
    RequestEncryption,
    RequestTrust,
    RequestUriMethod,
    VerifierInfo,
    decrypt_request_object,
    parse_and_verify_request_object,
    parse_request_link,
)
from specs.protocols.openid4vp.metadata import ALL_FORMATS, MdocAlgorithms, SdJwtAlgorithms, SupportedFormats
from specs.protocols.openid4vp.request_object import ATTESTATION_TYP
from specs.protocols.openid4vp.request_uri import RequestByReference, RequestByValue
from specs.refusal import Refusal
from tests.verifier.desk import HOST, IN_CLEAR, IN_PAGE, SD_JWT, Desk, access_identity, handle_of
from tests.verifier.registrar import REGISTRATION, certificate
from tests.verifier.world import NOW, World
from verifier import (
    Choices,
    ClientIdPrefix,
    DcApiProtocol,
    Flow,
    NotAllowed,
    Policy,
    ReasonCode,
    RelyingParty,
    RequestWay,
    ResponseMode,
)
from verifier.rules import formats_under

BY_VALUE = Choices(request_way=RequestWay.VALUE)
IN_THE_LINK = Choices(
    request_way=RequestWay.PARAMETERS, response_mode=ResponseMode.DIRECT_POST, prefix=ClientIdPrefix.REDIRECT_URI
)
WRPRC = VerifierInfo("registration_cert", certificate(REGISTRATION), ("pid",))
ISSUER = generate_signer()


@pytest.fixture(scope="module")
def world() -> World:
    return World()


def preset(name: str) -> Profile:
    folder = resources.files("specs.profiles")
    texts = {each: (folder / f"{each}.yaml").read_text(encoding="utf-8") for each in FULL_PROFILES}
    return parse_profile((folder / f"{name}.yaml").read_text(encoding="utf-8"), parents=texts)


def attestation(signer_jwk: dict[str, str], **claims: object) -> str:
    """§12: an attestation for a key; None leaves a claim out."""
    said = {
        "iss": "https://attester.example",
        "sub": "counter",
        "exp": NOW + 3600,
        "cnf": {"jwk": signer_jwk},
        **claims,
    }
    payload = strict_json.dumps({name: value for name, value in said.items() if value is not None})
    return build_jws(payload, signer=ISSUER, typ=ATTESTATION_TYP)


def named(prefix: ClientIdPrefix) -> RelyingParty:
    """A relying party that has what the prefix needs."""
    identity = access_identity(NOW)
    bare = SigningIdentity(identity.signer, ())
    match prefix:
        case ClientIdPrefix.VERIFIER_ATTESTATION:
            jwk = jwk_from_public_key(identity.signer.public_key)
            return RelyingParty(bare, prefix, identifier="counter", attestation=attestation(jwk))
        case ClientIdPrefix.OPENID_FEDERATION:
            return RelyingParty(bare, prefix, identifier="https://city.example", kid="1", trust_chain=("a.b.c",))
        case ClientIdPrefix.DECENTRALIZED_IDENTIFIER:
            return RelyingParty(bare, prefix, identifier="did:web:city.example", kid="did:web:city.example#1")
        case ClientIdPrefix.PRE_REGISTERED:
            return RelyingParty(bare, prefix, identifier="leipzig-counter", kid="1")
        case _:
            return RelyingParty(identity, prefix)


def desk_of(world: World, relying_party: RelyingParty, **settings: object) -> Desk:
    desk = Desk(world, **settings)  # type: ignore[arg-type]
    desk.relying_party = relying_party
    return desk


def trusting(relying_party: RelyingParty) -> RequestTrust:
    assert relying_party.identity is not None
    key = relying_party.identity.signer.public_key
    leaf = next(iter(relying_party.identity.chain), b"")

    def leaf_key(chain: tuple[bytes, ...]) -> PublicKey:
        assert chain[0] == leaf
        return key

    return RequestTrust(
        leaf_key,
        attesters={"https://attester.example": ISSUER.public_key},
        registered={"leipzig-counter": key},
    )


def read(token: str, relying_party: RelyingParty, *, wallet_nonce: str | None = None) -> AuthorizationRequest:
    """The question as a wallet reads it that trusts who asks."""
    return parse_and_verify_request_object(
        token,
        expected_client_id=relying_party.client_id.text,
        trust=trusting(relying_party),
        now=NOW,
        expected_wallet_nonce=wallet_nonce,
    ).request


def claims_of(token: str) -> JsonObject:
    return strict_json.parse_object(base64url.decode(token.split(".")[1]))


def header_of(token: str) -> JsonObject:
    return strict_json.parse_object(base64url.decode(token.split(".")[0]))


SIGNED = [
    ClientIdPrefix.X509_HASH,
    ClientIdPrefix.X509_SAN_DNS,
    ClientIdPrefix.VERIFIER_ATTESTATION,
    ClientIdPrefix.PRE_REGISTERED,
]


@pytest.mark.parametrize("prefix", SIGNED)
def test_a_wallet_that_knows_the_asker_reads_the_signed_question(prefix: ClientIdPrefix, world: World) -> None:
    """OpenID4VP §5.9.3: x509_hash, x509_san_dns, verifier_attestation, pre-registered."""
    relying_party = named(prefix)
    desk = desk_of(world, relying_party)
    request = read(
        desk.verifier.request_object(handle_of(desk.verifier.ask(SD_JWT, flow=Flow.APP).wallet_url)), relying_party
    )
    assert request.client_id == ClientId(relying_party.client_id.text, prefix, relying_party.client_id.identifier)
    assert request.response_mode is ResponseMode.DIRECT_POST_JWT


@pytest.mark.parametrize("prefix", [ClientIdPrefix.OPENID_FEDERATION, ClientIdPrefix.DECENTRALIZED_IDENTIFIER])
def test_a_signed_question_names_the_key_that_others_resolve(prefix: ClientIdPrefix, world: World) -> None:
    """OpenID4VP §5.9.3: the federation's metadata count, client_metadata would be ignored; a DID names its key."""
    relying_party = named(prefix)
    desk = desk_of(world, relying_party)
    if prefix is ClientIdPrefix.OPENID_FEDERATION:
        desk.procedures = {IN_CLEAR: desk.procedures[IN_CLEAR]}
    token = desk.verifier.request_object(handle_of(desk.verifier.ask(IN_CLEAR, flow=Flow.APP).wallet_url))
    claims, header = claims_of(token), header_of(token)
    assert claims["client_id"] == f"{prefix}:{relying_party.identifier}"
    assert header["kid"] == relying_party.kid
    assert ("client_metadata" in claims) == (prefix is ClientIdPrefix.DECENTRALIZED_IDENTIFIER)
    assert claims.get("trust_chain") == (["a.b.c"] if relying_party.trust_chain else None)


def test_an_unsigned_question_stands_in_the_link_and_is_named_by_where_its_answer_goes(world: World) -> None:
    """OpenID4VP §5.4, §5.9.3, §8.2: redirect_uri, byte for byte the response_uri."""
    desk = Desk(world)
    question = desk.verifier.ask(SD_JWT, flow=Flow.SAME_DEVICE, choices=IN_THE_LINK)
    request = parse_request_link(question.wallet_url)
    assert isinstance(request, AuthorizationRequest)
    assert request.client_id is not None
    assert request.client_id.identifier == request.response_uri
    presentation = world.present_sd_jwt(desk.credential, nonce=request.nonce, audience=request.client_id.text)
    form = {"vp_token": strict_json.dumps({"pid": [presentation]}).decode(), "state": str(request.state)}
    assert desk.verifier.receive(str(request.response_uri).rpartition("/")[2], form).status == 200


def test_a_pre_registered_asker_may_ask_unsigned(world: World) -> None:
    """OpenID4VP §5.9.2."""
    desk = desk_of(world, replace(named(ClientIdPrefix.PRE_REGISTERED), identity=None, kid=None))
    desk.procedures = {SD_JWT: replace(desk.procedures[SD_JWT], request_way=RequestWay.PARAMETERS)}
    request = parse_request_link(desk.verifier.ask(SD_JWT, flow=Flow.APP).wallet_url)
    assert isinstance(request, AuthorizationRequest)
    assert request.client_id is not None
    assert request.client_id.text == "leipzig-counter"


def test_a_question_by_value_is_signed_in_the_link(world: World) -> None:
    """RFC 9101 §5.1, OpenID4VP §5."""
    desk = Desk(world)
    received = parse_request_link(desk.verifier.ask(SD_JWT, flow=Flow.APP, choices=BY_VALUE).wallet_url)
    assert isinstance(received, RequestByValue)
    assert received.client_id == desk.relying_party.client_id
    assert read(received.request, desk.relying_party).query == desk.query


@pytest.mark.parametrize("way", [RequestWay.REQUEST_URI_GET, RequestWay.REQUEST_URI_POST])
def test_a_link_says_where_and_how_to_fetch_and_nothing_else(way: RequestWay, world: World) -> None:
    """OpenID4VP §5.10; certification: only client_id, request_uri, request_uri_method stand in the link."""
    desk = Desk(world)
    wallet = "https://wallet.example/authorize"
    url = desk.verifier.ask(SD_JWT, flow=Flow.APP, choices=Choices(request_way=way, wallet=wallet)).wallet_url
    assert url.startswith(f"{wallet}?")
    assert set(parse_qs(urlsplit(url).query)) == {"client_id", "request_uri", "request_uri_method"}
    received = parse_request_link(url)
    assert isinstance(received, RequestByReference)
    assert received.method is (RequestUriMethod.POST if way is RequestWay.REQUEST_URI_POST else RequestUriMethod.GET)


def test_the_wallets_nonce_is_echoed_if_it_posted_one_and_only_then(world: World) -> None:
    """OpenID4VP §5.10, §5.10.1."""
    desk = Desk(world)
    asking = desk.ask()
    token = desk.verifier.request_object(asking.request_handle, wallet_nonce="qPmxiNFCR3QTm19POc8u")
    assert read(token, desk.relying_party, wallet_nonce="qPmxiNFCR3QTm19POc8u").nonce == asking.nonce
    assert "wallet_nonce" not in claims_of(desk.verifier.request_object(asking.request_handle))


def test_a_question_is_encrypted_to_the_wallet_that_wants_it(world: World) -> None:
    """OpenID4VP §5.10, §5.10.1: the signature inside, the encryption around it, by the wallet's own key."""
    desk = Desk(world)
    asking = desk.ask()
    key = new_decryption_key("wallet-1")
    token = desk.verifier.request_object(
        asking.request_handle, wallet_nonce="n-1", encryption=RequestEncryption(dict(key.public_jwk()), "A256GCM")
    )
    opened = decrypt(token, keys={key.kid: key})
    assert (opened.header["enc"], opened.header["cty"]) == ("A256GCM", "JWT")
    assert read(decrypt_request_object(token, key=key), desk.relying_party, wallet_nonce="n-1").nonce == asking.nonce
    with pytest.raises(JoseError):
        decrypt_request_object(token, key=new_decryption_key("wallet-1"))


def test_each_question_has_secrets_of_its_own(world: World) -> None:
    """OpenID4VP §5.2, §5.3, §14.1; HAIP §5: nonce, state, addresses and response key are fresh for each request."""
    desk = Desk(world)
    first, second = desk.ask(), desk.ask()
    for name in ("nonce", "state", "response_uri"):
        assert first.params[name] != second.params[name]
        assert len(str(first.params[name]).rpartition("/")[2]) == 43
    assert first.jwk["kid"] != second.jwk["kid"]
    assert (first.jwk["x"], first.jwk["y"]) != (second.jwk["x"], second.jwk["y"])


@pytest.mark.parametrize("name", ["haip-1.0", "de-2026-11"])
def test_under_haip_the_question_is_what_haip_wants(name: str, world: World) -> None:
    """HAIP §5, §5.1, §7: client_metadata with just these members, one P-256 key, both encryptions, ES256."""
    desk = desk_of(world, replace(named(ClientIdPrefix.X509_HASH), verifier_info=(WRPRC,)), profile=preset(name))
    desk.procedures = {SD_JWT: desk.procedures[SD_JWT]}
    asking = desk.ask()
    token = desk.verifier.request_object(asking.request_handle)
    check_haip_request(read(token, desk.relying_party), chain=desk.relying_party.signing_identity().chain)
    assert set(asking.params) == {
        "iss", "aud", "iat", "exp", "client_id", "response_type", "response_mode", "response_uri", "state", "nonce",
        "dcql_query", "client_metadata", "verifier_info",
    }  # fmt: skip
    assert asking.params["aud"] == "https://self-issued.me/v2"
    assert asking.params["verifier_info"] == [WRPRC.to_json()]
    assert header_of(token)["typ"] == "oauth-authz-req+jwt"
    metadata = asking.params["client_metadata"]
    assert isinstance(metadata, dict)
    assert metadata == {
        "vp_formats_supported": {
            "dc+sd-jwt": {"sd-jwt_alg_values": ["ES256"], "kb-jwt_alg_values": ["ES256"]},
            "mso_mdoc": {"issuerauth_alg_values": [-7, -9], "deviceauth_alg_values": [-7, -9]},
        },
        "jwks": {"keys": [asking.jwk]},
        "encrypted_response_enc_values_supported": ["A128GCM", "A256GCM"],
    }
    assert asking.jwk.keys() == {"kty", "crv", "x", "y", "kid", "alg", "use"}
    assert (asking.jwk["crv"], asking.jwk["alg"], asking.jwk["use"]) == ("P-256", "ECDH-ES", "enc")


def test_registration_certificates_of_a_procedure_stand_beside_those_of_the_asker(world: World) -> None:
    """OpenID4VP §5.11."""
    desk = Desk(world)
    desk.procedures = {SD_JWT: replace(desk.procedures[SD_JWT], verifier_info=(WRPRC,))}
    assert desk.ask().params["verifier_info"] == [WRPRC.to_json()]


def _chained(relying_party: RelyingParty) -> RelyingParty:
    """The chain with a self-signed certificate at its end."""
    assert relying_party.identity is not None
    chain = (*relying_party.identity.chain, World().authority.certificate)
    return replace(relying_party, identity=SigningIdentity(relying_party.identity.signer, chain))


def test_the_german_preset_sends_the_access_certificate_alone(world: World) -> None:
    """German developer guide: x5c holds the leaf; by setting the chain."""
    intermediate = world.sd_jwt_identity.chain[0]  # any certificate that is not self-signed
    plain = named(ClientIdPrefix.X509_HASH)
    assert plain.identity is not None
    longer = replace(
        plain,
        identity=SigningIdentity(plain.identity.signer, (*plain.identity.chain, intermediate)),
        verifier_info=(WRPRC,),
    )
    for profile, send_chain, expected in (("haip-1.0", None, 2), ("de-2026-11", None, 1), ("de-2026-11", True, 2)):
        desk = desk_of(world, replace(longer, send_chain=send_chain), profile=preset(profile))
        desk.procedures = {SD_JWT: desk.procedures[SD_JWT]}
        x5c = header_of(desk.verifier.request_object(desk.ask().request_handle))["x5c"]
        assert isinstance(x5c, list)
        assert len(x5c) == expected


REFUSED: list[tuple[str, Callable[[Desk], None], str]] = [
    ("fragment", lambda desk: _mode(desk, ResponseMode.FRAGMENT), "fragment"),
    ("unsigned x509", lambda desk: _way(desk, RequestWay.PARAMETERS), "x509_hash: must be signed"),
    ("signed redirect_uri", lambda desk: _named(desk, ClientIdPrefix.REDIRECT_URI), "redirect_uri: can't be signed"),
    ("federation, encrypted", lambda desk: _named(desk, ClientIdPrefix.OPENID_FEDERATION), "no fresh response key"),
    ("no origins", lambda desk: _mode(desk, ResponseMode.DC_API_JWT), "origins"),
    ("anchor sent along", lambda desk: setattr(desk, "relying_party", _chained(desk.relying_party)), "self-signed"),
    ("no key", lambda desk: setattr(desk, "relying_party", RelyingParty(None)), "no key to sign with"),
    (
        "pre-registered like x509_hash",
        lambda desk: setattr(desk, "relying_party", _pre_registered("x509_hash:abc")),
        "client_id|prefix",
    ),
    ("attestation of another key", lambda desk: _attested(desk, cnf={"jwk": _other_jwk()}), "another key"),
    ("attestation of another", lambda desk: _attested(desk, sub="somebody"), "sub our identifier"),
    ("attestation of nobody", lambda desk: _attested(desk, iss=None), "iss, sub and exp"),
    ("attestation without a key", lambda desk: _attested(desk, cnf=None), "not an attestation"),
    ("attestation with a text for a key", lambda desk: _attested(desk, cnf="key"), "not an attestation"),
    ("attestation without end", lambda desk: _attested(desk, exp=None), "iss, sub and exp"),
    (
        "attestation with fixed addresses",
        lambda desk: _attested(desk, redirect_uris=["https://a.example"]),
        "addresses",
    ),
    ("no attestation", lambda desk: _named(desk, ClientIdPrefix.VERIFIER_ATTESTATION, attestation=None), "not an att"),
    ("DID without kid", lambda desk: _named(desk, ClientIdPrefix.DECENTRALIZED_IDENTIFIER, kid=None), "kid"),
]


def _procedure(desk: Desk, **changes: object) -> None:
    desk.procedures = {SD_JWT: replace(desk.procedures[SD_JWT], **changes)}  # type: ignore[arg-type]


def _mode(desk: Desk, mode: ResponseMode) -> None:
    _procedure(desk, response_mode=mode)


def _way(desk: Desk, way: RequestWay) -> None:
    _procedure(desk, request_way=way)


def _unsigned(desk: Desk) -> None:
    _way(desk, RequestWay.PARAMETERS)
    _named(desk, ClientIdPrefix.REDIRECT_URI)


def _named(desk: Desk, prefix: ClientIdPrefix, **changes: object) -> None:
    desk.relying_party = replace(named(prefix), **changes)  # type: ignore[arg-type]


def _pre_registered(identifier: str) -> RelyingParty:
    return replace(named(ClientIdPrefix.PRE_REGISTERED), identifier=identifier)


def _other_jwk() -> dict[str, str]:
    return jwk_from_public_key(generate_signer().public_key)


def _attested(desk: Desk, **claims: object) -> None:
    relying_party = named(ClientIdPrefix.VERIFIER_ATTESTATION)
    assert relying_party.identity is not None
    jwk = jwk_from_public_key(relying_party.identity.signer.public_key)
    desk.relying_party = replace(relying_party, attestation=attestation(jwk, **claims))


@pytest.mark.parametrize(("change", "sentence"), [case[1:] for case in REFUSED], ids=[case[0] for case in REFUSED])
def test_what_no_wallet_would_answer_can_not_be_configured(
    change: Callable[[Desk], None], sentence: str, world: World
) -> None:
    good, bad = Desk(world), Desk(world)
    _procedure(good)
    _procedure(bad)
    assert good.verifier.procedures
    change(bad)
    with pytest.raises(NotAllowed, match=sentence):
        bad.ask()


@pytest.mark.parametrize(
    ("profile", "change", "sentence"),
    [
        ("haip-1.0", lambda desk: _mode(desk, ResponseMode.DIRECT_POST), "no answers by direct_post"),
        ("haip-1.0", lambda desk: _named(desk, ClientIdPrefix.X509_SAN_DNS), "x509_san_dns"),
        ("haip-1.0", lambda desk: _named(desk, ClientIdPrefix.VERIFIER_ATTESTATION), "verifier_attestation"),
        ("haip-1.0", lambda desk: _way(desk, RequestWay.VALUE), "never sent by value"),
        ("haip-1.0", lambda desk: _unsigned(desk), "no unsigned questions"),
        ("haip-1.0", lambda desk: _procedure(desk, policy=Policy(allow_legacy_typ=True)), "vc_sd_jwt_typ"),
        ("haip-1.0", lambda desk: _procedure(desk, policy=Policy(allow_anchor_in_chain=True)), "anchor_in_x5c"),
        ("de-2026-11", lambda _desk: None, "registration certificate"),
    ],
)
def test_a_preset_leaves_only_its_own_ways(
    profile: str, change: Callable[[Desk], None], sentence: str, world: World
) -> None:
    """HAIP §5, §5.1; contract 3."""
    for name, allowed in ((profile, False), ("plain-1.0", True)):
        desk = Desk(world, profile=preset(name))
        _procedure(desk)
        change(desk)
        if allowed:
            assert desk.verifier.procedures
            continue
        with pytest.raises(NotAllowed, match=sentence):
            desk.ask()


def test_a_preset_leaves_of_the_announced_algorithms_its_own() -> None:
    plain, haip = preset("plain-1.0"), preset("haip-1.0")
    assert formats_under(None) == formats_under(plain) == ALL_FORMATS
    only_es256 = SupportedFormats(SdJwtAlgorithms(("ES256",), ("ES256",)), MdocAlgorithms((-7, -9), (-7, -9)))
    assert formats_under(haip) == only_es256
    open_ended = SupportedFormats(SdJwtAlgorithms(None, None), MdocAlgorithms(None, None))
    assert formats_under(haip, open_ended) == only_es256
    few = SupportedFormats(SdJwtAlgorithms(("ES384", "ES256"), ("Ed25519",)), MdocAlgorithms((-9, -35), (-8,)))
    assert formats_under(plain, few) == few
    assert formats_under(haip, few) == SupportedFormats(SdJwtAlgorithms(("ES256",), ()), MdocAlgorithms((-9,), ()))
    assert formats_under(haip, SupportedFormats(sd_jwt=few.sd_jwt)).mdoc is None
    assert formats_under(haip, SupportedFormats(mdoc=few.mdoc)).sd_jwt is None


def test_what_one_question_chooses_is_held_to_the_same_rules(world: World) -> None:
    haip = Desk(world, profile=preset("haip-1.0"))
    haip.procedures = {SD_JWT: haip.procedures[SD_JWT]}
    for choices in (IN_THE_LINK, BY_VALUE, Choices(prefix=ClientIdPrefix.X509_SAN_DNS)):
        with pytest.raises(NotAllowed):
            haip.verifier.ask(SD_JWT, flow=Flow.SAME_DEVICE, choices=choices)
        assert Desk(world).verifier.ask(SD_JWT, flow=Flow.SAME_DEVICE, choices=choices).wallet_url


@pytest.mark.parametrize("choices", [BY_VALUE, IN_THE_LINK])
def test_a_picture_that_can_not_change_is_not_shown_to_another_device(choices: Choices, world: World) -> None:
    """vf-004: what stands in the picture itself could be passed on for as long as the question lives."""
    with pytest.raises(NotAllowed, match="picture"):
        Desk(world).verifier.ask(SD_JWT, flow=Flow.CROSS_DEVICE, choices=choices)


def test_a_page_is_answered_in_its_own_browser_only(world: World) -> None:
    for flow in (Flow.CROSS_DEVICE, Flow.APP):
        with pytest.raises(NotAllowed, match="same_device"):
            Desk(world).verifier.ask(IN_PAGE, flow=flow)
    with pytest.raises(NotAllowed, match="protocol"):
        Desk(world).verifier.ask(IN_PAGE, flow=Flow.SAME_DEVICE, choices=Choices(dc_api=()))
    nameless = Choices(prefix=ClientIdPrefix.REDIRECT_URI)
    with pytest.raises(NotAllowed, match="can't be signed"):
        Desk(world).verifier.ask(IN_PAGE, flow=Flow.SAME_DEVICE, choices=nameless)
    unsigned = replace(nameless, dc_api=(DcApiProtocol.UNSIGNED,))
    assert Desk(world).verifier.ask(IN_PAGE, flow=Flow.SAME_DEVICE, choices=unsigned).dc_api


def test_who_signs_for_a_page_has_what_its_name_needs(world: World) -> None:
    """Whoever does not sign needs nothing."""
    nobody = RelyingParty(None)
    for protocols, party, beside, refused in (
        ((DcApiProtocol.SIGNED,), nobody, (), True),
        ((DcApiProtocol.MULTI_SIGNED,), nobody, (), True),
        ((DcApiProtocol.MULTI_SIGNED,), named(ClientIdPrefix.X509_HASH), (nobody,), True),
        ((DcApiProtocol.SIGNED,), named(ClientIdPrefix.X509_HASH), (nobody,), False),
        ((DcApiProtocol.UNSIGNED,), nobody, (nobody,), False),
    ):
        desk = desk_of(world, party, co_signers=beside)
        desk.procedures = {IN_PAGE: replace(desk.procedures[IN_PAGE], dc_api=protocols)}
        if refused:
            with pytest.raises(NotAllowed, match="no key to sign with"):
                _ = desk.verifier
        else:
            assert desk.verifier.procedures


def test_only_a_certificate_that_names_the_asker_must_be_anothers_work(world: World) -> None:
    alone = named(ClientIdPrefix.PRE_REGISTERED)
    assert alone.identity is not None
    own = _chained(named(ClientIdPrefix.X509_HASH)).identity
    assert own is not None
    desk = desk_of(world, replace(alone, identity=SigningIdentity(alone.identity.signer, own.chain)))
    desk.procedures = {SD_JWT: desk.procedures[SD_JWT]}
    assert desk.ask().client_id == "leipzig-counter"


def test_a_question_dies_with_the_certificate_or_the_procedure_that_it_was_asked_by(world: World) -> None:
    desk = Desk(world)
    first, second = desk.ask(), desk.ask()
    old, desk.verifier.relying_party = desk.relying_party, named(ClientIdPrefix.X509_HASH)
    with pytest.raises(Refusal) as refused:
        desk.verifier.request_object(first.request_handle)
    assert refused.value.reason is ReasonCode.TRANSACTION_UNKNOWN
    # an answer to what was fetched before is still for whom the question named
    assert desk.receive(first, desk.answer(first)).status == 200
    desk.verifier.relying_party = old
    assert desk.verifier.request_object(second.request_handle)
    desk.verifier._fingerprints[SD_JWT] = "another"
    with pytest.raises(Refusal):
        desk.verifier.request_object(second.request_handle)
    assert desk.receive(second, desk.answer(second)).status == 400


def test_the_host_of_a_question_named_by_its_host_is_its_own(world: World) -> None:
    desk = desk_of(world, named(ClientIdPrefix.X509_SAN_DNS))
    assert desk.ask().client_id == f"x509_san_dns:{HOST}"
