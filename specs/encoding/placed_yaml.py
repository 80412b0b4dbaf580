"""Reads YAML files that a city writes into typed models, with findings that name file, line and column."""

from typing import Protocol, TypeVar

import yaml
from pydantic import BaseModel, ValidationError
from yaml.nodes import MappingNode, Node, ScalarNode, SequenceNode

from specs.encoding.strict_json import JsonValue

_MAX_FILE_BYTES = 256 * 1024
Place = tuple[str | int, ...]
ModelT = TypeVar("ModelT", bound=BaseModel)


class FileInvalid(Exception):
    """A city's file can't be used; each line of the message is one finding, `file:line:column: what`."""


def parse_model(text: str, *, name: str, model: type[ModelT]) -> ModelT:
    """Read a document of one form. name: what errors call the file.

    Raises:
        FileInvalid: one finding a line, each with line and column.
    """
    if len(text.encode()) > _MAX_FILE_BYTES:
        raise FileInvalid(f"{name}:1:1: larger than {_MAX_FILE_BYTES} bytes")
    reader = _PlacedYaml(name)
    value = reader.read(text)
    try:
        return model.model_validate(value)
    except ValidationError as error:
        findings = [
            f"{name}:{reader.position(item['loc'])}: {_path(item['loc'])}{item['msg'].removeprefix('Value error, ')}"
            for item in error.errors()
        ]
        raise FileInvalid("\n".join(findings)) from None


class _PlacedYaml:
    """Reads a YAML document and remembers where each value stands. No tags, anchors or double keys."""

    def __init__(self, name: str) -> None:
        self._name = name
        self._places: dict[Place, Node] = {}

    def read(self, text: str) -> JsonValue:
        try:
            for event in yaml.parse(text, Loader=yaml.SafeLoader):
                if isinstance(event, yaml.AliasEvent):
                    raise FileInvalid(f"{self._name}:{_position(event.start_mark)}: aliases are not allowed")
            root = yaml.compose(text, Loader=yaml.SafeLoader)
        except yaml.MarkedYAMLError as error:
            position = _position(error.problem_mark or error.context_mark)
            raise FileInvalid(f"{self._name}:{position}: {error.problem or 'no YAML'}") from None
        except (yaml.YAMLError, RecursionError):
            raise FileInvalid(f"{self._name}:1:1: no YAML") from None
        if root is None:
            raise FileInvalid(f"{self._name}:1:1: empty")
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
                    raise FileInvalid(f"{self._name}:{_position(key_node.start_mark)}: {what}")
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
            case "tag:yaml.org,2002:int" if text.lstrip("-").isdecimal() and len(text) < 20:  # else as it was written
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
