"""What is fuzzed: each entry point with inputs that lead into it. Whatever comes in, only our own errors come out.

Where a signature would stop every changed input at the door, the input is what lies behind it, signed anew by a key of
this run.
"""

import secrets
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import cbor2
from cryptography.hazmat.primitives.asymmetric import ec

from specs.credentials import (
    identifier_list,
    key_binding,
    mdoc,
    sd_jwt,
    sd_jwt_json,
    sd_jwt_vc,
    status_list,
    type_metadata,
)
from specs.credentials.mdoc_device import build_device_response, build_document, verify_device_auth
from specs.credentials.sd_jwt_present import serialize
from specs.credentials.status_list import StatusReference, status_reference_claim
from specs.encoding import Malformed, base64url, cbor, strict_json
from specs.keys import cose, jose, jwe
from specs.keys.signer import Signer, generate_signer
from specs.protocols import (
    credential_offer,
    dcql,
    dpop,
    iso_mdoc_dc_api,
    issuer_metadata,
    oauth,
    oauth_metadata,
    openid4vci,
    openid4vp,
    proximity,
)
from specs.protocols.client_attestation import verify_client_attestation
from specs.protocols.oauth import InvalidAnswer, OAuthError
from specs.protocols.openid4vp import RequestError, ResponseMode
from specs.refusal import Refusal
from specs.trust.parsed_certificate import parse_certificate
from tests.specs.protocols.tokens import NOW as PROVIDER_NOW
from tests.specs.protocols.tokens import wallet_provider
from tests.verifier.world import (
    CLIENT_ID,
    DOC_TYPE,
    MDOC_QUERY,
    NAME_SPACE,
    NONCE,
    QUERY,
    STATUS_URI,
    VCT,
    World,
)
from verifier import Policy, Verdict
from verifier.verify import references, verify_presentation

OUR_ERRORS = (
    Refusal,
    Malformed,
    RequestError,
    OAuthError,
    InvalidAnswer,
    dcql.DcqlError,
)
ISSUER = "https://issuer.example/t/leipzig"
WORLD = World()
WALLET = generate_signer()
MDOC = WORLD.mdoc()
PROVIDER = wallet_provider("Wallet provider")
RESPONSE_KEY = jwe.DecryptionKey("1", ec.generate_private_key(ec.SECP256R1()))


@dataclass(frozen=True, slots=True)
class Target:
    """run: meets the bytes; raises nothing but `OUR_ERRORS`. seeds: inputs to begin with."""

    name: str
    run: Callable[[bytes], object]
    seeds: Sequence[bytes]


def _json(value: object) -> bytes:
    return strict_json.dumps(value)


def _text(data: bytes) -> str:
    return data.decode("utf-8", "surrogateescape")


# formats


def _issued() -> str:
    return WORLD.sd_jwt()


def _read_sd_jwt(data: bytes) -> None:
    parsed = sd_jwt.parse_sd_jwt(_text(data))
    sd_jwt_vc.parse_issuer_jwt(parsed)


def _read_payload(data: bytes) -> Verdict:
    """The claims of a credential whose issuer signs whatever it is given."""
    payload, _, disclosures = data.partition(b"\n")
    token = _signed(payload, typ=sd_jwt_vc.TYP, signer=WORLD.sd_jwt_identity.signer)
    text = "~".join((token, *(base64url.encode(each) for each in disclosures.split(b"\n") if each), ""))
    bound = key_binding.build_key_binding(
        sd_jwt.parse_sd_jwt(text), signer=WORLD.holder, nonce=NONCE, audience=CLIENT_ID, issued_at=WORLD.now
    )
    text = serialize(bound)
    return _judge({"pid": [text]}, query=QUERY)


def _payload_seeds() -> list[bytes]:
    parsed = sd_jwt.parse_sd_jwt(_issued())
    payload = base64url.decode(parsed.issuer_jwt.split(".")[1])
    decoded = [base64url.decode(text) for text in parsed.disclosures]
    return [b"\n".join((payload, *decoded)), payload]


