"""Checks of what a verifier asks: link, request object, metadata, query (OpenID4VP 1.0 §5, §6; HAIP 1.0 §5)."""

import hashlib
import re
import secrets
import time
from urllib.parse import parse_qsl, urlsplit

from conformance.check import HIGH_ASSURANCE, Failed, NotApplicable, Registry
from conformance.issuer_authorization import entropy
from conformance.issuer_target import shown
from conformance.verifier_target import MDOC, REQUEST_TYPE, SD_JWT, Asked, QuestionWish, VerifierTarget
from specs.encoding import base64url
from specs.encoding.strict_json import JsonObject, JsonValue
from specs.keys.jose import verify_jws
from specs.protocols.dcql import parse_dcql
from specs.protocols.openid4vp import ALL_FORMATS, build_request_uri_post
from specs.protocols.openid4vp.client_id import dns_names
from specs.trust.parsed_certificate import parse_certificate
from specs.trust.x509 import CertificateProfile, validate_path

REQUEST_CHECKS: Registry[VerifierTarget] = Registry()
_check = REQUEST_CHECKS.check
_FORMATS = (SD_JWT, MDOC)
_OUTSIDE = frozenset({"client_id", "request_uri", "request_uri_method"})
_CLAIMS = frozenset(
    {"iss", "aud", "exp", "iat", "nbf", "jti", "sub", "response_type", "response_mode", "client_id", "response_uri",
     "nonce", "state", "dcql_query", "client_metadata", "verifier_info", "transaction_data", "wallet_nonce",
     "expected_origins"}
)  # fmt: skip
_METADATA = frozenset({"jwks", "vp_formats_supported", "encrypted_response_enc_values_supported"})
_QUERY = {
    "": {"credentials", "credential_sets"},
    "credentials": {"id", "format", "meta", "claims", "claim_sets", "multiple", "trusted_authorities",
                    "require_cryptographic_holder_binding"},
    "claims": {"id", "path", "values", "intent_to_retain"},
    "credential_sets": {"options", "required"},
}  # fmt: skip
_PERMANENT = frozenset({"iss", "nbf", "exp", "cnf", "vct", "status"})
_STATIC = "https://self-issued.me/v2"


def first_asked(target: VerifierTarget) -> Asked:
    """The first question, for an SD-JWT VC if there is one.

    Raises:
        NotApplicable: there is none to be had.
    """
    return target.first(SD_JWT) if target.has(SD_JWT) else target.first(MDOC)


def signed_question(target: VerifierTarget) -> Asked:
    """The first question, if it is signed.

    Raises:
        NotApplicable: it is not, or there is none to be had.
    """
    asked = first_asked(target)
    if asked.jws is None:
        raise NotApplicable("the request is not signed")
    return asked


@_check("vp-question", "OpenID4VP 1.0 §5")
def question(target: VerifierTarget) -> str:
    """The verifier asks, and its request can be fetched and read."""
    asked = None
    for form in _FORMATS:
        try:
            asked = target.kept[f"question {form}"] = target.asked(QuestionWish(form))
        except NotApplicable as reason:
            target.kept[f"question {form}"] = reason
    if asked is None:
        raise NotApplicable("no question is to be had")
    return "a signed request" if asked.jws is not None else "a request in its link"


@_check("vp-link-parameters", "OpenID4VP 1.0 §5.1, §5.7", is_advice=True)
def link_parameters(target: VerifierTarget) -> str:
    """Beside request_uri the link holds client_id and request_uri_method alone."""
    outside = signed_question(target).outside
    unknown = sorted(outside.keys() - _OUTSIDE)
    if unknown:
        raise Failed(", ".join(sorted(_OUTSIDE)), f"also {', '.join(unknown)}")
    return ", ".join(sorted(outside))


@_check("vp-request-uri-method", "OpenID4VP 1.0 §5.1, §5.10")
def request_uri_method(target: VerifierTarget) -> str:
    """request_uri_method is get or post, and stands in the link alone."""
    asked = signed_question(target)
    method = asked.outside.get("request_uri_method", "get")
    if method not in ("get", "post"):
        raise Failed("get or post", method)
    if "request_uri_method" in asked.params:
        raise Failed("nothing of it in the request object", "request_uri_method")
    return method


