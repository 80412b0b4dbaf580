"""Checks of a wallet that is asked: what it answers, what it keeps to itself, and whom it refuses."""

import secrets
import time
from collections.abc import Callable
from dataclasses import replace

from conformance.bent_token import Token
from conformance.check import EVERYWHERE, GERMAN, Check, Failed, NotApplicable, Registry
from conformance.exchange import FORM, Answer
from conformance.scene_verifier import DIRECT_POST_JWT, VerifierScene
from conformance.wallet_target import MDOC, SD_JWT, WalletTarget, registered_for
from specs.credentials import mdoc
from specs.credentials.key_binding import parse_key_binding, verify_key_binding
from specs.credentials.mdoc_device import verify_device_auth
from specs.credentials.sd_jwt import parse_sd_jwt
from specs.credentials.sd_jwt_vc import holder_key, parse_issuer_jwt, read_sd_jwt_vc
from specs.credentials.session_transcript import openid4vp_transcript
from specs.encoding import base64url, strict_json
from specs.encoding.strict_json import JsonObject, JsonValue
from specs.keys.jose import thumbprint_bytes
from specs.keys.signer import generate_signer

_BINDING = frozenset({"iat", "aud", "nonce", "sd_hash", "transaction_data_hashes", "transaction_data_hashes_alg"})
PRESENTING_CHECKS: Registry[WalletTarget] = Registry()
_check = PRESENTING_CHECKS.check


def _answered(target: WalletTarget, query: JsonObject | None = None, **how: object) -> VerifierScene:
    scene, answer = target.ask(query or target.query(), **how)
    if not scene.has_token:
        raise Failed("an answer with a vp_token", f"none; the wallet's page has status {answer.status}")
    return scene


def _disclosed(target: WalletTarget, scene: VerifierScene) -> set[str]:
    """Names of what was disclosed of the SD-JWT VC, its binding to this question verified."""
    [presented] = scene.presentations("credential")
    sd_jwt = parse_sd_jwt(presented)
    issuer_key = target.identity.issuer.identity.signer.public_key
    credential = read_sd_jwt_vc(parse_issuer_jwt(sd_jwt), issuer_key=issuer_key)
    verify_key_binding(
        parse_key_binding(sd_jwt),
        holder_key=holder_key(credential),
        hashed_part=sd_jwt.hashed_part,
        sd_alg=credential.processed.sd_alg,
        expected_nonce=scene.nonce,
        expected_audience=scene.client_id,
        now=int(time.time()),
    )
    return {str(place[0]) for place in credential.processed.places}


@_check("wp-answers-sd-jwt", "OpenID4VP 1.0 §8.1, App. B.3.6; RFC 9901 §4.3")
def answers_sd_jwt(target: WalletTarget) -> str:
    """An SD-JWT VC is shown with key binding for this verifier and this question."""
    return f"{len(_disclosed(target, _answered(target)))} claims"


@_check("wp-binding-members", "RFC 9901 §4.3; OpenID4VP 1.0 App. B.3.3.1", is_advice=True)
def binding_members(target: WalletTarget) -> str:
    """The key binding holds nothing that the standards don't know."""
    [presented] = _answered(target).presentations("credential")
    claims = strict_json.parse_object(base64url.decode(presented.rpartition("~")[2].split(".")[1]))
    unknown = sorted(claims.keys() - _BINDING)
    if unknown:
        raise Failed(f"no other claims than {', '.join(sorted(_BINDING))}", ", ".join(unknown))
    return ", ".join(sorted(claims))


@_check("wp-answers-mdoc", "OpenID4VP 1.0 App. B.2.6; ISO/IEC 18013-5 §9.1.3")
def answers_mdoc(target: WalletTarget) -> str:
    """An mdoc is shown, signed by its device over this session, with nothing that was not asked."""
    query = target.query(MDOC)
    scene = _answered(target, query)
    [presented] = scene.presentations("credential")
    document = mdoc.sole_document(mdoc.parse_device_response(base64url.decode(presented)))
    read = mdoc.parse_mso(document.issuer_signed)
    transcript = openid4vp_transcript(
        client_id=scene.client_id,
        nonce=scene.nonce,
        jwk_thumbprint=thumbprint_bytes(scene.key.public_jwk()) if scene.is_encrypted else None,
        response_uri=scene.response_uri,
    )
    verify_device_auth(document, read, session_transcript=transcript)
    shown = {(space, name) for space, name in mdoc.verify_elements(document.issuer_signed, read).disclosed}
    asked = _paths(query)
    if shown != asked:
        raise Failed(f"{len(asked)} elements that were asked for", f"{len(shown)} elements")
    return f"{len(shown)} elements"