def _read_key_binding(data: bytes) -> None:
    token = _signed(data, typ="kb+jwt", signer=WORLD.holder)
    bound = key_binding.parse_key_binding(sd_jwt.parse_sd_jwt(f"{_issued()}{token}"))
    key_binding.check_addressee(bound, expected_nonce=NONCE, expected_audience=CLIENT_ID)


def _kb_seeds() -> list[bytes]:
    return [base64url.decode(WORLD.present_sd_jwt(_issued()).rpartition("~")[2].split(".")[1])]


def _read_device_response(data: bytes) -> None:
    response = mdoc.parse_device_response(data)
    for document in response.documents:
        mso = mdoc.parse_mso(document.issuer_signed)
        mdoc.verify_elements(document.issuer_signed, mso)
        verify_device_auth(document, mso, session_transcript=WORLD.transcript)


def _read_issuer_signed(data: bytes) -> None:
    issued = mdoc.parse_issuer_signed(data)
    mdoc.issuer_chain(issued)
    mdoc.verify_elements(issued, mdoc.parse_mso(issued))
    issued.items_as_received()


def _read_mso(data: bytes) -> Verdict:
    """An MSO that its issuer signs whatever it says, in a presentation whose holder signs whatever it is."""
    issued = mdoc.parse_issuer_signed(MDOC)
    signer = WORLD.mdoc_identity
    auth = cose.build_sign1(data, signer=signer.signer, unprotected={cose.X5CHAIN: cose.x5chain_value(signer.chain)})
    items = {name: [cbor2.CBORTag(24, item) for item in each] for name, each in issued.name_spaces.items()}
    changed = mdoc.parse_issuer_signed(cbor.encode({"nameSpaces": items, "issuerAuth": auth}))
    document = build_document(
        changed,
        doc_type=DOC_TYPE,
        disclose=[(NAME_SPACE, "family_name"), (NAME_SPACE, "resident_city")],
        session_transcript=WORLD.transcript,
        device_key=WORLD.holder,
    )
    return _judge({"pid": [base64url.encode(build_device_response([document]))]}, query=MDOC_QUERY)


def _mso_seeds() -> list[bytes]:
    payload = mdoc.parse_issuer_signed(MDOC).issuer_auth.payload
    assert payload is not None
    return [payload]


def _read_status_jwt(data: bytes) -> None:
    """A list whose signer signs whatever it is given."""
    token = _signed(data, typ="statuslist+jwt", signer=WORLD.status_identity.signer)
    _verify_list(status_list.parse_status_list_jwt(token))


def _read_status_cwt(data: bytes) -> None:
    signer = WORLD.status_identity
    sign1 = cose.build_sign1(
        data,
        signer=signer.signer,
        protected={cose.TYP: "application/statuslist+cwt"},
        unprotected={cose.X5CHAIN: cose.x5chain_value(signer.chain)},
    )
    _verify_list(status_list.parse_status_list_cwt(cbor.encode(cbor2.CBORTag(18, sign1))))


def _read_identifier_list(data: bytes) -> None:
    signer = WORLD.status_identity
    sign1 = cose.build_sign1(
        data,
        signer=signer.signer,
        protected={cose.TYP: identifier_list.IDENTIFIER_LIST_CWT, cose.X5CHAIN: cose.x5chain_value(signer.chain)},
    )
    found = identifier_list.verify_identifier_list(
        identifier_list.parse_identifier_list(cbor.encode(cbor2.CBORTag(18, sign1))),
        key=signer.signer.public_key,
        expected_uri=STATUS_URI,
        now=WORLD.now,
        max_bytes=1 << 20,
    )
    assert all(isinstance(each, bytes) for each in found.identifiers)


def _identifier_seeds() -> list[bytes]:
    claims = {2: STATUS_URI, 6: WORLD.now, 4: WORLD.now + 60, 65534: 60}
    return [cbor.encode({**claims, 65530: {"identifiers": {b"1": {}, bytes(16): {"note": 1}}}})]


