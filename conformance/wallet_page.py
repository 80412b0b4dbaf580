"""Checks of a wallet that is asked through the Digital Credentials API (OpenID4VP 1.0 App. A; HAIP 1.0 §5.2).

The suite is page and browser: the wallet's address for it takes `{"origin": …, "request": {"digital": {"requests":
[…]}}}` and answers as `navigator.credentials.get` does, `{"protocol": …, "data": …}`, or with an error.
"""

import secrets
import time
from collections.abc import Callable
from dataclasses import dataclass, field, replace

from conformance.bent_token import Bend, Token, straight
from conformance.check import HAIP, PLAIN, Check, Failed, NotApplicable, Registry
from conformance.exchange import JSON, NoAnswer
from conformance.identity import SuiteIdentity
from conformance.wallet_target import MDOC, WalletTarget
from specs.credentials import mdoc
from specs.credentials.key_binding import parse_key_binding, verify_key_binding
from specs.credentials.mdoc_device import verify_device_auth
from specs.credentials.sd_jwt import parse_sd_jwt
from specs.credentials.sd_jwt_vc import holder_key, parse_issuer_jwt, read_sd_jwt_vc
from specs.credentials.session_transcript import dc_api_transcript
from specs.encoding import Malformed, base64url, strict_json
from specs.encoding.strict_json import JsonObject, JsonValue
from specs.keys.jose import thumbprint_bytes, x5c_header
from specs.keys.jwe import DecryptionKey, decrypt, new_decryption_key
from specs.keys.signer import FileSigner, SigningIdentity
from specs.protocols.openid4vp import ALL_FORMATS, DcApiProtocol, build_client_metadata
from specs.protocols.openid4vp.client_id import x509_hash_client_id

PAGE_CHECKS: Registry[WalletTarget] = Registry()
_PROFILES = frozenset((HAIP, PLAIN))  # builds of the German wallet announce the interface, and have it not yet
_ORIGIN = "https://verifier.example"
_TYP = "oauth-authz-req+jwt"
Edit = Callable[[JsonObject], JsonObject]


def _same(params: JsonObject) -> JsonObject:
    return params


@dataclass
class _Asked:
    """One question of a page. edit: of its parameters; bend: of the suite's signature; last: of the stranger's beside
    it, where there are several."""

    identity: SuiteIdentity
    query: JsonObject
    protocol: str = DcApiProtocol.SIGNED
    edit: Edit = _same
    bend: Bend = straight
    last: Bend = straight
    key: DecryptionKey = field(default_factory=lambda: new_decryption_key(secrets.token_hex(4)))
    nonce: str = field(default_factory=lambda: base64url.encode(secrets.token_bytes(32)))
    answer: JsonObject = field(default_factory=dict)

    def entry(self) -> JsonObject:
        """What the page hands to the browser."""
        params: JsonObject = {
            "response_type": "vp_token",
            "response_mode": "dc_api.jwt",
            "nonce": self.nonce,
            "dcql_query": self.query,
            "client_metadata": build_client_metadata(formats=ALL_FORMATS, response_keys=[self.key.public_jwk()]),
        }
        if self.protocol == DcApiProtocol.UNSIGNED:
            return {"protocol": self.protocol, "data": self.edit(params)}
        now = int(time.time())
        dated: JsonObject = {"aud": "https://self-issued.me/v2", "iat": now, "exp": now + 300}
        params = self.edit(params | dated | {"expected_origins": [_ORIGIN]})
        verifier = self.identity.verifier.identity
        if self.protocol == DcApiProtocol.SIGNED:
            named: JsonObject = {"client_id": _client_id(verifier)}
            token = self.bend(_signed(params | named, verifier, {}))
            return {"protocol": self.protocol, "data": {"request": str(token)}}
        signed = [
            str(bend(_signed(params, signer, {"client_id": _client_id(signer)}))).split(".")
            for signer, bend in ((self.identity.stranger.identity, self.last), (verifier, self.bend))
        ]
        signatures: list[JsonValue] = [{"protected": head, "signature": end} for head, _, end in signed]
        return {
            "protocol": self.protocol,
            "data": {"request": {"payload": signed[0][1], "signatures": signatures}},
        }

    def presented(self) -> str:
        """The one presentation of the answer, opened.

        Raises:
            Failed: there is none, or it is not encrypted to the question's key.
        """
        data = self.answer.get("data")
        if self.answer.get("protocol") != self.protocol or not isinstance(data, dict) or "response" not in data:
            raise Failed(f"an encrypted answer by {self.protocol}", ", ".join(sorted(self.answer)) or "none")
        payload = decrypt(str(data["response"]), keys={self.key.kid: self.key}).payload
        token = strict_json.parse_object(payload).get("vp_token")
        found = token.get("credential") if isinstance(token, dict) else None
        if not isinstance(found, list) or len(found) != 1:
            raise Failed("vp_token with one presentation", "something else")
        return str(found[0])


def _client_id(signer: SigningIdentity) -> str:
    return x509_hash_client_id(signer.chain[0]).text


def _signed(params: JsonObject, signer: SigningIdentity, header: JsonObject) -> Token:
    assert isinstance(signer.signer, FileSigner)
    chain: list[JsonValue] = [*x5c_header(signer.chain)]
    whole: JsonObject = {"alg": "ES256", "typ": _TYP, "x5c": chain, **header}
    return Token(whole, params, signer.signer)


