"""What an app's ASGI events mean to a server: payloads of `websocket.send`, headers of accept and denial."""

import re
from collections.abc import Callable
from typing import Any, TypeAlias

from wsharness.asgi import ASGIEvent
from wsharness.events import Headers, Message
from wsharness.profiles import Profile

Shape: TypeAlias = Callable[[ASGIEvent], Message | None]
_LINE_BREAK = re.compile(r"[\r\n\0]")
_TOKEN = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")  # RFC 9110 section 5.6.2
_BYTES_LIKE = (bytes, bytearray, memoryview)


class BadHeader(ValueError):
    """A header that may not be on the wire; `status` is what a client sees where the app's send does not raise."""

    def __init__(self, message: str, status: int = 400) -> None:
        super().__init__(message)
        self.status: int = status


def message_shape(profile: Profile) -> Shape:
    """What makes a message of a `websocket.send`, None for nothing; it raises what the server raises."""
    shape, limit = _PAYLOADS[profile.payload], profile.max_outbound
    if limit is None:
        return shape

    def bounded(event: ASGIEvent) -> Message | None:
        message = shape(event)
        if message is not None and _size(message.data) > limit:
            raise ValueError(f"expected at most {limit} bytes; got a message of {_size(message.data)}")
        return message

    return bounded


def _size(data: str | bytes) -> int:
    return len(data.encode() if isinstance(data, str) else data)


def _text(value: Any) -> Message:
    if not isinstance(value, str):
        raise TypeError(f"expected str in 'text'; got {value!r}")
    value.encode()  # a lone surrogate fails here, in the app's send
    return Message(value)


def _binary(value: Any) -> Message:
    if not isinstance(value, _BYTES_LIKE):
        raise TypeError(f"expected bytes in 'bytes'; got {value!r}")
    return Message(bytes(value))


def _by_key(event: ASGIEvent) -> Message | None:
    """`bytes` wins; neither sends nothing."""
    data, text = event.get("bytes"), event.get("text")
    if data is not None:
        return _binary(data)
    return None if text is None else _text(text)


def _by_type(event: ASGIEvent) -> Message | None:
    """`bytes` wins; the value's type says whether the message is text."""
    value = event.get("text") if event.get("bytes") is None else event["bytes"]
    return _binary(value) if isinstance(value, _BYTES_LIKE) else _text(value)


def _bytes_first(event: ASGIEvent) -> Message | None:
    """`bytes` wins and is what `bytes()` takes; neither raises."""
    if event.get("bytes") is not None:
        return Message(bytes(event["bytes"]))
    return _text(event["text"])


def _truthy(event: ASGIEvent) -> Message | None:
    """What is empty is not there; both raise."""
    data, text = event.get("bytes"), event.get("text")
    if data and text:
        raise ValueError("expected either 'text' or 'bytes'; got both")
    if data:
        if type(data) is not bytes:
            raise AssertionError(f"expected bytes in 'bytes'; got {data!r}")
        return Message(data)
    return _text(text) if text else None


def _coerced(event: ASGIEvent) -> Message | None:
    """The one key there is, empty if its value has the wrong type; of two keys one must be None, the other right."""
    data, text = event.get("bytes"), event.get("text")
    binary = bytes(data) if isinstance(data, _BYTES_LIKE) else None
    words = text if isinstance(text, str) and _is_encodable(text) else None
    if "bytes" not in event and "text" in event:
        return Message(words or "")
    if "text" not in event and "bytes" in event:
        return Message(binary or b"")
    if binary is not None and text is None:
        return Message(binary)
    if words is not None and data is None:
        return Message(words)
    raise RuntimeError("expected either 'text' or 'bytes'; got both or neither")


def _exact(event: ASGIEvent) -> Message | None:
    """Exactly one of both, of the type the ASGI specification says."""
    data, text = event.get("bytes"), event.get("text")
    if (data is None) is (text is None):
        raise ValueError("expected either 'text' or 'bytes'; got both or neither")
    if data is not None and not isinstance(data, bytes):
        raise TypeError(f"expected bytes in 'bytes'; got {data!r}")
    return _text(text) if data is None else Message(data)


def _is_encodable(text: str) -> bool:
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True


_PAYLOADS: dict[str, Shape] = {
    "by key": _by_key,
    "by type": _by_type,
    "bytes first": _bytes_first,
    "truthy": _truthy,
    "coerced": _coerced,
    "exact": _exact,
}


def _decoded(profile: Profile, part: Any) -> str:
    if isinstance(part, str) and profile.str_headers:
        return part
    if not isinstance(part, _BYTES_LIKE):
        raise TypeError(f"expected bytes in a header; got {part!r}")
    return bytes(part).decode("latin-1")


def header_text(profile: Profile, headers: Any) -> Headers:
    """Headers as a client sees them."""
    text = tuple((_decoded(profile, name), _decoded(profile, value)) for name, value in headers)
    if profile.header_charset == "latin-1":
        return text
    return tuple((name, value.encode(profile.header_charset).decode("latin-1")) for name, value in text)


def check_headers(profile: Profile, headers: Headers) -> None:
    """BadHeader where the server cannot write one."""
    for name, value in headers:
        if _LINE_BREAK.search(value):  # where a name is not looked at, it may even have one
            raise BadHeader(f"expected a header without line breaks; got {name!r}: {value!r}")
        if profile.header_names != "any" and not _TOKEN.fullmatch(name):
            raise BadHeader(f"expected a header's name; got {name!r}")
        if profile.header_names == "lower-case tokens" and not name.islower():
            raise BadHeader(f"expected a header's name in lower case; got {name!r}; write {name.lower()!r}")


def accept_headers(profile: Profile, event: ASGIEvent) -> Headers:
    """The accept's headers as a client sees them; BadHeader where the server cannot send one."""
    mode = profile.accept_headers
    if mode == "dropped" or "headers" not in event:
        return ()
    headers = header_text(profile, event.get("headers", ()))
    if mode == "lower-cased":
        headers = tuple((name.lower(), value) for name, value in headers)
    check_headers(profile, headers)
    names = [name for name, _ in headers]
    if mode == "no sec-websocket-protocol" and "sec-websocket-protocol" in names:
        raise BadHeader("expected the subprotocol in 'subprotocol'; got a sec-websocket-protocol header")
    if profile.unique_header in [name.lower() for name in names]:
        raise BadHeader(f"expected no {profile.unique_header} header, which the server writes itself", 500)
    return headers
