"""Values and patterns of scenario files: what begins with `$`, variables, durations, bytes."""

import json
import re
import warnings
from collections.abc import Callable, Mapping
from typing import Any

from wsharness.patterns import Exact, Greater, Length, Less, Matcher, Not, OneOf, Operator, Unordered
from wsharness.scenario.nodes import Mapping as MappingNode
from wsharness.scenario.nodes import Node, Problems, Scalar, Sequence, core, kind, pairs, suggest
from wsharness.scenario.writing import parse_duration

MATCHERS = {matcher.value: matcher for matcher in Matcher}
OPERATORS = ("$regex", "$is", "$unordered", "$len", "$exact", "$not", "$gt", "$lt", "$one_of", "$hex")
_WRAPPERS: dict[str, Callable[[Any], Operator]] = {"$len": Length, "$exact": Exact, "$not": Not}
_LISTS: dict[str, Callable[[Any], Operator]] = {"$unordered": Unordered, "$one_of": OneOf}
_LIMITS: dict[str, Callable[[Any], Operator]] = {"$gt": Greater, "$lt": Less}
_REFERENCE = re.compile(r"\$\$|\$\(([^()]*)(\)?)")
_PATH = re.compile(r"[A-Za-z_][\w-]*(?:\.[\w-]+)*")
_MISSING = object()


