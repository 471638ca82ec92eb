"""Real server processes, sockets that are no WebSocket servers, and certificates."""

import asyncio
import contextlib
import datetime
import ipaddress
import socket
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from tests.differential.measure import RealServer

SERVERS = ("uvicorn", "uvicorn-legacy", "uvicorn-wsproto", "hypercorn", "daphne", "granian")
APP = "tests.wire.app:app"
PATIENCE = 60.0  # seconds: a busy machine is late


@contextlib.contextmanager
def serving(name: str, app: str = APP, **settings: Any) -> Iterator[str]:
    """The URL of a server process that runs the app."""
    with tempfile.TemporaryDirectory() as folder:
        server = RealServer(name, settings, Path(folder), app)
        try:
            while not server.listens():
                time.sleep(0.1)
            yield f"{'wss' if 'ssl_certfile' in settings else 'ws'}://127.0.0.1:{server.port}"
        finally:
            server.kill()


@contextlib.contextmanager
def answering(talk: Callable[[socket.socket], object]) -> Iterator[str]:
    """The URL of a TCP server that does something with each connection, and is no WebSocket server."""
    stopped = threading.Event()

    def handle(connection: socket.socket) -> None:
        with connection, contextlib.suppress(OSError):
            connection.settimeout(3 * PATIENCE)
            talk(connection)

    def serve() -> None:
        while not stopped.is_set():
            with contextlib.suppress(OSError):
                threading.Thread(target=handle, args=listener.accept()[:1], daemon=True).start()

    with socket.create_server(("127.0.0.1", 0)) as listener:
        listener.settimeout(0.1)
        thread = threading.Thread(target=serve)
        thread.start()
        try:
            yield f"ws://127.0.0.1:{listener.getsockname()[1]}"
        finally:
            stopped.set()
            thread.join()


def request(connection: socket.socket) -> bytes:
    """Read an HTTP request's head."""
    head = b""
    while b"\r\n\r\n" not in head and (data := connection.recv(65536)):
        head += data
    return head


async def until(ready: Callable[[], Any]) -> None:
    """Wait for something to be so, which it will be soon or never."""
    async with asyncio.timeout(PATIENCE):
        while not ready():
            await asyncio.sleep(0.005)


def make_certificate(folder: Path) -> tuple[Path, Path]:
    """A certificate for 127.0.0.1 that is its own authority, and its key."""
    from cryptography import x509
    from cryptography.hazmat.primitives import hashes, serialization
    from cryptography.hazmat.primitives.asymmetric import ec
    from cryptography.x509.oid import NameOID

    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "wsharness test")])
    now = datetime.datetime.now(datetime.UTC)
    address = x509.IPAddress(ipaddress.ip_address("127.0.0.1"))
    builder = x509.CertificateBuilder(name, name, key.public_key(), x509.random_serial_number())
    builder = builder.not_valid_before(now - datetime.timedelta(days=1))
    builder = builder.not_valid_after(now + datetime.timedelta(days=1))
    builder = builder.add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
    certificate = builder.add_extension(x509.SubjectAlternativeName([address]), critical=False).sign(
        key, hashes.SHA256()
    )
    pem = serialization.Encoding.PEM
    (folder / "cert.pem").write_bytes(certificate.public_bytes(pem))
    plain = serialization.NoEncryption()
    (folder / "key.pem").write_bytes(key.private_bytes(pem, serialization.PrivateFormat.PKCS8, plain))
    return folder / "cert.pem", folder / "key.pem"