def _paths(query: JsonObject) -> set[tuple[str, ...]]:
    entries = query["credentials"]
    assert isinstance(entries, list)
    [entry] = entries
    claims = entry.get("claims") if isinstance(entry, dict) else None
    found = [claim.get("path") for claim in claims if isinstance(claim, dict)] if isinstance(claims, list) else []
    return {tuple(str(each) for each in path) for path in found if isinstance(path, list)}


@_check("wp-answer-encrypted", "OpenID4VP 1.0 §8.3; HAIP 1.0 §5")
def answer_encrypted(target: WalletTarget) -> str:
    """The answer is encrypted to the question's key, with its kid and an offered encryption, and goes alone."""
    scene = _answered(target, mode=DIRECT_POST_JWT)
    form = scene.answers[-1]
    if set(form) != {"response"}:
        raise Failed("response alone", ", ".join(sorted(form)))
    header = strict_json.parse_object(base64url.decode(form["response"].partition(".")[0]))
    if header.get("kid") != scene.key.kid or header.get("alg") != "ECDH-ES":
        raise Failed("kid and alg of the question's key", "others")
    if header.get("enc") not in ("A128GCM", "A256GCM"):
        raise Failed("an encryption that was offered", str(header.get("enc")))
    extra = sorted(scene.response.keys() - {"vp_token", "state"})
    if extra:
        raise Failed("vp_token and state alone", ", ".join(extra))
    return str(header["enc"])


@_check("wp-state", "OpenID4VP 1.0 §5.3, §8.1")
def state(target: WalletTarget) -> str:
    """A state of 64 characters comes back; without one there is none."""
    sent = secrets.token_hex(32)
    with_state = _answered(target, edit=lambda params: params | {"state": sent})
    if with_state.response.get("state") != sent:
        raise Failed("the state of the question", "another")
    if "state" in _answered(target).response:
        raise Failed("no state", "one")
    return "comes back"


@_check("wp-unknown-parameters", "OpenID4VP 1.0 §5; RFC 9101 §4")
def unknown_parameters(target: WalletTarget) -> str:
    """Parameters that are not known, and another iss, are ignored."""
    scene = _answered(target, bend=lambda token: token.claim(iss="https://other.example", x_unknown={"a": [1]}))
    return f"{len(_disclosed(target, scene))} claims"


@_check("wp-key-without-use", "OpenID4VP 1.0 §8.3")
def key_without_use(target: WalletTarget) -> str:
    """An encryption key that does not say its use serves."""

    def edit(params: JsonObject) -> JsonObject:
        return _with_keys(params, lambda keys: [{name: key[name] for name in key if name != "use"} for key in keys])

    return f"{len(_disclosed(target, _answered(target, mode=DIRECT_POST_JWT, edit=edit)))} claims"


@_check("wp-unusable-keys", "OpenID4VP 1.0 §8.3")
def unusable_keys(target: WalletTarget) -> str:
    """Encryption keys of kinds that the wallet does not know are passed over."""
    strange: list[JsonObject] = [
        {"kty": "AKP", "alg": "ML-KEM-768", "kid": "pq", "use": "enc", "pub": "AAAA"},
        {"kty": "made-up", "alg": "made-up", "kid": "odd", "use": "enc"},
    ]
    scene = _answered(
        target, mode=DIRECT_POST_JWT, edit=lambda params: _with_keys(params, lambda keys: [*strange, *keys])
    )
    return f"{len(_disclosed(target, scene))} claims"


def _with_keys(params: JsonObject, edit: Callable[[list[JsonObject]], list[JsonObject]]) -> JsonObject:
    metadata = params["client_metadata"]
    assert isinstance(metadata, dict)
    jwks = metadata["jwks"]
    assert isinstance(jwks, dict)
    keys = jwks["keys"]
    assert isinstance(keys, list)
    edited: list[JsonValue] = list(edit([dict(key) for key in keys if isinstance(key, dict)]))
    return params | {"client_metadata": {**metadata, "jwks": {"keys": edited}}}


