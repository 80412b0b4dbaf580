"""Addresses in a question: where it is fetched from and where the answer goes; https, or loopback where allowed."""

from ipaddress import ip_address
from urllib.parse import urlsplit

from specs.protocols.openid4vp.errors import invalid_request

_MAX_LENGTH = 8 * 1024


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
