"""Facts about the catalogue of payloads and about near misses."""

import json
import pickle
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from wsharness.errors import UsageError
from wsharness.payloads import CATALOGUE, SMOKE, Payload, near_misses, reorderings

PAGE = Path(__file__).parent.parent / "docs" / "payloads.md"
BEGIN, END = "<!-- the catalogue -->\n", "<!-- end -->\n"

GOOD = {"type": "say", "text": "hi", "n": 1, "to": ["ann", "bob", "cyd"], "opts": {"loud": True, "at": None}}

JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text("ab/~."),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text("ab/~."), inner, max_size=3),
    max_leaves=6,
)


def by_name(payloads):
    return {payload.name: payload for payload in payloads}


def near(message):
    return by_name(near_misses(message))


def loads(name):
    return json.loads(by_name(CATALOGUE)[name].data)


def preview(data):
    shown = repr(data) if len(data) <= 60 else f"{data[:12]!r}…"
    return "`" + shown.replace("|", "\\|") + "`" + (f" ({len(data):,} long)" if len(data) > 60 else "")


def table():
    rows = ["| name | message | why | a robust app |", "|---|---|---|---|"]
    rows += [f"| `{p.name}` | {preview(p.data)} | {p.reason} | {p.robust} |" for p in CATALOGUE]
    return "\n".join(rows) + "\n"


def test_names_are_unique_and_fit_for_files():
    names = [payload.name for payload in CATALOGUE]
    assert len(names) == len(set(names)) >= 60
    assert all(name.replace("-", "").isalnum() and name == name.lower() for name in names)


def test_every_payload_can_be_sent_over_a_wire():
    for payload in CATALOGUE:
        data = payload.data
        assert len(data if isinstance(data, bytes) else data.encode()) <= 2**20


def test_every_payload_says_why_and_what_is_right():
    for payload in CATALOGUE:
        assert payload.reason and payload.robust
        assert "|" not in payload.reason + payload.robust


def test_long_payloads_are_built_on_use():
    held = sum(len(p.source) for p in CATALOGUE if not callable(p.source))
    assert held < 20_000
    assert len(by_name(CATALOGUE)["long-text"].data) == 2**20


def test_the_catalogue_can_be_sent_to_another_process():
    copy = pickle.loads(pickle.dumps(CATALOGUE))
    assert [(p.name, p.data) for p in copy] == [(p.name, p.data) for p in CATALOGUE]


def test_a_huge_integer_is_a_value_error_that_no_json_handler_catches():
    with pytest.raises(ValueError) as caught:
        loads("huge-integer")
    assert not isinstance(caught.value, json.JSONDecodeError)


@pytest.mark.parametrize("name", ["deep-lists", "deep-objects"])
def test_deep_nesting_is_a_recursion_error(name):
    with pytest.raises(RecursionError):
        loads(name)


def test_nested_lists_decode():
    assert isinstance(loads("nested-lists"), list)


@pytest.mark.parametrize("name", ["lone-surrogate", "lone-surrogate-string"])
def test_a_lone_surrogate_decodes_and_cannot_be_sent_on(name):
    value = loads(name)
    with pytest.raises(UnicodeEncodeError):
        json.dumps(value, ensure_ascii=False).encode()


def test_numbers_overflow_where_they_say_so():
    with pytest.raises(OverflowError):
        float(loads("wide-integer")["value"])
    with pytest.raises(OverflowError):
        int(loads("infinity")["value"])
    with pytest.raises(OverflowError):
        int(loads("huge-float")["value"])
    digit = by_name(CATALOGUE)["unicode-digit"].data
    assert digit.isdigit()
    with pytest.raises(ValueError):
        int(digit)


@pytest.mark.parametrize("name", ["object-type", "list-type"])
def test_an_unhashable_type_cannot_be_looked_up(name):
    with pytest.raises(TypeError):
        {}.get(loads(name)["type"])


