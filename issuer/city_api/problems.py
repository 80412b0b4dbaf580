"""Errors of the City API: RFC 9457 problem details with a stable `code`, and for 422 the place of each mistake."""

from collections.abc import Mapping, Sequence

from starlette.responses import JSONResponse

from issuer.catalog.claims import Finding

MEDIA_TYPE = "application/problem+json"
_TITLES = {
    400: "The request cannot be read",
    401: "Authentication is needed",
    403: "This client may not do that",
    404: "There is no such thing",
    405: "This method is not possible here",
    408: "The request took too long",
    409: "The present state does not allow that",
    410: "That is gone",
    413: "The request is too large",
    415: "The request has another media type",
    422: "The request does not fit",
    429: "Too many requests",
    431: "The head of the request is too large",
    500: "Something went wrong here",
    502: "Another service gave no good answer",
    503: "Not available at the moment",
}


class Problem(Exception):
    """A refusal of the City API. code: a stable word. detail: a sentence for developers, without personal data."""

    def __init__(
        self,
        status: int,
        code: str,
        detail: str = "",
        *,
        errors: Sequence[Finding] = (),
        headers: Mapping[str, str] | None = None,
    ) -> None:
        super().__init__(code)
        self.status = status
        self.code = code
        self.detail = detail
        self.errors = tuple(errors)
        self.headers = dict(headers or {})


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
            {"pointer": finding.pointer, "code": finding.code, "detail": finding.detail} for finding in problem.errors
        ]
    return JSONResponse(body, problem.status, headers=problem.headers, media_type=MEDIA_TYPE)
