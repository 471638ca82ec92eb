"""Masks secrets in text, headers and transcripts: one mechanism for errors and for reports."""

import re
from collections.abc import Callable, Iterable, Iterator
from dataclasses import fields, is_dataclass, replace
from typing import Any, TypeAlias
from urllib.parse import unquote_plus

from wsharness.transcript import Connect, Record

MASK = "***"
Replace: TypeAlias = Callable[[str, str], str]
"""What to write in place of a secret, from its name and its value."""
Secret: TypeAlias = tuple[str, str]
"""A secret's name and its value."""

_SECRET_WORDS = frozenset(
    [
        *("authorization", "bearer", "cookie", "credential", "credentials", "csrf", "jwt", "otp", "passcode"),
        *("passphrase", "passwd", "password", "pwd", "secret", "sid", "signature", "token", "xsrf"),
    ]
)
_SECRET_PAIRS = ("apikey", "accesskey", "privatekey", "secretkey", "authkey", "sessionid", "sessionkey")
_SECRET_IN_QUERY = frozenset(["auth", "key", "session", "sig", "ticket"])
_HARMLESS_ENDS = frozenset(["count", "expires", "expiry", "length", "limit", "name", "policy", "ttl", "type"])
_LONGEST, _SHORTEST, _MOST = 4096, 6, 200  # of values worth looking for elsewhere

_WORD = re.compile(r"[A-Z]+(?![a-z])|[A-Z]?[a-z]+|[0-9]+")
_QUOTED_KEY = re.compile(r"""(\\{0,7}["'])([\w.\-]{1,64})\1\s*:\s*""")
_QUOTED_VALUE = re.compile(r"""(\\{0,7}["'])((?:(?!\1)(?:\\.|.))*)(?:\1|\Z)|()(-?[0-9][0-9.]*)""", re.DOTALL)
_ASSIGNED = re.compile(r"""(?<![\w.\-])([\w.\-]{1,64})=(\$\([\w.]+\)|[^\s&;,'"<>()]+)""")
_HEADER = re.compile(r"""\b((?:proxy-)?authorization|(?:set-)?cookie): *([^\r\n'"]+)""", re.IGNORECASE)
_NAMED = re.compile(r"""(?<![\w.\-])([\w.\-]{1,64}): +([^\s,;:'"(){}\[\]]{6,})""")
_SHAPED = re.compile(
    r"(?i:\bbearer|\bbasic)\s+(?=\S*[0-9=])([\w.~+/=-]{6,})"
    r"|\b(eyJ[\w-]{5,}\.[\w-]{5,}\.[\w-]*|(?:sk|rk)[-_](?=\w*[0-9])[\w-]{16,}|gh[pousr]_\w{20,}|xox[abprs]-[\w-]{10,})"
)
_USERINFO = re.compile(r"(?<=://)([^\s/@:]*):([^\s/@]+)(?=@)")


def is_secret(name: str, *, in_query: bool = False) -> bool:
    """Whether a header, query parameter, cookie or JSON key of this name holds a secret."""
    words = [word.lower() for word in _WORD.findall(name)]
    if not words or (len(words) > 1 and words[-1] in _HARMLESS_ENDS):
        return False
    if in_query and "".join(words) in _SECRET_IN_QUERY:
        return True
    return not _SECRET_WORDS.isdisjoint(words) or any(pair in "".join(words) for pair in _SECRET_PAIRS)


def stars(_name: str, _value: str) -> str:
    """Three stars, whatever the secret."""
    return MASK


