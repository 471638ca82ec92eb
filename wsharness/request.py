"""Request: what a client asks for, checked before it stands on the wire."""

import base64
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, fields, replace
from functools import lru_cache
from typing import Any, TypeAlias
from urllib.parse import quote, urlencode

from wsharness.errors import UsageError
from wsharness.scope import Handshake

Pairs: TypeAlias = Mapping[str, Any] | Sequence[tuple[str, Any]]
SAFE_PATH = "/:@!$&'()*+,;=-._~%"
SAFE_QUERY = SAFE_PATH + "?[]"
TOKEN = re.compile(r"[!#$%&'*+\-.^_`|~0-9A-Za-z]+")  # RFC 9110 section 5.6.2
_PLAIN = re.compile(r"[\w/.-]*", re.ASCII)  # nothing to quote, as most paths
KNOWN_REQUESTS = 256  # different ones that need not be read again
_BREAKS = re.compile(r"[\r\n\0]")


@dataclass(slots=True)
class Request:
    """What a client asks for: the arguments of `connect`."""

    path: str = "/"
    query: Pairs | str | None = None
    headers: Mapping[str, str] | Sequence[tuple[str, str]] | None = None
    cookies: Mapping[str, str] | None = None
    auth: tuple[str, str] | str | None = None
    subprotocols: Sequence[str] = ()
    link: Any = None
    """What lies between the client and the server, for the harness to read."""

    @classmethod
    def of(cls, **options: Any) -> "Request":
        """A request of keyword arguments; UsageError for a name that `connect` does not know."""
        _known(options)
        return cls(**options)

    def but(self, **options: Any) -> "Request":
        """The same request with other values for these arguments."""
        _known(options)
        return replace(self, **options)

    def handshake(self) -> Handshake:
        """The request as it stands on the wire; UsageError for what cannot stand there."""
        try:
            return self._handshake()
        except UnicodeEncodeError as error:
            raise UsageError(f"expected text that UTF-8 can express; got {error.object!r}, with half a pair") from None

    def _handshake(self) -> Handshake:
        if not isinstance(self.path, str):
            raise UsageError(f"expected a path that begins with '/'; got {self.path!r}")
        plain = _plain_handshake(self.path, None if self.query is None else _query(self.query))
        is_bare = self.headers is None and self.cookies is None and self.auth is None
        if is_bare and self.subprotocols == ():
            return plain
        return plain._replace(headers=() if is_bare else tuple(self._headers()), subprotocols=self._subprotocols())

    def _headers(self) -> Iterator[tuple[bytes, bytes]]:
        for name, value in _pairs("headers", self.headers):
            if not isinstance(name, str) or not TOKEN.fullmatch(name):
                raise UsageError(f"expected a header's name, a word without spaces; got {name!r}")
            yield name.lower().encode(), _header_value(f"the header {name!r}", value)
        if self.cookies:
            yield b"cookie", "; ".join(_cookies(self.cookies)).encode("latin-1")
        if self.auth is not None:
            yield b"authorization", _header_value("auth", _authorization(self.auth))

    def _subprotocols(self) -> tuple[str, ...]:
        offered = self.subprotocols
        if isinstance(offered, (str, bytes)) or not isinstance(offered, Sequence):
            better = f"; write subprotocols=[{offered!r}]" if isinstance(offered, str) else ""
            raise UsageError(f"expected a list of subprotocols; got {offered!r}{better}")
        for name in offered:
            if not isinstance(name, str) or not name or _BREAKS.search(name):
                raise UsageError(f"expected the name of a subprotocol, such as 'chat.v1'; got {name!r}")
            name.encode()  # half a pair fails here, and handshake() says so
        return tuple(offered)


def check_paths(paths: Iterable[str]) -> None:
    """UsageError for a path that no client can ask for."""
    for path in paths:
        Request(path).handshake()


@lru_cache(KNOWN_REQUESTS)
def _plain_handshake(path: str, more: str | None) -> Handshake:
    """A request that has a path and a query; `more` is a query beside that in the path."""
    if not path.startswith("/"):
        scheme, host = path.partition("://")[::2]
        better = "/" + (host.partition("/")[2] if host else scheme.lstrip("/"))
        raise UsageError(f"expected a path that begins with '/'; got {path!r}; write {better!r}")
    path, _, query = path.partition("?")
    query = "&".join(part for part in (query, more) if part)
    if not query.isascii() or not query.isprintable() or " " in query:
        query = quote(query, safe=SAFE_QUERY)
    return Handshake(path if _PLAIN.fullmatch(path) else quote(path, safe=SAFE_PATH), query.encode())


def _known(options: Mapping[str, Any]) -> None:
    names = [field.name for field in fields(Request)]
    for name in options:
        if name not in names:
            raise UsageError(f"expected arguments of connect; got {name!r}; it takes {', '.join(names)}")


def _pairs(what: str, given: Any) -> list[tuple[Any, Any]]:
    """The pairs of a mapping or a sequence."""
    if given is None:
        return []
    if isinstance(given, Mapping):
        return list(given.items())
    wrong = isinstance(given, (str, bytes)) or not isinstance(given, Sequence)
    if wrong or any(isinstance(pair, (str, bytes)) or not _is_pair(pair) for pair in given):
        raise UsageError(f"expected {what} as a dict or a list of pairs; got {given!r}")
    return [(name, value) for name, value in given]


def _is_pair(pair: Any) -> bool:
    return isinstance(pair, Sequence) and len(pair) == 2  # noqa: PLR2004 (name and value)


def _query(query: Any) -> str:
    if isinstance(query, str):
        return query.removeprefix("?")
    return urlencode(_pairs("query", query), doseq=True)


def _header_value(what: str, value: Any) -> bytes:
    if not isinstance(value, str):
        raise UsageError(f"expected text for {what}; got {value!r}; write str(...)")
    if _BREAKS.search(value):
        raise UsageError(f"expected one line for {what}; got {value!r}; line ends and NUL cannot stand in a header")
    try:
        return value.encode("latin-1")
    except UnicodeEncodeError:
        raise UsageError(f"expected latin-1 text for {what}; got {value!r}; encode it first, as with quote()") from None


def _cookies(cookies: Any) -> Iterator[str]:
    if not isinstance(cookies, Mapping):
        raise UsageError(f"expected cookies as a dict; got {cookies!r}")
    for name, value in cookies.items():
        if not isinstance(name, str) or not TOKEN.fullmatch(name):
            raise UsageError(f"expected a cookie's name, a word without spaces; got {name!r}")
        _header_value(f"the cookie {name!r}", value)
        if ";" in value:
            raise UsageError(f"expected one cookie's value; got {value!r}; a ';' would begin another: quote() it")
        yield f"{name}={value}"


def _authorization(auth: Any) -> str:
    if isinstance(auth, str):
        return f"Bearer {auth}"
    if not _is_pair(auth) or not all(isinstance(part, str) for part in auth):
        raise UsageError(f"expected auth as a bearer token or (user, password); got {type(auth).__name__}")
    return "Basic " + base64.b64encode(":".join(auth).encode()).decode()
