"""What the suite is told of a target beside its address: a YAML file, each member optional; unknown ones are errors."""

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated

import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from conformance.check import HAIP, PROFILES
from specs.trust.anchors import AnchorKind, TrustAnchor, anchors_from_pem


class SettingsWrong(Exception):
    """The settings can't be used; the message names file and member."""


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class HttpHook(_Strict):
    """Call an address to get something. Texts may hold `{configuration}`, `{grant}`, `{by}` for an
    offer, `{format}`, `{method}` for a question.

    send: what is sent as JSON; without it the call is a GET. member: the answer's member that holds what is wanted,
    with dots on its way down; without one the answer's whole text. code_member: where a transaction code stands.
    """

    url: str
    send: dict[str, object] | None = None
    headers: dict[str, str] = Field(default_factory=dict)
    member: str | None = None
    code_member: str | None = None


class Source(_Strict):
    """Where a link comes from: exactly one of the ways.

    uri: always this link. command: a program and its arguments, with the same placeholders, that prints the
    link, and in a second line a transaction code if there is one. page: a person is asked on the guide's page.
    """

    uri: str | None = None
    command: list[str] | None = None
    http: HttpHook | None = None
    page: bool = False

    @model_validator(mode="after")
    def _one_way(self) -> "Source":
        ways = [self.uri is not None, self.command is not None, self.http is not None, self.page]
        if sum(ways) != 1:
            raise ValueError("name exactly one of uri, command, http, page")
        return self


class PageSource(_Strict):
    """Where a page's question for the browser comes from: call an address with `http`, whose cookies are the page's.

    requests: the answer's member with the entries of `digital.requests`; answer: the one with the address to which the
    page posts what came back; both with dots on the way down. origin: of the page.
    """

    http: HttpHook
    requests: str = "digital.requests"
    answer: str = "answer"
    origin: str


class LoginSettings(_Strict):
    """A person who may log in at the issuer's pages; ids or values of the buttons that agree and refuse."""

    username: str
    password: str
    agree: list[str] = Field(default_factory=lambda: ["approve", "login"])
    refuse: list[str] = Field(default_factory=lambda: ["deny", "cancel"])


class TestCredential(_Strict):
    """What the suite shows a verifier. claims: of the SD-JWT VC; elements: of the mdoc, by name space."""

    vct: str = "urn:eudi:pid:1"
    claims: dict[str, object] = {"family_name": "Dupont", "given_name": "Jean", "birthdate": "1980-05-23"}
    doctype: str = "org.iso.18013.5.1.mDL"
    elements: dict[str, dict[str, object]] = {"org.iso.18013.5.1": {"family_name": "Dupont", "given_name": "Jean"}}


