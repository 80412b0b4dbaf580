"""Checks of a verifier shown credentials with a status; the suite publishes the lists (Token Status List §8)."""

from collections.abc import Callable
from dataclasses import replace

from conformance.bent_token import Token
from conformance.check import Check, Failed, NotApplicable, Registry
from conformance.scene_status import REVOKED, SIZE, SUSPENDED, StatusScene
from conformance.verifier_target import MDOC, SD_JWT, QuestionWish, VerifierTarget
from specs.credentials.status_list import BITS, StatusMediaType

STATUS_CHECKS: Registry[VerifierTarget] = Registry()
_check = STATUS_CHECKS.check
_VALIDATION = "Token Status List §8.3"
_FORMATS = (SD_JWT, MDOC)


def _shown(target: VerifierTarget, form: str, **how: object) -> tuple[StatusScene, int]:
    """A credential with a status is shown; the list behind it, and the answer's status."""
    server = target.need_server()
    name = server.place()
    given = {"identity": target.identity.status.identity} | how
    scene = StatusScene(f"{server.url}/{name}", **given)  # type: ignore[arg-type]
    server.stage(name, scene)
    mint = replace(target.mint, status=scene.reference)
    return scene, target.shown([mint.of(form)], wish=QuestionWish(form))


def _taken(target: VerifierTarget, form: str, **how: object) -> StatusScene:
    scene, status = _shown(target, form, **how)
    if status != 200:
        raise Failed("200", str(status))
    if not scene.fetches:
        raise Failed("the status list fetched", "nobody asked for it")
    return scene


def _forms(target: VerifierTarget) -> list[str]:
    found = [form for form in _FORMATS if target.has(form)]
    if not found:
        raise NotApplicable("no question is to be had")
    return found


def _good_first(target: VerifierTarget, form: str) -> None:
    """Where a valid credential is refused for its status, other refusals say nothing."""
    name = f"status {form}"
    if name not in target.kept:
        target.kept[name] = _shown(target, form)[1]
    if target.kept[name] != 200:
        raise NotApplicable(f"not even a valid credential in {form} is taken")


@_check("vp-status-valid", f"{_VALIDATION}, §8.2")
def status_valid(target: VerifierTarget) -> str:
    """A credential whose status is VALID is taken, after its list was asked for by its media type."""
    target.need_server()
    seen = []
    for form in _forms(target):
        scene = _taken(target, form)
        accepts = [fetch.headers.get("accept", "") for fetch in scene.fetches]
        if not any(kind in accept for accept in accepts for kind in StatusMediaType):
            raise Failed(f"Accept: {' or '.join(StatusMediaType)}", accepts[-1] or "none")
        target.kept[f"status {form}"] = 200
        seen.append(f"{accepts[-1].rpartition('/')[2]} for {form}")
    return ", ".join(seen)


@_check("vp-status-bits", "Token Status List §4.1")
def status_bits(target: VerifierTarget) -> str:
    """Lists of 1, 2, 4 and 8 bits are read: what is VALID among others is taken, what is INVALID is not."""
    form = _forms(target)[0]
    _good_first(target, form)
    for bits in sorted(BITS):
        _taken(target, form, bits=bits)
        _refused(_shown(target, form, bits=bits, state=REVOKED)[1], f"with {bits} bits")
    return ", ".join(map(str, sorted(BITS)))


def _refused(status: int, which: str) -> str:
    if not 400 <= status < 500:
        raise Failed(f"4xx at once {which}", str(status))
    return f"{status} {which}".strip()


def _refuses(name: str, title: str, clause: str, **how: object) -> None:
    def run(target: VerifierTarget) -> str:
        target.need_server()
        seen = []
        for form in _forms(target):
            _good_first(target, form)
            seen.append(_refused(_shown(target, form, **how)[1], f"for {form}"))
        return ", ".join(seen)

    STATUS_CHECKS.enter(Check(name, clause, title, run))


_refuses("vp-status-revoked", "A revoked credential is refused", "Token Status List §7.1, §8.3", state=REVOKED)
_refuses("vp-status-suspended", "A suspended credential is refused", "Token Status List §7.1, §8.3", state=SUSPENDED)
_refuses("vp-status-list-expired", "A status list that has ended says nothing: refused", _VALIDATION, ends=-600)
_refuses("vp-status-list-missing", "A status list that is not there says nothing: refused", _VALIDATION, status=404)
_refuses(
    "vp-status-list-of-another",
    "A status list that is of another address says nothing: refused",
    _VALIDATION,
    subject="https://status.example/other",
)
_refuses(
    "vp-status-outside",
    "A credential whose place is not in its status list is refused",
    _VALIDATION,
    index=SIZE + 1,
)


@_check("vp-status-list-untrusted", "Token Status List §8.3, §11.3; HAIP 1.0 §6.1")
def status_list_untrusted(target: VerifierTarget) -> str:
    """A status list by a signer that nobody trusts says nothing: refused."""
    target.need_server()
    seen = []
    for form in _forms(target):
        _good_first(target, form)
        seen.append(_refused(_shown(target, form, identity=target.identity.stranger.identity)[1], f"for {form}"))
    return ", ".join(seen)


def _refuses_list(name: str, title: str, clause: str, bend: Callable[[Token], Token]) -> None:
    """A list that comes as JWT with one thing wrong, for an SD-JWT VC."""

    def run(target: VerifierTarget) -> str:
        target.need_server()
        if not target.has(SD_JWT):
            raise NotApplicable("no question for an SD-JWT VC is to be had")
        _good_first(target, SD_JWT)
        return _refused(_shown(target, SD_JWT, bend=bend)[1], "")

    STATUS_CHECKS.enter(Check(name, clause, title, run))


_refuses_list(
    "vp-status-list-signature",
    "A status list with a broken signature says nothing: refused",
    _VALIDATION,
    Token.spoilt,
)
_refuses_list(
    "vp-status-list-unsigned", "A status list with alg none says nothing: refused", _VALIDATION, Token.unsigned
)
_refuses_list(
    "vp-status-list-typ",
    "A status list of another typ says nothing: refused",
    "Token Status List §5.1; RFC 8725 §3.11",
    lambda token: token.head(typ="JWT"),
)
_refuses_list(
    "vp-status-list-undated",
    "A status list without iat says nothing: refused",
    "Token Status List §5.1",
    lambda token: token.without("iat"),
)
