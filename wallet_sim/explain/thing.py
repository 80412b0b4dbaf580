"""Finds out what somebody was given, and has it explained; nothing that it is given makes it fail."""

import base64
import binascii
import re
from collections.abc import Callable

from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding

from specs.encoding import Malformed, base64url, strict_json
from specs.encoding.strict_json import JsonObject
from specs.refusal import Refusal
from specs.trust.anchors import TrustAnchor
from wallet_sim.explain.certificates import explain_certificate
from wallet_sim.explain.explanation import Explanation, Judging
from wallet_sim.explain.jwt import explain_jwt
from wallet_sim.explain.links import explain_json, explain_link, is_link
from wallet_sim.explain.mdoc import explain_cbor
from wallet_sim.explain.sd_jwt import explain_sd_jwt
from wallet_sim.explain.trust import explain_lone_certificates
from wallet_sim.pictures import PictureUnreadable, is_picture, read_qr_code

MAX_BYTES = 8 * 1024 * 1024
_MAX_CERTIFICATES = 20
_COMPACT = re.compile(r"[A-Za-z0-9_-]*(\.[A-Za-z0-9_-]*)+")
_HEX = re.compile(r"(?:[0-9a-fA-F]{2})+")
_PEM = "-----BEGIN CERTIFICATE-----"
_JWS_PARTS, _JWE_PARTS = 3, 5
Fetch = Callable[[str], bytes]


def explain(
    thing: bytes, *, now: int, fetch: Fetch | None = None, anchors: tuple[TrustAnchor, ...] = ()
) -> Explanation:
    """What it is, and what is wrong with it. now: seconds since the epoch. fetch: gets what lies at an address.

    anchors: whom the asker trusts; without any, trust is no part of it.
    """
    try:
        return _Explainer(Judging(now, anchors), fetch).explain(thing)
    except (Refusal, Malformed, ValueError, TypeError, LookupError, RecursionError, OverflowError) as error:
        said = Explanation("unknown")
        said.wrong("unreadable", type(error).__name__)
        return said


class _Explainer:
    def __init__(self, judging: Judging, fetch: Fetch | None) -> None:
        self._judging = judging
        self._fetch = fetch

    def explain(self, thing: bytes) -> Explanation:
        if len(thing) > MAX_BYTES:
            said = Explanation("unknown")
            said.wrong("too_large", str(len(thing)))
            return said
        if is_picture(thing):
            return self._picture(thing)
        try:
            text = thing.decode("utf-8").strip()
        except UnicodeDecodeError:
            return self._binary(thing)
        return self._text(text) or Explanation("unknown")

    def _picture(self, picture: bytes) -> Explanation:
        said = Explanation("picture")
        try:
            said.parts.append(self._inside(read_qr_code(picture)))
        except PictureUnreadable as error:
            said.wrong("unreadable", str(error), "ISO/IEC 18004")
        return said

    def _text(self, text: str) -> Explanation | None:
        if _PEM in text:
            return self._pem(text)
        if text.startswith("mdoc:"):
            return explain_cbor(base64url.decode(text.removeprefix("mdoc:").removeprefix("//")), judging=self._judging)
        if ":" in text[:64] and is_link(text):
            return explain_link(text, inside=self._inside, fetch=self._fetched if self._fetch is not None else None)
        if text.startswith("{"):
            return self._json(text)
        if text.startswith(("https://", "http://")) and self._fetch is not None:
            return self._fetched(text)
        if "~" in text:
            return explain_sd_jwt(text, judging=self._judging)
        if _COMPACT.fullmatch(text):
            parts = text.count(".") + 1
            if parts == _JWS_PARTS:
                return explain_jwt(text, judging=self._judging)
            if parts == _JWE_PARTS:
                return _jwe(text)
        return self._encoded(text)

    def _inside(self, text: str) -> Explanation:
        return self._text(text) or Explanation("unknown")

    def _fetched(self, url: str) -> Explanation:
        assert self._fetch is not None
        fetch, self._fetch = self._fetch, None  # one step: what is fetched names no further address for us
        return self.explain(fetch(url))

    def _json(self, text: str) -> Explanation:
        try:
            members: JsonObject = strict_json.parse_object(text)
        except Malformed as error:
            said = Explanation("json")
            said.wrong("unreadable", str(error), "RFC 8259")
            return said
        return explain_json(members, inside=self._inside)

    def _pem(self, text: str) -> Explanation:
        found = x509.load_pem_x509_certificates(text.encode())[:_MAX_CERTIFICATES]
        certificates = [each.public_bytes(Encoding.DER) for each in found]
        parts = [explain_certificate(each, now=self._judging.now) for each in certificates]
        said = parts[0] if len(parts) == 1 else Explanation("certificates", parts=parts)
        explain_lone_certificates(certificates, said, judging=self._judging)
        return said

    def _encoded(self, text: str) -> Explanation | None:
        """What may be binary, written down: base64url, base64 or hexadecimal."""
        compact = "".join(text.split())
        for decode in (_from_hex, base64url.decode, _from_base64):
            try:
                found = self._binary(decode(compact))
            except (Malformed, ValueError, binascii.Error):
                continue
            if found.kind != "unknown":
                return found
        return None

    def _binary(self, data: bytes) -> Explanation:
        if data[:1] == b"\x30":
            said = explain_certificate(data, now=self._judging.now)
            if said.facts:
                explain_lone_certificates([data], said, judging=self._judging)
                return said
        try:
            return explain_cbor(data, judging=self._judging)
        except Malformed:
            return Explanation("unknown")


def _jwe(text: str) -> Explanation:
    said = Explanation("jwe")
    try:
        header = strict_json.parse_object(base64url.decode(text.partition(".")[0]))
    except Malformed as error:
        said.wrong("unreadable", f"header: {error}", "RFC 7516 §5.2")
        return said
    for name in ("alg", "enc", "kid", "zip"):
        if name in header:
            said.fact(name, header[name])
    return said


def _from_hex(text: str) -> bytes:
    if not _HEX.fullmatch(text):
        raise ValueError("not hexadecimal")
    return bytes.fromhex(text)


def _from_base64(text: str) -> bytes:
    return base64.b64decode(text, validate=True)
