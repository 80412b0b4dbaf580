"""Checks of what a verifier makes of answers: good ones it takes, misbehaving wallets it refuses.

The misbehaving wallets are the simulated wallet's own list; each of them is a check. What is wrong with credentials
themselves (dates, issuers, types) is minted here.
"""

from collections.abc import Callable
from dataclasses import replace
from typing import TypeVar, cast

import httpx

from conformance.bent_token import Bend, Token, opened
from conformance.check import EVERYWHERE, HIGH_ASSURANCE, Check, Failed, NotApplicable, Registry
from conformance.exchange import JSON
from conformance.minted import DAY, Mint
from conformance.scene_status import StatusScene
from conformance.verifier_target import MDOC, SD_JWT, QuestionWish, VerifierTarget
from specs.credentials.sd_jwt import SdJwt
from specs.encoding import strict_json
from specs.keys.signer import FileSigner
from wallet_sim.conduct import Conduct, Endpoint, Piece, ShownSdJwt
from wallet_sim.misbehaviour import Misbehaviour, Misconduct, Need, Phase, misbehaviours
from wallet_sim.store import StoredCredential

ANSWER_CHECKS: Registry[VerifierTarget] = Registry()
_check = ANSWER_CHECKS.check
_FORMATS = (SD_JWT, MDOC)
_STATUS_REMOVED = "credential-status-removed"
_MDL = "org.iso.18013.5.1.mDL"
T = TypeVar("T")


def _accepted(target: VerifierTarget, form: str) -> int:
    target.first(form)
    return target.shown([target.mint.of(form)], wish=QuestionWish(form))


@_check("vp-accepts-sd-jwt", "OpenID4VP 1.0 §8.2, App. B.3; RFC 9901 §7.3")
def accepts_sd_jwt(target: VerifierTarget) -> str:
    """A good SD-JWT VC with a minimal cnf and fresh key binding is taken, 200."""
    return _taken(_accepted(target, SD_JWT))


@_check("vp-accepts-mdoc", "OpenID4VP 1.0 §8.2, App. B.2; ISO/IEC 18013-5 §9.1")
def accepts_mdoc(target: VerifierTarget) -> str:
    """A good mdoc, signed by the device over this session, is taken, 200."""
    return _taken(_accepted(target, MDOC))


def _taken(status: int) -> str:
    if status != 200:
        raise Failed("200", str(status))
    return "200"


@_check("vp-accepts-posted-request", "OpenID4VP 1.0 §5.10")
def accepts_posted_request(target: VerifierTarget) -> str:
    """A good answer to a request that was posted for is taken."""
    form = _form(target)
    link = target.questions(QuestionWish(form, method="post"))
    if "request_uri_method=post" not in link:
        raise NotApplicable("the verifier does not let its request be posted for")
    return _taken(target.shown([target.mint.of(form)], wish=QuestionWish(form, method="post")))


def _form(target: VerifierTarget) -> str:
    for form in _FORMATS:
        try:
            target.first(form)
        except NotApplicable:
            continue
        return form
    raise NotApplicable("no question is to be had")


@_check("vp-answer-json", "OpenID4VP 1.0 §8.2")
def answer_json(target: VerifierTarget) -> str:
    """The response endpoint answers with a JSON object; redirect_uri in it is an https URL."""
    document = _endpoint_answer(target)
    where = document.get("redirect_uri")
    if where is not None and not (
        isinstance(where, str) and where.startswith(("https://", "http://localhost", "http://127."))
    ):
        raise Failed("redirect_uri, an https URL", "something else")
    return ", ".join(sorted(document)) or "an empty object"


@_check("vp-answer-members", "OpenID4VP 1.0 §8.2", is_advice=True)
def answer_members(target: VerifierTarget) -> str:
    """The response endpoint's answer holds redirect_uri alone."""
    unknown = sorted(_endpoint_answer(target).keys() - {"redirect_uri"})
    if unknown:
        raise Failed("redirect_uri alone", f"also {', '.join(unknown)}")
    return "nothing else"


@_check("vp-answer-redirect", "HAIP 1.0 §5.1", profiles=HIGH_ASSURANCE)
def answer_redirect(target: VerifierTarget) -> str:
    """The wallet is told where the person goes on."""
    if "redirect_uri" not in _endpoint_answer(target):
        raise Failed("redirect_uri", "none")
    return "told"


