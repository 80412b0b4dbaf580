"""A question as a page hands it to the browser (OpenID4VP 1.0 App. A.1), and where the page sends the answer."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from conformance.check import Failed
from specs.encoding import Malformed, base64url, strict_json
from specs.encoding.strict_json import JsonObject
from specs.keys.jose import Jws, parse_jws, parse_x5c
from specs.protocols.openid4vp import DcApiProtocol
from specs.protocols.openid4vp.request_object import REQUEST_OBJECT_TYP
from specs.refusal import Refusal

OPENID4VP = (DcApiProtocol.UNSIGNED, DcApiProtocol.SIGNED, DcApiProtocol.MULTI_SIGNED)


@dataclass(frozen=True, slots=True)
class PageQuestion:
    """One question. requests: entries of `digital.requests`. origin: of the page. answer_url: where it posts what came
    back, with its cookies."""

    requests: tuple[JsonObject, ...]
    origin: str
    answer_url: str
    cookies: Mapping[str, str] = field(default_factory=dict)

    def by(self, protocol: str) -> JsonObject:
        """The data of a protocol.

        Raises:
            Failed: it is not offered this time.
        """
        for each in self.requests:
            data = each.get("data")
            if each.get("protocol") == protocol and isinstance(data, dict):
                return data
        raise Failed(f"a question by {protocol}, as before", "none")


@dataclass(frozen=True, slots=True)
class PageAsked:
    """What one entry says. signatures: each with its certificates."""

    protocol: str
    params: JsonObject
    signatures: tuple[tuple[Jws, tuple[bytes, ...]], ...] = ()

    @classmethod
    def of(cls, entry: JsonObject) -> "PageAsked":
        """An entry taken apart; its signatures are another question.

        Raises:
            Failed: it can't be read.
        """
        protocol, data = str(entry.get("protocol")), entry.get("data")
        if not isinstance(data, dict):
            raise Failed("data, an object", "something else")
        if protocol not in (DcApiProtocol.SIGNED, DcApiProtocol.MULTI_SIGNED):
            return cls(protocol, data)
        try:
            signed = [parse_jws(token, expected_typ=_typ(token)) for token in _tokens(data.get("request"))]
            chains = [parse_x5c(jws.header) for jws in signed]
            params = signed[0].claims() | {
                name: signed[0].header[name]
                for name in ("client_id", "verifier_info")
                if protocol == DcApiProtocol.MULTI_SIGNED and name in signed[0].header
            }
        except (Refusal, Malformed, LookupError, TypeError, ValueError) as error:
            raise Failed(f"a signed request in {protocol}", f"{type(error).__name__}: {error}") from None
        return cls(protocol, params, tuple(zip(signed, chains, strict=True)))

    @property
    def keys(self) -> list[JsonObject]:
        """The keys that answers are encrypted to."""
        metadata = self.params.get("client_metadata")
        jwks = metadata.get("jwks") if isinstance(metadata, dict) else None
        keys = jwks.get("keys") if isinstance(jwks, dict) else None
        return [key for key in keys if isinstance(key, dict)] if isinstance(keys, list) else []


def _tokens(request: object) -> list[str]:
    """The compact tokens that a signed request stands for (RFC 7515 §7.2)."""
    if isinstance(request, str):
        return [request]
    assert isinstance(request, dict)
    return [f"{each['protected']}.{request['payload']}.{each['signature']}" for each in request["signatures"]]


def _typ(token: str) -> str:
    """Which typ it is, a check of its own judges."""
    header = strict_json.parse_object(base64url.decode(token.partition(".")[0]))
    return str(header.get("typ", REQUEST_OBJECT_TYP))
