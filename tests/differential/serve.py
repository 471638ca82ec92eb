"""Starts one real server: python -m tests.differential.serve PROFILE PORT SETTINGS-AS-JSON [MODULE:APP]."""

import asyncio
import importlib
import json
import sys
from typing import Any

APP = sys.argv[4] if len(sys.argv) > 4 else "tests.differential.app:app"


def load() -> Any:
    module, _, name = APP.partition(":")
    return getattr(importlib.import_module(module), name)


UVICORN = {"uvicorn": "websockets-sansio", "uvicorn-legacy": "websockets", "uvicorn-wsproto": "wsproto"}


def serve_uvicorn(name: str, port: int, given: dict[str, Any]) -> None:
    import warnings

    import uvicorn

    warnings.simplefilter("ignore")
    names = {"ping_interval": "ws_ping_interval", "ping_timeout": "ws_ping_timeout", "max_size": "ws_max_size"}
    settings = {"ws": UVICORN[name]} | {names.get(key, key): value for key, value in given.items()}
    uvicorn.run(load(), host="127.0.0.1", port=port, log_level="critical", **settings)


def serve_hypercorn(name: str, port: int, given: dict[str, Any]) -> None:
    from hypercorn.asyncio import serve
    from hypercorn.config import Config

    config = Config()
    config.bind = [f"127.0.0.1:{port}"]
    config.root_path = given.get("root_path", "")
    config.websocket_ping_interval = given.get("ping_interval")
    config.websocket_max_message_size = given.get("max_size", config.websocket_max_message_size)
    config.errorlog = None
    asyncio.run(serve(load(), config))


def serve_daphne(name: str, port: int, given: dict[str, Any]) -> None:
    from daphne.endpoints import build_endpoint_description_strings
    from daphne.server import Server

    settings: dict[str, Any] = {"root_path": given.get("root_path", "")}
    if "ping_interval" in given:
        settings |= {"ping_interval": 1, "ping_timeout": 1}
    if "max_size" in given:
        settings["websocket_max_message_size"] = given["max_size"]
    endpoints = build_endpoint_description_strings(host="127.0.0.1", port=port)
    Server(load(), endpoints=endpoints, verbosity=0, **settings).run()


def serve_granian(name: str, port: int, given: dict[str, Any]) -> None:
    from granian import Granian
    from granian.constants import Interfaces

    prefix = given.get("root_path") or None
    Granian(
        APP,
        address="127.0.0.1",
        port=port,
        interface=Interfaces.ASGI,
        url_path_prefix=prefix,
        log_enabled=False,
    ).serve()


SERVERS = {**dict.fromkeys(UVICORN, serve_uvicorn), "hypercorn": serve_hypercorn, "daphne": serve_daphne}
SERVERS["granian"] = serve_granian

if __name__ == "__main__":
    SERVERS[sys.argv[1]](sys.argv[1], int(sys.argv[2]), json.loads(sys.argv[3]))
