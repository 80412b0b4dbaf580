"""What a city arranges for itself: registers, logins and known wallets, in one YAML file a tenant (`<tenant>.yaml`).

registers:
  sozialamt: {url: "https://register.example.org/claims", key: {kty: EC, crv: P-256, x: …, y: …}}
claims_sources:
  leipzig_pass: sozialamt
wallet_clients:
  - client_id: https://wallet.example/app
    redirect_uris: ["https://wallet.example/callback"]
    keys: [{kty: EC, crv: P-256, x: …, y: …, kid: first}]
"""

from collections.abc import Mapping
from functools import cached_property
from pathlib import Path
from types import MappingProxyType
from typing import Annotated, Self

from pydantic import BaseModel, ConfigDict, Field, StringConstraints, field_validator, model_validator

from issuer.catalog.loader import Catalog
from issuer.catalog.placed_yaml import CatalogError, parse_model
from issuer.keys.tenant_pki import TENANT_ID
from issuer.wallet_clients import RegisteredClient
from specs.keys.jose import JoseError, PublicKey, parse_jwk

Name = Annotated[str, StringConstraints(pattern=r"^[a-z][a-z0-9_-]{0,63}$")]
ClaimPath = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9_:/-]{1,100}(\.[A-Za-z0-9_:/-]{1,100}){0,4}$")]
WebAddress = Annotated[str, StringConstraints(pattern=r"^https?://[!-~]{1,500}$")]


class _Model(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class Register(_Model):
    """A claims source. key: public JWK that its answers are signed with. Times in seconds, sizes in bytes."""

    url: WebAddress
    key: dict[str, str]
    timeout: float = Field(default=3, gt=0, le=30)  # of one try
    budget: float = Field(default=6, gt=0, le=60)  # of all tries while a wallet or a caller waits
    patience: float = Field(default=20, gt=0, le=60)  # of all tries when a wallet was told to come back
    max_bytes: int = Field(default=512 * 1024, ge=1024, le=8 * 1024 * 1024)

    @field_validator("key")
    @classmethod
    def _is_public_key(cls, value: dict[str, str]) -> dict[str, str]:
        try:
            parse_jwk(value)
        except JoseError:
            raise ValueError("must be a public key as JWK") from None
        return value

    @property
    def public_key(self) -> PublicKey:
        """The key that verifies its answers."""
        return parse_jwk(self.key)


class OpenIdLogin(_Model):
    """An OpenID Provider at which people log in. Secrets stand in files of their own, which this one names.

    reference: the claim that becomes the city's reference for the person. claims: by credential type, claim of ours →
    claim of theirs, a path such as `address.locality`. acr: levels of assurance, one of which must hold; none: any.
    """

    issuer: WebAddress
    client_id: Annotated[str, StringConstraints(min_length=1, max_length=200)]
    client_secret_file: Path | None = None
    private_key_file: Path | None = None
    form_targets: tuple[WebAddress, ...] = ()  # where its login page stands, if not at the issuer's host
    scopes: tuple[Annotated[str, StringConstraints(pattern=r"^[!#-\[\]-~]{1,100}$")], ...] = ()
    acr: tuple[Annotated[str, StringConstraints(pattern=r"^[!-~]{1,200}$")], ...] = ()
    reference: ClaimPath = "sub"
    claims: Mapping[Name, Mapping[Name, ClaimPath]] = Field(default_factory=dict)

    @model_validator(mode="after")
    def _one_way_to_prove_itself(self) -> Self:
        if (self.client_secret_file is None) == (self.private_key_file is None):
            raise ValueError("needs either client_secret_file or private_key_file")
        for file in (self.client_secret_file, self.private_key_file):
            if file is not None and not file.is_file():
                raise ValueError(f"there is no file {file}")
        return self


class PidLogin(_Model):
    """Login by presenting a PID. anchors, status_anchors: PEM files with the roots of its provider.

    reference: the claims that together are the city's reference for the person. claims: by credential type, claim of
    ours → claim of the PID. purpose: why it is asked, by language. interactive: also without a browser, by the
    Interactive Authorization of OpenID4VCI 1.1, which is a draft.
    """

    vct: Annotated[str, StringConstraints(min_length=1, max_length=300)] = "urn:eudi:pid:de:1"
    anchors: Path
    status_anchors: Path
    reference: tuple[ClaimPath, ...] = Field(default=("family_name", "given_name", "birthdate"), min_length=1)
    claims: Mapping[Name, Mapping[Name, ClaimPath]] = Field(default_factory=dict)
    interactive: bool = False
    purpose: Mapping[str, str] = Field(default_factory=dict)

    @model_validator(mode="after")
    def _files(self) -> Self:
        for file in (self.anchors, self.status_anchors):
            if not file.is_file():
                raise ValueError(f"there is no file {file}")
        return self


class Login(_Model):
    """How people log in, beside what the settings offer."""

    openid: OpenIdLogin | None = None
    pid: PidLogin | None = None

    @property
    def is_arranged(self) -> bool:
        """Whether there is any way."""
        return self.openid is not None or self.pid is not None


class TenantFile(_Model):
    """All that a city arranged. claims_sources: by credential type, the name of a register."""

    registers: Mapping[Name, Register] = Field(default_factory=dict)
    claims_sources: Mapping[Name, Name] = Field(default_factory=dict)
    wallet_clients: tuple[RegisteredClient, ...] = ()
    login: Login = Login()

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        for kind, register in self.claims_sources.items():
            if register not in self.registers:
                raise ValueError(f"claims_sources.{kind}: there is no register {register}")
        if len(self.clients) != len(self.wallet_clients):
            raise ValueError("wallet_clients: a client_id stands there twice")
        return self

    @cached_property
    def clients(self) -> Mapping[str, RegisteredClient]:
        """The known wallets by client_id."""
        return MappingProxyType({client.client_id: client for client in self.wallet_clients})

    def source_of(self, credential_type: str) -> Register | None:
        """The register that has the claims of a type, if one was named."""
        name = self.claims_sources.get(credential_type)
        return None if name is None else self.registers[name]


NOTHING_ARRANGED = TenantFile()


def load_tenant_files(folder: Path | None) -> Mapping[str, TenantFile]:
    """Every tenant's file in a folder, by tenant; none without a folder.

    Raises:
        CatalogError: there is no such folder, or a file is not of the form above.
    """
    if folder is None:
        return MappingProxyType({})
    if not folder.is_dir():
        raise CatalogError(f"{folder}: no such folder")
    found: dict[str, TenantFile] = {}
    for path in sorted(folder.glob("*.yaml")):
        if not TENANT_ID.fullmatch(path.stem):
            raise CatalogError(f"{path.name}:1:1: no tenant can be called so")
        found[path.stem] = parse_model(path.read_text(encoding="utf-8"), name=path.name, model=TenantFile)
    return MappingProxyType(found)


def check_tenant_files(files: Mapping[str, TenantFile], *, catalog: Catalog) -> None:
    """Hold what the cities arranged against the catalogue.

    Raises:
        CatalogError: a file names a credential type that there is not.
    """
    for tenant, file in files.items():
        logins = (each for each in (file.login.openid, file.login.pid) if each is not None)
        mapped = [kind for each in logins for kind in each.claims]
        for kind in (*file.claims_sources, *mapped):
            if kind not in catalog.types:
                raise CatalogError(f"{tenant}.yaml:1:1: the catalogue has no type {kind}")
