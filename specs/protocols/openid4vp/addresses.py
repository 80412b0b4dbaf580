"""Addresses in a question: where it is fetched from and where the answer goes; https, or loopback where allowed."""

from ipaddress import ip_address
from urllib.parse import urlsplit

from specs.protocols.openid4vp.errors import invalid_request

_MAX_LENGTH = 8 * 1024
_UNSAFE = ("data", "ftp", "javascript", "ws", "wss")  # §A.2


def check_https(url: str, *, name: str, allow_loopback_http: bool = False) -> str:
    """Give an address back if it may be called: absolute, https, without fragment and user information.

    allow_loopback_http: also plain http to this machine itself, for demonstrations.

    Raises:
        RequestError: it may not; the text names the parameter.
    """
    if len(url) > _MAX_LENGTH or not url.isascii() or any(character <= " " for character in url):
        raise invalid_request(f"{name}: not an address")
    try:
        parts = urlsplit(url)
        host, _ = parts.hostname, parts.port
    except ValueError as error:
        raise invalid_request(f"{name}: not an address") from error
    if not host or parts.username is not None or parts.password is not None or "#" in url:
        raise invalid_request(f"{name}: an absolute address without fragment and user information")
    if parts.scheme == "https" or (allow_loopback_http and parts.scheme == "http" and is_loopback(host)):
        return url
    raise invalid_request(f"{name}: https is demanded")


def check_origin(origin: str, *, allow_loopback_http: bool = False) -> str:
    """Give an origin back if a question may expect it (§2, §A.2): as the platform writes it, compared as plain text.

    A page's origin is scheme, host and a port that is not the default; an app's is whatever its platform names it by.
    allow_loopback_http: also plain http to this machine itself, for demonstrations.

    Raises:
        RequestError: a path, a default port, upper case, or a scheme that no page of ours has.
    """
    try:
        parts = urlsplit(origin)
        host, port = parts.hostname, parts.port
    except ValueError as error:
        raise invalid_request("expected_origins: not an origin") from error
    if not origin.isascii() or any(character <= " " for character in origin) or ":" not in origin:
        raise invalid_request("expected_origins: not an origin")
    if parts.scheme in ("http", "https") and not parts.netloc:
        raise invalid_request("expected_origins: not an origin")
    if not parts.netloc and parts.scheme not in _UNSAFE:
        return origin  # an app, such as `android:apk-key-hash:…`
    if parts.scheme != "https" and not (allow_loopback_http and parts.scheme == "http" and is_loopback(host or "")):
        raise invalid_request("expected_origins: https is demanded")
    written = f"{parts.scheme}://{parts.netloc}"
    default = {"https": 443, "http": 80}[parts.scheme]
    if origin != written or origin != origin.lower() or "@" in origin or not host or port in (0, default):
        raise invalid_request("expected_origins: scheme, host and port as a browser writes them")
    return origin


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