def _endpoint_answer(target: VerifierTarget) -> dict[str, object]:
    form, bodies = _form(target), list[bytes]()

    def keep(response: httpx.Response) -> None:
        if response.request.method == "POST" and response.headers.get("content-type", "").startswith(JSON):
            bodies.append(response.content)

    target.client.event_hooks["response"].append(keep)
    try:
        _taken(target.shown([target.mint.of(form)], wish=QuestionWish(form)))
    finally:
        target.client.event_hooks["response"].remove(keep)
    if not bodies:
        raise Failed("application/json", "another content type")
    return dict(strict_json.parse_object(bodies[-1]))


# credentials with one thing wrong


def _refuses(name: str, title: str, clause: str, make: Callable[[Mint], StoredCredential], form: str) -> None:
    def run(target: VerifierTarget) -> str:
        _good_first(target, form)
        return _refused(target.shown([make(target.mint)], wish=QuestionWish(form)))

    ANSWER_CHECKS.enter(Check(name, clause, title, run, EVERYWHERE))


def _refused(status: int) -> str:
    if not 400 <= status < 500:
        raise Failed("4xx at once", str(status))
    return str(status)


def _good_first(target: VerifierTarget, form: str) -> None:
    """Where even a good credential is refused, a refusal says nothing."""
    name = f"accepted {form}"
    if name not in target.kept:
        target.kept[name] = _accepted(target, form)
    if target.kept[name] != 200:
        raise NotApplicable(f"not even a good credential in {form} is taken")


class _Reissued(Conduct):
    """Shows a credential that its issuer made otherwise than the wallet took it: its JWT is bent and signed."""

    def __init__(self, bend: Bend, signer: FileSigner) -> None:
        self._bend, self._signer = bend, signer

    def change(self, piece: Piece[T], value: T, *, to: Endpoint) -> T:
        """See `Conduct`."""
        if not isinstance(value, ShownSdJwt):
            return value
        jwt = str(self._bend(opened(value.chosen.issuer_jwt, self._signer)))
        bent = ShownSdJwt(value.held, SdJwt((jwt.encode(), *value.chosen.parts[1:]), None))
        return cast("T", bent)


def _refuses_jwt(name: str, title: str, clause: str, bend: Bend) -> None:
    def run(target: VerifierTarget) -> str:
        _good_first(target, SD_JWT)
        signer = target.identity.issuer.identity.signer
        assert isinstance(signer, FileSigner)
        return _refused(target.shown([target.mint.sd_jwt()], conduct=_Reissued(bend, signer)))

    ANSWER_CHECKS.enter(Check(name, clause, title, run))


_VALID, _VC, _X5C = "RFC 9901 §7.1; RFC 7519 §4.1", "SD-JWT VC §2.2", "HAIP 1.0 §6.1.1"
_refuses(
    "vp-expired",
    "An SD-JWT VC that has ended is refused",
    _VALID,
    lambda mint: replace(mint, begins=-9 * DAY, ends=-DAY).sd_jwt(),
    SD_JWT,
)
_refuses(
    "vp-not-yet",
    "An SD-JWT VC that is not valid yet is refused",
    _VALID,
    lambda mint: replace(mint, begins=DAY).sd_jwt(),
    SD_JWT,
)
_refuses(
    "vp-untrusted",
    "An SD-JWT VC by an issuer that nobody trusts is refused",
    _X5C,
    lambda mint: mint.stranger().sd_jwt(),
    SD_JWT,
)
_refuses_jwt("vp-issuer-signature", "An SD-JWT VC with a broken signature is refused", "RFC 9901 §7.1", Token.spoilt)
_refuses_jwt("vp-issuer-unsigned", "An SD-JWT VC with alg none is refused", "RFC 9901 §7.1", Token.unsigned)
_refuses_jwt("vp-issuer-typ", "An SD-JWT VC of another typ is refused", _VC, lambda token: token.head(typ="JWT"))
_refuses_jwt(
    "vp-issuer-no-x5c",
    "An SD-JWT VC that does not say who signed it is refused",
    _X5C,
    lambda token: token.without_head("x5c"),
)
_refuses_jwt(
    "vp-no-cnf",
    "An SD-JWT VC that is bound to no key is refused",
    "OpenID4VP 1.0 App. B.3.6",
    lambda token: token.without("cnf"),
)
_refuses_jwt(
    "vp-critical",
    "An SD-JWT VC with a critical header that nobody knows is refused",
    "RFC 7515 §4.1.11",
    lambda token: token.head(crit=["x-new"], **{"x-new": True}),
)
_refuses_jwt(
    "vp-digest-algorithm",
    "An SD-JWT VC with an unknown digest algorithm is refused",
    "RFC 9901 §7.1",
    lambda token: token.claim(_sd_alg="md5"),
)
_refuses_jwt(
    "vp-status-unreachable",
    "An SD-JWT VC whose status can't be found out is refused",
    "Token Status List §8.3",
    lambda token: token.claim(status={"status_list": {"idx": 1, "uri": "https://localhost:1/status"}}),
)
_refuses(
    "vp-mdoc-expired",
    "An mdoc that has ended is refused",
    "ISO/IEC 18013-5 §9.1.2.5",
    lambda mint: replace(mint, begins=-9 * DAY, ends=-DAY).mdoc(),
    MDOC,
)
_refuses(
    "vp-mdoc-not-yet",
    "An mdoc that is not valid yet is refused",
    "ISO/IEC 18013-5 §9.1.2.5",
    lambda mint: replace(mint, begins=DAY).mdoc(),
    MDOC,
)
_refuses(
    "vp-mdoc-untrusted",
    "An mdoc by an issuer that nobody trusts is refused",
    "ISO/IEC 18013-5 §9.3.3",
    lambda mint: mint.stranger().mdoc(),
    MDOC,
)


