"""Checks of a wallet that is offered something: how it collects, and from whom it does not."""

from collections.abc import Callable
from dataclasses import replace

from conformance.check import EVERYWHERE, GERMAN, HAIP, HIGH_ASSURANCE, PLAIN, Check, Failed, NotApplicable, Registry
from conformance.exchange import Answer
from conformance.minted import Mint
from conformance.scene_issuer import IssuerScene
from conformance.wallet_target import MDOC, WalletTarget
from specs.encoding.strict_json import JsonObject, JsonValue

COLLECTING_CHECKS: Registry[WalletTarget] = Registry()
_check = COLLECTING_CHECKS.check


def _offered(target: WalletTarget, **how: object) -> tuple[IssuerScene, Answer]:
    endpoint = target.need_offers()
    name = target.server.place()
    mint = how.pop("mint", None) or Mint(target.identity, target.credential)
    given: dict[str, object] = {"is_assured": target.profile != PLAIN}
    if target.profile == GERMAN:
        given["signs_metadata"] = target.identity.verifier.identity
    scene = IssuerScene(mint, f"{target.server.url}/{name}", target.provider_anchors, **(given | how))  # type: ignore[arg-type]
    target.server.stage(name, scene)
    return scene, target.called(endpoint, scene.link)


def _collected(scene: IssuerScene, answer: Answer) -> IssuerScene:
    if answer.status >= 400 or "credential" not in scene.steps:
        raise Failed("a credential request, and no error", f"status {answer.status} after {', '.join(scene.steps)}")
    return scene


def _happy(target: WalletTarget) -> IssuerScene:
    """One issuance by the book, with a transaction code of nobody, shared by the checks of its steps."""
    if "issuance" not in target.kept:
        target.kept["issuance"], _ = _offered(target)
    scene = target.kept["issuance"]
    assert isinstance(scene, IssuerScene)
    return scene


@_check("wi-collects-sd-jwt", "OpenID4VCI 1.0 §4 to §8")
def collects_sd_jwt(target: WalletTarget) -> str:
    """An SD-JWT VC that is offered with a pre-authorized code is collected."""
    scene, answer = _offered(target)
    target.kept["issuance"] = scene
    _collected(scene, answer)
    return f"{scene.copies} credential"


@_check("wi-collects-mdoc", "OpenID4VCI 1.0 §4 to §8, App. A.2")
def collects_mdoc(target: WalletTarget) -> str:
    """An mdoc that is offered is collected."""
    return f"{_collected(*_offered(target, form=MDOC)).copies} credential"


def _step(name: str, step: str, title: str, clause: str, profiles: frozenset[str] = EVERYWHERE) -> None:
    def run(target: WalletTarget) -> str:
        return _happy(target).finding(step)

    COLLECTING_CHECKS.enter(Check(name, clause, title, run, profiles))


_ATTESTATION = "HAIP 1.0 §4.4.1; draft-ietf-oauth-attestation-based-client-auth-07 §5, §8"
_step(
    "wi-attestation",
    "client attestation",
    "The wallet proves who it is, with the server's fresh challenge",
    _ATTESTATION,
    HIGH_ASSURANCE,
)
_step(
    "wi-dpop",
    "DPoP proof",
    "Tokens are asked for and used with DPoP proofs",
    "HAIP 1.0 §4; RFC 9449 §4.2, §7.1",
    HIGH_ASSURANCE,
)
_step("wi-token-request", "token request", "The token request carries the code of the offer", "OpenID4VCI 1.0 §6.1")
_step(
    "wi-access-token",
    "access token",
    "The access token is borne as its type says, DPoP under HAIP, never in the query",
    "RFC 9449 §7.1; RFC 6750 §5.3",
)
_step(
    "wi-proof",
    "key proof",
    "The key proof is typed, dated, for this issuer, with its fresh nonce",
    "OpenID4VCI 1.0 §8.2, App. F.1",
)


@_check("wi-metadata-addresses", "OpenID4VCI 1.0 §12.2.2; RFC 8414 §3.1")
def metadata_addresses(target: WalletTarget) -> str:
    """Metadata are looked for at the well-known addresses of issuer and authorization server."""
    missing = {"openid-credential-issuer", "oauth-authorization-server"} - set(_happy(target).steps)
    if missing:
        raise Failed("both documents fetched", f"not {', '.join(sorted(missing))}")
    return "both fetched"


@_check("wi-notification", "OpenID4VCI 1.0 §11.1", is_advice=True)
def notification(target: WalletTarget) -> str:
    """The issuer is told that the credential was stored."""
    scene = _happy(target)
    scene.finding("notification")
    if "credential_accepted" not in scene.events:
        raise Failed("credential_accepted", ", ".join(scene.events))
    return "credential_accepted"