def _verify_list(signed: status_list.SignedStatusList) -> None:
    found = status_list.verify_status_list(
        signed, key=WORLD.status_identity.signer.public_key, expected_uri=STATUS_URI, now=WORLD.now, max_bytes=1 << 20
    )
    assert found.statuses[0] is not None


def _status_seeds(*, cwt: bool) -> list[bytes]:
    lists = WORLD.status_lists(size=64)
    kind = status_list.StatusMediaType.CWT if cwt else status_list.StatusMediaType.JWT
    fetched = lists[STATUS_URI, kind]
    assert fetched is not None
    if not cwt:
        return [base64url.decode(fetched.body.decode().split(".")[1])]
    tagged = cbor.decode(fetched.body)
    assert isinstance(tagged, cbor2.CBORTag)
    return [bytes(tagged.value[2])]


def _judge(vp_token: object, *, query: dcql.DcqlQuery) -> Verdict:
    expected = {
        "query": query,
        "nonce": NONCE,
        "client_id": CLIENT_ID,
        "binding": WORLD.binding,
        "trust": WORLD.trust,
        "policy": Policy(),
        "now": WORLD.now,
    }
    references(vp_token, **expected)  # type: ignore[arg-type]  # as in the signature
    return verify_presentation(vp_token, status_lists=LISTS, **expected)  # type: ignore[arg-type]  # as in the signature


LISTS = WORLD.status_lists()


def _judge_token(data: bytes) -> Verdict:
    """A whole answer: JSON from the wallet. Nobody but the world's issuer signs, so nothing new can be accepted."""
    verdict = _judge(strict_json.parse(data, max_depth=64), query=QUERY)
    if verdict.accepted and data not in TOKENS:
        # the wallet may write the same JSON in other ways
        assert strict_json.parse(data) in [strict_json.parse(token) for token in TOKENS], "accepted what nobody signed"
    return verdict


TOKENS = [_json({"pid": [WORLD.present_sd_jwt(_issued())]})]
MDOC_TOKEN = WORLD.present_mdoc(MDOC)


def _judge_mdoc(data: bytes) -> Verdict:
    return _judge({"pid": [base64url.encode(data)]}, query=MDOC_QUERY)


# protocols


def _request_object(data: bytes) -> None:
    openid4vp.parse_authorization_request(strict_json.parse_object(data), signed=True)


def _response_form(data: bytes) -> None:
    for mode in (ResponseMode.DIRECT_POST, ResponseMode.DIRECT_POST_JWT):
        openid4vp.parse_response_form(openid4vp.parse_form(data), expected_mode=mode)


def _encrypted(data: bytes) -> None:
    """Headers and parts of a JWE; then, behind the encryption, any payload."""
    try:
        jwe.decrypt(_text(data), keys={"1": RESPONSE_KEY}, allowed_zip=("DEF",), max_plaintext=1 << 20)
    except Refusal:
        openid4vp.parse_response_payload(data)


def _jwe_seeds() -> list[bytes]:
    payload = _json({"vp_token": {"pid": ["x"]}, "state": "s"})
    return [jwe.encrypt(payload, jwk=RESPONSE_KEY.public_jwk(), enc="A128GCM").encode(), payload]


def _dc_api_answer(data: bytes) -> None:
    members = strict_json.parse_object(data)
    mode = ResponseMode.DC_API
    openid4vp.parse_dc_api_response(members, expected_protocol=openid4vp.DcApiProtocol.SIGNED, expected_mode=mode)


def _link(data: bytes) -> None:
    for parse in (
        openid4vp.parse_request_link,
        credential_offer.parse_offer_link,
        proximity.parse_engagement_link,
    ):
        try:
            parse(_text(data))
        except OUR_ERRORS:
            continue


