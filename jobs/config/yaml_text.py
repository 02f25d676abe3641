"""YAML as a configuration may hold it: only plain values, no deeper and no larger than one needs,
and every mistake told with its line. What YAML's own errors quote is hidden: it may be a secret."""

from __future__ import annotations

import re
from collections.abc import Hashable
from dataclasses import dataclass
from typing import Any, NoReturn

import yaml

MOST_CHARACTERS = 4 * 1024**2
DEEPEST = 50
"""Lists and mappings in one another; the settings need six."""
MOST_ALIASED = 100_000
"""Values that aliases (`*name`) may repeat, all together: a thousand cameras share a hundred."""
LARGEST = 2**63
LONGEST_NUMBER = 100

_FAULTS = (ValueError, TypeError, KeyError, AttributeError, IndexError, ArithmeticError)
"""What PyYAML's constructors raise for values that are not of their tag."""
_QUOTED = re.compile(r"""'(?!<)[^']{3,}'|"(?!<)[^"]{3,}\"""")
_NO_TEXT = re.compile("[\x00\ud800-\udfff]")


@dataclass(frozen=True, slots=True)
class Duplicate:
    """A key that stands twice in one mapping."""

    key: str
    line: int
    first: int


class NotYamlError(Exception):
    """The text is no such YAML; the message says where and why."""


def parse_yaml(text: str) -> tuple[Any, list[Duplicate]]:
    """What the text says, and the keys it gives twice; raises `NotYamlError`."""
    if len(text) > MOST_CHARACTERS:
        message = f"too long: at most {MOST_CHARACTERS} characters"
        raise NotYamlError(message)
    try:
        loader = _Loader(text)
        return loader.get_single_data(), loader.duplicates
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        where = f"line {mark.line + 1}, column {mark.column + 1}: " if mark else ""
        message = f"{where}not valid YAML: {_unquoted(error.problem or '')}"
    except yaml.YAMLError as error:
        message = f"not valid YAML: {' '.join(str(error).split())}"
    except (*_FAULTS, RecursionError):
        message = "not valid YAML: a value is not of its tag (!!)"
    raise NotYamlError(message)  # outside of the handler: YAML's errors quote what they read


def _unquoted(problem: str) -> str:
    shown = _QUOTED.sub("***", " ".join(problem[:1000].split()))
    if re.search(r"\b(tag|alias|anchor)\b", shown):
        shown += " (text that begins with ! & or * must be in quotes)"
    return shown


class _Loader(yaml.SafeLoader):
    """Notes keys given twice instead of taking the last, and refuses what no setting can be."""

    def __init__(self, text: str) -> None:
        super().__init__(text)
        self.duplicates: list[Duplicate] = []
        self._depth = self._count = self._aliased = 0
        self._sizes: dict[int, int] = {}

    def compose_node(self, parent: yaml.Node | None, index: Any) -> yaml.Node | None:
        """One value and what is in it; counts, so that a few lines cannot become millions."""
        mark = self.peek_event().start_mark  # type: ignore[no-untyped-call]
        if self.check_event(yaml.AliasEvent):
            node = super().compose_node(parent, index)
            size = self._sizes.get(id(node))
            if size is None:
                _refuse("a value cannot hold itself", mark)
            self._aliased += size
            self._count += size
            if self._aliased > MOST_ALIASED:
                _refuse(f"aliases repeat more than {MOST_ALIASED} values", mark)
            return node
        before = self._count
        self._depth += 1
        if self._depth > DEEPEST:
            _refuse(f"nested deeper than {DEEPEST} levels", mark)
        node = super().compose_node(parent, index)
        self._depth -= 1
        self._count += 1
        self._sizes[id(node)] = self._count - before
        return node

    def construct_object(self, node: yaml.Node, deep: bool = False) -> Any:
        """The value of a node, with its place if it cannot be one."""
        kind = node.tag.rpartition(":")[2]
        is_number = kind in ("int", "float", "timestamp")
        if is_number and len(node.value) > LONGEST_NUMBER:
            _refuse("a number of too many digits (put it in quotes if it is text)", node)
        try:
            value = super().construct_object(node, deep)
        except yaml.YAMLError:
            raise
        except _FAULTS:
            value = NotImplemented
        if value is NotImplemented:
            _refuse(f"no {kind[:20]} (put it in quotes if it is text)", node)
        if isinstance(value, str) and _NO_TEXT.search(value):
            _refuse("a character that no text may hold", node)
        if type(value) is int and abs(value) >= LARGEST:
            _refuse("a number that is too large", node)
        return value

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Hashable, Any]:
        """As usual, and the keys that stand in it twice are noted."""
        lines: dict[object, int] = {}
        for key_node, _ in getattr(node, "value", ()):
            key, line = key_node.value, key_node.start_mark.line + 1
            if isinstance(key, str) and key != "<<" and key in lines:
                self.duplicates.append(Duplicate(key, line, lines[key]))
            if isinstance(key, str):
                lines[key] = line
        return super().construct_mapping(node, deep)


def _refuse(problem: str, at: Any) -> NoReturn:
    raise yaml.MarkedYAMLError(problem=problem, problem_mark=getattr(at, "start_mark", at))
