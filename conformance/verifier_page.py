"""A verifier's page over the Digital Credentials API: what it hands to the browser, and what it makes of the answer.

OpenID4VP 1.0 App. A; HAIP 1.0 §5.2. The suite is browser and wallet: it gets the question as the page does, and posts
the answer to where the page would.
"""

import time
from collections.abc import Callable
from typing import TypeVar, cast

from conformance.check import EVERYWHERE, HIGH_ASSURANCE, Check, Failed, NotApplicable, Registry
from conformance.issuer_target import shown
from conformance.page_question import OPENID4VP, PageAsked, PageQuestion
from conformance.verifier_target import MDOC, SD_JWT, QuestionWish, VerifierTarget
from specs.encoding import strict_json
from specs.encoding.strict_json import JsonObject
from specs.keys.jose import verify_jws
from specs.protocols.dcql import parse_dcql
from specs.protocols.openid4vp import DcApiProtocol
from specs.refusal import Refusal
from specs.trust.parsed_certificate import parse_certificate
from specs.trust.x509 import CertificateProfile, validate_path
from wallet_sim.conduct import VP_TOKEN, Conduct, Endpoint, Piece
from wallet_sim.misbehaviour import Misconduct, find_misbehaviour

PAGE_CHECKS: Registry[VerifierTarget] = Registry()
_check = PAGE_CHECKS.check
_FORMATS = (SD_JWT, MDOC)
_ELSEWHERE = "https://elsewhere.example"
_SIGNED = (DcApiProtocol.SIGNED, DcApiProtocol.MULTI_SIGNED)
T = TypeVar("T")


def _first(target: VerifierTarget) -> PageQuestion:
    """The first question of the page, asked once in a run."""
    for form in _FORMATS:
        found = _of(target, form)
        if found is not None:
            return found
    raise NotApplicable(str(target.kept[f"page {SD_JWT}"]))


def _of(target: VerifierTarget, form: str) -> PageQuestion | None:
    name = f"page {form}"
    if name not in target.kept:
        try:
            target.kept[name] = target.page_question(QuestionWish(form))
        except (Failed, NotApplicable) as reason:
            target.kept[name] = NotApplicable(str(reason))
    found = target.kept[name]
    return found if isinstance(found, PageQuestion) else None


def _asked(target: VerifierTarget) -> list[PageAsked]:
    """The first question in each form of OpenID4VP that it comes in."""
    found = [each for each in map(PageAsked.of, _first(target).requests) if each.protocol in OPENID4VP]
    if not found:
        raise NotApplicable("the page offers no form of OpenID4VP")
    return found


def _each(target: VerifierTarget, protocols: tuple[str, ...], which: str) -> list[PageAsked]:
    found = [each for each in _asked(target) if each.protocol in protocols]
    if not found:
        raise NotApplicable(f"the page offers no {which} question")
    return found


# what it asks


@_check("dc-question", "OpenID4VP 1.0 App. A.1")
def question(target: VerifierTarget) -> str:
    """A page hands entries of protocol and data to the browser, by protocols that there are, none twice."""
    asked = target.page_question(QuestionWish(SD_JWT))
    names = [str(each.get("protocol")) for each in asked.requests]
    if not names or len(set(names)) != len(names) or not set(names) <= set(DcApiProtocol):
        raise Failed(f"entries of {', '.join(DcApiProtocol)}", ", ".join(names) or "none")
    if not all(isinstance(each.get("data"), dict) for each in asked.requests):
        raise Failed("data, an object, in each entry", "something else")
    return ", ".join(names)


@_check("dc-response-mode", "OpenID4VP 1.0 App. A.2; HAIP 1.0 §5.2")
def response_mode(target: VerifierTarget) -> str:
    """The answer is wanted as vp_token through the browser, under HAIP encrypted."""
    allowed = ("dc_api.jwt",) if target.profile in HIGH_ASSURANCE else ("dc_api", "dc_api.jwt")
    for each in _asked(target):
        if each.params.get("response_type") != "vp_token" or each.params.get("response_mode") not in allowed:
            said = [each.params.get("response_type"), each.params.get("response_mode")]
            raise Failed(f"vp_token by {' or '.join(allowed)} in {each.protocol}", shown(said))
    return str(_asked(target)[0].params["response_mode"])


