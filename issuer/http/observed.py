"""Security headers on every answer, and one log line a request that says nothing about anybody."""

import logging
import time

from starlette.datastructures import MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

_LOG = logging.getLogger("issuer.access")
_HEADERS = {
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "X-Frame-Options": "DENY",
    "Content-Security-Policy": "default-src 'none'; frame-ancestors 'none'; base-uri 'none'; form-action 'none'",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cache-Control": "no-store",
}
_HSTS = "max-age=63072000; includeSubDomains"


class Observed:
    """ASGI middleware. https: whether browsers may be told to come by https only."""

    def __init__(self, app: ASGIApp, *, https: bool) -> None:
        self._app = app
        self._https = https

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request; what the application says about a header holds."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        begin, status = time.monotonic(), 0

        async def send_with_headers(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                headers = MutableHeaders(scope=message)
                for name, value in _HEADERS.items():
                    headers.setdefault(name, value)
                if self._https:
                    headers.setdefault("Strict-Transport-Security", _HSTS)
            await send(message)

        try:
            await self._app(scope, receive, send_with_headers)
        finally:
            # the route's pattern, never the address: that may hold a reference or a token
            route = getattr(scope.get("route"), "path", "-")
            _LOG.info("%s %s %d %.1f ms", scope["method"], route, status, (time.monotonic() - begin) * 1000)
