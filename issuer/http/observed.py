"""The outermost layer: security headers on every answer, failures without a trace, one log line that names nobody."""

import logging
import time

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from issuer.http.errors import plain_refusal

_ACCESS = logging.getLogger("issuer.access")
_FAILURES = logging.getLogger("issuer")
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
        headers = _HEADERS | ({"Strict-Transport-Security": _HSTS} if https else {})
        self._headers = [(name.lower().encode(), value.encode()) for name, value in headers.items()]

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request; what the application says about a header holds."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        begin, status, is_whole, headers = time.monotonic(), 0, False, self._headers

        async def send_with_headers(message: Message) -> None:
            nonlocal status, is_whole
            if message["type"] == "http.response.start":
                status = message["status"]
                said = {name for name, _ in message["headers"]}
                message["headers"] = [*message["headers"], *(each for each in headers if each[0] not in said)]
            else:
                is_whole = not message.get("more_body", False)
            await send(message)

        try:
            await self._app(scope, receive, send_with_headers)
        except Exception as error:  # noqa: BLE001 the outermost handler
            _FAILURES.error("failed: %s", _kind_and_place(error))
            if is_whole:
                return  # the framework said what is to be said
            if status:  # half of an answer is out: the server cuts the connection
                raise ConnectionAbortedError from None
            await plain_refusal(scope["path"], 500, "internal_error")(scope, receive, send_with_headers)
        finally:
            # the route's pattern, never the address: that may hold a reference or a token
            route = getattr(scope.get("route"), "path", "-")
            _ACCESS.info("%s %s %d %.1f ms", scope["method"], route, status, (time.monotonic() - begin) * 1000)


def _kind_and_place(error: Exception) -> str:
    """Where it happened; the error's own text may hold values of a request, so it isn't written down."""
    place, where = error.__traceback__, ""
    while place is not None:
        code = place.tb_frame.f_code
        if "site-packages" not in code.co_filename:
            where = f" at {code.co_qualname}:{place.tb_lineno}"
        place = place.tb_next
    return type(error).__qualname__ + where
