"""What a file of source defines: functions, classes and constants by name."""

import ast
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, TypeAlias

Function: TypeAlias = ast.FunctionDef | ast.AsyncFunctionDef
SEVERAL = (ast.Tuple, ast.List, ast.Set)


@dataclass(slots=True)
class Source:
    """What one file defines."""

    functions: list[Function]
    named: dict[str, list[ast.AST]]
    """Functions, methods, classes and constants by name."""


@lru_cache(maxsize=64)
def index(text: str) -> Source:
    """What a file of that text defines."""
    try:
        tree = ast.parse(text)
    except (SyntaxError, ValueError):
        return Source([], {})
    found = Source([], {})
    for node in ast.walk(tree):
        if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef)):
            found.functions.append(node)
            found.named.setdefault(node.name, []).append(node)
        elif isinstance(node, ast.ClassDef) and (fields_of(node) or members_of(node)):
            found.named.setdefault(node.name, []).append(node)
        elif isinstance(node, (ast.Assign, ast.AnnAssign)):
            for name in _attributes(node):
                found.named.setdefault(name, []).append(node)
    classes = [node for node in ast.walk(tree) if isinstance(node, ast.ClassDef)]
    for statement in [*tree.body, *(statement for one in classes for statement in one.body)]:
        for name, assignment in assigned(statement):
            found.named.setdefault(name, []).append(assignment)
    return found


def assigned(node: ast.AST) -> Iterator[tuple[str, ast.AST]]:
    """The names that a statement sets, each with an assignment of its own."""
    targets = node.targets if isinstance(node, ast.Assign) else [node.target] if isinstance(node, ast.AnnAssign) else []
    for target in targets:
        if isinstance(target, ast.Name):
            yield target.id, node
        for one, value in pairs(target, getattr(node, "value", None)):
            if isinstance(one, ast.Name) and one is not target:
                yield one.id, ast.copy_location(ast.Assign([one], value), node)


def pairs(target: ast.expr, value: ast.expr | None) -> list[tuple[ast.expr, ast.expr]]:
    """Which part of a value goes to which part of a target."""
    if isinstance(target, ast.Tuple) and isinstance(value, ast.Tuple):
        return list(zip(target.elts, value.elts, strict=False))
    return [(target, value)] if value is not None else []


def _attributes(node: ast.Assign | ast.AnnAssign) -> Iterator[str]:
    """The attributes that a statement sets to a table that is written out."""
    for target in node.targets if isinstance(node, ast.Assign) else [node.target]:
        if isinstance(target, ast.Attribute) and isinstance(node.value, (ast.Dict, *SEVERAL)):
            yield target.attr


def first_line(node: Function) -> int:
    """Where a function begins, with its decorators."""
    return min([node.lineno, *(decorator.lineno for decorator in node.decorator_list)])


def names_in(node: ast.AST) -> Iterator[str]:
    """Every name and attribute that is named."""
    for inner in ast.walk(node):
        if isinstance(inner, ast.Name):
            yield inner.id
        elif isinstance(inner, ast.Attribute):
            yield inner.attr


def last_name(node: ast.AST | None) -> str | None:
    """The name of a name or an attribute."""
    return getattr(node, "attr", getattr(node, "id", None))


def text_in(node: ast.AST) -> str | None:
    """A text that is written out."""
    return node.value if isinstance(node, ast.Constant) and isinstance(node.value, str) else None


def fields_of(node: ast.ClassDef) -> list[tuple[str, ast.AST]]:
    """What a model, dataclass or typed dictionary declares."""
    return [
        (_alias(one.value) or one.target.id, one.annotation)
        for one in node.body
        if isinstance(one, ast.AnnAssign) and isinstance(one.target, ast.Name)
    ]


def _alias(value: ast.AST | None) -> str | None:
    """The name that `Field(alias="name")` gives."""
    keywords = value.keywords if isinstance(value, ast.Call) else []
    return next((text_in(one.value) for one in keywords if one.arg == "alias"), None)


def members_of(node: ast.ClassDef) -> dict[str, Any]:
    """The constants that an enum lists."""
    if not any("Enum" in (last_name(base) or "") for base in node.bases):
        return {}
    return {
        name: one.value.value
        for one in node.body
        if isinstance(one, ast.Assign) and isinstance(one.value, ast.Constant)
        for name, _ in assigned(one)
    }


def parameters_of(function: Function) -> list[ast.arg]:
    """What a function is given, without the object whose method it is."""
    every = [*function.args.posonlyargs, *function.args.args]
    return [*every[bool(every) and every[0].arg in ("self", "cls") :], *function.args.kwonlyargs]


def registered(sources: Iterable[Source]) -> Iterator[tuple[ast.expr, Function]]:
    """Functions that a decorator of the user's registers, with what by: `@on("join")`, or their own name."""
    sources = list(sources)
    for function in (one for source in sources for one in source.functions):
        for decorator in function.decorator_list:
            call = decorator if isinstance(decorator, ast.Call) else None
            name = last_name(call.func if call is not None else decorator) or ""
            if any(name in source.named for source in sources):
                yield call.args[0] if call is not None and call.args else ast.Constant(function.name), function


def affixes(node: ast.AST) -> tuple[str, ast.expr, str] | None:
    """What stands before and after a value in a text made of it: `"on_" + kind`, `f"on_{kind}"`."""
    if isinstance(node, ast.BinOp) and isinstance(node.op, (ast.Add, ast.Mod)):
        before = text_in(node.left)
        if before is None:
            after = text_in(node.right)
            return ("", node.left, after) if after is not None and isinstance(node.op, ast.Add) else None
        if isinstance(node.op, ast.Add):
            return before, node.right, ""
        head, found, tail = before.partition("%s")
        return (head, node.right, tail) if found else None
    if isinstance(node, ast.JoinedStr):
        held = [one for one in node.values if isinstance(one, ast.FormattedValue)]
        if len(held) == 1:
            place = node.values.index(held[0])
            before, after = ("".join(text_in(one) or "" for one in part) for part in _around(node.values, place))
            return before, held[0].value, after
    return None


def _around(values: list[ast.expr], place: int) -> tuple[list[ast.expr], list[ast.expr]]:
    return values[:place], values[place + 1 :]


def named_by(node: ast.AST, sources: Iterable[Source]) -> tuple[ast.expr, dict[str, Function]] | None:
    """The functions among which `getattr(self, "on_" + kind)` chooses, by the value that chooses each."""
    if not (isinstance(node, ast.Call) and last_name(node.func) in ("getattr", "hasattr") and len(node.args) > 1):
        return None
    found = affixes(node.args[1])
    if found is None or not (found[0] or found[2]):
        return None
    before, value, after = found
    functions = [one for source in sources for one in source.functions]
    least = len(before) + len(after)
    return value, {
        one.name[len(before) : len(one.name) - len(after)]: one
        for one in functions
        if one.name.startswith(before) and one.name.endswith(after) and len(one.name) > least
    }