def test_what_is_not_json_is_not_json():
    names = [p.name for p in CATALOGUE][: [p.name for p in CATALOGUE].index("json-null")]
    assert len(names) >= 12
    for name in names:
        with pytest.raises(json.JSONDecodeError):
            loads(name)


def test_every_top_level_type_of_json_is_there():
    kinds = {type(json.loads(p.data)) for p in CATALOGUE if p.name.startswith("json-")}
    assert kinds == {type(None), bool, int, float, str, list, dict}


def test_binary_that_cannot_be_decoded():
    for name in ("invalid-utf-8", "overlong-utf-8"):
        with pytest.raises(UnicodeDecodeError):
            by_name(CATALOGUE)[name].data.decode()


def test_smoke_is_a_short_part_of_the_catalogue():
    assert set(by_name(SMOKE)) < set(by_name(CATALOGUE))
    assert 10 <= len(SMOKE) <= 15


def outcome(handle, payload):
    try:
        handle(payload.data)
    except Exception as error:
        return type(error)
    return None


def naive_handler(data):
    """How many handlers begin: decode, look the type up, answer with the text."""
    message = json.loads(data if isinstance(data, str) else {}["text"])
    handlers = {"say": str, "message": str}
    handlers[message["type"]](message.get("text", ""))
    json.dumps(message, ensure_ascii=False).encode()


def test_smoke_finds_every_way_in_which_a_naive_handler_fails():
    found = {outcome(naive_handler, payload) for payload in SMOKE}
    everything = {outcome(naive_handler, payload) for payload in CATALOGUE}
    assert found == everything
    assert {
        json.JSONDecodeError,
        KeyError,
        TypeError,
        ValueError,
        RecursionError,
        UnicodeEncodeError,
    } <= found


def test_a_key_is_dropped_at_every_depth():
    misses = near(GOOD)
    assert json.loads(misses["drop-key:/text"].data) == {k: v for k, v in GOOD.items() if k != "text"}
    assert json.loads(misses["drop-key:/opts/loud"].data)["opts"] == {"at": None}


def test_a_value_takes_every_other_type():
    misses = near(GOOD)
    kinds = {
        type(json.loads(misses[f"{name}:/text"].data)["text"])
        for name in ("null", "object", "number", "list", "boolean")
    }
    assert kinds == {type(None), dict, int, list, bool}
    assert "string:/text" not in misses
    assert json.loads(misses["null:/opts/loud"].data)["opts"]["loud"] is None
    assert json.loads(misses["null:/to/0"].data)["to"] == [None, "bob", "cyd"]


def test_numbers_leave_their_range():
    misses = near({"n": 5})
    values = {name: json.loads(misses[f"{name}:/n"].data)["n"] for name in ("negative", "zero", "fraction", "infinity")}
    assert values == {"negative": -1, "zero": 0, "fraction": 0.5, "infinity": float("inf")}
    for name in ("digits", "deep"):
        with pytest.raises((ValueError, RecursionError)):
            json.loads(misses[f"{name}:/n"].data)


def test_only_one_value_is_changed():
    for name, miss in near(GOOD).items():
        if ":" in name and not name.startswith(("digits", "deep")):
            changed = json.loads(miss.data)
            assert sum(changed.get(key) != value for key, value in GOOD.items()) <= 1, name


def test_keys_are_misspelt():
    misses = near({"type": 1})
    assert list(json.loads(misses["upper-key:/type"].data)) == ["TYPE"]
    (lookalike,) = json.loads(misses["homoglyph-key:/type"].data)
    assert lookalike != "type" and not lookalike.isascii()
    assert misses["duplicate-key:/type"].data.count('"type"') == 2
    assert json.loads(misses["extra-key"].data)["no_such_key"]


