"""wsharness/app/routers.py: routers, and inclusions that cannot be."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest

from tests.app.driver import connect, run_lifespan
from wsharness.app import APIRouter, FastAPI, FastAPIError, WebSocket
from wsharness.app.exceptions import DeclarationError


async def accepting(websocket: WebSocket) -> None:
    await websocket.accept()


def test_a_router_serves_by_itself() -> None:
    router = APIRouter(prefix="/p")
    router.add_api_websocket_route("/ws", accepting, name="ws")
    assert connect(router, "/p/ws").accepted
    assert connect(router, "/ws").closed == (1000, "")
    assert router.url_path_for("ws") == "/p/ws"


def test_the_first_route_that_matches_wins() -> None:
    router = APIRouter()
    seen = []
    for name in ("{any}", "exact"):

        async def endpoint(websocket: WebSocket, name: str = name) -> None:
            seen.append(websocket.scope["route"].path)

        router.websocket(f"/{name}")(endpoint)
    connect(router, "/exact")
    assert seen == ["/{any}"]


def test_a_slash_more_is_another_path() -> None:
    router = APIRouter()
    router.websocket("/ws")(accepting)
    assert connect(router, "/ws/").closed == (1000, "")  # only HTTP is redirected


@pytest.mark.parametrize("prefix", ["p", "/p/", "/"])
def test_a_prefix_begins_with_a_slash_and_ends_without(prefix: str) -> None:
    with pytest.raises(DeclarationError, match="a path prefix must"):
        APIRouter(prefix=prefix)
    with pytest.raises(AssertionError, match="write '"):
        FastAPI().include_router(APIRouter(), prefix=prefix)


def test_prefix_and_path_cannot_both_be_empty() -> None:
    router = APIRouter()
    router.websocket("", name="ws")(accepting)
    with pytest.raises(FastAPIError, match=r"both empty \(route 'ws'\)"):
        FastAPI().include_router(router)
    app = FastAPI()
    app.include_router(router, prefix="/p")
    assert connect(app, "/p").accepted


def test_routers_cannot_include_themselves() -> None:
    outer, middle, inner = APIRouter(), APIRouter(), APIRouter()
    outer.include_router(middle)
    middle.include_router(inner)
    for router, included in [(outer, outer), (inner, outer), (inner, middle)]:
        with pytest.raises(DeclarationError, match="already includes this router"):
            router.include_router(included)


def test_only_routers_are_included() -> None:
    with pytest.raises(DeclarationError, match=r"mount\(\) takes any application"):
        FastAPI().include_router(FastAPI())  # type: ignore[arg-type]


def test_lifespans_and_handlers_of_included_routers_run() -> None:
    log: list[str] = []

    def lifespan_of(name: str) -> Any:
        @asynccontextmanager
        async def lifespan(app: Any) -> AsyncIterator[dict[str, str]]:
            log.append(f"{name} up")
            yield {name: "state"}
            log.append(f"{name} down")

        return lifespan

    router = APIRouter(lifespan=lifespan_of("router"))
    app = FastAPI(lifespan=lifespan_of("app"))
    app.include_router(router)
    state: dict[str, Any] = {"kept": 1}
    sent = asyncio.run(run_lifespan(app, state))
    assert [event["type"] for event in sent] == ["lifespan.startup.complete", "lifespan.shutdown.complete"]
    assert log == ["app up", "router up", "router down", "app down"]
    assert state == {"kept": 1, "app": "state", "router": "state"}


def test_event_handlers_of_included_routers_run() -> None:
    log: list[str] = []
    router = APIRouter(on_startup=[lambda: log.append("router")])
    app = FastAPI()
    app.include_router(router)
    app.add_event_handler("startup", lambda: log.append("app"))
    app.add_event_handler("shutdown", lambda: log.append("down"))
    asyncio.run(run_lifespan(app))
    assert log[:2] == ["router", "app"]
    assert log[-1] == "down"
    with pytest.raises(DeclarationError, match="got 'boot'"):
        app.add_event_handler("boot", print)
