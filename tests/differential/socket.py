"""A real socket under a client program: bytes out, frames in, nothing checked."""

import asyncio
import contextlib
import json
import os
import socket
import struct
from collections.abc import Iterator
from pathlib import Path

from tests.fidelity.client import ClientProgram, Frame, Line
from wsharness.events import Accepted, Lost, Message, Rejected
from wsharness.frames import BINARY, CLOSE, CONTINUATION, PING, PONG, TEXT, CloseFrame, End, Ping, Pong

SMALL, MEDIUM = 126, 1 << 16
HANDSHAKE = (
    ("upgrade", "websocket"),
    ("connection", "Upgrade"),
    ("sec-websocket-key", "dGhlIHNhbXBsZSBub25jZQ=="),
    ("sec-websocket-version", "13"),
)


class RealLine(Line):
    """A TCP connection to a server process."""

    def __init__(self, port: int, folder: Path) -> None:
        self.server = port
        self.folder = folder
        self.port = 0
        self.buffer = bytearray()
        self.message: tuple[int, bytearray] = (0, bytearray())
        self.pending = bytearray()
        self.reading = asyncio.Event()
        self.reading.set()
        self.closed = False

    async def open(self, client: ClientProgram) -> None:
        self.client = client
        self.socket = socket.socket()
        self.socket.setblocking(False)
        if "rcvbuf" in client.handshake:
            self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, client.handshake["rcvbuf"])
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.socket.bind(("127.0.0.1", 0))
        self.port = self.socket.getsockname()[1]
        (self.folder / f"{self.port}.program").write_text(json.dumps(client.case["app"]), encoding="utf-8")
        loop = asyncio.get_running_loop()
        await loop.sock_connect(self.socket, ("127.0.0.1", self.server))
        client.start = loop.time()
        await loop.sock_sendall(self.socket, request_bytes(client, self.server))
        self.tasks = [loop.create_task(self.pump())]

    async def pump(self) -> None:
        with contextlib.suppress(OSError):
            await self.read_response()
            while not self.closed and not self.client.refused():
                for opcode, fin, payload in self.frames():
                    self.take(opcode, payload, fin=fin)
                if not await self.fill():
                    break
        if not self.closed:
            if not self.client.closed_at and not self.client.refused():
                self.client.on_event(Lost())
            self.client.on_frame(End())
            if not self.client.refused():
                self.close()

    async def fill(self, *, at_once: bool = False) -> bool:
        if not at_once:
            await self.reading.wait()
        data = await asyncio.get_running_loop().sock_recv(self.socket, 1 << 18)
        self.buffer += data
        return bool(data)

    async def read_response(self) -> None:
        while b"\r\n\r\n" not in self.buffer:
            if not await self.fill(at_once=True):
                raise ConnectionResetError
        head, _, rest = bytes(self.buffer).partition(b"\r\n\r\n")
        self.buffer = bytearray(rest)
        lines = head.decode("latin-1").split("\r\n")
        headers = tuple((k.strip(), v.strip()) for k, _, v in (line.partition(":") for line in lines[1:]))
        status = int(lines[0].split()[1])
        if status == 101:
            self.client.on_event(Accepted(None, headers))
        else:
            body = await self.read_body({k.lower(): v for k, v in headers})
            self.client.on_event(Rejected(status, headers, body))

    async def read_body(self, headers: dict[str, str]) -> bytes:
        chunked = headers.get("transfer-encoding") == "chunked"
        length = int(headers.get("content-length", -1))
        with contextlib.suppress(OSError, TimeoutError):
            async with asyncio.timeout(1.0):
                while not (self.buffer.endswith(b"0\r\n\r\n") if chunked else 0 <= length <= len(self.buffer)):
                    if not await self.fill():
                        break
        return unchunked(bytes(self.buffer)) if chunked else bytes(self.buffer[:length] if length >= 0 else self.buffer)

    def frames(self) -> Iterator[tuple[int, bool, bytes]]:
        while len(self.buffer) >= 2:
            first, length, at = self.buffer[0], self.buffer[1] & 127, 2
            if length >= SMALL:
                size = 2 if length == SMALL else 8
                length, at = int.from_bytes(self.buffer[2 : 2 + size], "big"), 2 + size
            if len(self.buffer) < at + length:
                return
            payload = bytes(self.buffer[at : at + length])
            del self.buffer[: at + length]
            yield first & 15, bool(first & 128), payload

    def take(self, opcode: int, payload: bytes, *, fin: bool) -> None:
        client = self.client
        if opcode == PING:
            client.on_frame(Ping(payload))
            if client.handshake.get("auto_pong", True):
                self.write([Frame(PONG, payload)])
        elif opcode == PONG:
            client.on_frame(Pong(payload))
        elif opcode == CLOSE:
            self.take_close(payload)
        else:
            self.take_data(opcode, payload, fin=fin)

    def take_close(self, payload: bytes) -> None:
        client = self.client
        code = int.from_bytes(payload[:2], "big") if payload else None
        sent_already = "close" in client.asked or client.said_close
        client.on_frame(CloseFrame(code, payload[2:].decode(errors="replace")))
        if client.echoes_close and not sent_already:
            self.write([Frame(CLOSE, payload[:125])])

    def take_data(self, opcode: int, payload: bytes, *, fin: bool) -> None:
        if opcode != CONTINUATION:
            self.message = (opcode, bytearray())
        kind, data = self.message
        data += payload
        if fin:
            self.client.on_event(Message(data.decode() if kind == TEXT else bytes(data)))

    def write(self, frames: list[Frame]) -> None:
        self.pending += b"".join(map(encoded, frames))
        self.push()

    def push(self) -> None:
        if self.closed:
            return
        loop = asyncio.get_running_loop()
        loop.remove_writer(self.socket)
        try:
            while self.pending:
                sent = self.socket.send(self.pending[: 1 << 20])
                del self.pending[:sent]
        except BlockingIOError:
            loop.add_writer(self.socket, self.push)
        except OSError:
            self.pending.clear()

    async def drop(self, *, reset: bool = False, half: bool = False) -> None:
        if self.closed:
            return
        if half:
            with contextlib.suppress(OSError):
                self.socket.shutdown(socket.SHUT_WR)
            return
        if reset:
            self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.close()

    def close(self) -> None:
        if not self.closed:
            self.closed = True
            loop = asyncio.get_running_loop()
            loop.remove_writer(self.socket)
            for task in self.tasks:
                task.cancel()
            loop.remove_reader(self.socket)
            self.socket.close()

    def read(self, *, on: bool) -> None:
        if on:
            self.reading.set()
        else:
            self.reading.clear()

    def has_room(self) -> bool:
        return not self.pending


