"""Wallets that a tenant knows by name, as its file describes them (`wallet_clients`).

With `keys` the client signs for itself (`private_key_jwt`); without any it is a public client, which can log people in
at its registered addresses alone. An attested wallet needs no entry; if it has one, its addresses count.
"""

from collections.abc import Mapping
from functools import cached_property
from typing import Annotated
from urllib.parse import urlsplit

from pydantic import BaseModel, ConfigDict, Field, StringConstraints, field_validator

from specs.keys.jose import JoseError, PublicKey, parse_jwk, thumbprint
from specs.protocols.oauth import LOOPBACK_HOSTS, is_redirect_uri


class RegisteredClient(BaseModel):
    """One wallet. redirect_uris: where the browser may go with a code. keys: public JWKs that it signs with."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    client_id: Annotated[str, StringConstraints(min_length=1, max_length=500, pattern=r"^[\x21-\x7e]+$")]
    redirect_uris: tuple[str, ...] = ()
    keys: tuple[dict[str, str], ...] = Field(default=(), max_length=10)

    @field_validator("redirect_uris")
    @classmethod
    def _are_redirect_uris(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        if not all(is_redirect_uri(uri) for uri in value):
            raise ValueError("must be https, http to this machine, or the scheme of an app")
        return value

    @field_validator("keys")
    @classmethod
    def _are_public_keys(cls, value: tuple[dict[str, str], ...]) -> tuple[dict[str, str], ...]:
        try:
            keys = {_kid(jwk): parse_jwk(jwk) for jwk in value}
        except JoseError:
            raise ValueError("must be public keys as JWK") from None
        if len(keys) != len(value):
            raise ValueError("two keys have one kid")
        return value

    @cached_property
    def public_keys(self) -> Mapping[str, PublicKey]:
        """The keys by `kid`; one without is called by its thumbprint."""
        return {_kid(jwk): parse_jwk(jwk) for jwk in self.keys}

    def may_go_to(self, redirect_uri: str) -> bool:
        """Whether an address is registered, compared exactly; on this machine any port will do (RFC 8252 §7.3)."""
        return redirect_uri in self.redirect_uris or _without_port(redirect_uri) in self._on_this_machine

    @cached_property
    def _on_this_machine(self) -> frozenset[str]:
        return frozenset(place for uri in self.redirect_uris if (place := _without_port(uri)) is not None)


def _kid(jwk: Mapping[str, str]) -> str:
    return jwk.get("kid") or thumbprint(jwk)


def _without_port(uri: str) -> str | None:
    parts = urlsplit(uri)
    if parts.scheme != "http" or parts.hostname not in LOOPBACK_HOSTS:
        return None
    return f"http://{parts.hostname}{parts.path}?{parts.query}"
