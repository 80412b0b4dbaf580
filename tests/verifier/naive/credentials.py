"""One presentation, read plainly: SD-JWT VC with key binding (RFC 9901 §7), mdoc (ISO/IEC 18013-5 §9.1), its status."""

import base64
import hashlib
import zlib
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Any

import cbor2
from cryptography import x509

from tests.verifier.naive.proofs import (
    SKEW,
    No,
    b64,
    chain_of,
    check_sign1,
    check_signature,
    cose_key,
    find_anchor,
    is_number,
    jwk_key,
    read_json,
    read_jws,
    require,
    unb64,
)

HIDDEN = object()  # an array element that was not disclosed
RESERVED = ("_sd", "...")
NEVER_HIDDEN = ("iss", "nbf", "exp", "cnf", "vct", "vct#integrity", "status")
HASHES = {"sha-256": "sha256", "sha-384": "sha384", "sha-512": "sha512"}
MDOC_HASHES = {"SHA-256": "sha256", "SHA-384": "sha384", "SHA-512": "sha512"}
MAX_AGE = 300


@dataclass
class Question:
    """All that an answer is judged by. anchors: (format, type) → roots; status_anchors: roots of who signs lists.

    lists: (address, media type) → body, HTTP status, content type, when it was fetched.
    """

    query: dict[str, Any]
    nonce: str
    audience: str
    session: list[Any]
    anchors: dict[tuple[str, str], tuple[bytes, ...]]
    status_anchors: tuple[bytes, ...]
    lists: dict[tuple[str, str], tuple[bytes, int, str, int]]
    now: int
    transaction_data: tuple[str, ...] = ()


class OtherQuestion(No):
    """The answer is another question's, which spoils all of it (OpenID4VP §14.1)."""


@dataclass
class Shown:
    """What one presentation shows, once all of it held."""

    identity: bytes
    tree: dict[str, Any]
    disclosed: set[tuple[str | int, ...]]
    chain: list[x509.Certificate]
    agreed: set[str] = field(default_factory=set)


def read_sd_jwt(text: str, wanted: dict[str, Any], question: Question) -> Shown:
    """RFC 9901 §7.3, SD-JWT VC §3.4."""
    issuer_jwt, *disclosures, bound = text.split("~")
    header, payload, signature, signed = read_jws(issuer_jwt)
    # once it is one at all, whom it is for comes first: it spoils all, whatever else there is
    binding = read_jws(bound) if bound else None
    if binding is not None:
        require(binding[0].get("typ") == "kb+jwt", "typ of the key binding")
        if (binding[1].get("nonce"), binding[1].get("aud")) != (question.nonce, question.audience):
            raise OtherQuestion("nonce or audience")
    require(header.get("typ") == "dc+sd-jwt", "typ")
    vct = payload.get("vct")
    require(isinstance(vct, str) and vct in wanted["meta"]["vct_values"], "type")
    chain = chain_of([_der(each) for each in header["x5c"]])
    find_anchor(chain, question.anchors.get(("dc+sd-jwt", str(vct)), ()), now=question.now, mdoc=False)
    check_signature(chain[0].public_key(), header.get("alg"), signature, signed)
    tree, disclosed = _unfold(payload, disclosures)
    for name, early in (("nbf", True), ("iat", True), ("exp", False)):
        if name in tree:
            require(is_number(tree[name]), name)
            require(tree[name] <= question.now + SKEW if early else question.now < tree[name] + SKEW, name)
    require("exp" in tree or "status" in tree, "never ends")
    shown = Shown(issuer_jwt.encode(), tree, disclosed, chain)
    if binding is None:
        require(not wanted.get("require_cryptographic_holder_binding", True), "no key binding")
    else:
        _check_binding(binding, text, payload, tree, question)
        hashes = binding[1].get("transaction_data_hashes", [])
        shown.agreed = {
            each for each in question.transaction_data if b64(hashlib.sha256(each.encode()).digest()) in hashes
        }
    if "status" in tree:
        _check_status(tree["status"], ("application/statuslist+jwt",), question)
    return shown


def _der(text: object) -> bytes:
    require(isinstance(text, str), "x5c")
    return base64.b64decode(str(text), validate=True)