class Settings(_Strict):
    """One target. Paths are relative to the settings' file.

    profile: whose rules apply. allow_loopback_http: plain http to this machine. tls_roots: PEM of whom to trust for
    https beside the system's. identity: folder of who the suite is (see `stadtnachweis conformance identity`).

    issuer: its credential issuer identifier. offer: where offers come from. tx_code: the code of each offer, unless its
    source tells one. login: see above. configurations: what to collect, by format (`dc+sd-jwt`, `mso_mdoc`), and under
    `deferred` one that is deferred. credential_roots, status_roots, metadata_roots: PEM of who may sign these.
    registrar_roots: PEM of who may sign registration certificates, of an issuer or a verifier.

    verifier: an address of it, for the report. question: where fresh requests come from. page: where those come from
    that a page hands to the browser. request_roots: PEM of who may sign requests. credential: what is shown.

    wallet: its authorization endpoint, called with an authorization request. offer_endpoint: called with a credential
    offer. dc_api_endpoint: called with what a page hands to the browser (see `conformance/wallet_page.py`).
    wallet_credential: what it is given and asked for. wallet_provider_roots: PEM of who may vouch for it.

    suite_url: where wallets, and verifiers that look for a status list, reach the suite, if not at its own port.
    suite_listen, suite_port: address and port of this machine that it listens at. suite_tls: https, by a certificate
    below the identity's suite-tls-root.pem, or by suite_certificate and suite_key (PEM).
    """

    profile: Annotated[str, Field(pattern=f"^({'|'.join(PROFILES)})$")] = HAIP
    allow_loopback_http: bool = False
    tls_roots: Path | None = None
    identity: Path | None = None

    issuer: str | None = None
    offer: Source | None = None
    tx_code: str | None = None
    login: LoginSettings | None = None
    configurations: dict[str, str] = Field(default_factory=dict)
    credential_roots: Path | None = None
    status_roots: Path | None = None
    metadata_roots: Path | None = None
    registrar_roots: Path | None = None

    verifier: str | None = None
    question: Source | None = None
    page: PageSource | None = None
    request_roots: Path | None = None
    credential: TestCredential = Field(default_factory=TestCredential)

    wallet: str | None = None
    offer_endpoint: str | None = None
    dc_api_endpoint: str | None = None
    wallet_credential: TestCredential = TestCredential(
        doctype="eu.europa.ec.eudi.pid.1",
        elements={"eu.europa.ec.eudi.pid.1": {"family_name": "Dupont", "given_name": "Jean"}},
    )
    wallet_provider_roots: Path | None = None
    suite_url: str | None = None
    suite_listen: str = "127.0.0.1"
    suite_port: int = 0
    suite_tls: bool = False
    suite_certificate: Path | None = None
    suite_key: Path | None = None

    @model_validator(mode="after")
    def _one_target(self) -> "Settings":
        named = [each for each in (self.issuer, self.verifier, self.wallet) if each is not None]
        if len(named) > 1:
            raise ValueError("name one of issuer, verifier, wallet")
        if (self.suite_certificate is None) is not (self.suite_key is None):
            raise ValueError("suite_certificate and suite_key go together")
        return self

    def file(self, path: Path | None) -> bytes | None:
        """The content of a file that the settings name.

        Raises:
            SettingsWrong: it can't be read.
        """
        if path is None:
            return None
        try:
            return path.read_bytes()
        except OSError as error:
            raise SettingsWrong(f"{path}: {error.strerror}") from None

    def anchors(self, path: Path | None, name: str) -> tuple[TrustAnchor, ...]:
        """The roots of a file as trust anchors; none without a file."""
        pem = self.file(path)
        return anchors_from_pem(pem, kind=AnchorKind.CA, name=name) if pem is not None else ()


_PATHS = (
    "tls_roots", "identity", "credential_roots", "status_roots", "metadata_roots", "registrar_roots", "request_roots",
    "wallet_provider_roots", "suite_certificate", "suite_key",
)  # fmt: skip


def read_settings(file: Path | None, given: Mapping[str, object]) -> Settings:
    """Settings of a file, over which what was given on the command line goes.

    Raises:
        SettingsWrong: the file can't be read, is no YAML, or holds what is not known.
    """
    members: dict[str, object] = {}
    if file is not None:
        try:
            loaded = yaml.safe_load(file.read_text(encoding="utf-8"))
        except (OSError, yaml.YAMLError, UnicodeDecodeError) as error:
            raise SettingsWrong(f"{file}: {error}") from None
        if not isinstance(loaded, dict):
            raise SettingsWrong(f"{file}: settings are members with values")
        members = loaded
        for name in _PATHS:
            if isinstance(members.get(name), str):
                members[name] = file.parent / str(members[name])
    members |= {name: value for name, value in given.items() if value is not None}
    try:
        return Settings.model_validate(members)
    except ValidationError as error:
        found = "; ".join(f"{'.'.join(map(str, each['loc'])) or 'settings'}: {each['msg']}" for each in error.errors())
        raise SettingsWrong(f"{file or 'command line'}: {found}") from None
