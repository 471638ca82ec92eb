from wsharness.words import WHOLE, Words


def test_a_key_has_the_types_as_which_its_value_is_used():
    words = Words()
    words.add_key("n")
    words.add_key("n", "number")
    words.add_key(WHOLE)
    words.add_key("a sentence that is said of a message")
    assert words.keys == {"n": {"number"}}


def test_what_is_looked_for_in_the_handshake_is_no_key_of_a_message():
    words = Words(asked={"query": {"page": None}})
    words.add_key("page", "number")
    assert words.keys == {}


def test_values_are_known_once_and_those_of_no_key_are_texts_or_numbers():
    words = Words()
    for key, value in (("type", "join"), ("type", "join"), (None, "ping"), (WHOLE, "ping"), (None, 7)):
        words.add_value(key, value)
    words.add_value("type", "websocket.receive")
    assert (words.values, words.texts, words.numbers) == ({"type": ["join"]}, ["ping"], [7])


def test_layouts_are_those_that_struct_knows():
    words = Words()
    for layout in ("!BH", b"<f", "no", "", 7, "!BH"):
        words.add_layout(layout)
    assert words.layouts == ["!BH", "<f"]
