"""Gets links that a target must make anew: offers from an issuer, questions from a verifier."""

import subprocess
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from urllib.parse import quote

import httpx

from conformance.check import Failed, NotApplicable
from conformance.page_question import PageQuestion
from conformance.settings import HttpHook, PageSource, Source
from specs.encoding import Malformed, strict_json
from specs.encoding.strict_json import JsonValue

_SECONDS = 30
Ask = Callable[[str, Mapping[str, str]], str]  # asks a person for a link; what for, and the wish in words


@dataclass(frozen=True, slots=True)
class Link:
    """A link, and a code that came with it on another way."""

    text: str
    code: str | None = None


def fetched(source: Source, wish: Mapping[str, str], *, http: httpx.Client, what: str, ask: Ask | None) -> Link:
    """A link from where the settings say. wish: the values of the placeholders. what: `offer` or `question`.

    Raises:
        Failed: the way leads to no link. NotApplicable: a person would have to be asked, and there is none.
    """
    if source.uri is not None:
        return Link(source.uri)
    if source.command is not None:
        return _printed([_filled(each, wish) for each in source.command], what)
    if source.http is not None:
        return _called(source.http, wish, http, what)
    if ask is None:
        raise NotApplicable(f"a person has to bring the {what}: run with --guide")
    return Link(ask(what, wish))


def fetched_page(source: PageSource, wish: Mapping[str, str], *, http: httpx.Client) -> PageQuestion:
    """A page's question for the browser, with the page's cookies.

    Raises:
        Failed: the way leads to none.
    """
    http.cookies.clear()
    answer = _asked(source.http, wish, http, "page's question")
    try:
        document = strict_json.parse(answer.content)
    except Malformed:
        raise Failed("JSON of the hook for a page's question", "something else") from None
    requests, where = _found(document, source.requests), _found(document, source.answer)
    if not isinstance(requests, list) or not isinstance(where, str):
        raise Failed(f"{source.requests}, a list, and {source.answer}, an address", "something else")
    entries = tuple(each for each in requests if isinstance(each, dict))
    return PageQuestion(entries, source.origin, where, dict(http.cookies))


def _printed(command: list[str], what: str) -> Link:
    try:
        ran = subprocess.run(command, capture_output=True, text=True, timeout=_SECONDS, check=False)  # noqa: S603 the tester's own
    except (OSError, subprocess.TimeoutExpired) as error:
        raise Failed(f"the command, {what}", type(error).__name__) from None
    lines = ran.stdout.split()
    if ran.returncode != 0 or not lines:
        raise Failed(f"a link from the command, {what}", f"status {ran.returncode}, {len(lines)} words")
    return Link(lines[0], lines[1] if len(lines) > 1 else None)


def _called(hook: HttpHook, wish: Mapping[str, str], http: httpx.Client, what: str) -> Link:
    answer = _asked(hook, wish, http, what)
    if hook.member is None:
        return Link(answer.text.strip())
    try:
        document = strict_json.parse(answer.content)
    except Malformed:
        raise Failed(f"JSON of the hook, {what}", "something else") from None
    code = _member(document, hook.code_member) if hook.code_member is not None else None
    link = _member(document, hook.member)
    if link is None:
        raise Failed(f"{hook.member} in the answer of the hook, {what}", "none")
    return Link(link, code)


def _asked(hook: HttpHook, wish: Mapping[str, str], http: httpx.Client, what: str) -> httpx.Response:
    headers = {name: _filled(value, wish) for name, value in hook.headers.items()}
    url = _filled(hook.url, {name: quote(value, safe="") for name, value in wish.items()})
    try:
        if hook.send is None:
            answer = http.get(url, headers=headers, timeout=_SECONDS)
        else:
            answer = http.post(url, json=_filled_in(hook.send, wish), headers=headers, timeout=_SECONDS)
    except httpx.HTTPError as error:
        raise Failed(f"an answer of the hook, {what}", type(error).__name__) from None
    if answer.status_code not in (200, 201):
        raise Failed(f"200 or 201 of the hook, {what}", str(answer.status_code))
    return answer


def _member(document: JsonValue, way: str) -> str | None:
    found = _found(document, way)
    return found if isinstance(found, str) else None


def _found(document: JsonValue, way: str) -> JsonValue:
    for name in way.split("."):
        document = document.get(name) if isinstance(document, dict) else None
    return document


def _filled(text: str, wish: Mapping[str, str]) -> str:
    for name, value in wish.items():
        text = text.replace(f"{{{name}}}", value)
    return text


def _filled_in(value: object, wish: Mapping[str, str]) -> object:
    if isinstance(value, str):
        return _filled(value, wish)
    if isinstance(value, dict):
        return {name: _filled_in(each, wish) for name, each in value.items()}
    if isinstance(value, list):
        return [_filled_in(each, wish) for each in value]
    return value
