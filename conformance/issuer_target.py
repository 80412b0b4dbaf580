"""An issuer as the outside sees it: its address, and what it answers. Nothing is known of it but that."""

import secrets
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from urllib.parse import urlencode

import httpx

from conformance.check import Failed, NotApplicable
from specs.encoding import Malformed, strict_json
from specs.encoding.strict_json import JsonObject, JsonValue
from specs.protocols.oauth import InvalidAnswer
from specs.protocols.oauth_metadata import AUTHORIZATION_SERVER, CREDENTIAL_ISSUER, check_url, well_known_url

MAX_ANSWER_BYTES = 4 * 1024 * 1024
TIMEOUT_SECONDS = 15.0
JSON, JWT, FORM = "application/json", "application/jwt", "application/x-www-form-urlencoded"


@dataclass(frozen=True, slots=True)
class Answer:
    """What came back."""

    status: int
    headers: httpx.Headers
    body: bytes

    @property
    def media_type(self) -> str:
        """The content type without parameters, in lower case."""
        return str(self.headers.get("content-type", "")).partition(";")[0].strip().lower()

    @property
    def is_never_stored(self) -> bool:
        """Whether Cache-Control has `no-store` (RFC 9111 §5.2.2.5)."""
        directives = ",".join(self.headers.get_list("cache-control")).lower().split(",")
        return "no-store" in (each.strip() for each in directives)

    @property
    def described(self) -> str:
        """Status and type, for reports."""
        return f"{self.status} {self.media_type or 'without a content type'}"

    def json_object(self) -> JsonObject:
        """The body as a JSON object.

        Raises:
            Failed: it is none.
        """
        try:
            return strict_json.parse_object(self.body)
        except Malformed as error:
            raise Failed("a JSON object", f"{self.described}: {error}") from None


@dataclass
class IssuerTarget:
    """One issuer during one run; documents are fetched once. url: its credential issuer identifier."""

    url: str
    client: httpx.Client
    allow_loopback_http: bool = False
    requests: int = field(default=0, init=False)

    def send(
        self, method: str, url: str, *, headers: Mapping[str, str] | None = None, body: bytes | None = None
    ) -> Answer:
        """One request; redirects are not followed.

        Raises:
            Failed: the address may not be called, or there is no answer of bearable size.
        """
        try:
            check_url(url, allow_loopback_http=self.allow_loopback_http)
        except InvalidAnswer as error:
            raise Failed("an address that may be called", f"{url}: {error}") from None
        self.requests += 1
        try:
            with self.client.stream(method, url, headers=dict(headers or {}), content=body) as response:
                read = bytearray()
                for chunk in response.iter_bytes():
                    read += chunk
                    if len(read) > MAX_ANSWER_BYTES:
                        raise Failed(f"at most {MAX_ANSWER_BYTES} bytes", "more")
                return Answer(response.status_code, response.headers, bytes(read))
        except (httpx.HTTPError, httpx.InvalidURL) as error:
            raise Failed("an answer", f"none from {url} ({type(error).__name__})") from None

    def get(self, url: str, *, accept: str = JSON) -> Answer:
        """GET a document."""
        return self.send("GET", url, headers={"Accept": accept})

    def post_form(self, url: str, form: Mapping[str, str]) -> Answer:
        """POST a form."""
        headers = {"Content-Type": FORM, "Accept": JSON}
        return self.send("POST", url, headers=headers, body=urlencode(form).encode())

    @property
    def metadata_url(self) -> str:
        """Where the issuer's metadata must lie (OpenID4VCI 1.0 §12.2.2)."""
        return well_known_url(self.url, CREDENTIAL_ISSUER)

    @cached_property
    def metadata_answer(self) -> Answer:
        """The answer at that address."""
        return self.get(self.metadata_url)

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
        except Failed:
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

    @cached_property
    def server_answer(self) -> Answer:
        """The answer where the authorization server's metadata must lie (RFC 8414 §3.1)."""
        try:
            where = well_known_url(self.authorization_server, AUTHORIZATION_SERVER)
        except InvalidAnswer as error:
            raise Failed("an authorization server's identifier", str(error)) from None
        return self.get(where)

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
        except Failed:
            raise NotApplicable("there are no authorization server metadata") from None

    def endpoint(self, document: JsonObject, name: str) -> str:
        """An endpoint that a document names.

        Raises:
            NotApplicable: it names none, or one that may not be called; a check of its own says so.
        """
        try:
            return check_url(document.get(name), allow_loopback_http=self.allow_loopback_http)
        except InvalidAnswer:
            raise NotApplicable(f"there is no {name} that may be called") from None


def shown(value: JsonValue) -> str:
    """A value for a report, shortened."""
    text = strict_json.dumps(value).decode()
    return text if len(text) <= 120 else text[:117] + "…"


def unknown_name() -> str:
    """A name that no target knows."""
    return f"no-such-{secrets.token_hex(8)}"
