"""An app that does what its client says, and tells others what became of it."""

import asyncio
import json
from typing import Any

SENT: dict[str, int] = {}
ENDS: dict[str, Any] = {}
CHUNK = "x" * 65536


async def app(scope: Any, receive: Any, send: Any) -> None:
    if scope["type"] == "lifespan":
        await run_lifespan(receive, send)
    elif scope["type"] == "http":
        await send({"type": "http.response.start", "status": 200, "headers": [(b"content-type", b"text/plain")]})
        await send({"type": "http.response.body", "body": b"a web server"})
    else:
        await PATHS.get(scope["path"], obey)(scope, receive, send)


async def run_lifespan(receive: Any, send: Any) -> None:
    for phase in ("startup", "shutdown"):
        await receive()
        await send({"type": f"lifespan.{phase}.complete"})


async def deny(scope: Any, receive: Any, send: Any) -> None:
    await receive()
    await send({"type": "websocket.close", "code": 4003})


async def explain(scope: Any, receive: Any, send: Any) -> None:
    await receive()
    headers = [(b"x-why", b"no token"), (b"content-length", b"9")]
    await send({"type": "websocket.http.response.start", "status": 401, "headers": headers})
    await send({"type": "websocket.http.response.body", "body": b"who's you"})


async def fail(scope: Any, receive: Any, send: Any) -> None:
    await receive()
    raise RuntimeError("as told")


async def silent(scope: Any, receive: Any, send: Any) -> None:
    await receive()
    await asyncio.sleep(3600)


async def choose(scope: Any, receive: Any, send: Any) -> None:
    await receive()
    await send({"type": "websocket.accept", "subprotocol": "chat.v9"})
    await receive()


async def obey(scope: Any, receive: Any, send: Any) -> None:
    await receive()
    offered = scope["subprotocols"]
    answer = {"type": "websocket.accept", "headers": [(b"x-served", b"yes")]}
    await send(answer | ({"subprotocol": offered[-1]} if offered else {}))
    name = scope["path"].strip("/")
    while (event := await receive())["type"] == "websocket.receive":
        if event.get("bytes") is not None:
            await send({"type": "websocket.send", "bytes": event["bytes"]})
        elif not await do(event["text"], name, scope, send):
            return
    ENDS[name] = [event.get("code"), event.get("reason") or ""]


async def do(text: str, name: str, scope: Any, send: Any) -> bool:
    verb, _, rest = text.partition(" ")
    if verb == "close":
        code, _, reason = rest.partition(" ")
        await send({"type": "websocket.close", "code": int(code), "reason": reason})
    elif verb == "flood":
        for number in range(int(rest)):
            await send({"type": "websocket.send", "text": CHUNK})
            SENT[name] = number + 1
    elif verb == "request":
        headers = [[key.decode(), value.decode("latin-1")] for key, value in scope["headers"]]
        told = {"path": scope["path"], "query": scope["query_string"].decode(), "headers": headers}
        await tell(send, told)
    elif verb == "sent":
        await tell(send, SENT.get(rest, 0))
    elif verb == "end":
        await tell(send, ENDS.get(rest))
    elif verb == "return":
        return False
    else:
        await send({"type": "websocket.send", "text": text})
    return verb != "close"


async def tell(send: Any, value: Any) -> None:
    await send({"type": "websocket.send", "text": json.dumps(value)})


PATHS = {"/choose": choose, "/deny": deny, "/explain": explain, "/fail": fail, "/silent": silent}
