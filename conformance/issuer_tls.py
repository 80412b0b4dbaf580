"""Checks of the connection itself: versions and cipher suites of TLS (FAPI 2.0 Security Profile §5.2.1; BCP 195)."""

import socket
import ssl
from urllib.parse import urlsplit

from conformance.check import Failed, NotApplicable, Registry
from conformance.issuer_target import IssuerTarget

TLS_CHECKS: Registry[IssuerTarget] = Registry()
_check = TLS_CHECKS.check
_SECONDS = 10
_NEW = (ssl.TLSVersion.TLSv1_3, ssl.TLSVersion.TLSv1_2)
_OLD = (ssl.TLSVersion.TLSv1, ssl.TLSVersion.TLSv1_1)
_WEAK = ("ECDHE+AES:!AESGCM:!AESCCM", "RSA+AES", "DHE", "ECDHE+CHACHA20")
_GOOD = ("AES128-GCM", "AES256-GCM")


@_check("tls-old-versions", "FAPI 2.0 Security Profile §5.2.1; RFC 8996")
def old_versions(target: IssuerTarget) -> str:
    """TLS 1.0 and 1.1 are refused."""
    for host, port in _places(target):
        for version in _OLD:
            if _agreed(host, port, version, "ALL:@SECLEVEL=0") is not None:
                raise Failed("no connection", f"{version.name} at {host}:{port}")
    return "refused"


@_check("tls-weak-suites", "FAPI 2.0 Security Profile §5.2.1, §5.2.2; BCP 195")
def weak_suites(target: IssuerTarget) -> str:
    """TLS 1.2 takes none but the recommended cipher suites: ECDHE with AES-GCM."""
    for host, port in _places(target):
        for ciphers in _WEAK:
            agreed = _agreed(host, port, ssl.TLSVersion.TLSv1_2, ciphers)
            if agreed is not None and not (agreed.startswith("ECDHE") and any(each in agreed for each in _GOOD)):
                raise Failed("no connection", f"{agreed} at {host}:{port}")
    return "refused"


@_check("tls-newest", "FAPI 2.0 Security Profile §5.2.1; BCP 195 §3.1.1", is_advice=True)
def newest(target: IssuerTarget) -> str:
    """TLS 1.3 is taken."""
    for host, port in _places(target):
        if _agreed(host, port, ssl.TLSVersion.TLSv1_3, "ALL") is None:
            raise Failed("TLS 1.3", f"refused at {host}:{port}")
    return "TLS 1.3"


@_check("tls-newest-preferred", "BCP 195 §3.1.1")
def newest_preferred(target: IssuerTarget) -> str:
    """Who can do both gets TLS 1.3."""
    for host, port in _places(target):
        if _agreed(host, port, ssl.TLSVersion.TLSv1_3, "ALL") is None:
            raise NotApplicable("TLS 1.3 is not taken")
        context = _context()
        context.minimum_version = ssl.TLSVersion.TLSv1_2
        with (
            socket.create_connection((host, port), _SECONDS) as plain,
            context.wrap_socket(plain, server_hostname=host) as wrapped,
        ):
            if wrapped.version() != "TLSv1.3":
                raise Failed("TLSv1.3", str(wrapped.version()))
    return "TLS 1.3"


def _places(target: IssuerTarget) -> set[tuple[str, int]]:
    """Host and port of each endpoint that wallets and browsers call."""
    urls = [target.url, target.metadata.get("credential_endpoint")]
    urls += [target.server.get(name) for name in ("authorization_endpoint", "token_endpoint")]
    parts = [urlsplit(url) for url in urls if isinstance(url, str)]
    places = {(part.hostname, part.port or 443) for part in parts if part.scheme == "https" and part.hostname}
    if not places:
        raise NotApplicable("the target speaks plain http")
    found = {(str(host), port) for host, port in places}
    if not any(_agreed(host, port, version, "ALL") for host, port in found for version in _NEW):
        raise NotApplicable("there is no TLS connection to the target")
    return found


def _context() -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE  # the versions are judged, not the certificate
    return context


def _agreed(host: str, port: int, version: ssl.TLSVersion, ciphers: str) -> str | None:
    """The suite agreed with one version; None if there is no connection."""
    context = _context()
    try:
        context.set_ciphers(ciphers)
        context.minimum_version = context.maximum_version = version
        with (
            socket.create_connection((host, port), _SECONDS) as plain,
            context.wrap_socket(plain, server_hostname=host) as wrapped,
        ):
            agreed = wrapped.cipher()
            return agreed[0] if agreed else None
    except (OSError, ValueError):
        return None