def test_the_text_itself_is_damaged():
    misses = near({"a": "b"})
    assert misses["as-binary"].data == b'{"a": "b"}'
    assert misses["replay"].data == '{"a": "b"}'
    for name in ("truncated", "truncated-end", "trailing", "doubled", "byte-order-mark"):
        with pytest.raises(json.JSONDecodeError):
            json.loads(misses[name].data)
    assert json.loads(misses["in-list"].data) == [{"a": "b"}]
    assert json.loads(json.loads(misses["quoted"].data)) == {"a": "b"}


def test_text_that_is_json_is_taken_as_such():
    assert set(near('{"a": 1}')) == set(near({"a": 1}))


def test_a_line_of_words_has_one_too_few_or_another_number():
    misses = near("move 3 up")
    assert misses["drop-word:1"].data == "move up" and misses["more-words"].data.startswith("move 3 up ")
    assert misses["very-negative:1"].data == "move -1000000 up" and misses["superscript:1"].data == "move \u00b2 up"
    assert "zero:0" not in misses and "drop-word:0" not in near("ping")


def test_text_that_is_no_json_is_damaged_as_text():
    misses = near("/join room")
    assert misses["truncated"].data == "/join"
    assert not any("/" in name for name in misses)


def test_a_json_scalar_is_replaced_as_a_whole():
    assert near("7")["null:"].data == "null"
    assert near([])["object:"].data == "{}"


def test_a_binary_message_stays_binary_but_once():
    misses = near(b"\x01\x02\x03\x04")
    assert [name for name, miss in misses.items() if isinstance(miss.data, str)] == ["as-text"]
    assert misses["truncated"].data == b"\x01\x02"
    assert misses["inverted"].data == b"\xfe\xfd\xfc\xfb"
    assert near(b"")["first-byte"].data == b"\xff"


def test_what_json_cannot_express_is_refused_in_one_sentence():
    circle = []
    circle.append(circle)
    deep = []
    for _ in range(100_000):
        deep = [deep]
    for message in (object(), circle, {"a": {1}}, deep):
        with pytest.raises(UsageError, match="expected a message that JSON can express; got"):
            list(near_misses(message))


def test_text_nested_deeply_is_near_missed_too():
    misses = near("[" * 500 + "]" * 500)
    assert misses["trailing"].data.endswith("]x")
    assert max(name.count("/") for name in misses) == 16
    assert near("[" * 100_000)["trailing"].data.endswith("[x")


@given(JSON)
def test_near_misses_have_unique_names_and_can_be_sent(message):
    misses = list(near_misses(message))
    assert len({miss.name for miss in misses}) == len(misses)
    for miss in misses:
        data = miss.data
        assert isinstance(data, bytes) or data.encode() is not None


@given(JSON)
def test_near_misses_are_the_same_each_time(message):
    assert [(p.name, p.data) for p in near_misses(message)] == [(p.name, p.data) for p in near_misses(message)]


def test_reorderings_of_a_conversation():
    orders = {order.name: order.messages for order in reorderings(["hi", "say", "bye"])}
    assert orders["skip:0"] == ("say", "bye")
    assert orders["replay:1"] == ("hi", "say", "say", "bye")
    assert orders["swap:1"] == ("hi", "bye", "say")
    assert orders["twice"] == ("hi", "say", "bye") * 2
    assert orders["reversed"] == ("bye", "say", "hi")
    assert list(reorderings([])) == []
    assert "reversed" not in {order.name for order in reorderings([1, 2])}


def test_a_payload_of_ones_own():
    assert Payload("mine", "x", "because", "nothing").data == "x"
    assert Payload("mine", lambda: b"x", "because", "nothing").data == b"x"


def test_the_page_shows_the_catalogue_as_it_is():
    text = PAGE.read_text("utf-8")
    shown = text[text.index(BEGIN) + len(BEGIN) : text.index(END)]
    assert shown == table(), "write it anew: python tests/test_payloads.py"


if __name__ == "__main__":
    page = PAGE.read_text("utf-8")
    begin, end = page.index(BEGIN) + len(BEGIN), page.index(END)
    PAGE.write_text(page[:begin] + table() + page[end:], "utf-8")