@_check("dc-no-addresses", "OpenID4VP 1.0 App. A.2")
def no_addresses(target: VerifierTarget) -> str:
    """Nothing names an address for the answer: the browser brings it back."""
    for each in _asked(target):
        found = sorted({"response_uri", "redirect_uri", "request_uri"} & each.params.keys())
        if found:
            raise Failed(f"no address in {each.protocol}", ", ".join(found))
    return "none"


@_check("dc-unsigned-nameless", "OpenID4VP 1.0 App. A.2, A.3.1")
def unsigned_nameless(target: VerifierTarget) -> str:
    """Who does not sign says neither who asks nor from where: the browser does."""
    for each in _each(target, (DcApiProtocol.UNSIGNED,), "unsigned"):
        found = sorted({"client_id", "expected_origins"} & each.params.keys())
        if found:
            raise Failed("no client_id, no expected_origins", ", ".join(found))
    return "nameless"


@_check("dc-expected-origins", "OpenID4VP 1.0 App. A.2")
def expected_origins(target: VerifierTarget) -> str:
    """Who signs names the origins of the pages that may ask, this one among them."""
    origin = _first(target).origin
    for each in _each(target, _SIGNED, "signed"):
        named = each.params.get("expected_origins")
        if not isinstance(named, list) or origin not in named:
            raise Failed(f"expected_origins with {origin} in {each.protocol}", shown(named))
    return origin


@_check("dc-signature", "OpenID4VP 1.0 App. A.3.2, §5.9.3; HAIP 1.0 §5")
def signature(target: VerifierTarget) -> str:
    """Each signature is by the first certificate of its x5c, and typed; one leads to a trusted root."""
    seen = 0
    for each in _each(target, _SIGNED, "signed"):
        trusted = not target.anchors
        for jws, chain in each.signatures:
            if jws.header.get("typ") != "oauth-authz-req+jwt":
                raise Failed("typ oauth-authz-req+jwt", shown(jws.header.get("typ")))
            verify_jws(jws, parse_certificate(chain[0]).key)  # type: ignore[arg-type]  # other keys verify nothing
            trusted = trusted or _is_trusted(target, chain)
            seen += 1
        if not trusted:
            raise Failed(f"a signer of {each.protocol} below a trusted root", "none")
    return f"{seen} signatures"


def _is_trusted(target: VerifierTarget, chain: tuple[bytes, ...]) -> bool:
    try:
        validate_path(chain, anchors=target.anchors, profile=CertificateProfile.ACCESS, now=int(time.time()))
    except Refusal:
        return False
    return True


@_check("dc-query", "OpenID4VP 1.0 App. A.2, §6")
def query(target: VerifierTarget) -> str:
    """The query keeps to the form of DCQL, the same in each protocol."""
    queries = [each.params.get("dcql_query") for each in _asked(target)]
    for each in queries:
        parse_dcql(strict_json.dumps(each))
    if any(each != queries[0] for each in queries):
        raise Failed("one query", "several")
    return f"{len(queries)} times the same"


@_check("dc-encryption", "HAIP 1.0 §5, §5.2; OpenID4VP 1.0 §8.3", profiles=HIGH_ASSURANCE)
def encryption(target: VerifierTarget) -> str:
    """Answers can be encrypted by ECDH-ES on P-256, with A128GCM and A256GCM."""
    for each in _asked(target):
        metadata = each.params.get("client_metadata")
        encs = metadata.get("encrypted_response_enc_values_supported") if isinstance(metadata, dict) else None
        if not any(key.get("alg") == "ECDH-ES" and key.get("crv") == "P-256" and "kid" in key for key in each.keys):
            raise Failed(f"an ECDH-ES key on P-256 with kid in {each.protocol}", "none")
        if not isinstance(encs, list) or not {"A128GCM", "A256GCM"} <= {str(enc) for enc in encs}:
            raise Failed(f"A128GCM and A256GCM in {each.protocol}", shown(encs))
    return "A128GCM, A256GCM"


