"""What a waiting module waits for, by role of the target: an offer from an issuer, a request from a verifier."""

from collections.abc import Mapping
from typing import Protocol
from urllib.parse import urlsplit

import httpx

from conformance.oidf.plans import Run
from conformance.oidf.suite import Module, Suite
from specs.encoding.strict_json import JsonObject, JsonValue


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


async def _post(url: str, key: str, body: Mapping[str, JsonValue]) -> Mapping[str, JsonValue]:
    async with httpx.AsyncClient(verify=False, timeout=30) as http:  # noqa: S501 made for this machine by the target
        answer = await http.post(url, json=dict(body), headers={"Authorization": f"Bearer {key}"})
    if answer.status_code not in (200, 201):
        raise TargetFailed(f"{url}: HTTP {answer.status_code} {answer.text[:300]}")
    return _members(answer.json())


def _members(value: JsonValue) -> Mapping[str, JsonValue]:
    return value if isinstance(value, dict) else {}
