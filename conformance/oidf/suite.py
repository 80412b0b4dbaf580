"""The interface of a running suite, as far as a driver needs it."""

import base64
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from types import TracebackType
from typing import Self

import httpx

from specs.encoding.strict_json import JsonObject, JsonValue

FINISHED, INTERRUPTED, WAITING = "FINISHED", "INTERRUPTED", "WAITING"
_POLL_MILLISECONDS = 10_000
_TIMEOUT = 90.0  # seconds; rendering the evidence takes longest


class SuiteFailed(Exception):
    """The suite did not do what its interface promises; the message says at which call."""


@dataclass(frozen=True, slots=True)
class Module:
    """One module of a plan, with the variant it runs in."""

    name: str
    variant: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Plan:
    """A plan that the suite has made of a configuration."""

    id: str
    modules: tuple[Module, ...]


class Suite:
    """Calls a suite. Its certificate is not checked: it runs on this machine, with one it made itself."""

    def __init__(self, url: str, *, token: str | None = None) -> None:
        self.url = url.rstrip("/")
        headers = {} if token is None else {"Authorization": f"Bearer {token}"}
        self._http = httpx.AsyncClient(verify=False, timeout=_TIMEOUT, headers=headers)  # noqa: S501 see above

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._http.aclose()

    async def version(self) -> str:
        """Version and revision of the suite."""
        about = _object(await self._json("GET", "api/server"))
        return f"{about.get('version')} ({about.get('revision')})"

    async def make_plan(self, name: str, *, variant: Mapping[str, str], configuration: JsonObject) -> Plan:
        """A plan of this name."""
        made = _object(
            await self._json(
                "POST", "api/plan", params={"planName": name, "variant": json.dumps(dict(variant))}, body=configuration
            )
        )
        modules = made.get("modules")
        if not isinstance(modules, list):
            raise SuiteFailed("api/plan: no modules")
        return Plan(str(made.get("id")), tuple(_module(each) for each in modules))

    async def start(self, plan: Plan, module: Module) -> str:
        """Start a module; the id of the running test. What runs under the same alias is stopped by that."""
        parameters = {"test": module.name, "plan": plan.id, "variant": json.dumps(dict(module.variant))}
        return str(_object(await self._json("POST", "api/runner", params=parameters)).get("id"))

    async def state(self, test: str, *, wanted: Sequence[str]) -> str | None:
        """The state once it is one of those wanted; None if it wasn't for a while."""
        parameters = {"states": ",".join((*wanted, INTERRUPTED)), "timeoutMs": str(_POLL_MILLISECONDS)}
        told = _object(await self._json("GET", f"api/runner/{test}/wait-state", params=parameters))
        state = told.get("state")
        return None if state is None else str(state)

    async def exposed(self, test: str) -> Mapping[str, str]:
        """What the running test tells its driver."""
        exposed = _object(await self._json("GET", f"api/runner/{test}")).get("exposed")
        return {name: str(value) for name, value in exposed.items()} if isinstance(exposed, dict) else {}

    async def browser_requests(self, test: str) -> list[tuple[JsonObject, str]]:
        """What the running test asks of a wallet through its browser, and where the answer goes."""
        browser = _object(await self._json("GET", f"api/runner/{test}")).get("browser")
        asked = browser.get("browserApiRequests") if isinstance(browser, dict) else None
        entries = [_object(each) for each in asked] if isinstance(asked, list) else []
        return [(_object(each.get("request")), str(each.get("submitUrl"))) for each in entries]

    async def submit(self, url: str, answer: JsonObject) -> None:
        """Send what the browser answered, as the suite's own page does."""
        await self._http.post(url, content=json.dumps(answer))

    async def fill_placeholders(self, test: str, picture: bytes) -> int:
        """Upload a picture (PNG) wherever the test wants one; how many it wanted."""
        wanted = [str(entry["upload"]) for entry in await self.log(test) if isinstance(entry.get("upload"), str)]
        data = f"data:image/png;base64,{base64.b64encode(picture).decode('ascii')}"
        for placeholder in wanted:
            url = f"{self.url}/api/log/{test}/images/{placeholder}"
            await self._http.post(url, content=data, headers={"Content-Type": "text/plain"})
        return len(wanted)

    async def result(self, test: str) -> tuple[str, str]:
        """State and result of a test."""
        told = _object(await self._json("GET", f"api/info/{test}"))
        return str(told.get("status")), str(told.get("result") or "UNKNOWN")

    async def log(self, test: str) -> list[JsonObject]:
        """The entries of a test's log."""
        entries = await self._json("GET", f"api/log/{test}")
        return [_object(each) for each in entries] if isinstance(entries, list) else []

    async def stop(self, test: str) -> None:
        """End a test that hangs."""
        await self._http.request("DELETE", f"{self.url}/api/runner/{test}")

    async def visit(self, url: str) -> httpx.Response:
        """Call an address that a test exposes, as a person's browser would."""
        return await self._http.get(url)

    async def evidence(self, plan: Plan) -> bytes:
        """The plan's logs as one archive."""
        answer = await self._http.get(f"{self.url}/api/plan/exporthtml/{plan.id}")
        if answer.status_code != 200:
            raise SuiteFailed(f"api/plan/exporthtml: HTTP {answer.status_code}")
        return answer.content

    async def _json(
        self, method: str, path: str, *, params: Mapping[str, str] | None = None, body: JsonObject | None = None
    ) -> JsonValue:
        try:
            answer = await self._http.request(method, f"{self.url}/{path}", params=params, json=body)
        except httpx.HTTPError as error:
            raise SuiteFailed(f"{path}: {type(error).__name__}") from error
        if answer.status_code not in (200, 201):
            raise SuiteFailed(f"{path}: HTTP {answer.status_code} {answer.text[:300]}")
        parsed: JsonValue = answer.json()
        return parsed


def _module(value: JsonValue) -> Module:
    described = _object(value)
    variant = described.get("variant")
    given = {name: str(choice) for name, choice in variant.items()} if isinstance(variant, dict) else {}
    return Module(str(described.get("testModule")), given)


def _object(value: JsonValue) -> JsonObject:
    if not isinstance(value, dict):
        raise SuiteFailed("the suite answered with something else than an object")
    return value
