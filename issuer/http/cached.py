"""Answers that anybody may keep for a while, and ask about again without fetching them twice (RFC 9110 §13)."""

import hashlib

from starlette.responses import Response

from specs.encoding import base64url

ANYWHERE = {"Access-Control-Allow-Origin": "*"}


def public_answer(
    body: bytes,
    *,
    media_type: str,
    max_age: int,
    if_none_match: str | None,
    vary: str | None = None,
) -> Response:
    """The body with its entity tag, or 304 for who has it already. max_age: seconds.

    Scripts of other sites may read it: it is the same for everybody.
    """
    tag = f'"{base64url.encode(hashlib.sha256(body).digest()[:16])}"'
    headers = {"Cache-Control": f"public, max-age={max_age}", "ETag": tag, **ANYWHERE}
    if vary is not None:
        headers["Vary"] = vary
    if if_none_match is not None and _names(if_none_match, tag):
        return Response(status_code=304, headers=headers)
    answer = Response(body, headers=headers)
    answer.headers["Content-Type"] = media_type
    return answer


def _names(if_none_match: str, tag: str) -> bool:
    """Whether the header names this tag; weakly, as it must for GET (RFC 9110 §13.1.2)."""
    given = {each.strip().removeprefix("W/") for each in if_none_match.split(",")}
    return "*" in given or tag in given