def _dpop(data: bytes) -> None:
    jwk: strict_json.JsonObject = {**jose.jwk_from_public_key(WALLET.public_key)}
    token = jose.build_jws(data, signer=WALLET, typ="dpop+jwt", header={"jwk": jwk})
    dpop.verify_dpop_proof([token], expected_method="POST", expected_url=f"{ISSUER}/token", now=WORLD.now)


def _attestation(data: bytes) -> None:
    """Claims of an attestation and of its proof of possession, each signed by whoever should."""
    claims, _, pop = data.partition(b"\n")
    attestation = jose.build_jws(
        claims,
        signer=PROVIDER.identity.signer,
        typ="oauth-client-attestation+jwt",
        header={"x5c": jose.x5c_header(PROVIDER.identity.chain)},
    )
    verify_client_attestation(
        [attestation],
        [jose.build_jws(pop, signer=WALLET, typ="oauth-client-attestation-pop+jwt")],
        anchors=PROVIDER.anchors,
        expected_audience=ISSUER,
        now=PROVIDER_NOW,
    )


def _attestation_seeds() -> list[bytes]:
    jwk: strict_json.JsonObject = {**jose.jwk_from_public_key(WALLET.public_key)}
    client = "https://wallet.example"
    claims: strict_json.JsonObject = {"iss": "https://p.example", "sub": client, "cnf": {"jwk": jwk}}
    pop: strict_json.JsonObject = {"iss": client, "aud": ISSUER, "jti": "9c1u", "iat": PROVIDER_NOW}
    return [_json({**claims, "iat": PROVIDER_NOW - 9, "exp": PROVIDER_NOW + 9}) + b"\n" + _json(pop)]


def _credential_request(data: bytes) -> None:
    openid4vci.parse_credential_request(data)


def _metadata(data: bytes) -> None:
    for parse in (
        issuer_metadata.parse_issuer_metadata,
        oauth_metadata.parse_authorization_server_metadata,
    ):
        try:
            parse(data, expected_issuer=ISSUER)
        except OUR_ERRORS:
            continue


def _small_messages(data: bytes) -> None:
    """Every message of issuance that is read from its bytes alone."""
    for parse in (
        oauth.parse_pushed_request,
        oauth.parse_pushed_answer,
        oauth.parse_token_request,
        oauth.parse_token_answer,
        openid4vci.parse_credential_answer,
        openid4vci.parse_deferred_request,
        openid4vci.parse_notification,
        openid4vci.parse_nonce_answer,
        credential_offer.parse_credential_offer,
        status_list.parse_aggregation,
    ):
        try:
            parse(data)
        except OUR_ERRORS:
            continue


def _proximity(data: bytes) -> None:
    for parse in (
        proximity.parse_device_engagement,
        proximity.parse_session_establishment,
        proximity.parse_session_data,
        proximity.parse_device_request,
    ):
        try:
            parse(data)
        except OUR_ERRORS:
            continue
    proximity.vp_token_of(data, query=MDOC_QUERY)


def _annex_c(data: bytes) -> None:
    text = base64url.encode(data)
    try:
        iso_mdoc_dc_api.parse_encryption_info(text)
    except OUR_ERRORS:
        iso_mdoc_dc_api.open_response({"response": text}, key=RESPONSE_KEY.private, session_transcript=WORLD.transcript)


def _cose(data: bytes) -> None:
    value = cbor.decode(data)
    for parse in (cose.parse_sign1, cose.parse_mac0, cose.parse_cose_key):
        try:
            parse(value)
        except OUR_ERRORS:
            continue


def _jose(data: bytes) -> None:
    text = _text(data)
    try:
        token = jose.parse_jws(text, expected_typ=("dc+sd-jwt", "kb+jwt", "dpop+jwt"))
        token.claims()
        jose.parse_x5c(token.header)
    except OUR_ERRORS:
        jose.parse_jwk(strict_json.parse(data))


def _strict_json(data: bytes) -> None:
    """What is read can be written, and read again as the same."""
    value = strict_json.parse(data)
    assert strict_json.parse(strict_json.dumps(value)) == value


def _strict_cbor(data: bytes) -> None:
    cbor.decode(data)


