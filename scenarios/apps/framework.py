"""What the examples import: FastAPI, or wsharness.app where WSHARNESS_EXAMPLES says so.

The same eight applications then run on both. In an application of your own write
`from fastapi import ...` instead.
"""

import os

CHOICES = ("fastapi", "wsharness.app")
CHOICE = os.environ.get("WSHARNESS_EXAMPLES", "fastapi")

if CHOICE == "fastapi":
    from fastapi import Depends, FastAPI, HTTPException, Query, WebSocket, WebSocketDisconnect
    from fastapi.security import HTTPBearer
elif CHOICE == "wsharness.app":
    from wsharness.app import Depends, FastAPI, HTTPException, Query, WebSocket, WebSocketDisconnect
    from wsharness.app.security import HTTPBearer
else:
    raise ImportError(f"expected WSHARNESS_EXAMPLES to be one of {', '.join(CHOICES)}; got {CHOICE!r}")

__all__ = [
    "Depends",
    "FastAPI",
    "HTTPBearer",
    "HTTPException",
    "Query",
    "WebSocket",
    "WebSocketDisconnect",
]
