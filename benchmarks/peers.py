"""What people test WebSocket apps with today, doing the same things to the same app."""

import asyncio
import warnings
from collections.abc import Awaitable, Callable
from typing import Any

import httpx
from httpx_ws import aconnect_ws
from httpx_ws.transport import ASGIWebSocketTransport

with warnings.catch_warnings():
    # Starlette says once which HTTP client it would rather have; the WebSocket side does not use it.
    warnings.simplefilter("ignore")
    from starlette.testclient import TestClient

from channels.testing.websocket import WebsocketCommunicator

from benchmarks.floor import echo
from benchmarks.measuring import stopwatch

URL = "http://testserver/"


def starlette_round_trip(count: int) -> float:
    """Starlette's TestClient: seconds for one message there and back."""
    with TestClient(echo).websocket_connect("/") as client, stopwatch() as watch:
        for _ in range(count):
            client.send_text("x")
            assert client.receive_text() == "x"
    return watch.seconds / count


def starlette_connection(count: int) -> float:
    """Starlette's TestClient: seconds for connect, one echo and close."""
    client = TestClient(echo)
    with stopwatch() as watch:
        for _ in range(count):
            with client.websocket_connect("/") as connection:
                connection.send_text("x")
                assert connection.receive_text() == "x"
    return watch.seconds / count


def httpx_ws_round_trip(count: int) -> float:
    """httpx-ws: seconds for one message there and back."""

    async def run(client: httpx.AsyncClient) -> float:
        async with aconnect_ws(URL, client) as connection:
            with stopwatch() as watch:
                for _ in range(count):
                    await connection.send_text("x")
                    assert await connection.receive_text() == "x"
        return watch.seconds / count

    return _with_httpx(run)


def httpx_ws_connection(count: int) -> float:
    """httpx-ws: seconds for connect, one echo and close."""

    async def run(client: httpx.AsyncClient) -> float:
        with stopwatch() as watch:
            for _ in range(count):
                async with aconnect_ws(URL, client) as connection:
                    await connection.send_text("x")
                    assert await connection.receive_text() == "x"
        return watch.seconds / count

    return _with_httpx(run)


def _with_httpx(run: Callable[[httpx.AsyncClient], Awaitable[float]]) -> float:
    async def main() -> float:
        async with (
            ASGIWebSocketTransport(app=echo) as transport,
            httpx.AsyncClient(transport=transport) as client,
        ):
            return await run(client)

    return asyncio.run(main())


def channels_round_trip(count: int) -> float:
    """Channels' WebsocketCommunicator: seconds for one message there and back."""

    async def run() -> float:
        communicator: Any = WebsocketCommunicator(echo, "/")
        await communicator.connect()
        with stopwatch() as watch:
            for _ in range(count):
                await communicator.send_to(text_data="x")
                assert await communicator.receive_from() == "x"
        await communicator.disconnect()
        return watch.seconds / count

    return asyncio.run(run())


def channels_connection(count: int) -> float:
    """Channels' WebsocketCommunicator: seconds for connect, one echo and close."""

    async def run() -> float:
        with stopwatch() as watch:
            for _ in range(count):
                communicator: Any = WebsocketCommunicator(echo, "/")
                await communicator.connect()
                await communicator.send_to(text_data="x")
                assert await communicator.receive_from() == "x"
                await communicator.disconnect()
        return watch.seconds / count

    return asyncio.run(run())


ROUND_TRIP = {
    "Starlette's TestClient": starlette_round_trip,
    "httpx-ws": httpx_ws_round_trip,
    "Channels' communicator": channels_round_trip,
}
CONNECTION = {
    "Starlette's TestClient": starlette_connection,
    "httpx-ws": httpx_ws_connection,
    "Channels' communicator": channels_connection,
}