@_check("vp-request-uri", "RFC 9101 §5.2; OpenID4VP 1.0 §5.7")
def request_uri(target: VerifierTarget) -> str:
    """request_uri is an https URL without fragment."""
    return _https(target, signed_question(target).outside["request_uri"], "request_uri")


@_check("vp-response-uri", "OpenID4VP 1.0 §8.2")
def response_uri(target: VerifierTarget) -> str:
    """response_uri is an https URL without fragment."""
    return _https(target, str(first_asked(target).params.get("response_uri", "")), "response_uri")


def _https(target: VerifierTarget, url: str, name: str) -> str:
    parts = urlsplit(url)
    is_loopback = target.allow_loopback_http and parts.hostname in ("localhost", "127.0.0.1", "::1")
    if not (parts.scheme == "https" or is_loopback) or not parts.hostname or "#" in url:
        raise Failed(
            f"{name}, an https URL without fragment", f"{parts.scheme}://{parts.netloc}{'#…' if '#' in url else ''}"
        )
    return f"{parts.scheme}://{parts.netloc}"


@_check("vp-client-id-same", "OpenID4VP 1.0 §5.7; RFC 9101 §5")
def client_id_same(target: VerifierTarget) -> str:
    """client_id is the same in the link and in the request object."""
    asked = signed_question(target)
    if asked.outside.get("client_id") != asked.params.get("client_id"):
        raise Failed("the same client_id", "two")
    return shown(asked.params.get("client_id"))


@_check("vp-object-type", "OpenID4VP 1.0 §5.7, §5.10.1; RFC 9101 §10.2")
def object_type(target: VerifierTarget) -> str:
    """The request object comes with its media type and typ."""
    asked = signed_question(target)
    assert asked.answer is not None
    assert asked.jws is not None
    if asked.answer.media_type != REQUEST_TYPE:
        raise Failed(REQUEST_TYPE, asked.answer.media_type)
    if asked.jws.header.get("typ") != "oauth-authz-req+jwt":
        raise Failed("typ oauth-authz-req+jwt", shown(asked.jws.header.get("typ")))
    return REQUEST_TYPE


@_check("vp-object-dates", "RFC 9101 §4; RFC 7519 §4.1")
def object_dates(target: VerifierTarget) -> str:
    """The request object's dates are numbers, and hold now."""
    params, now = signed_question(target).params, time.time()
    for name in ("iat", "exp", "nbf"):
        value = params.get(name)
        if value is None and name not in params:
            continue
        if isinstance(value, bool) or not isinstance(value, (int, float)):
            raise Failed(f"{name}, a number", shown(value))
        if (value < now - 30) if name == "exp" else (value > now + 60 or value < now - 86400):
            raise Failed(f"{name} that fits now", f"{value - now:+.0f} s from now")
    return ", ".join(name for name in ("iat", "exp", "nbf") if name in params)


@_check("vp-object-audience", "OpenID4VP 1.0 §5.8", is_advice=True)
def object_audience(target: VerifierTarget) -> str:
    """Aud is the static one for wallets that were not looked up before."""
    audience = signed_question(target).params.get("aud")
    if audience not in (_STATIC, [_STATIC]):
        raise Failed(_STATIC, shown(audience))
    return _STATIC


@_check("vp-object-issuer", "RFC 9101 §4; OpenID4VP 1.0 §5", is_advice=True)
def object_issuer(target: VerifierTarget) -> str:
    """iss, if there, is the client_id, and there is no sub that is."""
    params = signed_question(target).params
    if params.get("iss", params.get("client_id")) != params.get("client_id") or params.get("sub") == params.get(
        "client_id"
    ):
        raise Failed("iss as client_id, no such sub", shown(params.get("iss")))
    return "as it should be"


