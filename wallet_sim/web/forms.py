"""What a page of the wallet sends back: only what the wallet's own page can have sent."""

import secrets
from urllib.parse import parse_qsl

from starlette.exceptions import HTTPException
from starlette.requests import Request

from wallet_sim.web.pages import CSRF_COOKIE

MAX_FORM = 64 * 1024


async def form_of(request: Request) -> dict[str, str]:
    """The fields of a form of this page's own (is-020: another site's has no token).

    Raises:
        HTTPException: too large, no form, or another page's.
    """
    body = bytearray()
    async for chunk in request.stream():
        body += chunk
        if len(body) > MAX_FORM:
            raise HTTPException(413, "the form is too large")
    try:
        fields = dict(parse_qsl(body.decode("utf-8"), keep_blank_values=True, max_num_fields=200))
    except ValueError:
        raise HTTPException(400, "this is no form") from None
    known = request.cookies.get(CSRF_COOKIE, "")
    if not known or not secrets.compare_digest(known.encode(), fields.get("csrf_token", "").encode()):
        raise HTTPException(403, "the form is another page’s, or too old: go back and try again")
    return fields
