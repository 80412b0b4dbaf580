"""Addresses in a question: where it is fetched from and where the answer goes; https, or loopback where allowed."""

import re
from ipaddress import ip_address
from urllib.parse import SplitResult, urlsplit

from specs.protocols.openid4vp.errors import invalid_request

_ADDRESS = re.compile(r"[!-\[\]-~]{1,8192}")  # ASCII that is seen, without the backslash that browsers take for a slash
# §A.2, and what a browser runs or reads itself
_UNSAFE = frozenset({"about", "blob", "data", "file", "ftp", "javascript", "vbscript", "ws", "wss"})


def check_https(url: str, *, name: str, allow_loopback_http: bool = False) -> str:
    """Give an address back if it may be called: absolute, https, without fragment and user information.

    allow_loopback_http: also plain http to this machine itself, for demonstrations.

    Raises:
        RequestError: it may not; the text names the parameter.
    """
    parts, host, _ = _split(url, name)
    if not host or "@" in parts.netloc or "#" in url:
        raise invalid_request(f"{name}: an absolute address without fragment and user information")
    if not _is_safe(parts.scheme, host, allow_loopback_http):
        raise invalid_request(f"{name}: https is demanded")
    return url


def check_redirect_uri(uri: str, *, allow_loopback_http: bool = False) -> str:
    """Give back where a browser may take an answer: to https, or to an app by a scheme of its own (RFC 6749 §3.1.2).

    allow_loopback_http: also plain http to this machine itself, for demonstrations.

    Raises:
        RequestError: relative, with a fragment, or something that a browser runs or reads itself.
    """
    parts, _, _ = _split(uri, "redirect_uri")
    if parts.scheme in ("http", "https"):
        return check_https(uri, name="redirect_uri", allow_loopback_http=allow_loopback_http)
    if not parts.scheme or parts.scheme in _UNSAFE or "#" in uri:
        raise invalid_request("redirect_uri: an absolute address without fragment, at which answers are taken")
    return uri


def check_origin(origin: str, *, allow_loopback_http: bool = False) -> str:
    """Give an origin back if a question may expect it (§2, §A.2): as the platform writes it, compared as plain text.

    A page's origin is scheme, host and a port that is not the default; an app's is whatever its platform names it by.
    allow_loopback_http: also plain http to this machine itself, for demonstrations.

    Raises:
        RequestError: a path, a default port, upper case, or a scheme that no page of ours has.
    """
    parts, host, port = _split(origin, "expected_origins")
    if parts.scheme not in ("", "http", "https") and not parts.netloc and parts.scheme not in _UNSAFE:
        return origin  # an app, such as `android:apk-key-hash:…`
    if not _is_safe(parts.scheme, host, allow_loopback_http):
        raise invalid_request("expected_origins: https is demanded")
    default = {"https": 443, "http": 80}[parts.scheme]
    shown = f"[{host}]" if ":" in host else host
    written = f"{parts.scheme}://{shown}" if port is None else f"{parts.scheme}://{shown}:{port}"
    if not host or origin != written or port in (0, default):
        raise invalid_request("expected_origins: scheme, host and port as a browser writes them")
    return origin


def _split(url: str, name: str) -> tuple[SplitResult, str, int | None]:
    """An address, its host in lower case (empty if there is none) and its port."""
    if _ADDRESS.fullmatch(url) is None:
        raise invalid_request(f"{name}: not an address")
    try:
        parts = urlsplit(url)
        return parts, parts.hostname or "", parts.port
    except ValueError as error:
        raise invalid_request(f"{name}: not an address") from error


def _is_safe(scheme: str, host: str, allow_loopback_http: bool) -> bool:
    return scheme == "https" or (allow_loopback_http and scheme == "http" and is_loopback(host))


def is_loopback(host: str) -> bool:
    """Whether a host is this machine by its literal name or number; nothing is resolved."""
    if host == "localhost":
        return True
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return False


def host_of(url: str) -> str:
    """The host of an address in lower case; empty if there is none."""
    try:
        return urlsplit(url).hostname or ""
    except ValueError:
        return ""