@_check("dc-fresh", "OpenID4VP 1.0 §5.2, §14.1, App. A.2")
def fresh(target: VerifierTarget) -> str:
    """Each question has a nonce of its own, and a key where answers are encrypted."""
    again = [PageAsked.of(each) for each in target.page_question(QuestionWish(_form(target))).requests]
    for one in _asked(target):
        for other in again:
            if "nonce" not in one.params or one.params["nonce"] == other.params.get("nonce"):
                raise Failed("a fresh nonce", "the same one twice, or none")
            if {str(key.get("x")) for key in one.keys} & {str(key.get("x")) for key in other.keys}:
                raise Failed("a fresh key", "the same one twice")
    return "fresh"


def _form(target: VerifierTarget) -> str:
    return SD_JWT if _of(target, SD_JWT) is not None else MDOC


# what it makes of answers


def _accepts(target: VerifierTarget, form: str) -> str:
    if _of(target, form) is None:
        raise NotApplicable(str(target.kept[f"page {form}"]))
    seen = []
    for protocol in [each.protocol for each in _asked(target)]:
        status = target.shown_in_page([target.mint.of(form)], wish=QuestionWish(form), protocol=protocol)
        if not 200 <= status < 300:
            raise Failed(f"2xx by {protocol}", str(status))
        seen.append(f"{status} by {protocol}")
    return ", ".join(seen)


@_check("dc-accepts-sd-jwt", "OpenID4VP 1.0 App. A.4, B.3.6")
def accepts_sd_jwt(target: VerifierTarget) -> str:
    """A good SD-JWT VC, bound to the page's origin, is taken by each protocol."""
    return _accepts(target, SD_JWT)


@_check("dc-accepts-mdoc", "OpenID4VP 1.0 App. A.4, B.2.6.2")
def accepts_mdoc(target: VerifierTarget) -> str:
    """A good mdoc, signed by the device for the page's origin, is taken by each protocol."""
    return _accepts(target, MDOC)


def _good_first(target: VerifierTarget, form: str) -> str:
    """A protocol by which a good answer is taken: else a refusal says nothing."""
    name = f"page accepts {form}"
    if name not in target.kept:
        try:
            _accepts(target, form)
            target.kept[name] = _asked(target)[0].protocol
        except (Failed, NotApplicable) as reason:
            target.kept[name] = NotApplicable(f"not even a good answer is taken: {reason}")
    found = target.kept[name]
    if isinstance(found, NotApplicable):
        raise NotApplicable(str(found))
    return str(found)


def _refused(status: int) -> str:
    if not 400 <= status < 500:
        raise Failed("4xx", str(status))
    return str(status)


class _Keeping(Conduct):
    """Keeps the presentations before they are encrypted; changes nothing."""

    def __init__(self) -> None:
        self.token: JsonObject = {}

    def change(self, piece: Piece[T], value: T, *, to: Endpoint) -> T:
        """See `Conduct`."""
        if piece is VP_TOKEN:
            self.token = cast("JsonObject", value)
        return value


@_check("dc-answer-from-elsewhere", "OpenID4VP 1.0 App. A.4, §14.1")
def answer_from_elsewhere(target: VerifierTarget) -> str:
    """A good answer that another page posts is refused."""
    form = _form(target)
    protocol = _good_first(target, form)
    credentials = [target.mint.of(form)]
    return _refused(
        target.shown_in_page(credentials, wish=QuestionWish(form), protocol=protocol, posted_from=_ELSEWHERE)
    )


@_check("dc-answer-twice", "OpenID4VP 1.0 §14.1")
def answer_twice(target: VerifierTarget) -> str:
    """An answer counts once."""
    form = _form(target)
    protocol = _good_first(target, form)
    return _refused(target.shown_in_page([target.mint.of(form)], wish=QuestionWish(form), protocol=protocol, posts=2))


@_check("dc-answer-to-another", "OpenID4VP 1.0 §14.1")
def answer_to_another(target: VerifierTarget) -> str:
    """The answer to one question is no answer to another."""
    form = _form(target)
    protocol = _good_first(target, form)
    first = target.page_question(QuestionWish(form))
    answer = target.page_answer(first, [target.mint.of(form)], protocol=protocol)
    return _refused(target.post_to_page(target.page_question(QuestionWish(form)), answer))