class Mask:
    """Replaces secrets: by their name, by their shape, and wherever a value that is known appears again."""

    def __init__(self, known: Iterable[Secret] = (), replace_by: Replace = stars) -> None:
        self._replace = replace_by
        self._names = dict(reversed(list(_spellings(known))))
        longest_first = sorted(self._names, key=lambda value: (-len(value), value))[:_MOST]
        self._known = re.compile("|".join(map(re.escape, longest_first))) if longest_first else None

    def text(self, text: str, *, in_query: bool = False) -> str:
        """Mask what looks like a secret in any text."""
        text = _splice(text, [(start, end, self.secret(*secret)) for start, end, secret in _quoted(text)])
        text = _ASSIGNED.sub(lambda found: self._pair(found, "=", in_query=in_query), text)
        text = _HEADER.sub(lambda found: f"{found[1]}: {self.secret(found[1], found[2])}", text)
        text = _NAMED.sub(lambda found: self._pair(found, ": "), text)
        text = _USERINFO.sub(lambda found: f"{found[1]}:{self.secret('password', found[2])}", text)
        return self.known(_SHAPED.sub(self._shaped, text))

    def known(self, text: str) -> str:
        """Mask only the values that are known to be secret."""
        if self._known is None:
            return text
        return self._known.sub(lambda found: self._replace(self._names[found[0]], found[0]), text)

    def secret(self, name: str, value: str) -> str:
        """Replace a value that is a secret; a reference such as $(env.TOKEN) is none."""
        return value if not value or "$(" in value or value == MASK else self._replace(name, value)

    def data(self, data: str | bytes) -> str | bytes:
        """Mask a message's payload."""
        if isinstance(data, str):
            return self.text(data)
        return self.text(data.decode("latin-1")).encode("latin-1", "backslashreplace")

    def header(self, name: str, value: str) -> str:
        """Mask a header's value."""
        return self.secret(name, value) if is_secret(name) else self.text(value)

    def record(self, record: Record) -> Record:
        """Mask a record of a transcript."""
        return record._replace(event=self._event(record.event))

    def _event(self, event: Any) -> Any:
        if isinstance(event, Connect):
            subprotocols = _mask_subprotocols(event.subprotocols, self)
            return Connect(self.text(event.path, in_query=True), self._headers(event.headers), subprotocols)
        if is_dataclass(event) and not isinstance(event, type):
            changed = {f.name: self.plain(getattr(event, f.name), f.name) for f in fields(event)}
            return replace(event, **changed)
        return self.plain(event)

    def plain(self, value: Any, name: str = "") -> Any:
        """Mask every text inside plain data; headers are recognised by the name `headers`."""
        if isinstance(value, (str, bytes)):
            return self._named(name, value)
        if isinstance(value, (bytearray, memoryview)):
            return self._named(name, bytes(value))
        if name == "headers":
            return self._headers(value)
        if isinstance(value, dict):
            return {key: self.plain(item, str(key)) for key, item in value.items()}
        if type(value) in (list, tuple):
            return type(value)(self.plain(item) for item in value)
        return value

    def _named(self, name: str, value: str | bytes) -> str | bytes:
        if not is_secret(name):
            return self.data(value)
        masked = self.secret(name, value if isinstance(value, str) else value.decode("latin-1"))
        return masked if isinstance(value, str) else masked.encode("latin-1", "backslashreplace")

    def _headers(self, headers: Any) -> Any:
        if type(headers) not in (list, tuple):
            return self.plain(headers)  # not headers at all: an app may send anything
        return type(headers)(self._header_pair(pair) for pair in headers)

    def _header_pair(self, pair: Any) -> Any:
        try:
            return self._header(*pair)
        except (TypeError, ValueError):
            return self.plain(pair)

    def _header(self, name: str | bytes, value: str | bytes) -> tuple[Any, Any]:
        known_as = name if isinstance(name, str) else str(name, "latin-1")
        if isinstance(value, str):
            return (name, self.header(known_as, value))
        masked = self.header(known_as, str(value, "latin-1"))
        return (name, masked.encode("latin-1", "backslashreplace"))

    def _pair(self, found: re.Match[str], between: str, *, in_query: bool = False) -> str:
        if not is_secret(found[1], in_query=in_query):
            return found[0]
        return f"{found[1]}{between}{self.secret(found[1], found[2])}"

    def _shaped(self, found: re.Match[str]) -> str:
        secret = found[1] or found[2]
        return found[0].removesuffix(secret) + self.secret("token", secret)


def secrets_in(records: Iterable[Record]) -> Iterator[Secret]:
    """The secrets that appear by name in records: handshakes, headers, and the JSON of messages."""
    found: list[Secret] = []

    def note(name: str, value: str) -> str:
        found.append((name, value))
        return MASK

    mask = Mask(replace_by=note)
    for record in records:
        mask.record(record)
    yield from dict.fromkeys(found)


def _spellings(known: Iterable[Secret]) -> Iterator[tuple[str, str]]:
    for name, value in known:
        credentials = value.rpartition(" ")[2]
        for spelling in dict.fromkeys([value, credentials, unquote_plus(value)]):
            as_bytes = spelling.encode("utf-8", "surrogatepass").decode("latin-1")
            for text in dict.fromkeys([spelling, as_bytes]):
                if _SHORTEST <= len(text) <= _LONGEST and text != MASK:
                    yield text, name


def _quoted(text: str) -> Iterator[tuple[int, int, Secret]]:
    end = 0
    for key in _QUOTED_KEY.finditer(text):
        value = _QUOTED_VALUE.match(text, key.end()) if is_secret(key[2]) and key.start() >= end else None
        if value is not None:
            group = 2 if value[1] else 4
            end = value.end(group)
            yield value.start(group), end, (key[2], value[group])


def _splice(text: str, spans: list[tuple[int, int, str]]) -> str:
    for start, end, new in reversed(spans):
        text = text[:start] + new + text[end:]
    return text


def _mask_subprotocols(names: tuple[str, ...], mask: Mask) -> tuple[str, ...]:
    """Browsers cannot set headers, so some send ["access_token", THE TOKEN]."""
    pairs = zip(("", *names), names, strict=False)
    return tuple(mask.header(before, name) for before, name in pairs)
