import ast
import json
import textwrap
from typing import Annotated, Literal

import pytest
from pydantic import BaseModel, Field

from wsharness.vocabulary import messages_of, messages_of_model, words_of


def words(source, function="handler", more=""):
    text = textwrap.dedent(source)
    tree = ast.parse(text)
    line = next(
        min([node.lineno, *(one.lineno for one in node.decorator_list)])
        for node in ast.walk(tree)
        if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef)) and node.name == function
    )
    files = {"shop.py": text, "more.py": textwrap.dedent(more)}
    return words_of([("shop.py", line), ("more.py", 1)], files.__getitem__)


@pytest.mark.parametrize(
    "body, keys, values",
    [
        ("message['room']", {"room": set()}, {}),
        ("message.get('room', 'x')", {"room": set()}, {}),
        ("text_of(message, 'room')", {"room": set()}, {}),
        ("text_of(await read(ws), 'room')", {"room": set()}, {}),
        ("number_of(message, 'n')", {"n": {"number"}}, {}),
        ("int(message['n'])", {"n": {"number"}}, {}),
        ("isinstance(message['tags'], list)", {"tags": {"array"}}, {}),
        ("isinstance(message['x'], Other)", {"x": set()}, {}),
        ("'room' in message", {"room": set()}, {}),
        ("message['type'] == 'join'", {"type": set()}, {"type": ["join"]}),
        ("'join' == message['type'].lower()", {"type": set()}, {"type": ["join"]}),
        ("message['n'] == 0", {"n": {"number"}}, {"n": [0]}),
        ("message['type'] in ('join', 'part')", {"type": set()}, {"type": ["join", "part"]}),
        ("kind = message['type']\n    kind == 'join'", {"type": set()}, {"type": ["join"]}),
        ("(kind := message['type']) != 'join'", {"type": set()}, {"type": ["join"]}),
        ("message['type'].startswith(('a', 'b'))", {"type": set()}, {"type": ["a", "b"]}),
        ("HANDLERS[message['type']]", {"type": set()}, {"type": ["join", "part"]}),
        ("HANDLERS.get(message['type'])", {"type": set()}, {"type": ["join", "part"]}),
        ("message['type'] in self.NAMES", {"type": set()}, {"type": ["one", "two"]}),
        ("event['type'] == 'websocket.disconnect'", {"type": set()}, {}),
        ("message['room'] = 1", {}, {}),
        ("say('room')", {}, {}),
    ],
)
def test_what_is_looked_for(body, keys, values):
    found = words(
        f"HANDLERS = {{'join': 1, 'part': 2}}\nclass Room:\n    NAMES: set = {{'one', 'two'}}\n"
        f"async def handler(ws, message):\n    {body}\n"
    )
    assert (found.keys, found.values, found.texts) == (keys, values, [])


def test_patterns_of_match():
    found = words(
        """
        def handler(message):
            match message["op"]:
                case "add" | "del": pass
            match message:
                case {"type": "join", "room": room}: pass
                case [1, 2]: pass
        """
    )
    assert set(found.keys) == {"op", "type", "room"}
    assert found.values == {"op": ["add", "del"], "type": ["join"]}


def test_whole_messages():
    found = words(
        "def handler(text):\n    text == 'ping' or text.startswith('/join ')\n    text in ('a', 'b') or text > 3"
    )
    assert found.texts == ["ping", "/join ", "a", "b"]
    assert messages_of(found)[:3] == ["ping", "ping alice", "ping:alice"]


def test_what_a_function_names_is_read_too_and_nothing_else():
    found = words(
        """
        class Desk:
            async def take(self, message):
                return helper(message)["a"]

        def helper(message):
            return message["b"]

        def elsewhere(message):
            return message["c"]

        async def handler(desk, message):
            await desk.take(message)
            other(message)
        """,
        more="def first(): ...\ndef other(message):\n    return message['d']\n",
    )
    assert set(found.keys) == {"a", "b", "d"}


def test_models_make_messages():
    found = words(
        """
        class Join(BaseModel):
            type: Literal["join", "rejoin"]
            room: str
            seats: int | None
            only: Literal["x"]
            tags: list[str]
            when: datetime
            LIMIT = 5

        class Empty: ...

        def handler(message):
            Join.model_validate(message), Empty()
        """
    )
    [model] = found.models
    assert model == {"type": "join", "room": "alice", "seats": 1, "only": "x", "tags": [], "when": "alice"}
    assert json.loads(messages_of(found)[0]) == model


def test_each_value_makes_a_message_that_has_all_the_keys():
    found = words("def handler(m):\n    m['type'] in ('a', 'b')\n    m['from'], m['to'], int(m['n'])")
    first, second, *_ = (json.loads(text) for text in messages_of(found))
    assert (first["type"], second["type"]) == ("a", "b")
    assert isinstance(first["n"], int) and first["from"] != first["to"]


def test_nothing_looked_for_is_nothing_to_say():
    assert messages_of(words("def handler(m): ...")) == []


def test_a_file_that_cannot_be_read_is_passed_over():
    assert words_of([("x.py", 1)], lambda _: "def (").keys == {}
    assert words_of([], lambda _: "").keys == {}


class Place(BaseModel):
    room: str


class Join(BaseModel):
    type: Literal["join"] = "join"
    place: Place
    seats: int | None = None
    sender: str = Field(alias="from")
    tags: list[str] = []
    extra: object = None


class Part(BaseModel):
    type: Literal["part"]


def test_a_pydantic_model_makes_a_message_and_a_union_one_for_each_member():
    join = {"type": "join", "place": {"room": "alice"}, "seats": 1, "from": "alice", "tags": [], "extra": "alice"}
    assert [json.loads(text) for text in messages_of_model(Join)] == [join]
    union = Annotated[Join | Part, Field(discriminator="type")]
    assert [json.loads(text)["type"] for text in messages_of_model(union)] == ["join", "part"]
    assert messages_of_model(int) == []
