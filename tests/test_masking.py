"""Secrets do not get out."""

import pytest

from wsharness.events import Accepted, Message
from wsharness.masking import Mask, is_secret, secrets_in
from wsharness.transcript import Connect, Direction, Fact, Record, Sent


@pytest.mark.parametrize(
    "name",
    ["Authorization", "proxy-authorization", "Cookie", "set-cookie", "x-api-key", "apiKey", "access_token"]
    + [
        "accessToken",
        "password",
        "user_password",
        "client-secret",
        "X-CSRF-Token",
        "sessionid",
        "jwt",
        "JWT",
    ],
)
def test_names_of_secrets(name):
    assert is_secret(name)


@pytest.mark.parametrize(
    "name",
    ["", "author", "tokens", "max_tokens", "token_type", "secretary", "key", "user", "sec-websocket-key"],
)
def test_names_of_no_secrets(name):
    assert not is_secret(name)


def test_some_names_are_secrets_only_in_a_query():
    assert is_secret("key", in_query=True)
    assert is_secret("ticket", in_query=True)
    assert not is_secret("ticket")


@pytest.mark.parametrize(
    ("text", "masked"),
    [
        ('{"token": "abc", "n": 1}', '{"token": "***", "n": 1}'),
        ('{"token":"a\\"b"}', '{"token":"***"}'),
        ('{"data": "{\\"password\\": \\"pw\\"}"}', '{"data": "{\\"password\\": \\"***\\"}"}'),
        ('{"token": "unterminated', '{"token": "***'),
        ('{"password": 12345}', '{"password": ***}'),
        ('{"token": null}', '{"token": null}'),
        ('{"max_tokens": 5}', '{"max_tokens": 5}'),
        ("{'secret': 'x'}", "{'secret': '***'}"),
        ("/ws?user=a&token=abc#x", "/ws?user=a&token=***"),
        ("Authorization: Basic abc", "Authorization: ***"),
        ("got Bearer abc123xyz there", "got Bearer *** there"),
        ("invalid token: abcdef", "invalid token: ***"),
        ("wss://me:pw@host/ws", "wss://me:***@host/ws"),
        ("eyJhbGciOi.eyJzdWIiOi.c2lnbmF0dXJl", "***"),
        ("token=$(env.TOKEN)", "token=$(env.TOKEN)"),
        ("a plain sentence about tokens", "a plain sentence about tokens"),
        ("\ud800", "\ud800"),
    ],
)
def test_text(text, masked):
    assert Mask().text(text) == masked
    assert Mask().text(masked) == masked


def test_a_value_that_is_known_is_masked_wherever_it_stands():
    mask = Mask([("authorization", "Bearer swordfish")])
    assert mask.text("no user for swordfish, sorry") == "no user for ***, sorry"
    assert mask.data(b"\xffswordfish") == b"\xff***"
    assert Mask([("token", "a")]).text("banana") == "banana"  # too short to be told from other text


def test_a_url_encoded_value_is_known_decoded():
    assert Mask([("token", "sword%2Ffish")]).text("sword/fish") == "***"


def test_records_are_masked_and_left_as_they_were():
    connect = Connect("/ws?key=abcdef", (("authorization", "Bearer abcdef1"), ("accept", "x")), ("bearer", "tok-en"))
    records = [
        Record(0.0, "a", Direction.CLIENT, connect),
        Record(0.0, "a", Direction.SERVER, Accepted(None, (("set-cookie", "sid=1"),))),
        Record(0.0, "a", Direction.SEND, {"type": "websocket.accept", "headers": [(b"set-cookie", b"sid=1")]}),
        Record(0.0, "a", Direction.CLIENT, Sent(b'\xff{"token": "abcdef"}')),
        Record(0.0, "a", Direction.SEND, {"type": "websocket.send", "bytes": bytearray(b'{"token": "abcdef"}')}),
        Record(0.0, "a", Direction.SERVER, Message('{"token": "abcdef"}')),
        Record(0.0, "a", Direction.FACT, Fact("x", "token=abcdef", (), {"password": "abcdef", "n": [1, "b"]})),
    ]
    before = repr(records)
    masked = [Mask().record(record) for record in records]
    assert repr(records) == before
    for secret in ("abcdef", "sid=1", "tok-en"):
        assert secret not in repr(masked)
    assert masked[0].event.path == "/ws?key=***"
    assert masked[0].event.headers[1] == ("accept", "x")
    assert masked[6].event.data["n"] == [1, "b"]


@pytest.mark.parametrize("headers", [3, None, "abc", {"a": None}, [1], [("a",)], [(b"a", 5)], [(None, None)]])
def test_headers_that_are_none_pass(headers):
    record = Record(0.0, "a", Direction.SEND, {"type": "websocket.accept", "headers": headers})
    assert Mask().record(record) == record


def test_secrets_are_found_once_in_the_order_in_which_they_appear():
    first = Record(0.0, "a", Direction.CLIENT, Connect("/?token=abc", (("cookie", "x=y"),)))
    second = Record(0.0, "a", Direction.CLIENT, Sent('{"token": "abc", "password": "pw"}'))
    assert list(secrets_in([first, second])) == [("token", "abc"), ("cookie", "x=y"), ("password", "pw")]


@pytest.mark.parametrize("unit", ["\\", '="', "a: ", '{"token": "', "eyJ", 'x":"', "'", "://a:"])
def test_no_text_takes_for_ever(unit):
    text = unit * ((1 << 19) // len(unit))  # a search of quadratic cost would not end today
    assert Mask().text(text)
