"""What a waiting module waits for, by role: an offer from an issuer, a request from a verifier, a wallet that acts."""

import re
from collections.abc import Mapping, Sequence
from typing import Protocol
from urllib.parse import urlsplit

import httpx

from conformance.oidf.picture import picture_of
from conformance.oidf.plans import Run, named
from conformance.oidf.suite import Module, Suite
from specs.encoding.strict_json import JsonObject, JsonValue

_ERROR = re.compile(r'id="error(?:-description)?"[^>]*>([^<]*)<')


class TargetFailed(Exception):
    """The target's own hook did not answer as it should."""


class ModuleDriver(Protocol):
    """Acts for one module, as often as it waits."""

    async def act(self, suite: Suite, test: str) -> None:
        """Do what the test waits for now, if that is ours to do."""


class TargetDriver(Protocol):
    """Knows one target."""

    def for_module(self, run: Run, module: Module) -> ModuleDriver:
        """A driver for one module of a run."""


class IssuerDriver:
    """Fetches fresh offers from the issuer's hook."""

    def __init__(self, target: JsonObject) -> None:
        ours = _members(target.get("stadtnachweis"))
        admin = _members(ours.get("admin"))
        self.offers, self._key = str(admin.get("offers")), str(admin.get("key"))

    def for_module(self, run: Run, module: Module) -> ModuleDriver:
        """See `TargetDriver`."""
        return _Offering(self, run)

    async def fresh_offer(self, ask: Mapping[str, str]) -> str:
        """The query of an offer's deep link."""
        order = {
            "configuration_id": ask["credential_configuration_id"],
            "grant": ask.get("grant", "authorization_code"),
            "by": ask.get("by", "reference"),
        }
        made = await _post(self.offers, self._key, order)
        return urlsplit(str(made["offer_uri"])).query


class _Offering:
    """One offer each time that the module begins to wait for one."""

    def __init__(self, issuer: IssuerDriver, run: Run) -> None:
        self._issuer, self._run, self._made = issuer, run, 0

    async def act(self, suite: Suite, test: str) -> None:
        """See `ModuleDriver`."""
        address = (await suite.exposed(test)).get("credential_offer_endpoint")
        if address is None or not await self._is_due(suite, test):
            return
        self._made += 1
        await suite.visit(f"{address}?{await self._issuer.fresh_offer(self._run.ask)}")

    async def _is_due(self, suite: Suite, test: str) -> bool:
        """The first offer at once; a further one only if the log says so, for the module may wait for its browser."""
        if not self._made:
            return True
        waits = [entry for entry in await suite.log(test) if entry.get("src") == "VCIWaitForCredentialOffer"]
        return len(waits) > self._made


class VerifierDriver:
    """Begins sessions at the verifier's hook."""

    def __init__(self, target: JsonObject) -> None:
        ours = _members(target.get("stadtnachweis"))
        admin = _members(ours.get("admin"))
        self.sessions, self._key = str(admin.get("sessions")), str(admin.get("key"))

    def for_module(self, run: Run, module: Module) -> ModuleDriver:
        """See `TargetDriver`."""
        return _Asking(self, run, module)

    async def ask(self, order: Mapping[str, str]) -> str:
        """The address that opens the wallet."""
        return str((await _post(self.sessions, self._key, order))["wallet_url"])


class _Asking:
    """One question for the wallet that the module plays."""

    def __init__(self, verifier: VerifierDriver, run: Run, module: Module) -> None:
        self._verifier, self._run, self._module, self._asked = verifier, run, module, False

    async def act(self, suite: Suite, test: str) -> None:
        """See `ModuleDriver`."""
        endpoint = (await suite.exposed(test)).get("authorization_endpoint")
        if endpoint is None or self._asked:
            return
        self._asked = True
        method = "post" if self._module.name.endswith("request-uri-method-post") else "get"
        order = {**self._run.ask, "wallet_endpoint": endpoint, "request_uri_method": method}
        await suite.visit(await self._verifier.ask(order))