@_check("wp-fewer-claims", "OpenID4VP 1.0 §6.4.1; DCQL §6.4.1")
def fewer_claims(target: WalletTarget) -> str:
    """Of what the wallet has, only what was asked for is disclosed."""
    disclosed = _disclosed(target, _answered(target, target.query(claims=1)))
    wanted = {next(iter(target.credential.claims))}
    if disclosed != wanted:
        raise Failed("the one claim", f"{len(disclosed)} claims")
    return "the one claim"


@_check("wp-no-claims", "DCQL §6.4.1")
def no_claims(target: WalletTarget) -> str:
    """Without claims in the question nothing selectively disclosable is shown."""
    disclosed = _disclosed(target, _answered(target, target.query(claims=0)))
    if disclosed:
        raise Failed("no disclosures", f"{len(disclosed)} claims")
    return "none"


_MISSING: JsonObject = {
    "id": "missing",
    "format": SD_JWT,
    "meta": {"vct_values": ["urn:example:nobody-has-this:1"]},
    "claims": [{"path": ["nothing"]}],
}


@_check("wp-optional-set", "DCQL §6.2, §6.4.2")
def optional_set(target: WalletTarget) -> str:
    """An optional credential that the wallet does not have is left out."""
    query: JsonObject = {
        "credentials": [target.entry(), _MISSING],
        "credential_sets": [{"options": [["credential"]]}, {"options": [["missing"]], "required": False}],
    }
    scene = _answered(target, query)
    token = scene.response.get("vp_token")
    if not isinstance(token, dict) or set(token) != {"credential"}:
        raise Failed("credential alone", "others")
    return f"left out, {len(_disclosed(target, scene))} claims of the other"


@_check("wp-required-set", "DCQL §6.4.2; OpenID4VP 1.0 §8.5, §15.4.1")
def required_set(target: WalletTarget) -> str:
    """Where a required credential is missing nothing is shown, and at most access_denied is said."""
    query: JsonObject = {
        "credentials": [target.entry(), _MISSING],
        "credential_sets": [{"options": [["credential"]]}, {"options": [["missing"]]}],
    }
    _good_first(target)
    return _declined(*target.ask(query))


def _good_first(target: WalletTarget) -> None:
    """Where not even a good question is answered, a refusal says nothing."""
    if "answers" not in target.kept:
        scene, _ = target.ask(target.query())
        target.kept["answers"] = scene.has_token
    if not target.kept["answers"]:
        raise NotApplicable("not even a good question is answered")


def _declined(scene: VerifierScene, answer: Answer) -> str:
    if scene.has_token:
        raise Failed("no vp_token", "one")
    said = [form.get("error") for form in scene.answers]
    if any(error != "access_denied" for error in said):
        raise Failed("access_denied", str(said[-1]))
    return "access_denied" if said else f"a page with status {answer.status}"


@_check("wp-post-method", "OpenID4VP 1.0 §5.10")
def post_method(target: WalletTarget) -> str:
    """request_uri_method post leads to a form with wallet_nonce, and the answer is checked for it."""
    scene = _answered(target, posts=True)
    fetched = scene.fetches[-1]
    if fetched.method == "GET":
        return "fetched by GET, which the standard lets a wallet do"
    if fetched.media_type != FORM or "application/oauth-authz-req+jwt" not in fetched.headers.get("accept", ""):
        raise Failed(f"{FORM}, Accept: application/oauth-authz-req+jwt", fetched.media_type)
    if fetched.query:
        raise Failed("an address without query", "one")
    return "wallet_nonce" if "wallet_nonce" in fetched.form else "without wallet_nonce"


@_check("wp-post-nonce-checked", "OpenID4VP 1.0 §5.10")
def post_nonce_checked(target: WalletTarget) -> str:
    """A request object with another wallet_nonce than was posted is refused."""
    scene, answer = target.ask(target.query(), posts=True, bend=lambda token: token.claim(wallet_nonce="another"))
    if not scene.fetches or "wallet_nonce" not in scene.fetches[-1].form:
        raise NotApplicable("the wallet posts no wallet_nonce")
    return _refused(scene, answer)


