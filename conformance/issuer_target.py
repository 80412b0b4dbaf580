"""An issuer as the outside sees it: its address, and what it answers. Nothing is known of it but that."""

import json
import secrets
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property

import httpx

from conformance.check import HAIP, Failed, NotApplicable
from conformance.exchange import JSON, JWT, Answer, Caller, Headers, NoAnswer, Recorder
from conformance.identity import SuiteIdentity
from conformance.login import Login
from specs.encoding import Malformed
from specs.encoding.strict_json import JsonObject, JsonValue
from specs.protocols.oauth import PRE_AUTHORIZED_CODE, InvalidAnswer
from specs.protocols.oauth_metadata import AUTHORIZATION_SERVER, CREDENTIAL_ISSUER, check_url, well_known_url
from specs.trust.anchors import TrustAnchor

__all__ = ["JSON", "JWT", "Answer", "IssuerTarget", "OfferWish", "Offers", "shown", "unknown_name"]


@dataclass(frozen=True, slots=True)
class OfferWish:
    """What offer a check wants. configuration: the id of a credential configuration. grant: the grant type. by: `value`
    or `reference`."""

    configuration: str
    grant: str = PRE_AUTHORIZED_CODE
    by: str = "value"

    @property
    def grant_name(self) -> str:
        """The grant's name without the prefix that makes it a URI."""
        return self.grant.rpartition(":")[2]


@dataclass(frozen=True, slots=True)
class Offered:
    """An offer's link, and the transaction code that came another way, if any."""

    link: str
    tx_code: str | None = None


Offers = Callable[[OfferWish], Offered]


