"""Encryption at rest: personal data under the data key of its tenant, bound to the place where it stands (AES-256-GCM).

The place (table, column, row) is additional authenticated data: a sealed value that is copied to another row, column or
tenant does not open.
"""

import secrets
from dataclasses import dataclass, field

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from specs.encoding import Malformed, strict_json
from specs.encoding.strict_json import JsonValue

_VERSION = b"\x01"
_NONCE_BYTES = 12
_KEY_BYTES = 32


class SealError(Exception):
    """A sealed value does not open: altered, moved, or of another key."""


@dataclass(frozen=True, slots=True)
class Sealer:
    """Seals and opens values of one tenant."""

    tenant_id: str
    key: bytes = field(repr=False)

    def seal(self, plain: bytes, *, place: str) -> bytes:
        """Encrypt for one place, e.g. `offer_configurations.sealed_claims/<offer>/<configuration>`."""
        nonce = secrets.token_bytes(_NONCE_BYTES)
        return _VERSION + nonce + AESGCM(self.key).encrypt(nonce, plain, self._associated(place))

    def open(self, sealed: bytes, *, place: str) -> bytes:
        """Decrypt what was sealed for this place.

        Raises:
            SealError: it was not, or was altered.
        """
        nonce, body = sealed[1 : 1 + _NONCE_BYTES], sealed[1 + _NONCE_BYTES :]
        if sealed[:1] != _VERSION or len(body) < 16:
            raise SealError("not a sealed value")
        try:
            return AESGCM(self.key).decrypt(nonce, body, self._associated(place))
        except InvalidTag:
            raise SealError("a sealed value does not open at this place") from None

    def seal_json(self, value: dict[str, JsonValue], *, place: str) -> bytes:
        """Seal a JSON object."""
        return self.seal(strict_json.dumps(value), place=place)

    def open_json(self, sealed: bytes, *, place: str) -> dict[str, JsonValue]:
        """Open a JSON object.

        Raises:
            SealError: it does not open, or is no JSON object.
        """
        try:
            return strict_json.parse_object(self.open(sealed, place=place))
        except Malformed:
            raise SealError("a sealed value is not what was sealed") from None

    def _associated(self, place: str) -> bytes:
        return f"{self.tenant_id}\x00{place}".encode()


def new_data_key(*, wrapping_key: bytes, tenant_id: str) -> bytes:
    """A fresh data key for a tenant, wrapped for the database."""
    return Sealer(tenant_id, wrapping_key).seal(secrets.token_bytes(_KEY_BYTES), place="tenants.sealed_data_key")


def open_data_key(sealed: bytes, *, wrapping_key: bytes, tenant_id: str) -> Sealer:
    """The sealer of a tenant from its wrapped data key.

    Raises:
        SealError: the master key is another one, or the row was altered.
    """
    return Sealer(tenant_id, Sealer(tenant_id, wrapping_key).open(sealed, place="tenants.sealed_data_key"))