def request_bytes(client: ClientProgram, server: int) -> bytes:
    given = client.handshake
    query = f"?{given['query']}" if given.get("query") else ""
    headers = [("host", f"127.0.0.1:{server}"), *HANDSHAKE, *given.get("headers", ())]
    if given.get("subprotocols"):
        headers.append(("sec-websocket-protocol", ", ".join(given["subprotocols"])))
    lines = [f"GET {given.get('path', '/s')}{query} HTTP/1.1", *(f"{k}: {v}" for k, v in headers), "", ""]
    return "\r\n".join(lines).encode("latin-1")


def encoded(frame: Frame) -> bytes:
    fin, mask, rsv = (frame.flags.get(key, default) for key, default in (("fin", True), ("mask", True), ("rsv", 0)))
    first = (128 if fin else 0) | (int(rsv) << 4) | frame.opcode
    size = len(frame.payload)
    length, extra = (
        (size, b"")
        if size < SMALL
        else (126, struct.pack("!H", size))
        if size < MEDIUM
        else (127, struct.pack("!Q", size))
    )
    if not mask:
        return bytes((first, length)) + extra + frame.payload
    if size > 4096:  # a key of zeros masks nothing and costs nothing
        return bytes((first, 128 | length)) + extra + bytes(4) + frame.payload
    key = os.urandom(4)
    masked = bytes(byte ^ key[i % 4] for i, byte in enumerate(frame.payload))
    return bytes((first, 128 | length)) + extra + key + masked


def unchunked(data: bytes) -> bytes:
    body = b""
    while data:
        size, _, data = data.partition(b"\r\n")
        length = int(size or b"0", 16)
        if not length:
            break
        body, data = body + data[:length], data[length + 2 :]
    return body


__all__ = ["BINARY", "RealLine"]
