import pytest

from wsharness.errors import UsageError
from wsharness.request import Request


def test_a_request_as_it_stands_on_the_wire():
    request = Request(
        "/ä b?a=1",
        {"x": [1, 2]},
        [("X-A", "1"), ("x-a", "2")],
        {"sid": "s", "n": "1"},
        ("user", "pass"),
        ["chat.v1"],
    )
    handshake = request.handshake()
    assert (handshake.target, handshake.query) == ("/%C3%A4%20b", b"a=1&x=1&x=2")
    assert handshake.headers == (
        (b"x-a", b"1"),
        (b"x-a", b"2"),
        (b"cookie", b"sid=s; n=1"),
        (b"authorization", b"Basic dXNlcjpwYXNz"),
    )
    assert handshake.subprotocols == ("chat.v1",)


@pytest.mark.parametrize(
    "query, raw",
    [
        (None, b""),
        ("a=1", b"a=1"),
        ("?a=1", b"a=1"),
        ("a=1 2\r\nX: y", b"a=1%202%0D%0AX:%20y"),
        ([("a", "1")], b"a=1"),
        ({"a": "é"}, b"a=%C3%A9"),
    ],
)
def test_a_query_cannot_break_the_request_line(query, raw):
    assert Request("/", query).handshake().query == raw


def test_a_bearer_token_is_one_text():
    assert Request(auth="t").handshake().headers == ((b"authorization", b"Bearer t"),)


def test_other_arguments_leave_the_first_request_as_it_was():
    first = Request("/a", headers={"a": "1"})
    assert (first.but(path="/b").path, first.path) == ("/b", "/a")


WRONG = {
    "no slash": ({"path": "chat"}, "expected a path that begins with '/'; got 'chat'; write '/chat'"),
    "a URL": ({"path": "ws://host/chat"}, "write '/chat'"),
    "no path": ({"path": None}, "expected a path that begins with '/'; got None"),
    "a number for the query": ({"query": 3}, "expected query as a dict or a list of pairs; got 3"),
    "no pairs": ({"query": ["ab"]}, "expected query as a dict or a list of pairs"),
    "text for headers": ({"headers": "a: b"}, "expected headers as a dict or a list of pairs"),
    "a header's name": ({"headers": {"a b": "c"}}, "expected a header's name, a word without spaces; got 'a b'"),
    "a name with a line end": ({"headers": {"a\r\nb": "c"}}, "expected a header's name"),
    "a value with a line end": ({"headers": {"a": "b\r\nc: d"}}, "expected one line for the header 'a'"),
    "a value with NUL": ({"headers": {"a": "b\0"}}, "expected one line for the header 'a'"),
    "a number for a value": ({"headers": {"a": 1}}, "expected text for the header 'a'; got 1"),
    "beyond latin-1": ({"headers": {"a": "€"}}, "expected latin-1 text for the header 'a'; got '€'"),
    "text for cookies": ({"cookies": "a=b"}, "expected cookies as a dict; got 'a=b'"),
    "a cookie's name": ({"cookies": {"a b": "c"}}, "expected a cookie's name"),
    "a cookie with a line end": ({"cookies": {"a": "b\nc"}}, "expected one line for the cookie 'a'"),
    "a cookie that ends": ({"cookies": {"a": "b; c=d"}}, "a ';' would begin another"),
    "a number for auth": ({"auth": 7}, "expected auth as a bearer token or (user, password); got int"),
    "half a pair for a subprotocol": (
        {"subprotocols": ["\udcc3"]},
        "expected text that UTF-8 can express; got '\\udcc3'",
    ),
    "half a pair for auth": (
        {"auth": ("user", None)},
        "expected auth as a bearer token or (user, password); got tuple",
    ),
    "auth with a line end": ({"auth": "t\r\nX: y"}, "expected one line for auth"),
    "text for subprotocols": ({"subprotocols": "chat"}, "got 'chat'; write subprotocols=['chat']"),
    "a number for subprotocols": ({"subprotocols": 1}, "expected a list of subprotocols; got 1"),
    "an empty subprotocol": ({"subprotocols": [""]}, "expected the name of a subprotocol, such as 'chat.v1'; got ''"),
    "a subprotocol with a line end": ({"subprotocols": ["a\r\nb"]}, "expected the name of a subprotocol"),
}


@pytest.mark.parametrize("name", WRONG)
def test_what_cannot_be_asked_is_one_sentence(name):
    options, sentence = WRONG[name]
    with pytest.raises(UsageError) as wrong:
        Request(**options).handshake()
    assert sentence in str(wrong.value) and "\n" not in str(wrong.value)


@pytest.mark.parametrize("make", [Request.of, Request().but])
def test_an_unknown_argument_is_named(make):
    with pytest.raises(UsageError, match="expected arguments of connect; got 'header'; it takes path, query, headers"):
        make(header={})
