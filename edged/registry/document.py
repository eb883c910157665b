"""YAML and JSON from untrusted folders, and their conversion to typed values."""

from __future__ import annotations

from typing import Any, Dict, Hashable, List, Mapping, Tuple, Type, TypeVar

import msgspec
import yaml

from edged.errors import ModelFolderError

_MAX_DEPTH = 20
_MAX_SCALAR = 4096  # an int of more digits costs quadratic time
_BOM = b"\xef\xbb\xbf"
_PLAIN_TAGS = frozenset(f"tag:yaml.org,2002:{kind}" for kind in ("null", "bool", "int", "float"))

Document = Mapping[str, Any]

T = TypeVar("T")

# libyaml is ten times faster where the wheel brings it.
_Safe: Type[yaml.SafeLoader] = getattr(yaml, "CSafeLoader", yaml.SafeLoader)


class _Loader(_Safe):  # type: ignore[misc, valid-type]
    """The safe loader without dates, merges and keys that are not text."""

    yaml_implicit_resolvers: Dict[str, List[Tuple[str, Any]]] = {  # noqa: RUF012
        first: [(tag, pattern) for tag, pattern in resolvers if tag in _PLAIN_TAGS]
        for first, resolvers in _Safe.yaml_implicit_resolvers.items()
    }

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> Dict[Hashable, Any]:
        for key, _ in node.value:
            if key.tag != "tag:yaml.org,2002:str":
                raise yaml.constructor.ConstructorError(
                    problem="a key is not text", problem_mark=key.start_mark
                )
        mapping: Dict[Hashable, Any] = super().construct_mapping(node, deep)
        return mapping

    def construct_small_int(self, node: yaml.ScalarNode) -> int:
        """msgspec raises SystemError when an int is too large for the float it should be."""
        value: int = self.construct_yaml_int(node)
        if not -(2**63) <= value < 2**63:
            raise yaml.constructor.ConstructorError(
                problem="a number is too large", problem_mark=node.start_mark
            )
        return value


_Loader.add_constructor("tag:yaml.org,2002:int", _Loader.construct_small_int)


def parse_yaml(data: bytes, name: str) -> Document:
    """The mapping that is in the file `name`, {} if the file is empty."""
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError:
        raise ModelFolderError(f"{name} is not UTF-8") from None
    try:
        _refuse_bombs(text, name)
        value = yaml.load(text, Loader=_Loader)
    except yaml.MarkedYAMLError as error:
        where = f"{name}{_line(error.problem_mark)}"
        raise ModelFolderError(f"{where}: not usable YAML, {error.problem}") from None
    # To YAML `0b_` is an int, and a float of many sexagesimal places is a float.
    except (yaml.YAMLError, ValueError, OverflowError):
        raise ModelFolderError(f"{name} is not usable YAML") from None
    if value is None:
        return {}
    if not isinstance(value, dict):
        raise ModelFolderError(f"{name} does not hold keys and values")
    return value


def parse_json(data: bytes, name: str) -> Document:
    """The object that is in the file `name`."""
    try:
        value = msgspec.json.decode(data[len(_BOM) :] if data.startswith(_BOM) else data)
    except (msgspec.MsgspecError, UnicodeDecodeError) as error:
        raise ModelFolderError(f"{name}: not usable JSON, {error}") from None
    except RecursionError:
        raise ModelFolderError(f"{name}: it is nested too deeply") from None
    if not isinstance(value, dict):
        raise ModelFolderError(f"{name} does not hold keys and values")
    _refuse_large_numbers(value, name)
    return value


def _refuse_large_numbers(value: Any, name: str) -> None:
    """As `construct_small_int`; no recursion, for the depth is another's choice."""
    left = [value]
    while left:
        one = left.pop()
        if isinstance(one, dict):
            left += one.values()
        elif isinstance(one, list):
            left += one
        elif isinstance(one, int) and not -(2**63) <= one < 2**63:
            raise ModelFolderError(f"{name}: a number is too large")


def _refuse_bombs(text: str, name: str) -> None:
    """Looks at the events alone, before anything is built from them."""
    depth = 0
    for event in yaml.parse(text, Loader=_Safe):
        problem = ""
        if isinstance(event, yaml.CollectionStartEvent):
            depth += 1
        elif isinstance(event, yaml.CollectionEndEvent):
            depth -= 1
        elif isinstance(event, yaml.ScalarEvent):
            event.value.encode()  # a lone surrogate raises here, not when an answer is written
            if len(event.value) > _MAX_SCALAR:
                problem = f"a value is longer than {_MAX_SCALAR} characters"
        if depth > _MAX_DEPTH:
            problem = "it is nested too deeply"
        if isinstance(event, yaml.NodeEvent) and event.anchor is not None:
            problem = "anchors and aliases are not allowed"
        if getattr(event, "tag", None) is not None:
            problem = "tags are not allowed"
        if problem:
            raise ModelFolderError(f"{name}{_line(event.start_mark)}: {problem}")


def _line(mark: Any) -> str:
    return f", line {mark.line + 1}" if mark else ""


def convert(value: Any, kind: Type[T], where: str) -> T:
    """`value` as a `kind`; a misfit is reported with its key."""
    try:
        return msgspec.convert(value, kind)
    except msgspec.ValidationError as error:
        message, _, key = str(error).partition(" - at `$")
        at = f", {key.strip('.`')}" if key else ""
        raise ModelFolderError(f"{where}{at}: {message[:1].lower()}{message[1:]}") from None
