"""Keys that stay in a security module: PKCS#11 v2.40 by `python-pkcs11` (extra `hsm`), found by a URI (RFC 7512).

Beside a certificate `<name>.crt.pem` stands `<name>.key.uri` instead of `<name>.key.pem`, with
`pkcs11:token=…;object=…;id=…` in it.
Which library speaks to the module, and its PIN, are settings. A process logs in once for each token.
"""

import logging
import os
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from hashlib import sha256, sha384, sha512
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import quote, unquote_to_bytes

from cryptography.hazmat.primitives.asymmetric import ec, ed25519

from specs.keys.jose import CURVE_OF_ALG, PublicKey, alg_of_key

if TYPE_CHECKING:
    import pkcs11

_HASH = {"ES256": sha256, "ES384": sha384, "ES512": sha512}
_ED25519 = bytes.fromhex("06032b6570")  # DER of the object identifier 1.3.101.112 (RFC 8410 §3)
_ID_BYTES = 16
_URI_SAFE = "-._~"
_LOST = frozenset(
    {
        "DeviceError",
        "DeviceRemoved",
        "KeyHandleInvalid",
        "ObjectHandleInvalid",
        "SessionClosed",
        "SessionHandleInvalid",
        "TokenNotPresent",
        "UserNotLoggedIn",
    }
)  # what python-pkcs11 says once the session behind a key is gone
_LOG = logging.getLogger("issuer")


class TokenError(Exception):
    """The security module or a key in it can't be used; the message is a sentence for the operator."""


@dataclass(frozen=True, slots=True)
class Module:
    """How to reach the security module. library: its PKCS#11 shared library."""

    library: Path
    pin: str = field(repr=False)


@dataclass(frozen=True, slots=True)
class KeyUri:
    """Where a key is: the token's label, the object's label and id."""

    token: str
    label: str
    id: bytes

    def __str__(self) -> str:
        """As RFC 7512 §2.3 writes it."""
        token, label = (quote(text, safe=_URI_SAFE) for text in (self.token, self.label))
        return f"pkcs11:token={token};object={label};id=" + "".join(f"%{byte:02X}" for byte in self.id)


def parse_key_uri(text: str) -> KeyUri:
    """Read a URI with token, object and id, and nothing else.

    Raises:
        TokenError: it is something else.
    """
    scheme, _, path = text.strip().partition(":")
    attributes = dict(part.partition("=")[::2] for part in path.split(";"))
    if scheme != "pkcs11" or set(attributes) != {"token", "object", "id"}:
        raise TokenError("not a PKCS#11 URI with token, object and id")
    values = {name: unquote_to_bytes(value) for name, value in attributes.items()}
    try:
        return KeyUri(values["token"].decode(), values["object"].decode(), values["id"])
    except UnicodeDecodeError:
        raise TokenError("not a PKCS#11 URI in UTF-8") from None


class TokenSigner:
    """Signs with a key that never leaves its module; raw signatures, as `specs.keys.signer.Signer` demands."""

    __slots__ = ("_hash", "_key", "_module", "_session", "_uri", "alg", "public_key")

    def __init__(self, module: Module, uri: KeyUri, *, public_key: PublicKey) -> None:
        self.public_key = public_key
        self.alg = alg_of_key(public_key)
        self._hash = _HASH.get(self.alg)
        self._module = module
        self._uri = uri
        self._session = _session(module, uri.token)
        self._key = self._found()

    def sign(self, data: bytes) -> bytes:
        """The raw signature over `data`.

        Raises:
            TokenError: the module refused.
        """
        return self.sign_many([data])[0]

    def sign_many(self, data: Sequence[bytes]) -> list[bytes]:
        """One signature for each item, in order, without another's in between; hashes are made here.

        A session that the module has lost, after a restart or with its token, is opened anew, once.
        """
        with _spoken():
            try:
                return self._signed(data)
            except _pkcs11().exceptions.PKCS11Error as error:
                if type(error).__name__ not in _LOST:
                    raise
                _LOG.warning("the session with the security module is lost (%s): opening another", type(error).__name__)
            self._session = _session_after(self._session, self._module, self._uri.token)
            self._key = self._found()
            return self._signed(data)

    def _signed(self, data: Sequence[bytes]) -> list[bytes]:
        with self._session.lock:
            return [self._sign(item) for item in data]

    def _found(self) -> Any:
        with self._session.lock:
            return self._session.session.get_key(
                object_class=_pkcs11().ObjectClass.PRIVATE_KEY, label=self._uri.label, id=self._uri.id
            )

    def _sign(self, data: bytes) -> bytes:
        mechanism = _pkcs11().Mechanism
        if self._hash is None:
            return bytes(self._key.sign(data, mechanism=mechanism.EDDSA))
        return bytes(self._key.sign(self._hash(data).digest(), mechanism=mechanism.ECDSA))


