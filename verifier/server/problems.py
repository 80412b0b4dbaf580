"""Errors of the API: RFC 9457 problem details with a stable `code`, and for 422 the place of each mistake."""

from collections.abc import Sequence

from starlette.responses import JSONResponse

MEDIA_TYPE = "application/problem+json"
_TITLES = {
    400: "The request cannot be read",
    401: "Authentication is needed",
    404: "There is no such thing",
    405: "This method is not possible here",
    409: "The present state does not allow that",
    413: "The request is too large",
    415: "The request has another media type",
    422: "The request does not fit",
    503: "Not available at the moment",
}


class Problem(Exception):
    """A refusal of the API. code: a stable word. errors: pointer, code and detail of each mistake."""

    def __init__(
        self, status: int, code: str, detail: str = "", *, errors: Sequence[tuple[str, str, str]] = ()
    ) -> None:
        super().__init__(code)
        self.status = status
        self.code = code
        self.detail = detail
        self.errors = tuple(errors)


def problem_response(problem: Problem) -> JSONResponse:
    """The problem as an HTTP answer."""
    body: dict[str, object] = {
        "type": "about:blank",
        "title": _TITLES.get(problem.status, "The request was refused"),
        "status": problem.status,
        "code": problem.code,
    }
    if problem.detail:
        body["detail"] = problem.detail
    if problem.errors:
        body["errors"] = [
            {"pointer": pointer, "code": code, "detail": detail} for pointer, code, detail in problem.errors
        ]
    headers = {"Cache-Control": "no-store"}
    if problem.status == 401:
        headers["WWW-Authenticate"] = "Bearer"
    return JSONResponse(body, problem.status, headers=headers, media_type=MEDIA_TYPE)