# wallets that misbehave


def _other_type(mint: Mint, form: str) -> StoredCredential:
    credential = mint.credential.model_copy(update={"vct": "urn:example:other:1", "doctype": "org.example.other.1"})
    return replace(mint, credential=credential).of(form)


def _misbehaving(case: Misbehaviour) -> Callable[[VerifierTarget], str]:
    def run(target: VerifierTarget) -> str:
        seen, reasons = [], []
        for form in case.formats:
            try:
                target.first(form)
                _good_first(target, form)
                seen.append(f"{_reaction(target, case, form)} for {form}")
            except NotApplicable as reason:
                reasons.append(str(reason))
        if not seen:
            raise NotApplicable("; ".join(dict.fromkeys(reasons)))
        return ", ".join(seen)

    return run


def _reaction(target: VerifierTarget, case: Misbehaviour, form: str) -> str:
    _occasion(target, case, form)
    conduct = Misconduct(case)
    mint = target.mint
    if case.id == _STATUS_REMOVED:
        server = target.need_server()
        name = server.place()
        scene = StatusScene(f"{server.url}/{name}", target.identity.status.identity)
        server.stage(name, scene)
        mint = replace(mint, status=scene.reference)
    credentials = [mint.of(form)]
    if Need.ANOTHER_TYPE in case.needs:
        credentials.append(_other_type(target.mint, form))
    status = target.shown(
        credentials, wish=QuestionWish(form), conduct=conduct, times=2 if Need.EARLIER in case.needs else 1
    )
    if not conduct.is_done:
        raise NotApplicable("the question gave no occasion for this")
    if not case.reaction.is_refusal or 200 in case.reaction.statuses:
        if status not in case.reaction.statuses:
            raise Failed(str(case.reaction), str(status))
        return str(status)
    return _refused(status)


def _occasion(target: VerifierTarget, case: Misbehaviour, form: str) -> None:
    """Raises NotApplicable where what the wallet does would change nothing."""
    if case.id == "document-other-type" and target.credential.doctype == _MDL:
        raise NotApplicable("the mdoc is a driving licence already")
    params = target.first(form).params
    if Need.ENCRYPTED_ANSWERS in case.needs and not str(params.get("response_mode")).endswith(".jwt"):
        raise NotApplicable("answers are not encrypted")
    if Need.TRANSACTION_DATA in case.needs and "transaction_data" not in params:
        raise NotApplicable("the question carries no transaction data")


for _case in misbehaviours(Phase.PRESENTATION):
    _title = f"Refused: {_case.sentence[0].lower()}{_case.sentence[1:].rstrip('.')}"
    if 200 in _case.reaction.statuses:
        _title = f"Nothing comes of it: {_case.sentence[0].lower()}{_case.sentence[1:].rstrip('.')}"
    ANSWER_CHECKS.enter(Check(f"vp-{_case.id}", _case.clause, _title, _misbehaving(_case)))
