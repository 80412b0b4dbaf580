"""Reads the catalogue: YAML files become typed credential types, or errors that name file, line and column."""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from importlib import resources
from importlib.resources.abc import Traversable
from pathlib import Path
from types import MappingProxyType
from typing import Protocol

import yaml
from pydantic import ValidationError
from yaml.nodes import MappingNode, Node, ScalarNode, SequenceNode

from issuer.catalog.schema import CredentialFormat, CredentialType
from issuer.catalog.type_metadata import type_metadata_document
from specs.credentials.sd_jwt import SdJwtError
from specs.credentials.type_metadata import integrity_of, load_type
from specs.encoding.strict_json import JsonValue

_MAX_FILE_BYTES = 256 * 1024
_SUFFIX = {CredentialFormat.SD_JWT_VC: "sd-jwt", CredentialFormat.MDOC: "mdoc"}
Place = tuple[str | int, ...]


class CatalogError(Exception):
    """The catalogue can't be used; each line of the message is one finding, `file:line:column: what`."""


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
    if len(text.encode()) > _MAX_FILE_BYTES:
        raise CatalogError(f"{name}:1:1: larger than {_MAX_FILE_BYTES} bytes")
    reader = _PlacedYaml(name)
    value = reader.read(text)
    try:
        return CredentialType.model_validate(value)
    except ValidationError as error:
        findings = [
            f"{name}:{reader.position(item['loc'])}: {_path(item['loc'])}{item['msg'].removeprefix('Value error, ')}"
            for item in error.errors()
        ]
        raise CatalogError("\n".join(findings)) from None


class _PlacedYaml:
    """Reads a YAML document and remembers where each value stands. No tags, anchors or double keys."""

    def __init__(self, name: str) -> None:
        self._name = name
        self._places: dict[Place, Node] = {}

    def read(self, text: str) -> JsonValue:
        try:
            for event in yaml.parse(text, Loader=yaml.SafeLoader):
                if isinstance(event, yaml.AliasEvent):
                    raise CatalogError(f"{self._name}:{_position(event.start_mark)}: aliases are not allowed")
            root = yaml.compose(text, Loader=yaml.SafeLoader)
        except yaml.MarkedYAMLError as error:
            position = _position(error.problem_mark or error.context_mark)
            raise CatalogError(f"{self._name}:{position}: {error.problem or 'no YAML'}") from None
        except (yaml.YAMLError, RecursionError):
            raise CatalogError(f"{self._name}:1:1: no YAML") from None
        if root is None:
            raise CatalogError(f"{self._name}:1:1: empty")
        return self._value(root, ())

    def position(self, place: Place) -> str:
        """`line:column` of the value at a place, or of the nearest one around it."""
        while place not in self._places and place:
            place = place[:-1]
        return _position(self._places[place].start_mark)

    def _value(self, node: Node, place: Place) -> JsonValue:
        self._places[place] = node
        if isinstance(node, MappingNode):
            result: dict[str, JsonValue] = {}
            for key_node, value_node in node.value:
                key = key_node.value if isinstance(key_node, ScalarNode) else None
                if key is None or key in result:
                    what = "a key must be text" if key is None else f"the key {key} stands here twice"
                    raise CatalogError(f"{self._name}:{_position(key_node.start_mark)}: {what}")
                result[key] = self._value(value_node, (*place, key))
            return result
        if isinstance(node, SequenceNode):
            return [self._value(item, (*place, number)) for number, item in enumerate(node.value)]
        return self._scalar(node)

    def _scalar(self, node: Node) -> JsonValue:
        text: str = node.value
        match node.tag:
            case "tag:yaml.org,2002:null":
                return None
            case "tag:yaml.org,2002:bool" if text.lower() in ("true", "false"):
                return text.lower() == "true"
            case "tag:yaml.org,2002:int" if text.lstrip("-").isdecimal():
                return int(text)
            case _:
                return text


class _Mark(Protocol):
    @property
    def line(self) -> int: ...
    @property
    def column(self) -> int: ...


def _position(mark: _Mark | None) -> str:
    return f"{mark.line + 1}:{mark.column + 1}" if mark else "1:1"


def _path(place: Place) -> str:
    text = "".join(f"[{part}]" if isinstance(part, int) else f".{part}" for part in place).lstrip(".")
    return f"{text}: " if text else ""