class WalletDriver:
    """Brings a wallet what no browser of the suite's can: a flow of its own accord, and questions through a browser.

    Links of offers and questions are opened by the suite's own browser, as the printed configuration says.
    """

    def __init__(self, target: JsonObject) -> None:
        endpoints = named(target, "stadtnachweis", "endpoints")
        self._collect, self._dc_api = named(endpoints, "collect"), named(endpoints, "dc_api")

    def for_module(self, run: Run, module: Module) -> ModuleDriver:
        """See `TargetDriver`."""
        if run.ask["part"] in self._collect:
            return _Collecting(self, run)
        return _Browsing(self, run)

    async def collect(self, part: str, issuer: str, configuration: str) -> None:
        """Let the wallet begin; what it says at the end is no matter, for the suite judges what it did."""
        asked = {"credential_issuer": issuer, "credential_configuration_ids": configuration}
        async with _http() as http:
            await http.get(str(self._collect[part]), params=asked, headers={"Accept": "application/json"})

    async def answer(self, part: str, request: JsonObject, *, origin: str) -> tuple[JsonObject, bool]:
        """What the platform hands back to the page, and whether that is an answer and no refusal."""
        async with _http() as http:
            answer = await http.post(str(self._dc_api[part]), json={"origin": origin, "request": dict(request)})
        said = _members(answer.json())
        if answer.status_code == 200:
            return dict(said), True
        error: JsonObject = {"name": str(said.get("error")), "message": str(said.get("error_description"))}
        return {"exception": dict(error)}, False


class _Collecting:
    """Lets the wallet begin once, where the run is about that."""

    def __init__(self, wallet: WalletDriver, run: Run) -> None:
        self._wallet, self._run, self._begun = wallet, run, False

    async def act(self, suite: Suite, test: str) -> None:
        """See `ModuleDriver`."""
        configuration = self._run.ask.get("credential_configuration_id")
        issuer = (await suite.exposed(test)).get("credential_issuer")
        if configuration is None or issuer is None or self._begun:
            return
        self._begun = True
        await self._wallet.collect(self._run.ask["part"], issuer, configuration)


class _Browsing:
    """Carries one question between page and wallet, as a browser would, and shows what the wallet refused."""

    def __init__(self, wallet: WalletDriver, run: Run) -> None:
        self._wallet, self._run, self._refused = wallet, run, ""
        self._answered: set[str] = set()
        self._is_shown = False

    async def act(self, suite: Suite, test: str) -> None:
        """See `ModuleDriver`."""
        for request, address in await suite.browser_requests(test):
            if address in self._answered:
                continue
            self._answered.add(address)
            answer, is_good = await self._wallet.answer(self._run.ask["part"], request, origin=suite.url)
            self._refused = "" if is_good else str(answer)
            await suite.submit(address, answer)
        refused = self._refused or _shown_refusal(await suite.log(test))
        if refused and not self._is_shown:
            self._is_shown = await suite.fill_placeholders(test, picture_of(refused)) > 0


def _shown_refusal(log: Sequence[JsonObject]) -> str:
    """What the wallet's page said last to the suite's own browser, if that was a refusal."""
    pages = [str(entry["response_content"]) for entry in log if "response_content" in entry]
    return " ".join(_ERROR.findall(pages[-1])) if pages else ""


def _http() -> httpx.AsyncClient:
    return httpx.AsyncClient(verify=False, timeout=60)  # noqa: S501 made for this machine by the target


async def _post(url: str, key: str, body: Mapping[str, JsonValue]) -> Mapping[str, JsonValue]:
    async with _http() as http:
        answer = await http.post(url, json=dict(body), headers={"Authorization": f"Bearer {key}"})
    if answer.status_code not in (200, 201):
        raise TargetFailed(f"{url}: HTTP {answer.status_code} {answer.text[:300]}")
    return _members(answer.json())


def _members(value: JsonValue) -> Mapping[str, JsonValue]:
    return value if isinstance(value, dict) else {}