@_check("wp-redirect", "OpenID4VP 1.0 §8.2")
def redirect(target: WalletTarget) -> str:
    """The person goes on to the redirect_uri that the verifier answers with, fragment and all."""
    name = target.server.place()
    back = f"{target.server.url}/{name}/done#response_code={secrets.token_urlsafe(8)}"
    scene, answer = target.ask(target.query(), redirect=back)
    if not scene.has_token:
        raise Failed("an answer with a vp_token", "none")
    if answer.headers.get("location") != back and back.encode() not in answer.body:
        raise Failed("a redirect to the verifier's address", f"status {answer.status}")
    return "goes on"


# whom it refuses


def _refused(scene: VerifierScene, answer: Answer) -> str:
    if scene.has_token:
        raise Failed("no vp_token", "one")
    said = [str(form.get("error")) for form in scene.answers]
    return f"error {said[-1]}" if said else f"a page with status {answer.status}"


def _refuses(name: str, title: str, clause: str, *, profiles: frozenset[str] = EVERYWHERE, **how: object) -> None:
    def run(target: WalletTarget) -> str:
        _good_first(target)
        return _refused(*target.ask(target.query(), **how))

    PRESENTING_CHECKS.enter(Check(name, clause, title, run, profiles))


def _params(**changes: JsonValue) -> Callable[[JsonObject], JsonObject]:
    return lambda params: {name: value for name, value in (params | changes).items() if value is not None}


def _response_uri_elsewhere(params: JsonObject) -> JsonObject:
    return params | {"client_id": "redirect_uri:https://verifier.example/elsewhere"}


_TRANSACTION = base64url.encode(b'{"type":"urn:example:unknown","credential_ids":["credential"]}')
_refuses(
    "wp-signature",
    "A request object with a broken signature is refused",
    "RFC 9101 §6.2; OpenID4VP 1.0 §5.9.3",
    bend=Token.spoilt,
)
_refuses("wp-unsigned", "A request object with alg none is refused", "RFC 9101 §6.2; HAIP 1.0 §5", bend=Token.unsigned)
_refuses(
    "wp-other-key",
    "A request object by another key than the certificate's is refused",
    "OpenID4VP 1.0 §5.9.3",
    bend=lambda token: token.by(generate_signer()),
)
_refuses(
    "wp-typ",
    "A request object of another typ is refused",
    "OpenID4VP 1.0 §5; RFC 8725 §3.11",
    bend=lambda token: token.head(typ="JWT"),
)
_refuses(
    "wp-no-x5c",
    "A request object without certificate is refused",
    "OpenID4VP 1.0 §5.9.3; HAIP 1.0 §5",
    bend=lambda token: token.without_head("x5c"),
)
_refuses(
    "wp-expired",
    "A request object that has ended is refused",
    "RFC 9101 §4; RFC 7519 §4.1.4",
    bend=lambda token: token.claim(iat=1_700_000_000, exp=1_700_000_300),
)
_refuses(
    "wp-audience",
    "A request object for another wallet is refused",
    "OpenID4VP 1.0 §5.8",
    bend=lambda token: token.claim(aud="https://other.example"),
)
_refuses(
    "wp-client-id-other",
    "client_id of the link and of the request object must be one",
    "OpenID4VP 1.0 §5.7; RFC 9101 §5",
    link_edit=lambda params: params | {"client_id": "x509_hash:" + "A" * 43},
)
_refuses(
    "wp-client-id-not-certificate",
    "A client_id that is not the certificate's is refused",
    "OpenID4VP 1.0 §5.9.3",
    edit=_params(client_id="x509_hash:" + "A" * 43),
    link_edit=lambda params: params | {"client_id": "x509_hash:" + "A" * 43},
)
_refuses(
    "wp-client-id-prefix",
    "A client_id of a prefix that nobody knows is refused",
    "OpenID4VP 1.0 §5.9",
    edit=_params(client_id="made_up:verifier"),
    link_edit=lambda params: params | {"client_id": "made_up:verifier"},
)
_refuses(
    "wp-response-uri-not-client",
    "A verifier known by its address gets no answer elsewhere",
    "OpenID4VP 1.0 §5.9.3",
    edit=_response_uri_elsewhere,
    link_edit=lambda params: params | {"client_id": "redirect_uri:https://verifier.example/elsewhere"},
)
_refuses(
    "wp-redirect-uri-with-direct-post",
    "redirect_uri beside response_uri is refused",
    "OpenID4VP 1.0 §8.2",
    edit=_params(redirect_uri="https://verifier.example/cb"),
)
_refuses("wp-no-nonce", "A question without nonce is refused", "OpenID4VP 1.0 §5.2", edit=_params(nonce=None))
_refuses("wp-no-query", "A question without query is refused", "OpenID4VP 1.0 §5.1", edit=_params(dcql_query=None))
_refuses(
    "wp-presentation-definition",
    "A question of earlier drafts is refused",
    "OpenID4VP 1.0 §5.1",
    edit=_params(dcql_query=None, presentation_definition={"id": "a", "input_descriptors": []}),
)
_refuses(
    "wp-transaction-data",
    "Transaction data of a kind that the wallet does not know are refused",
    "OpenID4VP 1.0 §5.1, §8.4",
    edit=_params(transaction_data=[_TRANSACTION]),
)
_refuses(
    "wp-response-mode",
    "A response mode that does not exist is refused",
    "OpenID4VP 1.0 §8",
    edit=_params(response_mode="made_up"),
)
_refuses(
    "wp-no-encryption-key",
    "An encrypted answer without a key to encrypt to is refused",
    "OpenID4VP 1.0 §8.3",
    mode=DIRECT_POST_JWT,
    edit=_params(client_metadata={"vp_formats_supported": {"dc+sd-jwt": {}}}),
)
_refuses(
    "wp-query-malformed",
    "A query that is no DCQL is refused",
    "DCQL §6; OpenID4VP 1.0 §8.5",
    edit=_params(dcql_query={"credentials": []}),
)
_refuses(
    "wp-critical",
    "A request object with a critical header that nobody knows is refused",
    "RFC 7515 §4.1.11",
    bend=lambda token: token.head(crit=["x-new"], **{"x-new": True}),
)


