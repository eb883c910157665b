"""YAML and JSON from untrusted folders, and their conversion to typed values."""

from __future__ import annotations

from typing import Any, Dict, Hashable, List, Mapping, Optional, Tuple, Type, TypeVar

import msgspec
import yaml
from typing_extensions import Annotated

from edged.errors import ModelFolderError

_MAX_DEPTH = 20
_MAX_SCALAR = 4096  # an int of more digits costs quadratic time
_MAX_VALUES = 1 << 16  # in a document with aliases; they may nest to its square root
_BOM = b"\xef\xbb\xbf"
_TAG = "tag:yaml.org,2002:"
_PLAIN_TAGS = frozenset(_TAG + kind for kind in ("null", "bool", "int", "float"))
_CORE_TAGS = _PLAIN_TAGS | {_TAG + kind for kind in ("str", "seq", "map")}

Document = Mapping[str, Any]
Share = Annotated[float, msgspec.Meta(ge=0, le=1)]

T = TypeVar("T")

_TOO_DEEP = "it is nested too deeply"

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
            if key.tag != _TAG + "str":
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


_Loader.add_constructor(_TAG + "int", _Loader.construct_small_int)


class _DumpLoader(_Loader):
    """The same for Python's own types: a tuple is a list, any other is not even looked at."""

    yaml_constructors = {  # noqa: RUF012
        tag: constructor
        for tag, constructor in _Loader.yaml_constructors.items()
        if tag in _CORE_TAGS
    }

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> Dict[Hashable, Any]:
        """Numbers of classes are keys here, as they would be in JSON."""
        for key, _ in node.value:
            if key.tag == _TAG + "int":
                key.tag = _TAG + "str"
        return super().construct_mapping(node, deep)

    def construct_nothing(self, node: yaml.Node) -> None: ...


_DumpLoader.add_constructor(_TAG + "python/tuple", _DumpLoader.construct_yaml_seq)
_DumpLoader.add_constructor(None, _DumpLoader.construct_nothing)


def parse_yaml(data: bytes, name: str) -> Document:
    """The mapping that is in the file `name`, {} if the file is empty."""
    return _parse_yaml(data, name, _Loader)


def parse_yaml_dump(data: bytes, name: str) -> Document:
    """As `parse_yaml`, of what `yaml.dump` wrote of any Python values.

    A tuple is a list, and None is what has another tag. Aliases are followed.
    """
    return _parse_yaml(data, name, _DumpLoader)


def _parse_yaml(data: bytes, name: str, loader: Type[_Loader]) -> Document:
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError:
        raise ModelFolderError(f"{name} is not UTF-8") from None
    try:
        _refuse_bombs(text, name, dumped=loader is _DumpLoader)
        if loader is _DumpLoader:
            _refuse_alias_bombs(text, name)
        value = yaml.load(text, Loader=loader)
    except yaml.MarkedYAMLError as error:
        problem = f"not usable YAML, {error.problem}"
        if "nesting depth" in problem:  # PyYAML 6.0.4 and later have a limit of their own
            problem = _TOO_DEEP
        raise ModelFolderError(f"{name}{_line(error.problem_mark)}: {problem}") from None
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
        raise ModelFolderError(f"{name}: {_TOO_DEEP}") from None
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


def _refuse_bombs(text: str, name: str, dumped: bool) -> None:
    """Looks at the events alone, before anything is built from them.

    `dumped`: anchors, aliases and tags are allowed, except those that `yaml.dump` leaves out.
    """
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
            problem = _TOO_DEEP
        if isinstance(event, yaml.NodeEvent) and event.anchor is not None and not dumped:
            problem = "anchors and aliases are not allowed"
        tag = getattr(event, "tag", None)
        if tag in _CORE_TAGS or (tag is not None and not dumped):
            problem = "tags are not allowed"
        if problem:
            raise ModelFolderError(f"{name}{_line(event.start_mark)}: {problem}")


def _refuse_alias_bombs(text: str, name: str) -> None:
    """As `_refuse_bombs`; an alias counts as all the values that it stands for."""
    values = 0
    counts: Dict[Optional[str], int] = {}
    opened: List[Tuple[Optional[str], int]] = []  # the anchor, and the values before it
    for event in yaml.parse(text, Loader=_Safe):
        if isinstance(event, yaml.CollectionEndEvent):
            anchor, before = opened.pop()
            if anchor is not None:
                counts[anchor] = values - before
        elif isinstance(event, yaml.AliasEvent):
            values += counts.get(event.anchor, 0)
        elif isinstance(event, yaml.NodeEvent):
            collection = isinstance(event, yaml.CollectionStartEvent)
            if collection:
                opened.append((event.anchor, values))
            if event.anchor is not None:
                counts[event.anchor] = _MAX_VALUES if collection else 1  # in itself it has no end
            values += 1
        if values > _MAX_VALUES:
            where = f"{name}{_line(event.start_mark)}"
            raise ModelFolderError(f"{where}: it holds more than {_MAX_VALUES} values")


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