def load_token_signer(module: Module, uri: KeyUri, *, public_key: PublicKey) -> TokenSigner:
    """The signer of a key in a token. public_key: of its certificate; whether they fit is for the caller to try.

    Raises:
        TokenError: the library, token, PIN or key is not there.
    """
    with _spoken():
        return TokenSigner(module, uri, public_key=public_key)


def generate_in_token(module: Module, *, token: str, label: str, alg: str) -> tuple[KeyUri, PublicKey]:
    """Make a key pair in a token: sensitive, not extractable, for signing only. alg: JOSE name.

    Raises:
        TokenError: the library, token or PIN is not there, or the module can't make such a key.
    """
    lib = _pkcs11()
    uri = KeyUri(token, label, os.urandom(_ID_BYTES))
    with _spoken():
        opened = _session(module, token)
        session = opened.session
        is_edwards = alg not in CURVE_OF_ALG
        kind = lib.KeyType.EC_EDWARDS if is_edwards else lib.KeyType.EC
        generation = lib.Mechanism.EC_EDWARDS_KEY_PAIR_GEN if is_edwards else lib.Mechanism.EC_KEY_PAIR_GEN
        with opened.lock:
            parameters = session.create_domain_parameters(
                kind, {lib.Attribute.EC_PARAMS: _curve_parameters(alg)}, local=True
            )
            public, _private = parameters.generate_keypair(
                mechanism=generation,
                store=True,
                label=uri.label,
                id=uri.id,
                capabilities=lib.MechanismFlag.SIGN | lib.MechanismFlag.VERIFY,
                private_template={lib.Attribute.SENSITIVE: True, lib.Attribute.EXTRACTABLE: False},
            )
            point = _octets(public[lib.Attribute.EC_POINT])
    if is_edwards:
        return uri, ed25519.Ed25519PublicKey.from_public_bytes(point)
    return uri, ec.EllipticCurvePublicKey.from_encoded_point(CURVE_OF_ALG[alg].curve, point)


def _curve_parameters(alg: str) -> bytes:
    if alg not in CURVE_OF_ALG:
        return _ED25519
    from pkcs11.util.ec import encode_named_curve_parameters

    return bytes(encode_named_curve_parameters(CURVE_OF_ALG[alg].curve.name))


def _octets(der: bytes) -> bytes:
    """The content of a DER octet string, which is how tokens wrap a point (PKCS#11 v2.40 §2.3.3)."""
    if der[:1] != b"\x04" or len(der) < 2:
        raise TokenError("the module says its public key in a form that is not known")
    head = 2 if der[1] < 0x80 else 2 + (der[1] & 0x7F)
    return der[head:]


@dataclass(frozen=True, slots=True)
class _Opened:
    """A session that is logged in; one thread at a time speaks in it."""

    session: "pkcs11.Session"
    lock: threading.Lock = field(default_factory=threading.Lock)


_opened: dict[tuple[Module, str], _Opened] = {}
_opening = threading.Lock()


def _session(module: Module, token: str) -> _Opened:
    """The process's session with a token."""
    with _opening:
        if (module, token) not in _opened:
            _opened[module, token] = _open(module, token)
        return _opened[module, token]


def _session_after(lost: _Opened, module: Module, token: str) -> _Opened:
    """A session other than the lost one: a new one, or that which another signer has opened meanwhile."""
    with _opening:
        if _opened.get((module, token)) is lost:
            with suppress(_pkcs11().exceptions.PKCS11Error):
                lost.session.close()
            _opened[module, token] = _open(module, token)
        return _opened[module, token]


def _open(module: Module, token: str) -> _Opened:
    library = _pkcs11().lib(str(module.library))
    return _Opened(library.get_token(token_label=token).open(rw=True, user_pin=module.pin))


def _pkcs11() -> Any:
    try:
        import pkcs11
    except ImportError:
        raise TokenError('keys in a security module need `pip install "stadtnachweis[hsm]"`') from None
    return pkcs11


@contextmanager
def _spoken() -> Iterator[None]:
    """What the module's library says becomes a sentence."""
    errors = _pkcs11().exceptions
    try:
        yield
    except errors.PKCS11Error as error:
        raise TokenError(f"the security module refused: {type(error).__name__}") from None
    except RuntimeError as error:
        raise TokenError(f"the security module's library cannot be loaded: {error}") from None