@_check("vp-object-signature", "OpenID4VP 1.0 §5.9.3; HAIP 1.0 §5")
def object_signature(target: VerifierTarget) -> str:
    """The first certificate of x5c verifies the request object; it is not self-signed, its anchor is not among them."""
    asked = signed_question(target)
    if not str(asked.params.get("client_id")).startswith("x509_"):
        raise NotApplicable("the verifier is not known by a certificate")
    assert asked.jws is not None
    if not asked.chain:
        raise Failed("x5c", "none")
    certificates = [parse_certificate(each) for each in asked.chain]
    verify_jws(asked.jws, certificates[0].key)  # type: ignore[arg-type]  # other keys verify nothing
    if target.profile in HIGH_ASSURANCE:
        if certificates[0].issuer == certificates[0].subject:
            raise Failed("a leaf that is not self-signed", "a self-signed one")
        if len(certificates) > 1 and certificates[-1].issuer == certificates[-1].subject:
            raise Failed("no trust anchor in x5c", "a self-signed certificate at its end")
    if target.anchors:
        validate_path(asked.chain, anchors=target.anchors, profile=CertificateProfile.ACCESS, now=int(time.time()))
    return f"{len(certificates)} certificates{', to a trusted root' if target.anchors else ''}"


@_check("vp-client-id-certificate", "OpenID4VP 1.0 §5.9.3")
def client_id_certificate(target: VerifierTarget) -> str:
    """client_id fits the certificate: its hash, or a host name of it that is also response_uri's."""
    asked = signed_question(target)
    prefix, _, rest = str(asked.params.get("client_id")).partition(":")
    if prefix not in ("x509_hash", "x509_san_dns") or not asked.chain:
        raise NotApplicable("the verifier is not known by a certificate")
    if prefix == "x509_hash":
        wanted = base64url.encode(hashlib.sha256(asked.chain[0]).digest())
        if rest != wanted:
            raise Failed(f"x509_hash:{wanted}", shown(asked.params.get("client_id")))
        return "the hash of the certificate"
    if rest not in dns_names(asked.chain[0]):
        raise Failed("a host name of the certificate", rest)
    host = urlsplit(str(asked.params.get("response_uri"))).hostname
    if host != rest:
        raise Failed(f"response_uri at {rest}", shown(host))
    return "a host name of the certificate"


@_check("vp-client-id-hash", "HAIP 1.0 §5", profiles=HIGH_ASSURANCE)
def client_id_hash(target: VerifierTarget) -> str:
    """Signed requests are by x509_hash."""
    client_id = str(signed_question(target).params.get("client_id"))
    if not client_id.startswith("x509_hash:"):
        raise Failed("x509_hash:…", client_id.partition(":")[0])
    return "x509_hash"


@_check("vp-client-id-response-uri", "OpenID4VP 1.0 §5.9.3")
def client_id_response_uri(target: VerifierTarget) -> str:
    """A verifier that is known by its address alone answers there, and does not sign."""
    asked = first_asked(target)
    client_id = str(asked.params.get("client_id"))
    if not client_id.startswith("redirect_uri:"):
        raise NotApplicable("the verifier is not known by its address")
    if asked.jws is not None:
        raise Failed("an unsigned request", "a signed one")
    if client_id.removeprefix("redirect_uri:") != asked.params.get("response_uri"):
        raise Failed("client_id with the response_uri", "another")
    return "its response_uri"


@_check("vp-response-type", "OpenID4VP 1.0 §5.1, §8")
def response_type(target: VerifierTarget) -> str:
    """response_type is vp_token."""
    if first_asked(target).params.get("response_type") != "vp_token":
        raise Failed("vp_token", shown(first_asked(target).params.get("response_type")))
    return "vp_token"


@_check("vp-response-mode", "OpenID4VP 1.0 §8; HAIP 1.0 §5.1")
def response_mode(target: VerifierTarget) -> str:
    """response_mode is one that exists, under HAIP the encrypted one."""
    mode = first_asked(target).params.get("response_mode")
    allowed = (
        ["direct_post.jwt"] if target.profile in HIGH_ASSURANCE else ["direct_post", "direct_post.jwt", "fragment"]
    )
    if mode not in allowed:
        raise Failed(" or ".join(allowed), shown(mode))
    return str(mode)