def _unfold(payload: dict[str, Any], disclosures: list[str]) -> tuple[dict[str, Any], set[tuple[str | int, ...]]]:
    """RFC 9901 §7.1 step 3: put each disclosure where its digest stands; every one is used, none twice."""
    name = payload.get("_sd_alg", "sha-256")
    require(name in HASHES, "_sd_alg")
    left: dict[str, list[Any]] = {}
    for text in disclosures:
        digest = b64(hashlib.new(HASHES[name], text.encode()).digest())
        require(digest not in left, "a disclosure twice")
        left[digest] = read_json(unb64(text))
        require(isinstance(left[digest], list) and isinstance(left[digest][0], str), "not a disclosure")
    seen: set[str] = set()
    disclosed: set[tuple[str | int, ...]] = set()

    def take(digest: object, length: int) -> list[Any] | None:
        require(isinstance(digest, str) and digest not in seen, "a digest twice")
        assert isinstance(digest, str)
        seen.add(digest)
        found = left.pop(digest, None)
        require(found is None or len(found) == length, "a disclosure of another kind")
        return found

    def unfold(node: Any, at: tuple[str | int, ...]) -> Any:
        if isinstance(node, dict):
            require("..." not in node and (not at or "_sd_alg" not in node), "a reserved name")
            made = {
                key: unfold(value, (*at, key))
                for key, value in node.items()
                if key != "_sd" and (at or key != "_sd_alg")
            }
            require(isinstance(node.get("_sd", []), list), "_sd")
            for digest in node.get("_sd", []):
                if (found := take(digest, 3)) is not None:
                    key = found[1]
                    require(isinstance(key, str) and key not in RESERVED and key not in made, "a claim name")
                    require(at or key not in NEVER_HIDDEN, "must never be hidden")
                    disclosed.add((*at, key))
                    made[key] = unfold(found[2], (*at, key))
            return made
        if isinstance(node, list):
            return [unfold_element(each, (*at, index)) for index, each in enumerate(node)]
        return node

    def unfold_element(node: Any, at: tuple[str | int, ...]) -> Any:
        if not isinstance(node, dict) or "..." not in node:
            return unfold(node, at)
        require(len(node) == 1, "a placeholder with more")
        found = take(node["..."], 2)
        if found is None:
            return HIDDEN
        disclosed.add(at)
        return unfold(found[1], at)

    tree = unfold(payload, ())
    require(not left, "a disclosure that nothing names")
    return tree, disclosed


def _check_binding(
    binding: tuple[dict[str, Any], dict[str, Any], bytes, bytes],
    text: str,
    payload: dict[str, Any],
    tree: dict[str, Any],
    question: Question,
) -> None:
    """RFC 9901 §7.3 step 5."""
    header, claims, signature, signed = binding
    require(header.get("typ") == "kb+jwt", "typ of the key binding")
    require("cnf" in payload, "no holder's key")
    check_signature(jwk_key(tree["cnf"]["jwk"]), header.get("alg"), signature, signed)
    require(is_number(claims.get("iat")), "iat")
    require(question.now - MAX_AGE <= claims["iat"] <= question.now + SKEW, "iat")
    require("exp" not in claims or question.now < claims["exp"] + SKEW, "exp")
    require("nbf" not in claims or claims["nbf"] <= question.now + SKEW, "nbf")
    hashed = text[: text.rindex("~") + 1]
    digest = hashlib.new(HASHES[payload.get("_sd_alg", "sha-256")], hashed.encode()).digest()
    require(claims.get("sd_hash") == b64(digest), "sd_hash")


def read_mdoc(text: str, wanted: dict[str, Any], question: Question) -> Shown:
    """ISO/IEC 18013-5 §9.1.2 and §9.1.3 with the session of OpenID4VP §B.2.6."""
    response = cbor2.loads(unb64(text))
    require(response["version"] == "1.0" and response["status"] == 0, "version or status")
    require(len(response["documents"]) == 1, "one document each")
    document = response["documents"][0]
    issuer_auth = document["issuerSigned"]["issuerAuth"]
    mso = cbor2.loads(_bytes_of(cbor2.loads(issuer_auth[2])))
    doc_type, device_signed = document["docType"], document["deviceSigned"]
    # what is no document, or has no key, answers no question; once it can be read, whose answer it is comes first
    require(isinstance(doc_type, str), "docType")
    device_key = cose_key(mso["deviceKeyInfo"]["deviceKey"])
    try:
        authenticated = ["DeviceAuthentication", question.session, doc_type, device_signed["nameSpaces"]]
        check_sign1(
            device_signed["deviceAuth"]["deviceSignature"],
            device_key,
            detached=cbor2.dumps(cbor2.CBORTag(24, cbor2.dumps(authenticated))),
        )
    except No as error:
        raise OtherQuestion("device authentication") from error
    require(doc_type == mso["docType"] == wanted["meta"]["doctype_value"], "docType")
    certificates = issuer_auth[1][33]
    chain = chain_of(certificates if isinstance(certificates, list) else [certificates])
    find_anchor(chain, question.anchors.get(("mso_mdoc", doc_type), ()), now=question.now, mdoc=True)
    check_sign1(issuer_auth, chain[0].public_key())
    require(mso["version"] == "1.0", "version of the MSO")
    validity = {name: moment.timestamp() for name, moment in mso["validityInfo"].items()}
    require(validity["validFrom"] <= question.now + SKEW and question.now <= validity["validUntil"] + SKEW, "validity")
    signer = chain[0].not_valid_before_utc.timestamp(), chain[0].not_valid_after_utc.timestamp()
    require(signer[0] <= validity["signed"] <= signer[1], "signed when the signer was not valid")
    tree = _elements(document["issuerSigned"].get("nameSpaces", {}), mso)
    own = cbor2.loads(_bytes_of(device_signed["nameSpaces"]))
    for name_space, elements in own.items():
        for name, value in elements.items():
            allowed = mso["deviceKeyInfo"].get("keyAuthorizations", {})
            is_allowed = name_space in allowed.get("nameSpaces", ()) or name in allowed.get("dataElements", {}).get(
                name_space, ()
            )
            require(is_allowed and name not in tree.get(name_space, {}), "not the device's to say")
            tree.setdefault(name_space, {})[name] = _as_json(value)
    if "status" in mso:
        _check_status(mso["status"], ("application/statuslist+cwt", "application/statuslist+jwt"), question)
    disclosed: set[tuple[str | int, ...]] = {(space, name) for space, elements in tree.items() for name in elements}
    return Shown(issuer_auth[3], tree, disclosed, chain)


