"""Reads `*.ws.yaml`: every problem of a file at once, each with its line and column."""

import os
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

from wsharness.errors import ScenarioError
from wsharness.scenario.model import ClientSpec, Scenario
from wsharness.scenario.nodes import (
    Mapping,
    Node,
    Place,
    Problems,
    Scalar,
    Sequence,
    core,
    kind,
    pairs,
    parse,
)
from wsharness.scenario.run_info import read_run
from wsharness.scenario.steps import Steps, read_clients
from wsharness.scenario.values import Values

KEYS = ("wsharness", "name", "tags", "clients", "vars", "cases", "steps", "run")
RESERVED = ("case", "loop", "env", "fake")
VERSION = 1


def load(path: str | Path) -> list[Scenario]:
    """Read a file's scenarios, one for each document and case; ScenarioError with all its problems."""
    try:
        text = Path(path).read_bytes().decode()
    except OSError as error:
        raise ScenarioError([f"{path}: cannot be read: {error.strerror}"]) from None
    except UnicodeDecodeError as error:
        line = error.object[: error.start].count(b"\n") + 1
        column = error.start - error.object.rfind(b"\n", 0, error.start)
        byte = error.object[error.start]
        raise ScenarioError([f"{path}:{line}:{column}: expected UTF-8; got the byte {byte:#04x}"]) from None
    return loads(text, str(path))


def loads(text: str, name: str = "scenario") -> list[Scenario]:
    """Read scenarios from text; `name` stands in front of its problems."""
    problems = Problems(name)
    documents = [_Document(node, problems, name) for node in parse(text, problems)]
    scenarios = [scenario for document in documents for scenario in document.scenarios()]
    if not documents and not problems.lines():
        problems.add(Place(1, 1), "the file is empty; begin with 'wsharness: 1'")
    if found := problems.lines():
        raise ScenarioError(found)
    return scenarios


class _Document:
    """One document: a scenario, or one for each of its cases."""

    def __init__(self, node: Node, problems: Problems, file: str) -> None:
        self._node = node
        self._problems = problems
        self._file = file
        self._parts: dict[str, Node] = {}

    def scenarios(self) -> Iterator[Scenario]:
        """The scenarios it stands for."""
        if not isinstance(self._node, Mapping):
            self._problems.add(self._node, f"expected a scenario, 'wsharness: 1' first; got {kind(self._node)}")
            return
        for name, key, value in pairs(self._node):
            self._parts[name] = value
            if name not in KEYS:
                self._problems.unknown(key, "key", name, KEYS)
        self._check_version()
        for case, variables in self._cases():
            yield self._scenario(case, self._with_vars(Values(self._problems, variables)))

    def _check_version(self) -> None:
        version = self._parts.get("wsharness")
        if version is None:
            self._problems.add(self._node, "expected 'wsharness: 1' at the beginning of a scenario")
        elif not isinstance(version, Scalar) or core(version) != VERSION:
            self._problems.add(version, f"expected wsharness: {VERSION}; got {kind(version)}")

    def _cases(self) -> Iterator[tuple[str, dict[str, Any]]]:
        """The name and the variables of each case; a scenario without cases is one without a name."""
        base = {"env": os.environ}
        node = self._parts.get("cases")
        if node is None:
            yield "", base
            return
        if not isinstance(node, Sequence) or not node.items:
            self._problems.add(node, f"expected a list of cases such as [{{id: first}}]; got {kind(node)}")
            return
        for number, item in enumerate(node.items, 1):
            if isinstance(item, Mapping):
                case = Values(self._problems, base).data(item)
                yield str(case.get("id", number)), {**base, "case": case}
            else:
                self._problems.add(item, f"expected a case such as {{id: first}}; got {kind(item)}")

    def _with_vars(self, values: Values) -> Values:
        """The variables of `vars`, each of which may use those above it."""
        node = self._parts.get("vars")
        if node is None:
            return values
        if not isinstance(node, Mapping):
            self._problems.add(node, f"expected variables such as {{room: lobby}}; got {kind(node)}")
            return values
        for name, key, value in pairs(node):
            if name in RESERVED or not name.isidentifier():
                self._problems.add(key, f"{name!r} cannot be a variable's name; choose another word")
            values = values.with_variables(**{name: values.data(value)})
        return values

    def _scenario(self, case: str, values: Values) -> Scenario:
        clients = read_clients(self._parts.get("clients"), values)
        name = self._words("name")
        return Scenario(
            name=f"{name} [{case}]".lstrip() if case else name,
            clients=clients,
            steps=self._steps(values, clients),
            tags=tuple(self._tags()),
            run=read_run(self._parts["run"], values) if "run" in self._parts else None,
            file=self._file,
            line=self._node.place.line,
        )

    def _steps(self, values: Values, clients: dict[str, ClientSpec]) -> Any:
        node = self._parts.get("steps")
        if node is None:
            self._problems.add(self._node, "a scenario needs steps: '- alice: connect'")
            return ()
        return tuple(Steps(clients).read(node, values))

    def _words(self, key: str) -> str:
        node = self._parts.get(key)
        if node is None:
            return ""
        if not isinstance(node, Scalar) or core(node) is None:
            self._problems.add(node, f"expected {key} to be text; got {kind(node)}")
            return ""
        return node.text

    def _tags(self) -> Iterable[str]:
        node = self._parts.get("tags")
        if node is None:
            return
        items = node.items if isinstance(node, Sequence) else [node]
        for item in items:
            if isinstance(item, Scalar) and core(item) is not None and isinstance(node, Sequence):
                yield item.text
            else:
                self._problems.add(item, f"expected tags to be a list of text; got {kind(item)}")