@_check("vp-no-drafts", "OpenID4VP 1.0 §5.1, §5.9")
def no_drafts(target: VerifierTarget) -> str:
    """Nothing of earlier drafts is in the request, such as presentation_definition or client_id_scheme."""
    old = ("presentation_definition", "presentation_definition_uri", "client_id_scheme", "client_metadata_uri", "scope")
    params = first_asked(target).params
    found = [name for name in old if name in params]
    if "redirect_uri" in params and "response_uri" in params:
        found.append("redirect_uri beside response_uri")
    if found:
        raise Failed("none of them", ", ".join(found))
    return "none"


@_check("vp-known-parameters", "OpenID4VP 1.0 §5.1", is_advice=True)
def known_parameters(target: VerifierTarget) -> str:
    """The request holds nothing that the standard does not know."""
    params = first_asked(target).params
    unknown = sorted(params.keys() - _CLAIMS)
    if unknown:
        raise Failed("parameters of the standard alone", ", ".join(unknown))
    return f"{len(params)} parameters"


@_check("vp-nonce", "OpenID4VP 1.0 §5.2, §14.1")
def nonce(target: VerifierTarget) -> str:
    """Nonce is there, of characters that URLs allow."""
    value = first_asked(target).params.get("nonce")
    if not isinstance(value, str) or not re.fullmatch(r"[A-Za-z0-9._~-]+", value):
        raise Failed("nonce of ASCII URL-safe characters", "another" if value else "none")
    return f"{len(value)} characters"


@_check("vp-nonce-strong", "OpenID4VP 1.0 §5.2", is_advice=True)
def nonce_strong(target: VerifierTarget) -> str:
    """Nonce has 128 bits, and is not longer than 43 characters."""
    value = str(first_asked(target).params.get("nonce", ""))
    if not 16 <= len(value) <= 43 or entropy(value) < 60:
        raise Failed("16 to 43 characters that can't be guessed", f"{len(value)} characters")
    return f"{len(value)} characters"


@_check("vp-nonce-fresh", "OpenID4VP 1.0 §5.2, §14.1")
def nonce_fresh(target: VerifierTarget) -> str:
    """Each question has a nonce and a state of its own."""
    first, second = first_asked(target).params, target.asked(_wish(target)).params
    for name in ("nonce", "state"):
        if name in first and first[name] == second.get(name):
            raise Failed(f"a fresh {name}", "the same one twice")
    return "fresh"


def _wish(target: VerifierTarget) -> QuestionWish:
    return QuestionWish(SD_JWT if target.has(SD_JWT) else MDOC)


@_check("vp-verifier-info", "OpenID4VP 1.0 §5.1, §5.11")
def verifier_info(target: VerifierTarget) -> str:
    """verifier_info, if there, is a list of objects with format and data, about queries that exist."""
    params = first_asked(target).params
    entries = params.get("verifier_info")
    if entries is None:
        raise NotApplicable("there is none")
    ids = {str(each.get("id")) for each in queries_of(params)}
    if not isinstance(entries, list) or not entries:
        raise Failed("a list that is not empty", shown(entries))
    for each in entries:
        if not isinstance(each, dict) or not isinstance(each.get("format"), str) or "data" not in each:
            raise Failed("format and data in each entry", "an entry without")
        about = each.get("credential_ids", [])
        if not isinstance(about, list) or not {str(name) for name in about} <= ids:
            raise Failed("credential_ids of this query", shown(about))
    return f"{len(entries)} entries"


@_check("vp-metadata-members", "OpenID4VP 1.0 §5.1, §11.1", is_advice=True)
def metadata_members(target: VerifierTarget) -> str:
    """client_metadata hold nothing that the standard does not know."""
    unknown = sorted(_metadata(target).keys() - _METADATA)
    if unknown:
        raise Failed(", ".join(sorted(_METADATA)), f"also {', '.join(unknown)}")
    return "known members"


def _metadata(target: VerifierTarget) -> JsonObject:
    metadata = first_asked(target).params.get("client_metadata")
    if not isinstance(metadata, dict):
        raise NotApplicable("there are no client_metadata")
    return metadata