def _ask(target: WalletTarget, query: JsonObject | None = None, **how: object) -> _Asked:
    endpoint = target.dc_api_endpoint
    if endpoint is None:
        raise NotApplicable("the settings name no address that stands for the browser's interface")
    given: dict[str, object] = {"identity": target.identity, "query": query or target.query()}
    asked = _Asked(**(given | how))  # type: ignore[arg-type]
    requests: list[JsonValue] = [asked.entry()]
    body: JsonObject = {"origin": _ORIGIN, "request": {"digital": {"requests": requests}}}
    try:
        came = target.caller.send("POST", endpoint, headers={"Content-Type": JSON}, body=strict_json.dumps(body))
    except NoAnswer as silence:
        raise Failed("an answer of the wallet", str(silence)) from None
    if came.status == 200:
        try:
            asked.answer = came.json_object()
        except Malformed:
            raise Failed("an answer in JSON", came.described) from None
    return asked


def _claims(target: WalletTarget, asked: _Asked) -> str:
    sd_jwt = parse_sd_jwt(asked.presented())
    issuer_key = target.identity.issuer.identity.signer.public_key
    credential = read_sd_jwt_vc(parse_issuer_jwt(sd_jwt), issuer_key=issuer_key)
    verify_key_binding(
        parse_key_binding(sd_jwt),
        holder_key=holder_key(credential),
        hashed_part=sd_jwt.hashed_part,
        sd_alg=credential.processed.sd_alg,
        expected_nonce=asked.nonce,
        expected_audience=f"origin:{_ORIGIN}",
        now=int(time.time()),
    )
    return f"{len(list(credential.processed.places))} claims"


_Run = Callable[[WalletTarget], str]


def _check(name: str, clause: str, *, is_advice: bool = False) -> Callable[[_Run], _Run]:
    return PAGE_CHECKS.check(name, clause, profiles=_PROFILES, is_advice=is_advice)


@_check("wd-answers-sd-jwt", "OpenID4VP 1.0 App. A.4, B.3.6")
def answers_sd_jwt(target: WalletTarget) -> str:
    """A signed question of a page is answered, encrypted, with a key binding for the page's origin."""
    return _claims(target, _ask(target))


@_check("wd-answers-mdoc", "OpenID4VP 1.0 App. A.4, B.2.6.2")
def answers_mdoc(target: WalletTarget) -> str:
    """An mdoc is shown to a page, signed by its device for the page's origin."""
    asked = _ask(target, target.query(MDOC))
    document = mdoc.sole_document(mdoc.parse_device_response(base64url.decode(asked.presented())))
    read = mdoc.parse_mso(document.issuer_signed)
    thumbprint = thumbprint_bytes(asked.key.public_jwk())
    transcript = dc_api_transcript(origin=_ORIGIN, nonce=asked.nonce, jwk_thumbprint=thumbprint)
    verify_device_auth(document, read, session_transcript=transcript)
    return f"{len(list(mdoc.verify_elements(document.issuer_signed, read).disclosed))} elements"


@_check("wd-answers-unsigned", "OpenID4VP 1.0 App. A.2, A.3.1", is_advice=True)
def answers_unsigned(target: WalletTarget) -> str:
    """A question that nobody signed is answered to the page's origin."""
    return _claims(target, _ask(target, protocol=DcApiProtocol.UNSIGNED))


@_check("wd-one-good-signature", "OpenID4VP 1.0 App. A.3.2.2", is_advice=True)
def one_good_signature(target: WalletTarget) -> str:
    """Of several signatures one that is right and trusted is enough."""
    asked = _ask(target, protocol=DcApiProtocol.MULTI_SIGNED, last=Token.spoilt)
    return _claims(target, asked)


def _refuses(name: str, title: str, clause: str, **how: object) -> None:
    def run(target: WalletTarget) -> str:
        if "page" not in target.kept:
            target.kept["page"] = "response" in str(_ask(target).answer.get("data"))
        if not target.kept["page"]:
            raise NotApplicable("not even a good question of a page is answered")
        given = dict(how)
        if given.pop("by_stranger", False):
            given["identity"] = replace(target.identity, verifier=target.identity.stranger)
        data = _ask(target, None, **given).answer.get("data")
        if isinstance(data, dict) and data.keys() & {"response", "vp_token"}:
            raise Failed("no answer, or an error", "an answer")
        return f"error {data['error']}" if isinstance(data, dict) and "error" in data else "no answer"

    PAGE_CHECKS.enter(Check(name, clause, title, run, _PROFILES))


_refuses(
    "wd-other-origins",
    "A question that was signed for other pages is refused",
    "OpenID4VP 1.0 App. A.2",
    edit=lambda params: params | {"expected_origins": ["https://other.example"]},
)
_refuses(
    "wd-no-origins",
    "A signed question that names no origins is refused",
    "OpenID4VP 1.0 App. A.2",
    edit=lambda params: {name: value for name, value in params.items() if name != "expected_origins"},
)
_refuses(
    "wd-signature",
    "A question of a page with a broken signature is refused",
    "OpenID4VP 1.0 App. A.3.2, §5.9.3",
    bend=Token.spoilt,
)
_refuses(
    "wd-untrusted",
    "A page whose certificate nobody trusted issued is refused",
    "OpenID4VP 1.0 §5.9.3, §14",
    by_stranger=True,
)
_refuses(
    "wd-no-good-signature",
    "A question whose signatures are all broken is refused",
    "OpenID4VP 1.0 App. A.3.2.2",
    protocol=DcApiProtocol.MULTI_SIGNED,
    bend=Token.spoilt,
    last=Token.spoilt,
)
_refuses(
    "wd-no-nonce",
    "A question of a page without nonce is refused",
    "OpenID4VP 1.0 §5.2, App. A.2",
    edit=lambda params: {name: value for name, value in params.items() if name != "nonce"},
)
