"""What a page of the wallet sends back: only what the wallet's own page can have sent."""

import secrets
from urllib.parse import parse_qsl

from starlette.datastructures import UploadFile
from starlette.exceptions import HTTPException
from starlette.requests import Request

from wallet_sim.pictures import MAX_PICTURE
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
    _check_own(request, fields.get("csrf_token", ""))
    return fields


async def picture_of(request: Request) -> bytes:
    """The picture that a form of this page's own brought.

    Raises:
        HTTPException: too large, no form, or another page's.
    """
    length = request.headers.get("content-length", "")
    if not length.isascii() or not length.isdigit():
        raise HTTPException(411, "the form does not say how large it is")
    if int(length) > MAX_PICTURE:
        raise HTTPException(413, "the picture is too large")
    async with request.form(max_files=1, max_fields=2) as form:
        token, picture = form.get("csrf_token"), form.get("picture")
        _check_own(request, token if isinstance(token, str) else "")
        if not isinstance(picture, UploadFile):
            raise HTTPException(400, "there is no picture in the form")
        return await picture.read()


def _check_own(request: Request, token: str) -> None:
    # another port of this machine shares our cookies and may set them; the browser knows better who sends
    is_strange = request.headers.get("sec-fetch-site", "same-origin") != "same-origin"
    known = request.cookies.get(CSRF_COOKIE, "")
    if is_strange or not known or not secrets.compare_digest(known.encode(), token.encode()):
        raise HTTPException(403, "the form is another page’s, or too old: go back and try again")