@_check("vp-formats", "OpenID4VP 1.0 §11.1, App. B.2.2, B.3.4")
def formats(target: VerifierTarget) -> str:
    """vp_formats_supported hold the format that is asked for, with algorithms by their names."""
    wanted = {
        "dc+sd-jwt": (("sd-jwt_alg_values", str), ("kb-jwt_alg_values", str)),
        "mso_mdoc": (("issuerauth_alg_values", int), ("deviceauth_alg_values", int)),
    }
    params = first_asked(target).params
    known = _metadata(target).get("vp_formats_supported")
    for form in sorted({str(each.get("format")) for each in queries_of(params)}):
        entry = known.get(form) if isinstance(known, dict) else None
        if not isinstance(entry, dict):
            raise Failed(f"an object for {form}", shown(entry))
        for name, kind in wanted.get(form, ()):
            values = entry.get(name)
            if values is not None and (
                not isinstance(values, list) or not values or not all(isinstance(each, kind) for each in values)
            ):
                raise Failed(f"{name}, a list of {'names' if kind is str else 'numbers'}", shown(values))
    return shown(sorted(known) if isinstance(known, dict) else [])


@_check("vp-encryption-keys", "OpenID4VP 1.0 §5.1, §8.3")
def encryptionresponse_keys(target: VerifierTarget) -> str:
    """For an encrypted answer there is a public key with kid and alg, no kid twice."""
    keys = response_keys(target)
    for key in keys:
        if not isinstance(key.get("kid"), str) or not isinstance(key.get("alg"), str) or key.keys() & {"d", "k"}:
            raise Failed("a public key with kid and alg", shown(sorted(key)))
    if len({str(key["kid"]) for key in keys}) != len(keys):
        raise Failed("a kid for each", "one twice")
    return f"{len(keys)} keys"


def response_keys(target: VerifierTarget, asked: Asked | None = None) -> list[JsonObject]:
    """The keys that answers are encrypted to.

    Raises:
        NotApplicable: answers are not encrypted. Failed: there is no key.
    """
    params = (asked or first_asked(target)).params
    if not str(params.get("response_mode")).endswith(".jwt"):
        raise NotApplicable("answers are not encrypted")
    metadata = params.get("client_metadata")
    jwks = metadata.get("jwks") if isinstance(metadata, dict) else None
    keys = jwks.get("keys") if isinstance(jwks, dict) else None
    found = [key for key in keys if isinstance(key, dict)] if isinstance(keys, list) else []
    if not found:
        raise Failed("client_metadata.jwks with a key", "none")
    return found


@_check("vp-encryption-haip", "HAIP 1.0 §5", profiles=HIGH_ASSURANCE)
def encryption_haip(target: VerifierTarget) -> str:
    """Answers can be encrypted by ECDH-ES on P-256, with A128GCM and A256GCM."""
    if not any(key.get("alg") == "ECDH-ES" and key.get("crv") == "P-256" for key in response_keys(target)):
        raise Failed("an ECDH-ES key on P-256", "none")
    encs = _metadata(target).get("encrypted_response_enc_values_supported")
    if not isinstance(encs, list) or not {"A128GCM", "A256GCM"} <= {str(each) for each in encs}:
        raise Failed("A128GCM and A256GCM", shown(encs))
    return "A128GCM, A256GCM"


@_check("vp-encryption-key-fresh", "HAIP 1.0 §5; OpenID4VP 1.0 §8.3")
def encryption_key_fresh(target: VerifierTarget) -> str:
    """Each question has an encryption key of its own."""
    first, second = response_keys(target), response_keys(target, target.asked(_wish(target)))
    if {str(key.get("x")) for key in first} & {str(key.get("x")) for key in second}:
        raise Failed("a fresh key", "the same one twice")
    return "fresh"


# the query


def queries_of(params: JsonObject) -> list[JsonObject]:
    """The credential queries of a question."""
    query = params.get("dcql_query")
    entries = query.get("credentials") if isinstance(query, dict) else None
    return [each for each in entries if isinstance(each, dict)] if isinstance(entries, list) else []


@_check("dcql-form", "DCQL §6; OpenID4VP 1.0 §6")
def dcql_form(target: VerifierTarget) -> str:
    """The query keeps to the form of DCQL: ids, formats with their meta, claims, sets."""
    seen = []
    for form in _FORMATS:
        if not target.has(form):
            continue
        query = target.first(form).params.get("dcql_query")
        if not isinstance(query, dict):
            raise Failed("dcql_query, an object", shown(query))
        parsed = parse_dcql(query)
        seen += [entry.format for entry in parsed.credentials]
    return ", ".join(seen)


