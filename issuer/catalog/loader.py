"""Reads the catalogue: YAML files become typed credential types, or errors that name file, line and column."""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from importlib import resources
from importlib.resources.abc import Traversable
from pathlib import Path
from types import MappingProxyType

from issuer.catalog.placed_yaml import CatalogError, parse_model
from issuer.catalog.schema import CredentialFormat, CredentialType
from issuer.catalog.type_metadata import type_metadata_document
from specs.credentials.sd_jwt import SdJwtError
from specs.credentials.type_metadata import integrity_of, load_type

_SUFFIX = {CredentialFormat.SD_JWT_VC: "sd-jwt", CredentialFormat.MDOC: "mdoc"}


@dataclass(frozen=True)
class Configuration:
    """A credential configuration: one type in one format. Its id is its scope as well.

    vct_integrity: SRI of the type metadata, for credentials whose `vct` is an address where we host them.
    """

    id: str
    credential_type: CredentialType
    format: CredentialFormat
    vct_integrity: str | None = None

    @property
    def scope(self) -> str:
        """The OAuth scope that asks for it."""
        return self.id

    @property
    def identifier(self) -> str:
        """What the format calls the type: `vct` or doctype."""
        is_mdoc = self.format is CredentialFormat.MDOC
        return self.credential_type.doctype if is_mdoc else self.credential_type.vct


@dataclass(frozen=True)
class Catalog:
    """All credential types of an issuer, by name."""

    types: Mapping[str, CredentialType]

    @cached_property
    def configurations(self) -> Mapping[str, Configuration]:
        """Every configuration by id, in the order of the types."""
        return MappingProxyType(
            {
                configuration_id(kind.type, form): Configuration(
                    configuration_id(kind.type, form), kind, form, integrity_of(self.type_metadata[kind.vct])
                )
                for kind in self.types.values()
                for form in kind.formats
            }
        )

    @cached_property
    def type_metadata(self) -> Mapping[str, bytes]:
        """The type metadata of each type by its `vct`; a child's names its parent's hash."""
        by_vct = {kind.vct: kind for kind in self.types.values()}
        documents: dict[str, bytes] = {}

        def document(vct: str) -> bytes:
            if vct not in documents:
                kind = by_vct[vct]
                parent = kind.extends.vct if kind.extends is not None else None
                documents[vct] = type_metadata_document(kind, parent=document(parent) if parent in by_vct else None)
            return documents[vct]

        return MappingProxyType({vct: document(vct) for vct in by_vct})

    def configuration(self, credential_type: str, form: CredentialFormat) -> Configuration | None:
        """The configuration of a type in a format, if the type comes in it."""
        return self.configurations.get(configuration_id(credential_type, form))


def configuration_id(credential_type: str, form: CredentialFormat) -> str:
    """`<type>-sd-jwt` or `<type>-mdoc`."""
    return f"{credential_type}-{_SUFFIX[form]}"


def load_catalog(folder: Path | None = None, *, allow_test_types: bool = False) -> Catalog:
    """Read all `*.yaml` files of a folder, or the types that come with the program.

    Types marked `test_only` are left out unless `allow_test_types` is set.

    Raises:
        CatalogError: a file is no YAML, does not follow the schema, or two files describe one type.
    """
    source: Traversable = resources.files("issuer.catalog") / "types" if folder is None else folder
    if not source.is_dir():
        raise CatalogError(f"{source}: no such folder")
    files = sorted((file for file in source.iterdir() if file.name.endswith(".yaml")), key=lambda file: file.name)
    types: dict[str, CredentialType] = {}
    for file in files:
        kind = parse_credential_type(file.read_text(encoding="utf-8"), name=file.name)
        if kind.type in types:
            raise CatalogError(f"{file.name}:1:1: the type {kind.type} is described in another file already")
        if allow_test_types or not kind.test_only:
            types[kind.type] = kind
    if not types:
        raise CatalogError(f"{source}: no credential type")
    catalog = Catalog(MappingProxyType(types))
    _check_extensions(catalog)
    return catalog


def _check_extensions(catalog: Catalog) -> None:
    """Types don't extend each other in a circle or loosen what they extend (SD-JWT VC draft-13 §8.2, §9.5, §10.3)."""
    by_vct = {kind.vct: kind for kind in catalog.types.values()}
    for kind in catalog.types.values():
        if kind.vct.startswith("https:") and by_vct[kind.vct] is not kind:
            raise CatalogError(f"{kind.type}.yaml:1:1: another type has its metadata at the same vct")
    complete: list[str] = []
    for kind in catalog.types.values():
        seen, parent = {kind.vct}, kind.extends
        while parent is not None and parent.vct in by_vct:
            if parent.vct in seen:
                raise CatalogError(f"{kind.type}.yaml:1:1: extends itself in a circle")
            seen.add(parent.vct)
            parent = by_vct[parent.vct].extends
        if parent is None:  # else the chain ends at somebody else's type, which only those who read it can fetch
            complete.append(kind.vct)
    for vct in complete:
        try:
            load_type(vct, integrity=None, documents=catalog.type_metadata)
        except SdJwtError as error:
            raise CatalogError(f"{by_vct[vct].type}.yaml:1:1: extends: {error.detail}") from None


def parse_credential_type(text: str, *, name: str) -> CredentialType:
    """Read one credential type. name: what errors call the file.

    Raises:
        CatalogError: one finding a line, each with line and column.
    """
    return parse_model(text, name=name, model=CredentialType)
