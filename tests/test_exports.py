"""The public names: they exist, they are documented, and tools that only read the source see them."""

import ast
import inspect
from pathlib import Path

import pytest

import wsharness

PACKAGE = Path(wsharness.__file__).parent


def static_names() -> set[str]:
    """What a type checker sees in wsharness/__init__.py."""
    tree = ast.parse((PACKAGE / "__init__.py").read_text(encoding="utf-8"))
    imports = [node for node in tree.body if isinstance(node, ast.ImportFrom)]
    return {alias.asname or alias.name for node in imports for alias in node.names}


@pytest.mark.parametrize("name", wsharness.__all__)
def test_a_public_name_exists_and_is_documented(name: str) -> None:
    documentation = inspect.getdoc(getattr(wsharness, name))
    assert documentation
    assert not documentation.startswith(f"{name}("), "a dataclass's signature is no documentation"


def test_the_names_are_listed_once_in_order() -> None:
    assert wsharness.__all__ == sorted(set(wsharness.__all__))


def test_static_tools_see_exactly_the_public_names() -> None:
    assert static_names() == set(wsharness.__all__)


def test_the_package_is_typed() -> None:
    for package in (PACKAGE, PACKAGE.parent / "wsharness_pytest"):
        assert (package / "py.typed").exists()


def test_every_error_is_public() -> None:
    """Whoever meets an exception can name it in an except clause."""
    from wsharness import errors

    tree = {
        name for name, value in vars(errors).items() if inspect.isclass(value) and value.__module__ == errors.__name__
    }
    assert tree <= set(wsharness.__all__)
