"""A wallet as the outside sees it: addresses to call with a question or an offer, and what it sends because of that."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from urllib.parse import urlencode

import httpx

from conformance.check import GERMAN, HAIP, PLAIN, Failed, NotApplicable
from conformance.exchange import Answer, Caller, NoAnswer, Recorder
from conformance.identity import SuiteIdentity
from conformance.scene_verifier import DIRECT_POST, VerifierScene
from conformance.settings import TestCredential
from conformance.suite_server import SuiteServer
from specs.encoding.strict_json import JsonObject, JsonValue
from specs.trust.anchors import TrustAnchor
from specs.trust.registration_claims import RegisteredClaim, RegisteredCredential

SD_JWT, MDOC = "dc+sd-jwt", "mso_mdoc"


@dataclass
class WalletTarget:
    """One wallet during one run.

    url: its authorization endpoint. offer_endpoint: where it takes credential offers. dc_api_endpoint: where it takes
    what a page hands to the browser. identity: whom it trusts as
    issuer and as verifier. credential: what it is given, and asked for. provider_anchors: who vouches for it; without
    any the certificate that comes along is taken. person: opens links in the wallet, where a program can't call it, and
    says whether it showed an error.
    """

    url: str
    client: httpx.Client
    server: SuiteServer
    recorder: Recorder
    identity: SuiteIdentity
    offer_endpoint: str | None = None
    dc_api_endpoint: str | None = None
    credential: TestCredential = field(default_factory=TestCredential)
    provider_anchors: tuple[TrustAnchor, ...] = ()
    profile: str = HAIP
    person: Callable[[str, str], bool] | None = None
    kept: dict[str, object] = field(default_factory=dict, init=False, repr=False)

    def __post_init__(self) -> None:
        self.caller = Caller(self.client, allow_loopback_http=True, recorder=self.recorder)

    def called(self, endpoint: str, params: Mapping[str, str]) -> Answer:
        """Call one of the wallet's addresses; what it does happens before it answers.

        Raises:
            Failed: it does not answer.
        """
        url = f"{endpoint}{'&' if '?' in endpoint else '?'}{urlencode(params)}"
        if self.person is not None:
            what = "wallet_offer" if endpoint == self.offer_endpoint else "wallet_question"
            return Answer(400 if self.person(what, url) else 200, httpx.Headers(), b"")
        try:
            return self.caller.send("GET", url, headers={"Accept": "text/html"})
        except NoAnswer as silence:
            raise Failed("an answer of the wallet", str(silence)) from None

    def ask(self, query: JsonObject, **how: object) -> tuple[VerifierScene, Answer]:
        """Ask the wallet a question in a scene of its own; as the profile has it, but for `how`."""
        name = self.server.place()
        given: dict[str, object] = {"identity": self.identity, "url": f"{self.server.url}/{name}", "query": query}
        if self.profile == PLAIN:
            given |= {"mode": DIRECT_POST, "prefix": "x509_san_dns"}
        if self.profile == GERMAN:
            given["registered"] = registered_for(query)
        scene = VerifierScene(**(given | how))  # type: ignore[arg-type]
        self.server.stage(name, scene)
        return scene, self.called(self.url, scene.link)

    def query(
        self, form: str = SD_JWT, *, claims: int = 2, name: str = "credential", **changes: JsonValue
    ) -> JsonObject:
        """A question for the test credential, for its first claims; for none of them if there are to be 0."""
        return {"credentials": [self.entry(form, claims=claims, name=name) | changes]}

    def entry(self, form: str = SD_JWT, *, claims: int = 2, name: str = "credential") -> JsonObject:
        """One credential of a question."""
        entry: JsonObject = {"id": name, "format": form}
        if form == SD_JWT:
            entry["meta"] = {"vct_values": [self.credential.vct]}
            paths: list[list[JsonValue]] = [[each] for each in self.credential.claims]
        else:
            entry["meta"] = {"doctype_value": self.credential.doctype}
            paths = [[space, each] for space, elements in self.credential.elements.items() for each in elements]
        if claims:
            entry["claims"] = [{"path": path} for path in paths[:claims]]
        return entry

    def need_offers(self) -> str:
        """The address for offers.

        Raises:
            NotApplicable: there is none.
        """
        if self.offer_endpoint is None:
            raise NotApplicable("the settings name no address for offers")
        return self.offer_endpoint


def registered_for(query: JsonObject, *, claims: int | None = None) -> tuple[RegisteredCredential, ...]:
    """What must be registered for a question. claims: only so many of each credential's; None: whatever it holds."""
    entries = query.get("credentials")
    found: list[RegisteredCredential] = []
    for entry in entries if isinstance(entries, list) else ():
        meta = entry.get("meta") if isinstance(entry, dict) else None
        if not isinstance(entry, dict) or not isinstance(meta, dict):
            continue
        types = meta.get("vct_values", [meta.get("doctype_value")])
        asked = entry.get("claims")
        paths = [each.get("path") for each in asked if isinstance(each, dict)] if isinstance(asked, list) else []
        registered = [RegisteredClaim(tuple(path)) for path in paths[:claims] if isinstance(path, list)]  # type: ignore[arg-type]
        found.append(
            RegisteredCredential(
                str(entry.get("format")),
                tuple(str(each) for each in types) if isinstance(types, list) else (),
                None if claims is None else tuple(registered),
            )
        )
    return tuple(found)