@_check("wi-batch", "OpenID4VCI 1.0 §8.2, §12.2.4")
def batch(target: WalletTarget) -> str:
    """Of an issuer of batches the wallet asks for no more copies than it offers, each for a key of its own."""
    scene = _collected(*_offered(target, batch=10))
    scene.finding("key proof")
    return f"{scene.copies} copies"


@_check("wi-key-attestation", "OpenID4VCI 1.0 App. D, F.1; HAIP 1.0 §4.5.1", profiles=frozenset((HAIP, PLAIN)))
def key_attestation(target: WalletTarget) -> str:
    """Where the issuer demands it, the keys that are proved are attested, with its fresh nonce."""
    return _collected(*_offered(target, wants_attested_keys=True)).finding("key proof")


@_check("wi-encrypted", "OpenID4VCI 1.0 §8.2, §10")
def encrypted(target: WalletTarget) -> str:
    """Where the issuer demands it, request and answer are encrypted."""
    scene = _collected(*_offered(target, is_encrypted=True))
    return scene.finding("encryption")


@_check("wi-deferred", "OpenID4VCI 1.0 §9.1")
def deferred(target: WalletTarget) -> str:
    """A credential that comes later is fetched at the deferred endpoint."""
    scene = _collected(*_offered(target, is_deferred=True))
    if "deferred" not in scene.steps:
        raise Failed("a deferred request", ", ".join(scene.steps))
    return "fetched"


@_check("wi-unknown-members", "OpenID4VCI 1.0 §12.2.4, §6.2, §8.3; RFC 8414 §3.2")
def unknown_members(target: WalletTarget) -> str:
    """Members that the wallet does not know are ignored in metadata and answers."""

    def more(document: JsonObject) -> JsonObject:
        return document | {"x_unknown": {"a": [1]}}

    scene, answer = _offered(target, metadata_edit=more, server_edit=more, token_edit=more)
    return f"{_collected(scene, answer).copies} credential"


@_check("wi-token-type-case", "RFC 6749 §5.1")
def token_type_case(target: WalletTarget) -> str:
    """token_type is read without case, and expires_in may be missing."""

    def edit(answer: JsonObject) -> JsonObject:
        return {"access_token": answer["access_token"], "token_type": str(answer["token_type"]).swapcase()}

    return f"{_collected(*_offered(target, token_edit=edit)).copies} credential"


# with a login


@_check("wi-login", "OpenID4VCI 1.0 §5; HAIP 1.0 §4; RFC 9126 §2")
def login(target: WalletTarget) -> str:
    """An offer without code leads through a request with PKCE, state and issuer_state, pushed by HAIP, and a login."""
    scene = _collected(*_offered(target, wants_login=True))
    pushed = ("pushed request",) if target.profile in HIGH_ASSURANCE else ()
    for step in (*pushed, "authorization request", "token request"):
        scene.finding(step)
    return "authorized, redeemed"


def _refuses(
    name: str, title: str, clause: str, steps: tuple[str, str], *, profiles: frozenset[str] = EVERYWHERE, **how: object
) -> None:
    """The wallet goes to the first of the steps, where it meets the defect, not to the other, and shows an error."""
    reached, before = steps

    def run(target: WalletTarget) -> str:
        if "credential" not in _happy(target).steps:
            raise NotApplicable("not even a good offer is collected")
        given = dict(how)
        if given.pop("by_stranger", False):
            given["signs_metadata"] = target.identity.stranger.identity
        scene, answer = _offered(target, **given)
        if before in scene.steps:
            raise Failed(f"no {before} request", f"one after {', '.join(scene.steps)}")
        if reached not in scene.steps:  # a wallet that stops earlier may stop for another reason
            raise NotApplicable(f"the wallet comes only as far as {', '.join(scene.steps) or 'the offer'}")
        if answer.status < 400:
            raise Failed("an error page", f"status {answer.status}")
        return f"stopped after {scene.steps[-1] if scene.steps else 'the offer'}"

    COLLECTING_CHECKS.enter(Check(name, clause, title, run, profiles))


def _members(**changes: str | None) -> Callable[[dict[str, str]], dict[str, str]]:
    return lambda members: {name: value for name, value in {**members, **changes}.items() if value is not None}


def _as_bearer(answer: JsonObject) -> JsonObject:
    return answer | {"token_type": "Bearer"}


def _document(**changes: JsonValue) -> Callable[[JsonObject], JsonObject]:
    return lambda document: document | changes


