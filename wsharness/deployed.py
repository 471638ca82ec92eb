"""Target: a deployed server, by its URL; and what it means when it does not answer as a WebSocket server."""

import socket
import ssl
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import SplitResult, urlsplit

from wsharness.errors import UnreachableError, UsageError
from wsharness.events import Rejected
from wsharness.scope import Handshake

PORTS = {"ws": 80, "wss": 443}


@dataclass(frozen=True, slots=True)
class Target:
    """A deployed server. UsageError for a URL that no WebSocket server can have.

    A path in the URL comes before the paths of all clients. `tls` says how the certificate of a wss:// server is
    checked (by default against the system's authorities), `proxy` is the URL of a proxy (by default what the
    environment says: `wss_proxy`, `https_proxy`, `no_proxy`).
    """

    url: str
    tls: ssl.SSLContext | None = None
    proxy: str | None = None

    def __post_init__(self) -> None:
        parts = _split(self.url)
        if self.tls is not None and parts.scheme == "ws":
            raise UsageError(f"TLS settings are for wss:// targets; got {self.url!r}")

    def __str__(self) -> str:
        parts = _split(self.url)
        return parts._replace(netloc=parts.netloc.rpartition("@")[2]).geturl()

    @property
    def address(self) -> tuple[str, int]:
        """Host and port."""
        parts = _split(self.url)
        return parts.hostname or "", parts.port or PORTS[parts.scheme]

    @property
    def is_secure(self) -> bool:
        """Whether it is reached by TLS."""
        return _split(self.url).scheme == "wss"

    @property
    def tls_options(self) -> dict[str, Any]:
        """What asyncio is told of TLS."""
        return {} if self.tls is None else {"ssl": self.tls}

    def url_for(self, handshake: Handshake, host: str | None = None) -> str:
        """The URL of one client; `host` is what it takes the server for (RFC 9110 section 7.2), and TLS too."""
        query = f"?{handshake.query.decode('latin-1')}" if handshake.query else ""
        parts = _split(self.url)
        user, at, own = parts.netloc.rpartition("@")
        url = parts._replace(netloc=user + at + (own if host is None else host)).geturl()
        return url.rstrip("/") + handshake.target + query


def _split(url: str) -> SplitResult:
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError as error:
        raise UsageError(f"expected a URL such as ws://127.0.0.1:8000; got {url!r}: {error}") from None
    if parts.scheme not in PORTS:
        raise UsageError(f"expected a URL that begins with ws:// or wss://; got {url!r}{_instead(url, parts)}")
    if not parts.hostname or " " in parts.netloc or port == 0 or parts.query or parts.fragment:
        raise UsageError(
            f"expected a host, and neither query nor fragment, as in ws://127.0.0.1:8000; got {url!r}; "
            "what all clients send in the query is written as --query NAME=VALUE"
        )
    return parts


def _instead(url: str, parts: SplitResult) -> str:
    if parts.scheme in ("http", "https"):
        return f"; write {parts._replace(scheme='ws' + parts.scheme[4:]).geturl()!r}"
    return f"; write {'ws://' + url!r}" if "://" not in url else ""


def make_tls(*, authority: Path | None = None, insecure: bool = False) -> ssl.SSLContext | None:
    """How certificates are checked: against one authority's file, or not at all; None is the system's way."""
    if authority is None and not insecure:
        return None
    try:
        context = ssl.create_default_context(cafile=authority)
    except (OSError, ssl.SSLError) as error:
        raise UsageError(f"cannot read certificates from {str(authority)!r}: {error}; give a PEM file") from None
    if insecure:
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
    return context


def unreachable(target: Target, why: Exception | Rejected, *, connected: bool = False) -> UnreachableError:
    """The error for a target that does not answer: what, where, and what to look at."""
    through = f" through the proxy {target.proxy}" if target.proxy else ""
    if isinstance(why, Rejected):
        sentence = (
            f"answered HTTP {why.status} to a WebSocket handshake: a web server, but no WebSocket there; "
            "check the host, the port and the path"
        )
    elif isinstance(why, TimeoutError) and len(why.args) == 1 and isinstance(why.args[0], float | int):
        sentence = _silent(why.args[0], connected=connected)
    elif isinstance(why, OSError):
        sentence = _no_connection(target, why)
    else:
        sentence = _no_answer(target, why)
    return UnreachableError(f"{target}{through} {sentence}")


def _silent(limit: float, *, connected: bool) -> str:
    if connected:
        return f"took the connection and said nothing for {limit:g} s; is it a WebSocket server?"
    return f"could not be connected to within {limit:g} s; check the host and the port, and firewalls between"


def _no_connection(target: Target, why: OSError) -> str:
    host, port = target.address
    if isinstance(why, ssl.SSLCertVerificationError):
        return (
            f"has a certificate that is not trusted: {why.verify_message}; "
            "name its authority (--ca FILE, or Target(tls=...)), or do not check it (--insecure)"
        )
    if isinstance(why, ssl.SSLError):
        return f"cannot be talked to by TLS: {why.reason or why}; write ws:// if the server has no TLS"
    if isinstance(why, socket.gaierror):
        return f"cannot be found: {host!r} has no address ({why.strerror}); check the host's name"
    if isinstance(why, ConnectionRefusedError):
        return f"cannot be reached: nothing listens on {host} port {port}; start the server, or check the port"
    return f"cannot be reached: {why.strerror or why}; check the host and the port"


def _no_answer(target: Target, why: Exception) -> str:
    causes = _causes(why)
    hint = "is it a WebSocket server" + ("" if target.is_secure else ", or does it speak TLS (wss://)") + "?"
    if any(isinstance(cause, EOFError) for cause in causes):
        return f"ended the connection without an answer to the handshake; {hint}"
    return f"did not answer as a WebSocket server: {': '.join(map(str, causes))}; {hint}"


def _causes(error: BaseException) -> list[BaseException]:
    return [error] if error.__cause__ is None else [error, *_causes(error.__cause__)]