class Values:
    """Reads the values of one scenario, with the variables that are known at their place."""

    def __init__(self, problems: Problems, variables: Mapping[str, Any]) -> None:
        self.problems = problems
        self.variables = variables

    def with_variables(self, **more: Any) -> "Values":
        """The same with more variables."""
        return Values(self.problems, {**self.variables, **more})

    # Data

    def data(self, node: Node) -> Any:
        """Plain data: `$(x)` replaced, `$$` read as `$`."""
        if isinstance(node, MappingNode):
            return {self._data_key(name, key): self.data(value) for name, key, value in pairs(node)}
        if isinstance(node, Sequence):
            return [self.data(item) for item in node.items]
        value = core(node)
        if isinstance(value, str) and value.startswith("$") and self._is_odd(value):
            self.problems.add(node, f"{value!r} belongs to expectations; write {'$' + value!r} for the text")
            return value
        return self._expand(node, value)

    def _data_key(self, name: str, key: Scalar) -> str:
        if name.startswith("$") and not name.startswith("$$"):
            self.problems.add(key, f"the key {name!r} belongs to expectations; write {'$' + name!r} for the text")
        return name[1:] if name.startswith("$$") else name

    def text(self, node: Node) -> str:
        """Text: a number or a boolean as it is written, `$(x)` replaced."""
        if not isinstance(node, Scalar) or core(node) is None:
            self.problems.add(node, f"expected text; got {kind(node)}")
            return ""
        if node.text.startswith("$") and self._is_odd(node.text):
            self.problems.add(node, f"{node.text!r} is no text; write {'$' + node.text!r}")
            return ""
        return _as_text(self._expand(node, node.text))

    def _is_odd(self, text: str) -> bool:
        """Whether it begins with a `$` that is neither a reference nor an escape."""
        return not text.startswith(("$$", "$("))

    # Variables

    def _expand(self, node: Node, value: Any) -> Any:
        """A reference that is the whole text keeps its type; others become text."""
        if not isinstance(value, str) or "$" not in value:
            return value
        whole = _REFERENCE.fullmatch(value)
        if whole and whole[1] is not None:
            return self._lookup(node, whole)
        return _REFERENCE.sub(lambda found: "$" if found[1] is None else _as_text(self._lookup(node, found)), value)

    def _lookup(self, node: Node, found: re.Match[str]) -> Any:
        path = found[1]
        if not found[2] or not _PATH.fullmatch(path):
            self.problems.add(node, f"expected a dotted name in '$(…)'; got {found[0]!r}; write '$$(' for the text")
            return ""
        value: Any = self.variables
        for part in path.split("."):
            value = _part(value, part)
        if value is _MISSING:
            self._undefined(node, path)
            return ""
        return value

    def _undefined(self, node: Node, path: str) -> None:
        root, _, rest = path.partition(".")
        if root == "fake":
            sentence = f"$({path}): made-up values are not supported yet; write one out"
        elif root == "env":
            sentence = f"$({path}): there is no environment variable {rest!r}; set it"
        else:
            sentence = f"undefined variable {path!r}{suggest(path, _paths(self.variables))}"
        self.problems.add(node, sentence)

    # Patterns

    def pattern(self, node: Node, *, in_object: bool = False) -> Any:
        """A pattern: matchers and operators become objects."""
        if isinstance(node, MappingNode):
            names = [name for name in node.pairs if name.startswith("$") and not name.startswith("$$")]
            return self._operator(node, names) if names else self._object(node)
        if isinstance(node, Sequence):
            return [self.pattern(item) for item in node.items]
        value = core(node)
        if isinstance(value, str) and value.startswith("$") and self._is_odd(value):
            return self._matcher(node, value, in_object=in_object)
        return self._expand(node, value)

    def _object(self, node: MappingNode) -> dict[str, Any]:
        return {
            name.removeprefix("$") if name.startswith("$$") else name: self.pattern(value, in_object=True)
            for name, _, value in pairs(node)
        }

    def _matcher(self, node: Node, name: str, *, in_object: bool) -> Any:
        if name in OPERATORS or name == "$save":
            self.problems.add(node, f"the operator {name!r} needs an argument: {{{name}: …}}")
        elif name not in MATCHERS:
            hint = suggest(name, MATCHERS) or f"; write {'$' + name!r} for the text"
            self.problems.add(node, f"unknown matcher {name!r}{hint}")
        elif name == "$absent" and not in_object:
            self.problems.add(node, "'$absent' says that a key is not there; write it as a key's value")
        return MATCHERS.get(name, Matcher.ANY)

    def _operator(self, node: MappingNode, names: list[str]) -> Any:
        name = names[0]
        key, argument = node.pairs[name]
        if "$save" in names:
            self.problems.add(node.pairs["$save"][0], "'$save' is not supported yet")
        elif name in MATCHERS:
            self.problems.add(key, f"{name!r} takes no argument; write it without braces")
        elif name not in OPERATORS:
            hint = suggest(name, [*OPERATORS, *MATCHERS]) or f"; write {'$' + name!r} for the key"
            self.problems.add(key, f"unknown operator {name!r}{hint}")
        elif len(node.pairs) > 1:
            others = ", ".join(repr(other) for other in node.pairs if other != name)
            self.problems.add(node, f"an operator stands alone; got {others} beside {name!r}")
        else:
            return self._argument(name, argument)
        return Matcher.ANY

    def _argument(self, name: str, node: Node) -> Any:
        if name == "$regex":
            return self._regex(node)
        if name == "$hex":
            return self.hex_pairs(node)
        if name == "$is":
            return self.pattern(node)
        if name in _LISTS:
            return _LISTS[name](self._patterns(name, node))
        if name in _LIMITS:
            return _LIMITS[name](self._number(name, node))
        return _WRAPPERS[name](self.pattern(node))

    def _regex(self, node: Node) -> Any:
        if not isinstance(node, Scalar):
            self.problems.add(node, f"expected a regular expression; got {kind(node)}")
            return Matcher.ANY
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")  # of expressions that a future Python reads differently
                return re.compile(node.text)
        except (re.error, RecursionError, OverflowError) as error:
            self.problems.add(node, f"not a regular expression: {error}")
            return Matcher.ANY

    def _patterns(self, name: str, node: Node) -> tuple[Any, ...]:
        found = self.pattern(node)
        if isinstance(found, list):
            return tuple(found)
        self.problems.add(node, f"{name!r} takes a list; got {kind(node)}")
        return ()

    def _number(self, name: str, node: Node) -> float:
        found = self.data(node)
        if isinstance(found, (int, float)) and not isinstance(found, bool):
            return found
        self.problems.add(node, f"{name!r} takes a number; got {kind(node)}")
        return 0

    # Special values

    def duration(self, node: Node) -> float:
        """Seconds."""
        value = self._expand(node, core(node)) if isinstance(node, Scalar) else None
        try:
            if isinstance(value, str):
                return parse_duration(value)
        except ValueError as error:
            self.problems.add(node, str(error))
            return 0.0
        if isinstance(value, (int, float)) and not isinstance(value, bool):
            unit = "ms" if value >= _LIKELY_MILLISECONDS else "s"
            sentence = "expected a duration from 0 on" if value < 0 else f"durations need a unit: {value:g}{unit}"
            self.problems.add(node, sentence)
        else:
            self.problems.add(node, f"expected a duration such as 500ms; got {kind(node)}")
        return 0.0

    def hex_pairs(self, node: Node) -> bytes:
        """Bytes, from their hexadecimal digits as they are written."""
        if isinstance(node, Scalar):
            try:
                return bytes.fromhex(node.text)
            except ValueError:
                pass
        self.problems.add(node, f"expected pairs of hexadecimal digits such as 00 ff; got {_written(node)}")
        return b""


_LIKELY_MILLISECONDS = 20


def _written(node: Node) -> str:
    return repr(node.text) if isinstance(node, Scalar) else kind(node)


def _part(value: Any, name: str) -> Any:
    if isinstance(value, Mapping):
        return value.get(name, _MISSING)
    if isinstance(value, list) and name.isdecimal() and int(name) < len(value):
        return value[int(name)]
    return _MISSING


def _paths(variables: Mapping[str, Any]) -> list[str]:
    names = [name for name in variables if name != "env"]
    return names + [f"case.{name}" for name in variables.get("case", ())]


def _as_text(value: Any) -> str:
    """A value inside a text: null is nothing, other values as JSON writes them."""
    if isinstance(value, str):
        return value
    return "" if value is None else json.dumps(value)
