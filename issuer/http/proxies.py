"""Behind a reverse proxy: who asked, by which scheme and host, as trusted proxies say and nobody else.

Our own addresses come from `public_url` alone; what is worked out here is for limits and for refusing plain http.
"""

from collections.abc import Iterable
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address

from starlette.types import ASGIApp, Receive, Scope, Send

from issuer.http.errors import plain_refusal

Network = IPv4Network | IPv6Network
_FOR, _PROTO, _HOST = b"x-forwarded-for", b"x-forwarded-proto", b"x-forwarded-host"
_SAID_BY_PROXIES = frozenset(
    {_FOR, _PROTO, _HOST, b"x-forwarded-port", b"x-forwarded-server", b"x-forwarded-prefix", b"x-real-ip", b"forwarded"}
)


class TrustedProxies:
    """ASGI middleware. networks: of the proxies. https: whether the public address is https."""

    def __init__(self, app: ASGIApp, *, networks: Iterable[Network], https: bool) -> None:
        self._app = app
        self._networks = tuple(networks)
        self._https = https

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request; refuse what came to a trusted proxy by plain http."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        headers: list[tuple[bytes, bytes]] = scope["headers"]
        if not any(name in _SAID_BY_PROXIES for name, _ in headers):
            await self._app(scope, receive, send)
            return
        said = {name: [value for key, value in headers if key == name] for name in (_FOR, _PROTO, _HOST)}
        kept = [(name, value) for name, value in headers if name not in _SAID_BY_PROXIES]
        client, scheme = scope.get("client"), scope["scheme"]
        if client is not None and self._trusts(client[0]):
            if said[_FOR]:
                client = self._client(client, said[_FOR])
            if said[_PROTO]:
                scheme = _last(said[_PROTO]).lower()
                if scheme not in ("http", "https"):
                    await plain_refusal(scope["path"], 400, "forwarded_scheme_unknown")(scope, receive, send)
                    return
                if self._https and scheme == "http":
                    await plain_refusal(scope["path"], 400, "https_required")(scope, receive, send)
                    return
            if said[_HOST]:
                host = _last(said[_HOST]).encode("latin-1")
                kept = [(b"host", host), *((name, value) for name, value in kept if name != b"host")]
        # the same scope goes on, so that the layers outside see which route was taken
        scope.update(headers=kept, client=client, scheme=scheme)
        await self._app(scope, receive, send)

    def _client(self, peer: tuple[str, int], values: list[bytes]) -> tuple[str, int]:
        """The nearest address that is no proxy of ours: what stands left of it, anybody may have written."""
        hops = [hop.strip() for hop in b",".join(values).decode("latin-1").split(",")]
        for hop in reversed(hops):
            address = _address(hop)
            if address is None:
                return peer
            peer = (str(address), 0)
            if not self._trusts(peer[0]):
                return peer
        return peer

    def _trusts(self, host: str) -> bool:
        address = _address(host)
        return address is not None and any(address in network for network in self._networks)


def _address(text: str) -> IPv4Address | IPv6Address | None:
    try:
        address = ip_address(text)
    except ValueError:
        return None
    mapped = address.ipv4_mapped if isinstance(address, IPv6Address) else None
    return mapped or address


def _last(values: list[bytes]) -> str:
    """What the nearest proxy said."""
    return values[-1].decode("latin-1").rpartition(",")[2].strip()