@_check("dc-answer-in-clear", "OpenID4VP 1.0 §8.3, App. A.4")
def answer_in_clear(target: VerifierTarget) -> str:
    """An answer in clear is refused where encryption was asked for."""
    form = _form(target)
    protocol = _good_first(target, form)
    if not str(_asked(target)[0].params.get("response_mode")).endswith(".jwt"):
        raise NotApplicable("answers are not encrypted")
    keeping, asked = _Keeping(), target.page_question(QuestionWish(form))
    target.page_answer(asked, [target.mint.of(form)], protocol=protocol, conduct=keeping)
    return _refused(target.post_to_page(asked, {"protocol": protocol, "data": {"vp_token": keeping.token}}))


@_check("dc-answer-by-another-protocol", "OpenID4VP 1.0 App. A.4")
def answer_by_another_protocol(target: VerifierTarget) -> str:
    """An answer by a protocol that was not offered is refused."""
    form = _form(target)
    protocol = _good_first(target, form)
    asked = target.page_question(QuestionWish(form))
    answer = target.page_answer(asked, [target.mint.of(form)], protocol=protocol)
    return _refused(target.post_to_page(asked, answer | {"protocol": "openid4vp-v0-made-up"}))


@_check("dc-answer-malformed", "OpenID4VP 1.0 App. A.4")
def answer_malformed(target: VerifierTarget) -> str:
    """What is no answer is refused, and breaks nothing."""
    form = _form(target)
    _good_first(target, form)
    asked = target.page_question(QuestionWish(form))
    bodies: tuple[object, ...] = ([], {}, {"protocol": 1, "data": []}, {"protocol": _asked(target)[0].protocol})
    return ", ".join(_refused(target.post_to_page(asked, body)) for body in bodies)


@_check("dc-answer-error", "OpenID4VP 1.0 §8.5, App. A.4")
def answer_error(target: VerifierTarget) -> str:
    """A wallet that declines is understood: nothing breaks."""
    asked = target.page_question(QuestionWish(_form(target)))
    body: JsonObject = {"protocol": _asked(target)[0].protocol, "data": {"error": "access_denied"}}
    status = target.post_to_page(asked, body)
    if status >= 500:
        raise Failed("no error of the server", str(status))
    return str(status)


@_check("dc-untrusted", "HAIP 1.0 §6.1.1; ISO/IEC 18013-5 §9.3.3")
def untrusted(target: VerifierTarget) -> str:
    """A credential by an issuer that nobody trusts is refused."""
    form = _form(target)
    protocol = _good_first(target, form)
    return _refused(target.shown_in_page([target.mint.stranger().of(form)], wish=QuestionWish(form), protocol=protocol))


def _misbehaving(name: str, form: str) -> Callable[[VerifierTarget], str]:
    def run(target: VerifierTarget) -> str:
        if _of(target, form) is None:
            raise NotApplicable(str(target.kept[f"page {form}"]))
        protocol, conduct = _good_first(target, form), Misconduct(find_misbehaviour(name))
        status = target.shown_in_page(
            [target.mint.of(form)], wish=QuestionWish(form), protocol=protocol, conduct=conduct
        )
        if not conduct.is_done:
            raise NotApplicable("the question gave no occasion for this")
        return _refused(status)

    return run


_WRONG = {
    "binding-nonce-wrong": SD_JWT,
    "binding-other-verifier": SD_JWT,
    "binding-other-holder": SD_JWT,
    "binding-stale": SD_JWT,
    "binding-missing": SD_JWT,
    "credential-digest-tampered": SD_JWT,
    "disclosure-missing": SD_JWT,
    "device-other-session": MDOC,
    "device-other-key": MDOC,
    "element-tampered": MDOC,
}
for _name, _form_of in _WRONG.items():
    _case = find_misbehaviour(_name)
    _title = f"Refused in a page: {_case.sentence[0].lower()}{_case.sentence[1:].rstrip('.')}"
    PAGE_CHECKS.enter(Check(f"dc-{_name}", _case.clause, _title, _misbehaving(_name, _form_of), EVERYWHERE))
