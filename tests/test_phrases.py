import json
import struct
from typing import Annotated, Literal

import msgpack
from pydantic import BaseModel, Field

from wsharness.phrases import messages_of, messages_of_model, own
from wsharness.words import Words


def objects(words):
    return [json.loads(text) for text in messages_of(words) if isinstance(text, str) and text.startswith("{")]


def test_each_value_makes_a_message_that_has_all_the_keys():
    words = Words(keys={"type": set(), "from": set(), "to": set(), "n": {"number"}}, values={"type": ["a", "b"]})
    first, second, *_ = objects(words)
    assert (first["type"], second["type"]) == ("a", "b")
    assert isinstance(first["n"], int) and first["from"] != first["to"]


def test_keys_have_values_that_are_looked_for_and_two_keys_different_ones():
    words = Words(keys={"from": set(), "to": set()}, values={"from": ["ann", "bob"], "to": ["ann", "bob"]})
    assert {"from": "ann", "to": "bob"} in objects(words)


def test_values_of_two_keys_stand_together():
    keys = dict.fromkeys(("op", "user", "word"), frozenset())
    words = Words(keys=keys, values={"op": ["login", "say", "bye"], "user": ["ann", "bob"], "word": ["a", "b"]})
    assert {("login", "ann"), ("bye", "bob")} <= {(one["op"], one["user"]) for one in objects(words)}


def test_what_is_looked_for_inside_stands_inside():
    words = Words(keys={"data": set(), "x": {"number"}, "y": set()}, inside={"data": {"x"}, "x": {"data"}})
    assert isinstance(objects(words)[0]["data"], dict) and objects(words)[0]["y"] == "carol"


def test_lines_have_an_argument():
    assert messages_of(Words(texts=["ping"])) == ["ping", "ping alice", "ping:alice", "ping 1", "ping alice 1"]
    assert messages_of(Words(texts=["/join "]))[2] == "/join alice"
    assert messages_of(Words(texts=[b"PING"])) == [b"PING", b"PING alice", b"PING 1", b"PING alice 1", b"PING1"]
    assert b"go 1" in messages_of(Words(texts=["go"], binary=True))


def test_every_command_is_said_alone_before_any_has_an_argument():
    assert messages_of(Words(texts=["a", "b"]))[:4] == ["a", "b", "a alice", "b alice"]


def test_what_chooses_a_function_stands_with_what_it_takes_alone_and_with_all_keys():
    words = Words(keys={"id": set(), "do": set()}, calls=[{"do": "add", "params": {"a": 1}}])
    alone, with_all = objects(words)[:2]
    assert alone == {"do": "add", "params": {"a": 1}} and with_all == {"id": "alice", **alone}


def test_another_client_says_it_with_a_name_of_its_own():
    assert own('{"room": "alice", "user": "bob", "n": 1}', 2) == '{"room": "alice", "user": "bob2", "n": 1}'
    assert own('{"a": "alice", "b": "x"}', 3) == '{"a": "alice3", "b": "x"}'
    assert own("JOIN alice bob", 2) == "JOIN alice bob2" and own("[]", 2) == "[]"
    assert own("NICK alice", 1) == "NICK alice" and own(b"alice", 2) == b"alice"


def test_frames_are_in_the_layouts_that_are_read_and_of_every_kind():
    found = messages_of(Words(layouts=["!BHf2s", "<I"], numbers=[1, 2, 0.5, 1000]))
    assert struct.pack("!BHf2s", 2, 1, 1.0, b"aa") in found and struct.pack("<I", 1) + b"\x00" in found
    assert struct.pack("!f", 1.0) in messages_of(Words(layouts=["!f"]))
    assert b"\x07" in messages_of(Words(binary=True, numbers=[7]))


def test_objects_are_packed_as_the_app_packs_them():
    words = Words(keys={"t": set()}, values={"t": ["move"]}, packings={"msgpack"})
    assert msgpack.unpackb(messages_of(words)[0]) == {"t": "move"}


def test_nothing_looked_for_is_nothing_to_say():
    assert messages_of(Words()) == []


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


def test_what_json_cannot_express_is_written_as_text():
    assert objects(Words(models=[{"a": b"x"}])) == [{"a": "b'x'"}]


def test_commands_are_the_first_of_an_array_where_that_is_looked_at():
    said = messages_of(Words(texts=["undo", b"raw"], numbers=[4, 0.5, 900], arrays=True))
    assert {'["undo"]', '["undo", 1, 1, 1, 1]', '["undo", "alice"]', '["undo", {}]'} <= set(said)
    assert not [one for one in messages_of(Words(texts=["undo"])) if "[" in str(one)]
