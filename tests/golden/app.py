"""The app behind the golden failure messages: its lines stand in them."""

import asyncio
import json


async def puppet(scope, receive, send):
    """Does what it is told; says it to everybody where it is told `all`."""
    everybody = scope["state"].setdefault("everybody", [])
    await receive()
    if "deny" in scope["path"]:
        await send({"type": "websocket.close", "code": 4403})
        return
    await send({"type": "websocket.accept"})
    everybody.append(send)
    while True:
        event = await receive()
        if event["type"] == "websocket.disconnect":
            everybody.remove(send)
            return
        await obey(json.loads(event["text"]), everybody, send)


async def obey(order, everybody, send):
    for text in order.get("say", []):
        await send({"type": "websocket.send", "text": text})
    for text in order.get("all", []):
        for other in everybody:
            await other({"type": "websocket.send", "text": text})
    if "hex" in order:
        await send({"type": "websocket.send", "bytes": bytes.fromhex(order["hex"])})
    if "close" in order:
        await send({"type": "websocket.close", "code": order["close"], "reason": order.get("reason", "")})
    if "sleep" in order:
        await asyncio.sleep(order["sleep"])
    if "hang" in order:
        await asyncio.Event().wait()
    if "boom" in order:
        raise ValueError(order["boom"])
    if "leak" in order:
        order["leak"] = asyncio.create_task(forever(), name="leak")


async def forever():
    await asyncio.Event().wait()


async def app(scope, receive, send):
    """The lifespan that holds everybody."""
    if scope["type"] != "lifespan":
        await puppet(scope, receive, send)
        return
    await receive()
    scope["state"]["everybody"] = []
    await send({"type": "lifespan.startup.complete"})
    await receive()
    await send({"type": "lifespan.shutdown.complete"})
