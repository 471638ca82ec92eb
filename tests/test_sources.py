import ast
import textwrap

import pytest

from wsharness.sources import affixes, index, named_by, parameters_of, registered


def source(text):
    return index(textwrap.dedent(text))


def expression(text):
    return ast.parse(text, mode="eval").body


@pytest.mark.parametrize(
    "text, before, after",
    [
        ("'on_' + kind", "on_", ""),
        ("kind + '_handler'", "", "_handler"),
        ("'on_%s' % kind", "on_", ""),
        ("f'on_{kind}_now'", "on_", "_now"),
    ],
)
def test_what_stands_around_a_value(text, before, after):
    found = affixes(expression(text))
    assert (found[0], found[1].id, found[2]) == (before, "kind", after)


@pytest.mark.parametrize("text", ["kind", "a + b", "'x' % 1", "1 - 'x'", "f'{a}{b}'", "kind % 'x'"])
def test_what_no_value_stands_in(text):
    assert affixes(expression(text)) is None


def test_methods_that_a_value_names():
    desk = source(
        """
        class Desk:
            def on_join(self, room): ...
            def on_part(self): ...
            def on_(self): ...
            def other(self): ...
        """
    )
    value, functions = named_by(expression("getattr(self, 'on_' + kind, None)"), [desk])
    assert value.id == "kind" and list(functions) == ["join", "part"]
    assert [one.arg for one in parameters_of(functions["join"])] == ["room"]
    assert named_by(expression("getattr(self, kind)"), [desk]) is None
    assert named_by(expression("other('on_' + kind)"), [desk]) is None


def test_functions_that_a_decorator_of_the_users_registers():
    desk = source(
        """
        def on(name): ...
        def command(function): ...

        @on("join")
        def first(): ...

        @command
        def part(): ...

        @command()
        def leave(): ...

        @pytest.mark.parametrize("x", [])
        def other(): ...
        """
    )
    assert [(name.value, one.name) for name, one in registered([desk])] == [
        ("join", "first"),
        ("part", "part"),
        ("leave", "leave"),
    ]
