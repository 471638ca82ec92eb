"""The scope of a connection, as each server builds it from a client's request."""

from typing import Any, NamedTuple, TypeAlias
from urllib.parse import unquote, urlparse

from wsharness.asgi import Scope
from wsharness.profiles import Profile

RawHeaders: TypeAlias = tuple[tuple[bytes, bytes], ...]
_KEY = b"dGhlIHNhbXBsZSBub25jZQ=="


class Handshake(NamedTuple):
    """A client's request: `target` is the raw path, percent-encoded, without the query.

    A character of `target` beyond ASCII stands for the byte with its number (latin-1): a client that does not
    encode its path.
    """

    target: str = "/"
    query: bytes = b""
    headers: RawHeaders = ()
    """Beside those every WebSocket request has."""
    subprotocols: tuple[str, ...] = ()
    host: str = "testserver"
    """Name and port, as the header has it."""
    scheme: str = "ws"


def refusal(profile: Profile, handshake: Handshake) -> int | None:
    """The HTTP status with which the server refuses the request itself, without asking the app."""
    line = handshake.target.encode("latin-1") + handshake.query
    if b" " in line or not (_is_utf8(line) if profile.raw_bytes_in_path == "decoded" else line.isascii()):
        return 400
    beyond_ascii = any(not value.isascii() for _, value in handshake.headers)
    return 500 if beyond_ascii and profile.latin1_header == "500" else None


def _is_utf8(line: bytes) -> bool:
    try:
        line.decode()
    except UnicodeDecodeError:
        return False
    return True


class Reception:
    """What a server makes of a request: the subprotocols it takes the client to offer, its refusal, the scope.

    The same request is read once, however many clients send it; each connection gets a scope of its own.
    """

    __slots__ = ("_extensions", "_own", "_scope", "offered", "refusal")

    def __init__(self, profile: Profile, handshake: Handshake, *, root_path: str, client: tuple[str, int]) -> None:
        self.refusal: int | None = refusal(profile, handshake)
        """The HTTP status with which the server answers without asking the app."""
        self.offered: tuple[str, ...] = tuple(_subprotocols(profile, _request_headers(handshake)))
        self._scope = {} if self.refusal else _build_scope(profile, handshake, root_path=root_path, client=client)
        self._own = [(name, value) for name, value in self._scope.items() if isinstance(value, (list, dict))]
        self._extensions = profile.extensions if profile.complete_scope else None

    def scope(self, state: dict[str, Any] | None) -> Scope:
        """The scope for one more connection (ASGI specification, WebSocket connection scope)."""
        scope = self._scope.copy()
        for name, value in self._own:
            scope[name] = value.copy()
        if self._extensions is not None:
            scope["extensions"] = {name: {} for name in self._extensions}
            if state is not None:
                scope["state"] = state.copy()
        return scope


def _build_scope(profile: Profile, handshake: Handshake, *, root_path: str, client: tuple[str, int]) -> dict[str, Any]:
    target = urlparse(handshake.target).path if profile.parses_target else handshake.target
    headers = _request_headers(handshake)
    prefix = root_path if profile.prefixes_path else ""
    raw_path = target.encode("latin-1")
    asgi = {"version": "3.0"}
    if profile.spec_version is not None:
        asgi["spec_version"] = profile.spec_version
    scope: dict[str, Any] = {
        "type": "websocket",
        "asgi": asgi,
        "server": _address(profile, _server(handshake)),
        "client": _address(profile, client),
        "root_path": root_path,
        "path": prefix
        + (unquote(target, errors="replace") if target.isascii() else unquote(raw_path.decode(errors="replace"))),
        "raw_path": prefix.encode() + raw_path,
        "query_string": handshake.query,
        "headers": _headers(profile, headers),
        "subprotocols": _subprotocols(profile, headers),
    }
    if profile.complete_scope:
        scope |= {"http_version": "1.1", "scheme": handshake.scheme, "extensions": {}}
    return scope


def _server(handshake: Handshake) -> tuple[str, int]:
    name, _, port = handshake.host.rpartition(":")
    if name and port.isdecimal():
        return name, int(port)
    return handshake.host, 443 if handshake.scheme == "wss" else 80


def _address(profile: Profile, address: tuple[str, int]) -> Any:
    host, port = address
    if profile.addresses == "[host, port]":
        return [host, port]
    return (host, str(port)) if profile.addresses == "(host, 'port')" else (host, port)


def _request_headers(handshake: Handshake) -> list[tuple[bytes, bytes]]:
    headers = [
        (b"host", handshake.host.encode()),
        (b"upgrade", b"websocket"),
        (b"connection", b"Upgrade"),
        (b"sec-websocket-key", _KEY),
        (b"sec-websocket-version", b"13"),
        *((name.lower(), value.strip(b" \t")) for name, value in handshake.headers),
    ]
    if handshake.subprotocols:
        headers.append((b"sec-websocket-protocol", ", ".join(handshake.subprotocols).encode()))
    return headers


def _headers(profile: Profile, headers: list[tuple[bytes, bytes]]) -> list[tuple[bytes, bytes]]:
    if profile.hidden_headers == "subprotocol":
        headers = [(name, value) for name, value in headers if name != b"sec-websocket-protocol"]
    elif profile.hidden_headers == "underscore":
        headers = [(name, value) for name, value in headers if b"_" not in name]
    return headers if profile.headers == "as sent" else _by_name(profile, headers)


def _by_name(profile: Profile, headers: list[tuple[bytes, bytes]]) -> list[tuple[bytes, bytes]]:
    values: dict[bytes, list[bytes]] = {}
    for name, value in headers:
        values.setdefault(name, []).append(value)
    if profile.headers == "joined":
        return [(name, b",".join(found)) for name, found in values.items()]
    return [(name, value) for name, found in values.items() for value in found]


def _subprotocols(profile: Profile, headers: list[tuple[bytes, bytes]]) -> list[str]:
    lines = [value.decode("latin-1") for name, value in headers if name == b"sec-websocket-protocol"]
    if profile.subprotocols == "last header":
        lines = lines[-1:]
    return [token.strip() for line in lines for token in line.split(",")]