@dataclass
class IssuerTarget:
    """One issuer during one run; documents are fetched once.

    url: its credential issuer identifier. offers: how to get one; None: flows that need one are not tried. login: who
    may log in at its authorization server; None: nobody. identity: who the suite is as a wallet;
    None: nobody that the target knows. wanted: ids of the
    configurations to collect, by format; the first of each format by default. anchors, status_anchors,
    metadata_anchors, registrar_anchors: whom its credentials, status lists, signed metadata and registration
    certificates must be signed by; without any the certificate that comes along is taken. profile: whose rules apply.
    """

    url: str
    client: httpx.Client
    allow_loopback_http: bool = False
    offers: Offers | None = None
    login: Login | None = None
    identity: SuiteIdentity | None = None
    wanted: Mapping[str, str] = field(default_factory=dict)
    anchors: tuple[TrustAnchor, ...] = ()
    status_anchors: tuple[TrustAnchor, ...] = ()
    metadata_anchors: tuple[TrustAnchor, ...] = ()
    registrar_anchors: tuple[TrustAnchor, ...] = ()
    redirect_uri: str = "https://wallet.example/callback"
    profile: str = HAIP
    kept: dict[str, object] = field(default_factory=dict, init=False, repr=False)

    def __post_init__(self) -> None:
        self.caller = Caller(self.client, self.allow_loopback_http)

    @property
    def recorder(self) -> Recorder:
        """Where exchanges are kept."""
        return self.caller.recorder

    @property
    def wallet(self) -> SuiteIdentity:
        """Who the suite is as a wallet.

        Raises:
            NotApplicable: nobody that the target knows.
        """
        if self.identity is None:
            raise NotApplicable("the target does not know the suite's wallet: name an identity whose root it trusts")
        return self.identity

    def send(self, method: str, url: str, *, headers: Headers | None = None, body: bytes | None = None) -> Answer:
        """One request; redirects are not followed.

        Raises:
            NoAnswer: the address may not be called, or there is no answer of bearable size.
        """
        return self.caller.send(method, url, headers=headers, body=body)

    def get(self, url: str, *, accept: str = JSON) -> Answer:
        """GET a document."""
        return self.caller.get(url, accept=accept)

    def post_form(self, url: str, form: Mapping[str, str], headers: Headers | None = None) -> Answer:
        """POST a form."""
        return self.caller.post_form(url, form, headers)

    @property
    def metadata_url(self) -> str:
        """Where the issuer's metadata must lie (OpenID4VCI 1.0 §12.2.2)."""
        return well_known_url(self.url, CREDENTIAL_ISSUER)

    @property
    def metadata_answer(self) -> Answer:
        """The answer at that address; it is asked for once, whatever comes of that."""
        return self._once(self.metadata_url)

    def _once(self, url: str) -> Answer:
        if url not in self.kept:
            try:
                self.kept[url] = self.get(url)
            except NoAnswer as silence:
                self.kept[url] = silence
        found = self.kept[url]
        if isinstance(found, NoAnswer):
            raise NoAnswer(str(found))
        assert isinstance(found, Answer)
        return found

    @cached_property
    def metadata(self) -> JsonObject:
        """The issuer's metadata, for checks of something else.

        Raises:
            NotApplicable: there are none; the check of the metadata itself says so.
        """
        try:
            answer = self.metadata_answer
            if answer.status != 200:
                raise NotApplicable("there are no issuer metadata")
            return answer.json_object()
        except (NoAnswer, Malformed):
            raise NotApplicable("there are no issuer metadata") from None

    @property
    def configurations(self) -> dict[str, JsonObject]:
        """The credential configurations that are objects.

        Raises:
            NotApplicable: there are none.
        """
        supported = self.metadata.get("credential_configurations_supported")
        entries = supported if isinstance(supported, dict) else {}
        found = {name: each for name, each in entries.items() if isinstance(each, dict)}
        if not found:
            raise NotApplicable("there are no credential configurations")
        return found

    def configuration(self, form: str) -> str:
        """The id of the configuration to collect in a format.

        Raises:
            NotApplicable: none is offered.
        """
        known = self.configurations
        if form in self.wanted:
            if self.wanted[form] not in known:
                raise NotApplicable(f"the metadata do not know {self.wanted[form]}")
            return self.wanted[form]
        for name, configuration in known.items():
            if configuration.get("format") == form:
                return name
        raise NotApplicable(f"nothing is offered in {form}")

    @property
    def first_configuration(self) -> str:
        """The configuration that flows are tried with: an SD-JWT VC if there is one."""
        for form in ("dc+sd-jwt", "mso_mdoc"):
            try:
                return self.configuration(form)
            except NotApplicable:
                continue
        raise NotApplicable("neither dc+sd-jwt nor mso_mdoc is offered")

    @property
    def binds_keys(self) -> bool:
        """Whether any configuration binds its credentials to a key."""
        return any("cryptographic_binding_methods_supported" in each for each in self.configurations.values())

    @property
    def authorization_server(self) -> str:
        """The identifier of the first authorization server; the issuer is its own if it names none (§12.2.4)."""
        named = self.metadata.get("authorization_servers")
        first = named[0] if isinstance(named, list) and named else self.url
        return first if isinstance(first, str) else self.url

    @property
    def server_answer(self) -> Answer:
        """The answer where the authorization server's metadata must lie (RFC 8414 §3.1)."""
        try:
            where = well_known_url(self.authorization_server, AUTHORIZATION_SERVER)
        except InvalidAnswer as error:
            raise Failed("an authorization server's identifier", str(error)) from None
        return self._once(where)

    @cached_property
    def server(self) -> JsonObject:
        """The authorization server's metadata, for checks of something else.

        Raises:
            NotApplicable: there are none; the check of the metadata itself says so.
        """
        try:
            answer = self.server_answer
            if answer.status != 200:
                raise NotApplicable("there are no authorization server metadata")
            return answer.json_object()
        except (Failed, NoAnswer, Malformed):
            raise NotApplicable("there are no authorization server metadata") from None

    def supports(self, name: str, value: str) -> bool:
        """Whether a list of the authorization server's metadata holds a value."""
        values = self.server.get(name)
        return isinstance(values, list) and value in values

    def endpoint(self, document: JsonObject, name: str) -> str:
        """An endpoint that a document names.

        Raises:
            NotApplicable: it names none, or one that may not be called; a check of its own says so.
        """
        try:
            return check_url(document.get(name), allow_loopback_http=self.allow_loopback_http)
        except InvalidAnswer:
            raise NotApplicable(f"there is no {name} that may be called") from None


def shown(value: JsonValue | Sequence[str]) -> str:
    """A value for a report, shortened."""
    text = json.dumps(value, ensure_ascii=False, separators=(",", ":"))
    return text if len(text) <= 120 else text[:117] + "…"


def unknown_name() -> str:
    """A name that no target knows."""
    return f"no-such-{secrets.token_hex(8)}"