_refuses(
    "wi-metadata-issuer",
    "Metadata of another issuer are refused",
    "OpenID4VCI 1.0 §12.2.4",
    ("openid-credential-issuer", "token"),
    metadata_edit=_document(credential_issuer="https://other.example"),
)
_refuses(
    "wi-server-issuer",
    "Metadata of another authorization server are refused",
    "RFC 8414 §3.3",
    ("oauth-authorization-server", "token"),
    server_edit=_document(issuer="https://other.example"),
)
_refuses(
    "wi-iss-missing",
    "An authorization answer without iss is refused",
    "RFC 9207 §2.4; HAIP 1.0 §4",
    ("authorize", "token"),
    wants_login=True,
    redirect_edit=_members(iss=None),
)
_refuses(
    "wi-iss-other",
    "An authorization answer of another server is refused",
    "RFC 9207 §2.4",
    ("authorize", "token"),
    wants_login=True,
    redirect_edit=_members(iss="https://other.example"),
)
_refuses(
    "wi-state-missing",
    "An authorization answer without state is refused",
    "RFC 6749 §4.1.2, §10.12",
    ("authorize", "token"),
    wants_login=True,
    redirect_edit=_members(state=None),
)
_refuses(
    "wi-state-other",
    "An authorization answer with another state is refused",
    "RFC 6749 §4.1.2, §10.12",
    ("authorize", "token"),
    wants_login=True,
    redirect_edit=_members(state="another-state-of-nobody"),
)
_refuses(
    "wi-login-denied",
    "An authorization error ends the collection",
    "RFC 6749 §4.1.2.1",
    ("authorize", "token"),
    wants_login=True,
    redirect_edit=_members(code=None, error="access_denied"),
)
_refuses(
    "wi-token-bearer",
    "A Bearer token where DPoP was agreed is refused",
    "RFC 9449 §5; HAIP 1.0 §4",
    ("token", "credential"),
    profiles=HIGH_ASSURANCE,
    token_edit=_as_bearer,
)
_refuses(
    "de-metadata-unsigned",
    "An issuer whose metadata are not signed is refused",
    "HAIP 1.0 §4.1; ETSI TS 119 472-3 §4.2.3",
    ("openid-credential-issuer", "token"),
    profiles=frozenset((GERMAN,)),
    signs_metadata=None,
)
_refuses(
    "de-metadata-untrusted",
    "An issuer whose metadata nobody trusted signed is refused",
    "HAIP 1.0 §4.1; ETSI TS 119 472-3 §4.2.3",
    ("openid-credential-issuer", "token"),
    profiles=frozenset((GERMAN,)),
    by_stranger=True,
)


def _keeps_nothing(name: str, title: str, clause: str, **how: object) -> None:
    """What was issued is not kept: the wallet shows an error, and says nothing of a credential that was accepted."""

    def run(target: WalletTarget) -> str:
        given = dict(how)
        if given.pop("by_stranger", False):
            given["mint"] = Mint(target.identity, target.credential).stranger()
        if given.pop("of_another_type", False):
            other = target.credential.model_copy(update={"vct": "urn:example:other:1"})
            known = target.credential.vct

            def edit(metadata: JsonObject) -> JsonObject:
                supported = metadata["credential_configurations_supported"]
                assert isinstance(supported, dict)
                changed = {name: {**each, "vct": known} for name, each in supported.items() if isinstance(each, dict)}
                return metadata | {"credential_configurations_supported": dict(changed)}

            given["mint"] = replace(Mint(target.identity, target.credential), credential=other)
            given["metadata_edit"] = edit
        scene, answer = _offered(target, **given)
        if "credential" not in scene.steps:
            raise NotApplicable(f"the wallet does not ask for the credential at all: {', '.join(scene.steps)}")
        if answer.status < 400 or "credential_accepted" in scene.events:
            raise Failed("an error page, and no word that it was accepted", f"status {answer.status}")
        return f"an error page, {', '.join(scene.events) or 'no notification'}"

    COLLECTING_CHECKS.enter(Check(name, clause, title, run))


def _spoilt(credentials: list[str]) -> list[str]:
    jwt, tilde, rest = credentials[0].partition("~")
    return [f"{jwt[:-6]}AAAAAA{tilde}{rest}"]


_keeps_nothing(
    "wi-credential-signature",
    "A credential with a broken signature is not kept",
    "RFC 9901 §7.1, §7.2",
    credentials_edit=_spoilt,
)
_keeps_nothing(
    "wi-credential-untrusted",
    "A credential by an issuer that nobody trusts is not kept",
    "HAIP 1.0 §6.1.1",
    by_stranger=True,
)
_keeps_nothing(
    "wi-credential-other-key",
    "A credential for another key is not kept",
    "OpenID4VCI 1.0 §8.2; RFC 7800 §3",
    binds_to_another=True,
)
_keeps_nothing(
    "wi-credential-other-type",
    "A credential of another type is not kept",
    "OpenID4VCI 1.0 App. A.3.2",
    of_another_type=True,
)
_keeps_nothing(
    "wi-credential-twice",
    "More credentials than keys were shown are not kept",
    "OpenID4VCI 1.0 §8.3",
    credentials_edit=lambda credentials: [*credentials, *credentials],
)
_keeps_nothing(
    "wi-credential-garbage",
    "What is no credential is not kept",
    "RFC 9901 §4",
    credentials_edit=lambda _credentials: ["no credential"],
)
