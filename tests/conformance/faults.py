"""Ways to break a target between it and the suite: one change of one answer, applied where the answer leaves it."""

import json
import ssl
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, TypeAlias
from urllib.parse import parse_qs

import httpx
import pytest
from _pytest.mark import ParameterSet

from specs.encoding import base64url

Change: TypeAlias = Callable[["Passing"], httpx.Response]


@dataclass(frozen=True, slots=True)
class Passing:
    """A request, and the target's own answer to it. memory: of this fault, from request to request."""

    request: httpx.Request
    answer: httpx.Response
    memory: dict[str, Any] = field(compare=False)

    @property
    def path(self) -> str:
        """The path's last segment."""
        return self.request.url.path.rpartition("/")[2]

    @property
    def body(self) -> Any:
        """The answer's JSON."""
        return json.loads(self.answer.content)

    @property
    def sent(self) -> Any:
        """The request's JSON; an empty object if it is none."""
        try:
            return json.loads(self.request.content)
        except ValueError:
            return {}

    @property
    def form(self) -> dict[str, str]:
        """The request's form."""
        return {name: values[0] for name, values in parse_qs(self.request.content.decode()).items()}

    def token(self, header: str) -> tuple[dict[str, Any], dict[str, Any]]:
        """Header and claims of a token in a header; empty ones if it is none."""
        return opened(self.request.headers.get(header, ""))

    @property
    def proof(self) -> tuple[dict[str, Any], dict[str, Any]]:
        """Header and claims of the first key proof."""
        proofs = self.sent.get("proofs", {}).get("jwt") or [""]
        return opened(proofs[0])

    def with_json(self, document: object, status: int | None = None) -> httpx.Response:
        """The answer with another body."""
        headers = {name: value for name, value in self.answer.headers.items() if name != "content-length"}
        return httpx.Response(status or self.answer.status_code, headers=headers, json=document)

    def with_headers(self, **changes: str | None) -> httpx.Response:
        """The answer with headers changed, or left out."""
        headers = dict(self.answer.headers)
        for name, value in changes.items():
            headers.pop(name.replace("_", "-"), None)
            if value is not None:
                headers[name.replace("_", "-")] = value
        return httpx.Response(self.answer.status_code, headers=headers, content=self.answer.content)


def opened(token: str) -> tuple[dict[str, Any], dict[str, Any]]:
    """Header and claims of a compact token; empty ones if it is none."""
    parts = token.split(".")
    try:
        return json.loads(base64url.decode(parts[0])), json.loads(base64url.decode(parts[1]))
    except (ValueError, IndexError):
        return {}, {}


class Faulty(httpx.BaseTransport):
    """Passes requests on, and changes answers as the present fault says."""

    def __init__(self, *, verify: ssl.SSLContext | bool = True) -> None:
        self._inner = httpx.HTTPTransport(verify=verify)
        self.change: Change | None = None
        self.memory: dict[str, Any] = {}

    def use(self, change: Change | None) -> None:
        """From now on, this fault alone."""
        self.change, self.memory = change, {}

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        """See `httpx.BaseTransport`."""
        request.read()
        answer = self._inner.handle_request(request)
        answer.read()
        plain = {name: value for name, value in answer.headers.multi_items() if name != "content-encoding"}
        headers = [(name, value) for name, value in answer.headers.multi_items() if name in plain]
        kept = httpx.Response(answer.status_code, headers=headers, content=answer.content, request=request)
        if self.change is None:
            return kept
        return self.change(Passing(request, kept, self.memory))

    def close(self) -> None:
        """See `httpx.BaseTransport`."""
        self._inner.close()


def lenient(path: str, when: Callable[[Passing], bool], like: Mapping[str, object] | None = None) -> Change:
    """Lets through at `path` what must be refused, when it is of that kind, with a former good answer or `like`."""

    def change(passing: Passing) -> httpx.Response:
        if passing.path != path:
            return passing.answer
        if passing.answer.is_success:
            passing.memory["good"] = passing.answer.content
            return passing.answer
        if not when(passing):
            return passing.answer
        status = 201 if path == "par" else 200
        headers = {"content-type": "application/json", "cache-control": "no-store"}
        content = passing.memory.get("good") or json.dumps(dict(like or {})).encode()
        return httpx.Response(status, headers=headers, content=content)

    return change


def edited(path: str, edit: Callable[[Any], Any], *, when_good: bool = True) -> Change:
    """Edits the JSON of good answers at `path` (or of refusals); `edit` changes it in place or gives another."""

    def change(passing: Passing) -> httpx.Response:
        if passing.path != path or passing.answer.is_success is not when_good or not passing.answer.content:
            return passing.answer
        document = passing.body
        return passing.with_json(edit(document) or document)

    return change


def some(defects: Iterable[str]) -> list[ParameterSet]:
    """Every fourth one always, all of them by the long suites."""
    return [
        pytest.param(defect, id=defect.replace(" ", "-"), marks=() if number % 4 == 0 else pytest.mark.long)
        for number, defect in enumerate(defects)
    ]