@_check("dcql-members", "DCQL §6.1, §6.2, §6.3", is_advice=True)
def dcql_members(target: VerifierTarget) -> str:
    """The query holds nothing that DCQL does not know."""
    query = first_asked(target).params.get("dcql_query")
    unknown = _unknown("", query)
    if unknown:
        raise Failed("members of DCQL alone", ", ".join(unknown))
    return "known members"


def _unknown(where: str, value: JsonValue) -> list[str]:
    if isinstance(value, list):
        return [name for each in value for name in _unknown(where, each)]
    if not isinstance(value, dict):
        return []
    found = [f"{where}/{name}" for name in value.keys() - _QUERY[where]]
    for name in value.keys() & _QUERY.keys():
        found += _unknown(name, value[name])
    return sorted(found)


@_check("dcql-permanent-claims", "SD-JWT VC §2.2.2.2; DCQL §6.3", is_advice=True)
def dcql_permanent_claims(target: VerifierTarget) -> str:
    """What is never selectively disclosable is not asked for."""
    asked = [
        str(path[0])
        for query in queries_of(first_asked(target).params)
        if query.get("format") == SD_JWT
        for claim in _claims(query)
        if isinstance(path := claim.get("path"), list) and path
    ]
    found = sorted(set(asked) & _PERMANENT)
    if found:
        raise Failed("none of them", ", ".join(found))
    return f"{len(asked)} claims"


@_check("dcql-unreferenced-claims", "DCQL §6.4.1", is_advice=True)
def dcql_unreferenced_claims(target: VerifierTarget) -> str:
    """Where there are claim_sets, each claim is in one of them."""
    for query in queries_of(first_asked(target).params):
        sets = query.get("claim_sets")
        if not isinstance(sets, list):
            continue
        used = {str(name) for each in sets if isinstance(each, list) for name in each}
        unused = [str(claim.get("id")) for claim in _claims(query) if str(claim.get("id")) not in used]
        if unused:
            raise Failed("each claim in a set", ", ".join(unused))
    return "each used"


def _claims(query: JsonObject) -> list[JsonObject]:
    claims = query.get("claims")
    return [each for each in claims if isinstance(each, dict)] if isinstance(claims, list) else []


# fetching


@_check("vp-fetched-twice", "OpenID4VP 1.0 §5.7; RFC 9101 §5.2")
def fetched_twice(target: VerifierTarget) -> str:
    """A request that was fetched can be fetched again, with the same nonce."""
    asked = signed_question(target)
    again = target.read(asked.link, asked.outside, target.fetch(asked.outside["request_uri"]))
    for name in ("nonce", "state", "response_uri"):
        if again.params.get(name) != asked.params.get(name):
            raise Failed(f"the same {name}", "another")
    return "the same question"


@_check("vp-wallet-nonce", "OpenID4VP 1.0 §5.10")
def wallet_nonce(target: VerifierTarget) -> str:
    """A wallet_nonce that was posted comes back in the request object."""
    link = target.questions(QuestionWish(_wish(target).format, method="post"))
    outside = dict(parse_qsl(urlsplit(link).query))
    if outside.get("request_uri_method") != "post":
        raise NotApplicable("the verifier does not let its request be posted for")
    sent = base64url.encode(secrets.token_bytes(16))
    form = build_request_uri_post(wallet_nonce=sent, formats=ALL_FORMATS, prefixes=("x509_hash", "x509_san_dns"))
    asked = target.read(link, outside, target.fetch(outside["request_uri"], form))
    if asked.params.get("wallet_nonce") != sent:
        raise Failed("the wallet_nonce that was posted", "another" if "wallet_nonce" in asked.params else "none")
    return "came back"


@_check("vp-no-wallet-nonce", "OpenID4VP 1.0 §5.10")
def no_wallet_nonce(target: VerifierTarget) -> str:
    """Without a posted wallet_nonce there is none in the request object."""
    if "wallet_nonce" in signed_question(target).params:
        raise Failed("no wallet_nonce", "one")
    return "none"