@_check("wp-untrusted", "OpenID4VP 1.0 §5.9.3, §14; HAIP 1.0 §5")
def untrusted(target: WalletTarget) -> str:
    """A verifier whose certificate nobody trusted issued is refused."""
    _good_first(target)
    stranger = replace(target.identity, verifier=target.identity.stranger)
    return _refused(*target.ask(target.query(), identity=stranger))


@_check("wp-other-credential", "DCQL §6.4; OpenID4VP 1.0 §8.5")
def other_credential(target: WalletTarget) -> str:
    """A question for what the wallet does not have brings nothing, and at most access_denied."""
    _good_first(target)
    return _declined(*target.ask({"credentials": [_MISSING]}))


@_check("wp-other-value", "DCQL §6.3, §6.4.1")
def other_value(target: WalletTarget) -> str:
    """A claim that must have another value is not shown."""
    first = next(iter(target.credential.claims))
    claims: list[JsonValue] = [{"path": [first], "values": ["nobody's value"]}]
    entry = target.entry() | {"claims": claims}
    _good_first(target)
    return _declined(*target.ask({"credentials": [entry]}))


# what the German wallet enforces


_ONLY_GERMAN = frozenset((GERMAN,))
_refuses(
    "de-not-registered",
    "A verifier without registration certificate is refused",
    "ETSI TS 119 472-2; German profile: registration certificates",
    profiles=_ONLY_GERMAN,
    registered=None,
)
_refuses(
    "de-registration-of-another",
    "A verifier with another's registration certificate is refused",
    "ETSI TS 119 475 §5.2; ARF RPRC_07, RPRC_17",
    profiles=_ONLY_GERMAN,
    registered_as="NTRDE-SOMEBODY.ELSE",
)


@_check("de-over-asked", "ETSI TS 119 475 §5.2.4; ARF RPRC_21", profiles=_ONLY_GERMAN)
def over_asked(target: WalletTarget) -> str:
    """A verifier that asks for more than is registered is refused."""
    _good_first(target)
    query = target.query(claims=2)
    return _refused(*target.ask(query, registered=registered_for(query, claims=1)))


@_check("de-registration-untrusted", "ETSI TS 119 475 §5.2; ARF RPRC_02", profiles=_ONLY_GERMAN)
def registration_untrusted(target: WalletTarget) -> str:
    """A verifier whose registration nobody trusted signed is refused."""
    _good_first(target)
    stranger = replace(target.identity, registrar=target.identity.stranger)
    return _refused(*target.ask(target.query(), identity=stranger))
