"""Wrong in the shown credential itself: altered, made by nobody who may, or of another type (RFC 9901 §7.1)."""

from collections.abc import Callable
from dataclasses import replace

from specs.credentials.sd_jwt import SdJwt
from specs.encoding import base64url, strict_json
from specs.encoding.strict_json import JsonObject
from specs.keys.signer import generate_signer
from wallet_sim.conduct import CHOICE, PRESENTATION, SD_JWT, Choice, Endpoint, ShownSdJwt
from wallet_sim.misbehaviour.registry import BOTH, SD_JWT_ONLY, Need, Phase, misbehaviour, not_believed, refused

_TO = Endpoint.ANSWER


@misbehaviour(
    "credential-digest-tampered",
    Phase.PRESENTATION,
    at=SD_JWT,
    to=_TO,
    clause="RFC 9901 §7.1 (2)",
    met_by=not_believed("signature_invalid"),
    formats=SD_JWT_ONLY,
)
def _(shown: ShownSdJwt) -> ShownSdJwt:
    """The digest of an invented claim is put into the issuer-signed part."""

    def tamper(payload: JsonObject) -> None:
        payload["_sd"] = ["AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA"]

    return _reissued(shown, tamper)


@misbehaviour(
    "credential-prolonged",
    Phase.PRESENTATION,
    at=SD_JWT,
    to=_TO,
    clause="RFC 9901 §7.1 (2); SD-JWT VC (exp)",
    met_by=not_believed("signature_invalid"),
    formats=SD_JWT_ONLY,
)
def _(shown: ShownSdJwt) -> ShownSdJwt:
    """The end of the credential's validity is moved to the year 2100."""

    def prolong(payload: JsonObject) -> None:
        payload["exp"] = 4102444800

    return _reissued(shown, prolong)


@misbehaviour(
    "credential-status-removed",
    Phase.PRESENTATION,
    at=SD_JWT,
    to=_TO,
    clause="RFC 9901 §7.1 (2); Token Status List §8.3",
    met_by=not_believed("signature_invalid"),
    formats=SD_JWT_ONLY,
)
def _(shown: ShownSdJwt) -> ShownSdJwt:
    """The reference to the status list is taken out, so that a revocation would not be noticed."""

    def remove(payload: JsonObject) -> None:
        payload.pop("status", None)

    return _reissued(shown, remove)


@misbehaviour(
    "credential-self-made",
    Phase.PRESENTATION,
    at=PRESENTATION,
    to=_TO,
    clause="OpenID4VP 1.0 §14; HAIP 1.0 §6.1.1",
    met_by=refused(_TO, 400),
    formats=SD_JWT_ONLY,
)
def _(presentation: str) -> str:
    """The wallet issues the credential to itself, under the issuer's certificate, and binds it as it should."""
    issuer_jwt, *others = presentation.split("~")
    header, payload, _signature = issuer_jwt.split(".")
    signature = generate_signer().sign(f"{header}.{payload}".encode())
    return "~".join((f"{header}.{payload}.{base64url.encode(signature)}", *others))


@misbehaviour(
    "credential-of-another-type",
    Phase.PRESENTATION,
    at=CHOICE,
    to=_TO,
    clause="OpenID4VP 1.0 §6.1, App. B.3.5; App. B.2.3",
    met_by=refused(_TO, 400),
    formats=BOTH,
    needs=(Need.ANOTHER_TYPE,),
)
def _(choice: Choice) -> Choice:
    """A credential of another type is shown, by a trusted issuer and with the right claims."""
    return replace(choice, credential_id=choice.others[0]) if choice.others else choice


def _reissued(shown: ShownSdJwt, change: Callable[[JsonObject], None]) -> ShownSdJwt:
    header, payload, signature = shown.chosen.parts[0].split(b".")
    members = strict_json.parse_object(base64url.decode(payload))
    change(members)
    changed = base64url.encode(strict_json.dumps(members)).encode("ascii")
    issuer_jwt = b".".join((header, changed, signature))
    return replace(shown, chosen=SdJwt((issuer_jwt, *shown.chosen.parts[1:]), None))
