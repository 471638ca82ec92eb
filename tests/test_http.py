"""HTTP and WebSocket against one app, sharing its state."""

import sys

import fastapi
import pytest

from wsharness.errors import UsageError
from wsharness.harness import Harness
from wsharness.sync import SyncHarness


def make_app():
    async def lifespan(app):
        yield {"seen": []}

    app = fastapi.FastAPI(lifespan=__import__("contextlib").asynccontextmanager(lifespan))

    @app.post("/items/{name}")
    async def add(name: str, request: fastapi.Request) -> dict[str, str]:
        request.state.seen.append(name)
        return {"root": request.scope["root_path"], "client": request.client.host}

    @app.websocket("/items")
    async def items(websocket: fastapi.WebSocket):
        await websocket.accept()
        await websocket.send_json(websocket.state.seen)
        await websocket.close()

    return app


async def test_a_request_and_a_websocket_share_the_lifespans_state():
    async with Harness(make_app(), client=("10.0.0.1", 1)) as ws:
        response = await ws.http.post("/items/a")
        assert response.json() == {"root": "", "client": "10.0.0.1"}
        assert ws.http is ws.http
        await (await ws.connect("/items")).expect(["a"])
    assert ws.http.is_closed


async def test_a_request_starts_the_app():
    ws = Harness(make_app())
    assert (await ws.http.post("/items/a")).status_code == 200
    await ws.aclose()


def test_without_await():
    with SyncHarness(Harness(make_app())) as ws:
        assert ws.http.post("/items/a").status_code == 200
        ws.connect("/items").expect(["a"])


async def test_without_httpx_it_says_what_to_install(monkeypatch):
    monkeypatch.setitem(sys.modules, "httpx", None)
    async with Harness(make_app()) as ws:
        with pytest.raises(UsageError, match=r"pip install 'wsharness\[http\]'"):
            ws.http


def test_a_deployed_server_needs_no_help():
    with pytest.raises(UsageError, match="send HTTP to ws://127.0.0.1:1 with httpx itself"):
        Harness("ws://127.0.0.1:1").http
