"""HTTP requests to the app of a harness, on its loop and with its lifespan's state: httpx's ASGI transport."""

from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, Any

from wsharness.asgi import App, Receive, Scope, Send
from wsharness.errors import UsageError

if TYPE_CHECKING:
    import httpx

BASE_URL = "http://testserver"


def open_client(
    app: App, start: Callable[[], Awaitable[dict[str, Any]]], *, root_path: str, client: tuple[str, int]
) -> "httpx.AsyncClient":
    """An HTTP client of the app; `start` runs the app's startup, once, and returns the lifespan's state."""
    module = _import()

    async def with_state(scope: Scope, receive: Receive, send: Send) -> None:
        scope["state"] = dict(await start())
        await app(scope, receive, send)

    transport = module.ASGITransport(with_state, root_path=root_path, client=client)
    made: httpx.AsyncClient = module.AsyncClient(transport=transport, base_url=BASE_URL)
    return made


def _import() -> Any:
    try:
        import httpx  # noqa: PLC0415 (an extra)
    except ImportError:
        raise UsageError("ws.http needs httpx; install it: pip install 'wsharness[http]'") from None
    return httpx