def _bytes_of(tagged: Any) -> bytes:
    require(isinstance(tagged, cbor2.CBORTag) and tagged.tag == 24 and isinstance(tagged.value, bytes), "not tag 24")
    assert isinstance(tagged.value, bytes)
    return tagged.value


def _elements(name_spaces: dict[str, list[Any]], mso: dict[str, Any]) -> dict[str, Any]:
    require(mso["digestAlgorithm"] in MDOC_HASHES, "digestAlgorithm")
    tree: dict[str, Any] = {}
    for name_space, items in name_spaces.items():
        used = set()
        for tagged in items:
            item = cbor2.loads(_bytes_of(tagged))
            digest = hashlib.new(MDOC_HASHES[mso["digestAlgorithm"]], cbor2.dumps(tagged)).digest()
            require(mso["valueDigests"][name_space][item["digestID"]] == digest, "digest")
            require(item["digestID"] not in used, "a digest twice")
            used.add(item["digestID"])
            elements = tree.setdefault(name_space, {})
            require(item["elementIdentifier"] not in elements, "an element twice")
            elements[item["elementIdentifier"]] = _as_json(item["elementValue"])
    return tree


def _as_json(value: Any) -> Any:
    if isinstance(value, bytes):
        return b64(value)
    if isinstance(value, list):
        return [_as_json(each) for each in value]
    if isinstance(value, dict):
        return {name: _as_json(each) for name, each in value.items()}
    return value.isoformat() if hasattr(value, "isoformat") else value


def _check_status(status: Any, media_types: tuple[str, ...], question: Question) -> None:
    """Token Status List §8.3: a list that is there, this one, in time, signed by who may, says VALID.

    What was fetched after the answer came is judged by the time of its fetch.
    """
    reference = status["status_list"]
    for media_type in media_types:
        fetched = question.lists.get((reference["uri"], media_type))
        if fetched is not None:
            break
    else:
        raise No("no list")
    body, http_status, content_type, fetched_at = fetched
    require(200 <= http_status < 300 and content_type == media_type, "not a list's answer")
    question = replace(question, now=max(question.now, fetched_at))
    read: Callable[..., dict[str, Any]] = _jwt_list if media_type.endswith("+jwt") else _cwt_list
    token = read(body, question)
    require(token["sub"] == reference["uri"], "another list")
    require(is_number(token["iat"]) and token["iat"] <= question.now + SKEW, "iat")
    require("exp" not in token or question.now < token["exp"] + SKEW, "exp of the list")
    require("ttl" not in token or question.now <= fetched_at + token["ttl"] + SKEW, "ttl")
    bits, packed = token["bits"], token["lst"]
    require(bits in (1, 2, 4, 8) and type(reference["idx"]) is int and reference["idx"] >= 0, "bits or idx")
    raw = zlib.decompress(packed)
    place = reference["idx"] * bits
    require(place // 8 < len(raw), "beyond the list")
    require((raw[place // 8] >> (place % 8)) & ((1 << bits) - 1) == 0, "not VALID")


def _jwt_list(body: bytes, question: Question) -> dict[str, Any]:
    header, claims, signature, signed = read_jws(body.decode())
    require(header.get("typ") == "statuslist+jwt", "typ of the list")
    chain = chain_of([_der(each) for each in header["x5c"]])
    find_anchor(chain, question.status_anchors, now=question.now, mdoc=False)
    check_signature(chain[0].public_key(), header.get("alg"), signature, signed)
    return {**claims, "bits": claims["status_list"]["bits"], "lst": unb64(claims["status_list"]["lst"])}


def _cwt_list(body: bytes, question: Question) -> dict[str, Any]:
    tagged = cbor2.loads(body)
    sign1 = tagged.value if isinstance(tagged, cbor2.CBORTag) else tagged
    header = cbor2.loads(sign1[0])
    require(header.get(16) == "application/statuslist+cwt", "typ of the list")
    certificates = header.get(33, sign1[1].get(33))
    chain = chain_of(certificates if isinstance(certificates, list) else [certificates])
    find_anchor(chain, question.status_anchors, now=question.now, mdoc=False)
    check_sign1(sign1, chain[0].public_key())
    claims = cbor2.loads(sign1[2])
    names = {2: "sub", 6: "iat", 4: "exp", 65534: "ttl"}
    found: dict[str, Any] = {names[key]: value for key, value in claims.items() if key in names}
    return {**found, **claims[65533]}
