"""Meters that send their readings in frames of bytes: a kind, a device, and after a hello a count and so many samples."""

import struct

from starlette.applications import Starlette
from starlette.routing import WebSocketRoute
from starlette.websockets import WebSocketDisconnect

TITLE = "a frame that counts more samples than it has is a struct.error"
EXPECTS = ("WSH101",)
FUNCTION = "samples"
PATH = "/ws"
KIND_HELLO, KIND_READING = 0x01, 0x02
HEAD = struct.Struct("!BH")
SAMPLE = struct.Struct("!If")
HELLO = [HEAD.pack(KIND_HELLO, 7), HEAD.pack(KIND_READING, 7) + b"\x01" + SAMPLE.pack(5, 1.5)]
INVARIANT = None


class Meters:
    def samples(self, frame):
        start = HEAD.size + 1
        return [SAMPLE.unpack_from(frame, start + SAMPLE.size * n) for n in range(frame[HEAD.size])]


class CarefulMeters(Meters):
    def samples(self, frame):
        if len(frame) < HEAD.size + 1 + frame[HEAD.size] * SAMPLE.size:
            return []
        return super().samples(frame)


async def read_all(websocket, meters):
    known = set()
    while True:
        event = await websocket.receive()
        if event["type"] == "websocket.disconnect":
            return
        frame = event.get("bytes") or b""
        if len(frame) < HEAD.size:
            continue
        kind, device = HEAD.unpack_from(frame)
        if kind == KIND_HELLO:
            known.add(device)
            await websocket.send_bytes(HEAD.pack(KIND_HELLO, device))
        elif kind == KIND_READING and device in known and len(frame) > HEAD.size:
            await websocket.send_bytes(bytes([len(meters.samples(frame))]))


def make(meters):
    async def telemetry(websocket):
        await websocket.accept()
        try:
            await read_all(websocket, meters)
        except (WebSocketDisconnect, RuntimeError):
            pass

    return Starlette(routes=[WebSocketRoute("/ws", telemetry)])


def broken():
    return make(Meters())


def correct():
    return make(CarefulMeters())


async def demonstrate(drive):
    meter = await drive.connect(PATH)
    for frame in HELLO:
        await meter.send(frame)
    assert meter.sent[-1] == b"\x01"
    await meter.send(HEAD.pack(KIND_READING, 7) + b"\x02" + SAMPLE.pack(5, 1.5))
    return bool(drive.crashes())