def _status_reference(data: bytes) -> None:
    status_list.parse_status_reference(strict_json.parse(data))


def _mso_status(data: bytes) -> None:
    mdoc.parse_mso_status(cbor.decode(data))


def _mso_status_seeds() -> list[bytes]:
    place, listed = {"idx": 7, "uri": STATUS_URI}, {"id": bytes(16), "uri": STATUS_URI}
    return [cbor.encode({"status_list": place}), cbor.encode({"identifier_list": listed})]


def _certificate(data: bytes) -> None:
    parse_certificate(data).names()


def _type_metadata(data: bytes) -> None:
    type_metadata.parse_type_metadata(data, expected_vct=VCT)


def _signed(payload: bytes, *, typ: str, signer: Signer) -> str:
    identity = {
        id(WORLD.sd_jwt_identity.signer): WORLD.sd_jwt_identity,
        id(WORLD.status_identity.signer): WORLD.status_identity,
    }.get(id(signer))
    header: dict[str, list[str]] = {} if identity is None else {"x5c": jose.x5c_header(identity.chain)}
    return jose.build_jws(payload, signer=signer, typ=typ, header=header)


def _dcql_seeds() -> list[bytes]:
    return [_json(dcql.dcql_to_json(QUERY)), _json(dcql.dcql_to_json(MDOC_QUERY))]


def _small_seeds() -> list[bytes]:
    return [
        b"grant_type=urn%3Aietf%3Aparams%3Aoauth%3Agrant-type%3Apre-authorized_code&pre-authorized_code=a&tx_code=1",
        b"response_type=code&client_id=a&redirect_uri=https%3A%2F%2Fw.example&code_challenge=a&state=s&scope=x",
        _json({"access_token": "a", "token_type": "DPoP", "expires_in": 600}),
        _json({"credentials": [{"credential": "a"}], "notification_id": "n"}),
        _json({"transaction_id": "t", "interval": 5}),
        _json({"notification_id": "n", "event": "credential_accepted"}),
        _json({"c_nonce": "n"}),
        _json({"credential_issuer": ISSUER, "credential_configuration_ids": ["a"], "grants": {}}),
        _json({"status_lists": [STATUS_URI]}),
    ]


def _all() -> Iterator[Target]:
    yield Target("sd_jwt", _read_sd_jwt, [WORLD.present_sd_jwt(_issued()).encode(), _issued().encode()])
    yield Target(
        "sd_jwt_json",
        sd_jwt_json.parse_sd_jwt_json,
        [_json({"payload": "e30", "protected": "e30", "signature": "AA", "header": {"disclosures": ["WyJhIl0"]}})],
    )
    yield Target("sd_jwt_payload", _read_payload, _payload_seeds())
    yield Target("key_binding", _read_key_binding, _kb_seeds())
    yield Target("device_response", _read_device_response, [base64url.decode(MDOC_TOKEN)])
    yield Target("issuer_signed", _read_issuer_signed, [MDOC])
    yield Target("mso", _read_mso, _mso_seeds())
    yield Target("mdoc_presentation", _judge_mdoc, [base64url.decode(MDOC_TOKEN)])
    yield Target("vp_token", _judge_token, TOKENS)
    yield Target("status_list_jwt", _read_status_jwt, _status_seeds(cwt=False))
    yield Target("status_list_cwt", _read_status_cwt, _status_seeds(cwt=True))
    yield Target("identifier_list", _read_identifier_list, _identifier_seeds())
    yield Target("mso_status", _mso_status, _mso_status_seeds())
    yield Target(
        "status_reference",
        _status_reference,
        [_json(status_reference_claim(StatusReference(STATUS_URI, 1)))],
    )
    yield Target("type_metadata", _type_metadata, [_json({"vct": VCT, "claims": [{"path": ["a"], "sd": "always"}]})])
    yield Target("dcql", dcql.parse_dcql, _dcql_seeds())
    yield Target(
        "request_object",
        _request_object,
        [
            _json(
                {
                    "response_type": "vp_token",
                    "client_id": CLIENT_ID,
                    "nonce": NONCE,
                    "response_mode": "direct_post.jwt",
                    "response_uri": "https://v.example/r",
                    "dcql_query": dcql.dcql_to_json(QUERY),
                    "client_metadata": openid4vp.build_client_metadata(
                        formats=openid4vp.HAIP_FORMATS, response_keys=[RESPONSE_KEY.public_jwk()]
                    ),
                }
            )
        ],
    )
    yield Target(
        "response_form",
        _response_form,
        [b"response=a.b.c.d.e", b"vp_token=%7B%22a%22%3A%5B%22b%22%5D%7D&state=s", b"error=access_denied"],
    )
    yield Target("encrypted_response", _encrypted, _jwe_seeds())
    yield Target(
        "dc_api_answer",
        _dc_api_answer,
        [_json({"protocol": "openid4vp-v1-signed", "data": {"vp_token": {"pid": ["a"]}}})],
    )
    yield Target(
        "links",
        _link,
        [
            b"openid4vp://?client_id=a&request_uri=https%3A%2F%2Fa.example",
            b"openid-credential-offer://?credential_offer=%7B%7D",
            b"mdoc:owBjMS4w",
        ],
    )
    yield Target("dpop", _dpop, [_json({"jti": "j", "htm": "POST", "htu": f"{ISSUER}/token", "iat": WORLD.now})])
    yield Target("client_attestation", _attestation, _attestation_seeds())
    yield Target(
        "credential_request",
        _credential_request,
        [_json({"credential_configuration_id": "a", "proofs": {"jwt": ["a.b.c"]}})],
    )
    yield Target(
        "metadata",
        _metadata,
        [
            _json(
                {
                    "credential_issuer": ISSUER,
                    "credential_endpoint": f"{ISSUER}/credential",
                    "credential_configurations_supported": {},
                }
            ),
            _json({"issuer": ISSUER, "token_endpoint": f"{ISSUER}/token"}),
        ],
    )
    yield Target("issuance_messages", _small_messages, _small_seeds())
    yield Target(
        "certificate",
        _certificate,
        [*WORLD.sd_jwt_identity.chain, *WORLD.mdoc_identity.chain, WORLD.authority.certificate],
    )
    yield Target(
        "cose",
        _cose,
        [
            cbor.encode(cose.build_sign1(b"x", signer=WALLET)),
            cbor.encode(cose.cose_key_from_public_key(WALLET.public_key)),
        ],
    )
    yield Target(
        "jose",
        _jose,
        [
            jose.build_jws(b"{}", signer=WALLET, typ="kb+jwt").encode(),
            _json(jose.jwk_from_public_key(WALLET.public_key)),
        ],
    )
    yield Target(
        "proximity",
        _proximity,
        [
            proximity.build_device_engagement(proximity.encoded_key(RESPONSE_KEY.private.public_key())),
            proximity.device_request_of(MDOC_QUERY, session_transcript=WORLD.transcript, reader=WORLD.mdoc_identity),
            proximity.build_session_data(data=b"x"),
            base64url.decode(MDOC_TOKEN),
        ],
    )
    yield Target(
        "iso_mdoc_dc_api",
        _annex_c,
        [
            base64url.decode(
                iso_mdoc_dc_api.build_encryption_info(RESPONSE_KEY.private.public_key(), nonce=secrets.token_bytes(16))
            ),
            base64url.decode(
                str(
                    iso_mdoc_dc_api.seal_response(
                        b"x", key=RESPONSE_KEY.private.public_key(), session_transcript=WORLD.transcript
                    )["response"]
                )
            ),
        ],
    )
    yield Target("strict_json", _strict_json, [b'{"a":[1,2.5,null,true,"\\u00e4"]}'])
    yield Target("strict_cbor", _strict_cbor, [cbor.encode({"a": [1, b"x", {"b": None}]})])


TARGETS = {target.name: target for target in _all()}
